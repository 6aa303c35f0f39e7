-- migrate:up
CREATE TABLE log (at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, what TEXT NOT NULL);
CREATE TRIGGER notes_are_logged AFTER DELETE ON notes BEGIN
    INSERT INTO log (what) VALUES ('deleted ' || old.id);
END;
CREATE VIEW pinned AS SELECT id, body FROM notes WHERE pinned = 1;

-- migrate:down
DROP VIEW pinned;
DROP TRIGGER notes_are_logged;
DROP TABLE log;

CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE INDEX by_body ON notes (body);
~
INSERT INTO notes (body) VALUES ('tea'), ('rain');
~
CREATE TABLE fresh (id INTEGER PRIMARY KEY, body TEXT, v INT);
INSERT INTO fresh SELECT id, body, 1 FROM notes;
DROP TABLE notes;
ALTER TABLE fresh RENAME TO notes;
CREATE INDEX by_body ON notes (body);
~
ALTER TABLE notes ADD COLUMN w DEFAULT 7;

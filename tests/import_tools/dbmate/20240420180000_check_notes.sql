-- migrate:up transaction:false
PRAGMA foreign_keys = OFF;
BEGIN;
CREATE TABLE notes_new (
    id INTEGER PRIMARY KEY,
    body TEXT NOT NULL CHECK (body <> ''),
    pinned INTEGER NOT NULL DEFAULT 0,
    size INTEGER
);
INSERT INTO notes_new (id, body, pinned, size) SELECT id, body, pinned, size FROM notes;
DROP TABLE notes;
ALTER TABLE notes_new RENAME TO notes;
CREATE INDEX notes_by_body ON notes (body);
CREATE INDEX pinned_notes ON notes (id DESC) WHERE pinned = 1;
COMMIT;
PRAGMA foreign_keys = ON;

-- migrate:down transaction:false
PRAGMA foreign_keys = OFF;
BEGIN;
CREATE TABLE notes_new (
    id INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    pinned INTEGER NOT NULL DEFAULT 0,
    size INTEGER
);
INSERT INTO notes_new (id, body, pinned, size) SELECT id, body, pinned, size FROM notes;
DROP TABLE notes;
ALTER TABLE notes_new RENAME TO notes;
CREATE INDEX notes_by_body ON notes (body);
CREATE INDEX pinned_notes ON notes (id DESC) WHERE pinned = 1;
COMMIT;
PRAGMA foreign_keys = ON;

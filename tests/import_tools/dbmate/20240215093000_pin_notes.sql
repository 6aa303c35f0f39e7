-- migrate:up
ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE notes ADD COLUMN size INTEGER;
CREATE INDEX pinned_notes ON notes (id DESC) WHERE pinned = 1;

-- migrate:down
DROP INDEX pinned_notes;
ALTER TABLE notes DROP COLUMN size;
ALTER TABLE notes DROP COLUMN pinned;

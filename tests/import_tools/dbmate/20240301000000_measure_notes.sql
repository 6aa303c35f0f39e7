-- migrate:up
UPDATE notes SET size = length(body) WHERE size IS NULL;

-- migrate:down
UPDATE notes SET size = NULL;

-- A gateway's violations are known again by the spool that they come from, whatever
-- their gateway was called.

-- +goose Up
ALTER TABLE gateway_keys DROP COLUMN told_as;

-- +goose Down
ALTER TABLE gateway_keys ADD COLUMN told_as TEXT NOT NULL DEFAULT '';

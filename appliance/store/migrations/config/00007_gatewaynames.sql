-- The name that a gateway's stored events have: where it was renamed since, what it
-- delivers again is known by the old one. '' is none yet.

-- +goose Up
ALTER TABLE gateway_keys ADD COLUMN told_as TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE gateway_keys DROP COLUMN told_as;

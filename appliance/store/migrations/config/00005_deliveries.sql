-- When the events of a gateway that come after those that are kept were first seen:
-- the time of those that have none which can be believed. 0 is not yet.

-- +goose Up
ALTER TABLE gateway_keys ADD COLUMN seen BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE gateway_keys DROP COLUMN seen;

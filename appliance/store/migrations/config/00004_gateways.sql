-- Gateways as this machine knows them: the keys that are registered here, those that
-- were, and what gateways are asked to do. No dump has them.

-- +goose Up
CREATE TABLE gateway_keys (
    gateway_id TEXT   NOT NULL PRIMARY KEY,
    pin        TEXT   NOT NULL UNIQUE,
    sealing    TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    registered BIGINT NOT NULL,
    epoch      TEXT   NOT NULL,
    sequence   BIGINT NOT NULL
);

-- Of the last ones, so that the audit log can tell them from strangers.
CREATE TABLE deleted_gateway_keys (
    pin     TEXT   NOT NULL PRIMARY KEY,
    name    TEXT   NOT NULL,
    deleted BIGINT NOT NULL
);

CREATE TABLE gateway_commands (
    id         TEXT   NOT NULL PRIMARY KEY,
    gateway_id TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    argument   TEXT   NOT NULL,
    author     TEXT   NOT NULL,
    state      TEXT   NOT NULL,
    result     TEXT   NOT NULL,
    created    BIGINT NOT NULL,
    finished   BIGINT NOT NULL
);
CREATE INDEX gateway_commands_of ON gateway_commands (gateway_id, state);

-- +goose Down
DROP TABLE gateway_commands;
DROP TABLE deleted_gateway_keys;
DROP TABLE gateway_keys;

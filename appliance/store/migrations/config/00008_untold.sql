-- Writes of the REST API that the audit log may not have yet, in the order of their ids.
-- No dump has them.

-- +goose Up
CREATE TABLE untold_writes (
    id        TEXT   NOT NULL PRIMARY KEY,
    at        BIGINT NOT NULL,
    user_name TEXT   NOT NULL,
    address   TEXT   NOT NULL,
    method    TEXT   NOT NULL,
    path      TEXT   NOT NULL,
    summary   TEXT   NOT NULL,
    revision  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE untold_writes;

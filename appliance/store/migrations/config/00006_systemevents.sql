-- What happened to the appliance itself and to its gateways. Of one gateway an id is
-- there once; gateway_id is '' where it is about no gateway, source who told of it.

-- +goose Up
CREATE TABLE system_events (
    gateway_id TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    source     TEXT   NOT NULL,
    time       BIGINT NOT NULL,
    severity   TEXT   NOT NULL,
    code       TEXT   NOT NULL,
    text       TEXT   NOT NULL,
    PRIMARY KEY (gateway_id, id)
);
CREATE INDEX system_events_time ON system_events (time);
CREATE INDEX system_events_source ON system_events (gateway_id, source, time);

-- +goose Down
DROP TABLE system_events;

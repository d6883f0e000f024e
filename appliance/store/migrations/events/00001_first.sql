-- One day's events. document is the complete record as one JSON object; the other
-- columns repeat what queries filter on. An export reads document and nothing else.

-- +goose Up
CREATE TABLE alerts (
    id           TEXT   NOT NULL PRIMARY KEY,
    number       BIGINT NOT NULL,
    time         BIGINT NOT NULL,
    severity     TEXT   NOT NULL,
    source_ip    TEXT   NOT NULL,
    server_group TEXT   NOT NULL,
    service      TEXT   NOT NULL,
    application  TEXT   NOT NULL,
    document     TEXT   NOT NULL
);
CREATE INDEX alerts_time ON alerts (time);
CREATE INDEX alerts_number ON alerts (number);

CREATE TABLE violations (
    id           TEXT   NOT NULL PRIMARY KEY,
    number       BIGINT NOT NULL,
    alert_number BIGINT NOT NULL,
    time         BIGINT NOT NULL,
    severity     TEXT   NOT NULL,
    source_ip    TEXT   NOT NULL,
    path         TEXT   NOT NULL,
    site         TEXT   NOT NULL,
    server_group TEXT   NOT NULL,
    service      TEXT   NOT NULL,
    application  TEXT   NOT NULL,
    document     TEXT   NOT NULL
);
CREATE INDEX violations_time ON violations (time);
CREATE INDEX violations_alert ON violations (alert_number);
CREATE INDEX violations_source ON violations (source_ip, time);

CREATE TABLE audit_data (
    id          TEXT   NOT NULL PRIMARY KEY,
    time        BIGINT NOT NULL,
    source_ip   TEXT   NOT NULL,
    user_name   TEXT   NOT NULL,
    path        TEXT   NOT NULL,
    status      BIGINT NOT NULL,
    service     TEXT   NOT NULL,
    application TEXT   NOT NULL,
    document    TEXT   NOT NULL
);
CREATE INDEX audit_data_time ON audit_data (time);

-- What the day holds, kept with every append: counting a million rows takes a
-- second, reading this takes none.
CREATE TABLE totals (
    name  TEXT   NOT NULL PRIMARY KEY,
    rows  BIGINT NOT NULL,
    bytes BIGINT NOT NULL
);
INSERT INTO totals (name, rows, bytes) VALUES ('alerts', 0, 0);
INSERT INTO totals (name, rows, bytes) VALUES ('violations', 0, 0);
INSERT INTO totals (name, rows, bytes) VALUES ('audit_data', 0, 0);

-- +goose Down
DROP TABLE totals;
DROP TABLE audit_data;
DROP TABLE violations;
DROP TABLE alerts;

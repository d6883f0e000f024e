-- The configuration database. TEXT keys are UUIDs, times are milliseconds since
-- 1970 (UTC), documents are JSON; SQLite and PostgreSQL both read this text.

-- +goose Up
CREATE TABLE objects (
    id        TEXT   NOT NULL PRIMARY KEY,
    parent_id TEXT   NOT NULL REFERENCES objects (id) DEFERRABLE INITIALLY DEFERRED,
    kind      TEXT   NOT NULL,
    name      TEXT   NOT NULL,
    document  TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    updated   BIGINT NOT NULL,
    revision  BIGINT NOT NULL,
    UNIQUE (parent_id, kind, name)
);

-- The parent of what has none, itself included: a NULL parent would let two
-- objects of one kind have one name.
INSERT INTO objects (id, parent_id, kind, name, document, created, updated, revision)
VALUES ('00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', 'root', '', '{}', 0, 0, 0);

CREATE TABLE secrets (
    id     TEXT NOT NULL PRIMARY KEY,
    owner  TEXT NOT NULL,
    sealed TEXT NOT NULL
);

CREATE TABLE ssl_keys (
    id          TEXT   NOT NULL PRIMARY KEY,
    service_id  TEXT   NOT NULL REFERENCES objects (id) DEFERRABLE INITIALLY DEFERRED,
    name        TEXT   NOT NULL,
    certificate TEXT   NOT NULL,
    issuer      TEXT   NOT NULL,
    valid_from  BIGINT NOT NULL,
    valid_to    BIGINT NOT NULL,
    hsm         BIGINT NOT NULL,
    secret_id   TEXT   NOT NULL,
    created     BIGINT NOT NULL,
    UNIQUE (service_id, name)
);

CREATE TABLE credentials (
    id        TEXT   NOT NULL PRIMARY KEY,
    kind      TEXT   NOT NULL,
    name      TEXT   NOT NULL,
    user_name TEXT   NOT NULL,
    document  TEXT   NOT NULL,
    secret_id TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    UNIQUE (kind, name)
);

-- to_kind tells which table to_id is in, and what an export leaves out with it.
CREATE TABLE refs (
    from_id TEXT NOT NULL REFERENCES objects (id) DEFERRABLE INITIALLY DEFERRED,
    field   TEXT NOT NULL,
    to_id   TEXT NOT NULL,
    to_kind TEXT NOT NULL,
    PRIMARY KEY (from_id, field, to_id)
);
CREATE INDEX refs_to ON refs (to_id);

CREATE TABLE revisions (
    number     BIGINT NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    author     TEXT   NOT NULL,
    summary    TEXT   NOT NULL,
    difference TEXT   NOT NULL
);

CREATE TABLE users (
    id       TEXT   NOT NULL PRIMARY KEY,
    name     TEXT   NOT NULL UNIQUE,
    role     TEXT   NOT NULL,
    verifier TEXT   NOT NULL,
    document TEXT   NOT NULL,
    created  BIGINT NOT NULL,
    updated  BIGINT NOT NULL
);

CREATE TABLE archives (
    id      TEXT   NOT NULL PRIMARY KEY,
    name    TEXT   NOT NULL UNIQUE,
    status  TEXT   NOT NULL,
    size    BIGINT NOT NULL,
    sha256  TEXT   NOT NULL,
    error   TEXT   NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE jobs (
    id        TEXT   NOT NULL PRIMARY KEY,
    number    BIGINT NOT NULL UNIQUE,
    name      TEXT   NOT NULL,
    author    TEXT   NOT NULL,
    abortable BIGINT NOT NULL,
    state     TEXT   NOT NULL,
    message   TEXT   NOT NULL,
    started   BIGINT NOT NULL,
    finished  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE jobs;
DROP TABLE archives;
DROP TABLE users;
DROP TABLE revisions;
DROP TABLE refs;
DROP TABLE credentials;
DROP TABLE ssl_keys;
DROP TABLE secrets;
DROP TABLE objects;

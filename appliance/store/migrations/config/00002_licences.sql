-- What belongs to this machine, so that no dump has it: the licences that were
-- loaded, and the verifiers of registration tokens.

-- +goose Up
CREATE TABLE licences (
    id      TEXT   NOT NULL PRIMARY KEY,
    key     TEXT   NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE registration_tokens (
    verifier TEXT   NOT NULL PRIMARY KEY,
    author   TEXT   NOT NULL,
    created  BIGINT NOT NULL,
    expires  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE registration_tokens;
DROP TABLE licences;

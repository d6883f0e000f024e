-- The latest time that the machine's licences were judged at, which no import takes
-- back: revisions come with a dump, this does not.

-- +goose Up
CREATE TABLE clock (
    latest BIGINT NOT NULL
);

-- +goose Down
DROP TABLE clock;

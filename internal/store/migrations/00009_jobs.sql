-- What is to be made of recordings, and what has been made.

-- +goose Up
CREATE TABLE jobs (
    id         TEXT    PRIMARY KEY,
    kind       TEXT    NOT NULL,
    recording  TEXT    NOT NULL,
    args       TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    priority   BIGINT  NOT NULL,
    off_peak   BOOLEAN NOT NULL,
    not_before BIGINT  NOT NULL,
    attempts   BIGINT  NOT NULL,
    progress   BIGINT  NOT NULL,
    code       TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    result     TEXT    NOT NULL,
    created_by TEXT    NOT NULL,
    created    BIGINT  NOT NULL,
    began      BIGINT,
    ended      BIGINT
);
CREATE INDEX jobs_next ON jobs (state, priority, created, id);
CREATE INDEX jobs_created ON jobs (created, id);
CREATE INDEX jobs_recording ON jobs (recording, created);
-- The same is asked for once at a time.
CREATE UNIQUE INDEX jobs_once ON jobs (recording, kind, args) WHERE state IN ('queued', 'running');

CREATE TABLE derived (
    recording TEXT   NOT NULL,
    kind      TEXT   NOT NULL,
    made      BIGINT NOT NULL,
    bytes     BIGINT NOT NULL,
    result    TEXT   NOT NULL,
    PRIMARY KEY (recording, kind)
);

-- +goose Down
DROP TABLE derived;
DROP TABLE jobs;

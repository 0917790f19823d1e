-- The same statements run on SQLite and on PostgreSQL.
-- Times are microseconds since 1970-01-01 UTC (BIGINT): exact, sortable and the
-- same in both. Lists and event data are JSON text.

-- +goose Up
CREATE TABLE users (
    id            TEXT    PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE,
    display       TEXT    NOT NULL,
    role          TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    disabled      BOOLEAN NOT NULL,
    created       BIGINT  NOT NULL,
    changed       BIGINT  NOT NULL
);

CREATE TABLE sessions (
    hash    TEXT   PRIMARY KEY,
    user_id TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    address TEXT   NOT NULL,
    agent   TEXT   NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE meetings (
    id         TEXT   PRIMARY KEY,
    title      TEXT   NOT NULL,
    starts     BIGINT,
    ends       BIGINT,
    created_by TEXT   NOT NULL,
    created    BIGINT NOT NULL,
    closed     BIGINT
);
CREATE INDEX meetings_created ON meetings (created);

CREATE TABLE meeting_events (
    meeting TEXT   NOT NULL REFERENCES meetings (id) ON DELETE CASCADE,
    seq     BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    kind    TEXT   NOT NULL,
    data    TEXT   NOT NULL,
    PRIMARY KEY (meeting, seq)
);

CREATE TABLE channels (
    id       TEXT    PRIMARY KEY,
    name     TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    program  INTEGER NOT NULL,
    backup   TEXT    NOT NULL,
    position INTEGER NOT NULL
);

CREATE TABLE recordings (
    id       TEXT   PRIMARY KEY,
    stream   TEXT   NOT NULL,
    title    TEXT   NOT NULL,
    state    TEXT   NOT NULL,
    started  BIGINT NOT NULL,
    ended    BIGINT,
    duration BIGINT NOT NULL,
    bytes    BIGINT NOT NULL,
    file     TEXT   NOT NULL,
    reason   TEXT   NOT NULL
);
CREATE INDEX recordings_started ON recordings (started);
CREATE INDEX recordings_stream ON recordings (stream);

CREATE TABLE devices (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL,
    token_hash TEXT   NOT NULL UNIQUE,
    created    BIGINT NOT NULL,
    seen       BIGINT,
    revoked    BIGINT
);

CREATE TABLE audit (
    seq     BIGINT PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    name    TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    target  TEXT   NOT NULL,
    result  TEXT   NOT NULL,
    address TEXT   NOT NULL,
    detail  TEXT   NOT NULL
);
CREATE INDEX audit_at ON audit (at);

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- +goose Down
DROP TABLE settings;
DROP TABLE audit;
DROP TABLE devices;
DROP TABLE recordings;
DROP TABLE channels;
DROP TABLE meeting_events;
DROP TABLE meetings;
DROP TABLE sessions;
DROP TABLE users;

-- What those on duty write down. Entries are added and read, never changed.

-- +goose Up
CREATE TABLE shift_log (
    id     TEXT   PRIMARY KEY,
    at     BIGINT NOT NULL,
    author TEXT   NOT NULL,
    name   TEXT   NOT NULL,
    kind   TEXT   NOT NULL,
    text   TEXT   NOT NULL
);
CREATE INDEX shift_log_at ON shift_log (at);

-- +goose Down
DROP TABLE shift_log;

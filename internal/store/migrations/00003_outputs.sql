-- Transport-stream outputs added through the API.

-- +goose Up
CREATE TABLE outputs (
    id         TEXT    PRIMARY KEY,
    stream     TEXT    NOT NULL,
    address    TEXT    NOT NULL,
    bitrate    BIGINT  NOT NULL,
    service_id INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    provider   TEXT    NOT NULL
);

-- +goose Down
DROP TABLE outputs;

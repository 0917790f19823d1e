-- When a channel leaves its source (JSON, empty: the default), and the programme guide.

-- +goose Up
ALTER TABLE channels ADD COLUMN switching TEXT NOT NULL DEFAULT '';

CREATE TABLE epg_events (
    channel   TEXT    NOT NULL,
    event_id  INTEGER NOT NULL,
    starts    BIGINT  NOT NULL,
    ends      BIGINT  NOT NULL,
    title     TEXT    NOT NULL,
    summary   TEXT    NOT NULL,
    text      TEXT    NOT NULL,
    language  TEXT    NOT NULL,
    running   INTEGER NOT NULL,
    genre     INTEGER NOT NULL,
    rating    INTEGER NOT NULL,
    scrambled BOOLEAN NOT NULL,
    changed   BIGINT  NOT NULL,
    PRIMARY KEY (channel, event_id)
);
CREATE INDEX epg_events_channel ON epg_events (channel, starts);
CREATE INDEX epg_events_starts ON epg_events (starts);
CREATE INDEX epg_events_ends ON epg_events (ends);

-- +goose Down
DROP TABLE epg_events;
ALTER TABLE channels DROP COLUMN switching;

-- The library: how long recordings are kept, the recycle bin, who and what is in
-- them, where each user stopped, and who was on air in a meeting when. ord is the
-- time of the beginning, made unique: lists are in its order, and it is the number
-- of a recording in the search index, which is made by code (search.go).

-- +goose Up
ALTER TABLE recordings ADD COLUMN ord       BIGINT  NOT NULL DEFAULT 0;
ALTER TABLE recordings ADD COLUMN retention TEXT    NOT NULL DEFAULT '';
ALTER TABLE recordings ADD COLUMN expires   BIGINT;
ALTER TABLE recordings ADD COLUMN hold      BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE recordings ADD COLUMN deleted   BIGINT;
ALTER TABLE recordings ADD COLUMN people    TEXT    NOT NULL DEFAULT '[]';
ALTER TABLE recordings ADD COLUMN units     TEXT    NOT NULL DEFAULT '[]';
UPDATE recordings SET ord = started +
    (SELECT COUNT(*) FROM recordings o WHERE o.started = recordings.started AND o.id < recordings.id);
CREATE UNIQUE INDEX recordings_ord ON recordings (ord);
CREATE INDEX recordings_deleted ON recordings (deleted, ord);
CREATE INDEX recordings_class ON recordings (class, deleted, ord);
CREATE INDEX recordings_of ON recordings (stream, deleted, ord);

CREATE TABLE recording_texts (
    recording TEXT PRIMARY KEY REFERENCES recordings (id) ON DELETE CASCADE,
    body      TEXT NOT NULL,
    chapters  TEXT NOT NULL
);

CREATE TABLE recording_views (
    recording TEXT    NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    viewer    TEXT    NOT NULL,
    position  BIGINT  NOT NULL,
    watched   BOOLEAN NOT NULL,
    at        BIGINT  NOT NULL,
    PRIMARY KEY (recording, viewer)
);

CREATE TABLE meeting_shots (
    meeting     TEXT    NOT NULL REFERENCES meetings (id) ON DELETE CASCADE,
    at          BIGINT  NOT NULL,
    participant TEXT    NOT NULL,
    screen      BOOLEAN NOT NULL,
    PRIMARY KEY (meeting, at)
);

-- +goose Down
DROP TABLE meeting_shots;
DROP TABLE recording_views;
DROP TABLE recording_texts;
DROP INDEX recordings_of;
DROP INDEX recordings_class;
DROP INDEX recordings_deleted;
DROP INDEX recordings_ord;
ALTER TABLE recordings DROP COLUMN units;
ALTER TABLE recordings DROP COLUMN people;
ALTER TABLE recordings DROP COLUMN deleted;
ALTER TABLE recordings DROP COLUMN hold;
ALTER TABLE recordings DROP COLUMN expires;
ALTER TABLE recordings DROP COLUMN retention;
ALTER TABLE recordings DROP COLUMN ord;

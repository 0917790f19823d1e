-- What lies in a recording's folder beside its main media file, in bytes: beside is of
-- sites' own files, indexes and the manifest, made of what jobs made. Of a recording
-- whose beside is 0 it was not looked at yet.

-- +goose Up
ALTER TABLE recordings ADD COLUMN beside BIGINT NOT NULL DEFAULT 0;
ALTER TABLE recordings ADD COLUMN made   BIGINT NOT NULL DEFAULT 0;
-- A list that is sorted by one of the last three reads this index, and not each recording.
CREATE INDEX recordings_sorts ON recordings (ord, deleted, duration, bytes, title);

-- +goose Down
DROP INDEX recordings_sorts;
ALTER TABLE recordings DROP COLUMN made;
ALTER TABLE recordings DROP COLUMN beside;

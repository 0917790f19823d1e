-- What the recorder knows of a recording. reason becomes a stable code; what was a
-- sentence in it goes to detail.

-- +goose Up
ALTER TABLE recordings ADD COLUMN class    TEXT NOT NULL DEFAULT '';
ALTER TABLE recordings ADD COLUMN format   TEXT NOT NULL DEFAULT 'fmp4';
ALTER TABLE recordings ADD COLUMN schedule TEXT NOT NULL DEFAULT '';
ALTER TABLE recordings ADD COLUMN event    TEXT NOT NULL DEFAULT '';
ALTER TABLE recordings ADD COLUMN gaps     TEXT NOT NULL DEFAULT '[]';
ALTER TABLE recordings ADD COLUMN tracks   TEXT NOT NULL DEFAULT '[]';
ALTER TABLE recordings ADD COLUMN detail   TEXT NOT NULL DEFAULT '';
UPDATE recordings SET detail = reason, reason = '' WHERE reason <> '';
UPDATE recordings SET reason = 'interrupted' WHERE state = 'interrupted';
UPDATE recordings SET reason = 'failed' WHERE state = 'failed';
CREATE INDEX recordings_state ON recordings (state);

ALTER TABLE meetings ADD COLUMN record TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE meetings DROP COLUMN record;
DROP INDEX recordings_state;
UPDATE recordings SET reason = detail WHERE detail <> '';
ALTER TABLE recordings DROP COLUMN detail;
ALTER TABLE recordings DROP COLUMN tracks;
ALTER TABLE recordings DROP COLUMN gaps;
ALTER TABLE recordings DROP COLUMN event;
ALTER TABLE recordings DROP COLUMN schedule;
ALTER TABLE recordings DROP COLUMN format;
ALTER TABLE recordings DROP COLUMN class;

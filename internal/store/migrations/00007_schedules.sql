-- What is to be recorded when, and what became of it.

-- +goose Up
CREATE TABLE schedules (
    id             TEXT    PRIMARY KEY,
    stream         TEXT    NOT NULL,
    title          TEXT    NOT NULL,
    class          TEXT    NOT NULL,
    format         TEXT    NOT NULL,
    priority       TEXT    NOT NULL,
    starts         BIGINT,
    ends           BIGINT,
    zone           TEXT    NOT NULL,
    rrule          TEXT    NOT NULL,
    event          TEXT    NOT NULL,
    series         TEXT    NOT NULL,
    padding_before BIGINT  NOT NULL,
    padding_after  BIGINT  NOT NULL,
    enabled        BOOLEAN NOT NULL,
    created_by     TEXT    NOT NULL,
    created        BIGINT  NOT NULL,
    changed        BIGINT  NOT NULL
);

CREATE TABLE schedule_runs (
    key         TEXT   PRIMARY KEY,
    schedule    TEXT   NOT NULL,
    stream      TEXT   NOT NULL,
    title       TEXT   NOT NULL,
    base        TEXT   NOT NULL,
    text        TEXT   NOT NULL,
    event       TEXT   NOT NULL,
    priority    TEXT   NOT NULL,
    starts      BIGINT NOT NULL,
    ends        BIGINT NOT NULL,
    record_from BIGINT NOT NULL,
    record_to   BIGINT NOT NULL,
    state       TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    lost_to     TEXT   NOT NULL,
    recording   TEXT   NOT NULL,
    recordings  TEXT   NOT NULL,
    begun       BIGINT,
    ended       BIGINT
);
CREATE INDEX schedule_runs_to ON schedule_runs (record_to);
CREATE INDEX schedule_runs_state ON schedule_runs (state);
CREATE INDEX schedule_runs_base ON schedule_runs (base, state);
CREATE INDEX schedule_runs_schedule ON schedule_runs (schedule, record_to);

-- The scheduler asks every second what changed, and looks for titles in all of a week.
CREATE INDEX epg_events_changed ON epg_events (changed);
CREATE INDEX epg_events_titles ON epg_events (starts, ends, title, channel, event_id);

-- +goose Down
DROP INDEX epg_events_titles;
DROP INDEX epg_events_changed;
DROP TABLE schedule_runs;
DROP TABLE schedules;

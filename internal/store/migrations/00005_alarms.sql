-- What went wrong with channels, and when it was over again.

-- +goose Up
CREATE TABLE channel_alarms (
    channel TEXT   NOT NULL,
    alarm   TEXT   NOT NULL,
    raised  BIGINT NOT NULL,
    cleared BIGINT,
    PRIMARY KEY (channel, alarm, raised)
);
CREATE INDEX channel_alarms_raised ON channel_alarms (channel, raised);

-- +goose Down
DROP TABLE channel_alarms;

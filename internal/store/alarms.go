package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ChannelAlarm is something that was wrong with a channel for a while. Alarms outlive
// their channel: what happened last night is asked about after it was removed, too.
type ChannelAlarm struct {
	Channel string
	Alarm   string // "black", "continuity" …
	Raised  time.Time
	Cleared *time.Time // nil: it is so still
}

const alarmColumns = "channel, alarm, raised, cleared"

func scanAlarm(r scanner, a *ChannelAlarm) error {
	return r.Scan(&a.Channel, &a.Alarm, at{&a.Raised}, maybe{&a.Cleared})
}

// RaiseAlarm notes that an alarm of a channel began. One that began at the same moment
// already is left as it is.
func (s *Store) RaiseAlarm(ctx context.Context, channel, alarm string, when time.Time) error {
	_, err := s.exec(ctx, "INSERT INTO channel_alarms ("+alarmColumns+") VALUES ($1, $2, $3, NULL)", channel, alarm, micros(when))
	if err != nil && !errors.Is(err, ErrConflict) {
		return fmt.Errorf("raise alarm %s of channel %q: %w", alarm, channel, err)
	}
	return nil
}

// ClearAlarm notes that an alarm of a channel is over; that there is none is no error.
func (s *Store) ClearAlarm(ctx context.Context, channel, alarm string, when time.Time) error {
	_, err := s.exec(ctx, "UPDATE channel_alarms SET cleared = $1 WHERE channel = $2 AND alarm = $3 AND cleared IS NULL", micros(when), channel, alarm)
	if err != nil {
		return fmt.Errorf("clear alarm %s of channel %q: %w", alarm, channel, err)
	}
	return nil
}

// ClearAlarms ends all alarms: nobody watched while the server was down.
func (s *Store) ClearAlarms(ctx context.Context, when time.Time) error {
	if _, err := s.exec(ctx, "UPDATE channel_alarms SET cleared = $1 WHERE cleared IS NULL", micros(when)); err != nil {
		return fmt.Errorf("clear alarms: %w", err)
	}
	return nil
}

// AlarmFilter chooses alarms; empty fields mean any.
type AlarmFilter struct {
	Channel string
	Alarm   string
	From    *time.Time // those that lasted until then or longer
	To      *time.Time // those that began before
}

// ChannelAlarms returns a page of alarms, newest first, and how many match.
func (s *Store) ChannelAlarms(ctx context.Context, f AlarmFilter, p Page) ([]ChannelAlarm, int, error) {
	var w where
	if f.Channel != "" {
		w.add("channel = ?", f.Channel)
	}
	if f.Alarm != "" {
		w.add("alarm = ?", f.Alarm)
	}
	if f.From != nil {
		w.add("(cleared IS NULL OR cleared >= ?)", micros(*f.From))
	}
	if f.To != nil {
		w.add("raised < ?", micros(*f.To))
	}
	l, total, err := page(ctx, s, scanAlarm, alarmColumns, "channel_alarms", "raised DESC, channel, alarm", w, p)
	if err != nil {
		return nil, 0, fmt.Errorf("list alarms: %w", err)
	}
	return l, total, nil
}

// PruneAlarms deletes alarms that were over before a moment, and of each channel all
// but the newest so many.
func (s *Store) PruneAlarms(ctx context.Context, before time.Time, keep int) error {
	if _, err := s.exec(ctx, "DELETE FROM channel_alarms WHERE cleared IS NOT NULL AND cleared < $1", micros(before)); err != nil {
		return fmt.Errorf("prune alarms: %w", err)
	}
	full, err := many(ctx, s.read, func(r scanner, v *string) error { return r.Scan(v) },
		"SELECT channel FROM channel_alarms GROUP BY channel HAVING COUNT(*) > $1", keep)
	if err != nil {
		return fmt.Errorf("prune alarms: %w", err)
	}
	for _, channel := range full {
		_, err := s.exec(ctx, `DELETE FROM channel_alarms WHERE channel = $1 AND cleared IS NOT NULL AND raised <=
			(SELECT raised FROM channel_alarms WHERE channel = $1 ORDER BY raised DESC LIMIT 1 OFFSET $2)`, channel, keep)
		if err != nil {
			return fmt.Errorf("prune alarms of channel %q: %w", channel, err)
		}
	}
	return nil
}

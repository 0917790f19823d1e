package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// ScheduleRun is what became of one time at which a schedule applied.
type ScheduleRun struct {
	Key      string // as recorder/schedule makes it
	Schedule string // id; the schedule itself may be gone
	Stream   string
	Title    string
	Base     string // what is left of Title without the number of the episode
	Text     string // of the event, which tells episodes apart
	Event    string // event_id in Stream's guide; empty: none
	Priority string
	// Start and End are what was asked for, or what the guide said last; RecordFrom
	// and RecordTo have the padding.
	Start, End           time.Time
	RecordFrom, RecordTo time.Time
	State                string // recording, done, missed, skipped, conflict, planned
	Reason               string // stable code
	LostTo               string // key of the run that has the room
	Recording            string // id of the newest recording; empty: none
	Recordings           []string
	Begun, Ended         *time.Time
}

const runColumns = `key, schedule, stream, title, base, text, event, priority, starts, ends, record_from, record_to,
	state, reason, lost_to, recording, recordings, begun, ended`

func scanRun(r scanner, x *ScheduleRun) error {
	return r.Scan(&x.Key, &x.Schedule, &x.Stream, &x.Title, &x.Base, &x.Text, &x.Event, &x.Priority, at{&x.Start}, at{&x.End}, at{&x.RecordFrom}, at{&x.RecordTo},
		&x.State, &x.Reason, &x.LostTo, &x.Recording, list{&x.Recordings}, maybe{&x.Begun}, maybe{&x.Ended})
}

// PutScheduleRun adds a run or replaces the one with its key.
func (s *Store) PutScheduleRun(ctx context.Context, x ScheduleRun) error {
	recordings, err := listText(x.Recordings)
	if err != nil {
		return fmt.Errorf("put run %q: %w", x.Key, err)
	}
	_, err = s.exec(ctx, "INSERT INTO schedule_runs ("+runColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
		ON CONFLICT (key) DO UPDATE SET schedule = excluded.schedule, stream = excluded.stream, title = excluded.title, base = excluded.base,
		text = excluded.text, event = excluded.event, priority = excluded.priority, starts = excluded.starts, ends = excluded.ends,
		record_from = excluded.record_from, record_to = excluded.record_to, state = excluded.state, reason = excluded.reason,
		lost_to = excluded.lost_to, recording = excluded.recording, recordings = excluded.recordings, begun = excluded.begun, ended = excluded.ended`,
		x.Key, x.Schedule, x.Stream, x.Title, x.Base, x.Text, x.Event, x.Priority, micros(x.Start), micros(x.End), micros(x.RecordFrom), micros(x.RecordTo),
		x.State, x.Reason, x.LostTo, x.Recording, recordings, microsOrNull(x.Begun), microsOrNull(x.Ended))
	if err != nil {
		return fmt.Errorf("put run %q: %w", x.Key, err)
	}
	return nil
}

// RunFilter chooses runs; empty fields mean any.
type RunFilter struct {
	Schedule string
	State    string
	From     time.Time // whose recording is to end after it
	To       time.Time // whose recording is to begin before it
}

// ScheduleRuns returns runs by the beginning of the recording, most of them at the
// most; most below 1: all.
func (s *Store) ScheduleRuns(ctx context.Context, f RunFilter, most int) ([]ScheduleRun, error) {
	var w where
	if f.Schedule != "" {
		w.add("schedule = ?", f.Schedule)
	}
	if f.State != "" {
		w.add("state = ?", f.State)
	}
	if !f.From.IsZero() {
		w.add("record_to > ?", micros(f.From))
	}
	if !f.To.IsZero() {
		w.add("record_from < ?", micros(f.To))
	}
	query := "SELECT " + runColumns + " FROM schedule_runs" + w.String() + " ORDER BY record_from, key"
	if most > 0 {
		query += fmt.Sprintf(" LIMIT %d", most)
	}
	l, err := many(ctx, s.read, scanRun, query, w.args...)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return l, nil
}

// ScheduleRun returns a run by its key.
func (s *Store) ScheduleRun(ctx context.Context, key string) (ScheduleRun, error) {
	x, err := one(ctx, s.read, scanRun, "SELECT "+runColumns+" FROM schedule_runs WHERE key = $1", key)
	if err != nil {
		return ScheduleRun{}, fmt.Errorf("run %q: %w", key, err)
	}
	return x, nil
}

// Episode is what was recorded of a series.
type Episode struct {
	Title, Text string
	Start       time.Time
}

func scanEpisode(r scanner, x *Episode) error { return r.Scan(&x.Title, &x.Text, at{&x.Start}) }

// Episodes returns what was recorded of series, by what is left of their titles: the
// newest, most of them at the most.
func (s *Store) Episodes(ctx context.Context, bases []string, most int) ([]Episode, error) {
	if len(bases) == 0 {
		return nil, nil
	}
	marks, args := make([]string, len(bases)), make([]any, len(bases))
	for i, b := range bases {
		marks[i], args[i] = fmt.Sprintf("$%d", i+1), b
	}
	l, err := many(ctx, s.read, scanEpisode, fmt.Sprintf(
		"SELECT title, text, starts FROM schedule_runs WHERE base IN (%s) AND state IN ('done', 'recording') ORDER BY starts DESC LIMIT %d",
		strings.Join(marks, ", "), most), args...)
	if err != nil {
		return nil, fmt.Errorf("list episodes: %w", err)
	}
	return l, nil
}

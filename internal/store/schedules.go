package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Schedule is a rule of what is to be recorded when, as it was asked for. What the
// fields mean, and which go together, is said in recorder/schedule.
type Schedule struct {
	ID       string
	Stream   string // name of a stream; with Series: empty, or the only channel
	Title    string
	Class    string // of its recordings
	Format   string // fmp4, ts
	Priority string // emergency, meeting, training, news
	Start    *time.Time
	End      *time.Time
	Zone     string // IANA name; empty: the server's
	RRule    string
	Event    string // event_id of one event of Stream's guide; empty: none
	Series   *Series
	// PaddingBefore and PaddingAfter are kept to microseconds.
	PaddingBefore, PaddingAfter time.Duration
	Enabled                     bool
	CreatedBy                   string // user id
	Created                     time.Time
	Changed                     time.Time // when it became what it is: it is not missed before
}

// Series describes events of the guide.
type Series struct {
	Title      string        `json:"title"`
	Channels   []string      `json:"channels,omitempty"` // ids; none: all
	Weekdays   []int         `json:"weekdays,omitempty"` // 0 is Sunday
	From       time.Duration `json:"from,omitempty"`     // of the day
	To         time.Duration `json:"to,omitempty"`
	Duplicates string        `json:"duplicates,omitempty"`
}

// seriesColumn scans a series; empty: none.
type seriesColumn struct{ s **Series }

// Scan reads JSON text.
func (c seriesColumn) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("scan a series from %T", v)
	}
	*c.s = nil
	if text == "" {
		return nil
	}
	*c.s = new(Series)
	return json.Unmarshal([]byte(text), *c.s)
}

func seriesText(s *Series) (string, error) {
	if s == nil {
		return "", nil
	}
	b, err := json.Marshal(s)
	return string(b), err
}

const scheduleColumns = `id, stream, title, class, format, priority, starts, ends, zone, rrule, event, series,
	padding_before, padding_after, enabled, created_by, created, changed`

func scanSchedule(r scanner, x *Schedule) error {
	var before, after int64
	err := r.Scan(&x.ID, &x.Stream, &x.Title, &x.Class, &x.Format, &x.Priority, maybe{&x.Start}, maybe{&x.End}, &x.Zone, &x.RRule, &x.Event,
		seriesColumn{&x.Series}, &before, &after, &x.Enabled, &x.CreatedBy, at{&x.Created}, at{&x.Changed})
	x.PaddingBefore, x.PaddingAfter = time.Duration(before)*time.Microsecond, time.Duration(after)*time.Microsecond
	return err
}

// CreateSchedule adds a schedule; a taken id is [ErrConflict].
func (s *Store) CreateSchedule(ctx context.Context, x Schedule) error {
	series, err := seriesText(x.Series)
	if err != nil {
		return fmt.Errorf("create schedule %q: %w", x.ID, err)
	}
	_, err = s.exec(ctx, "INSERT INTO schedules ("+scheduleColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
		x.ID, x.Stream, x.Title, x.Class, x.Format, x.Priority, microsOrNull(x.Start), microsOrNull(x.End), x.Zone, x.RRule, x.Event, series,
		x.PaddingBefore.Microseconds(), x.PaddingAfter.Microseconds(), x.Enabled, x.CreatedBy, micros(x.Created), micros(x.Changed))
	if err != nil {
		return fmt.Errorf("create schedule %q: %w", x.ID, err)
	}
	return nil
}

// UpdateSchedule writes all but who created it and when.
func (s *Store) UpdateSchedule(ctx context.Context, x Schedule) error {
	series, err := seriesText(x.Series)
	if err != nil {
		return fmt.Errorf("update schedule %q: %w", x.ID, err)
	}
	err = s.execOne(ctx, `UPDATE schedules SET stream = $1, title = $2, class = $3, format = $4, priority = $5, starts = $6, ends = $7, zone = $8,
		rrule = $9, event = $10, series = $11, padding_before = $12, padding_after = $13, enabled = $14, changed = $15 WHERE id = $16`,
		x.Stream, x.Title, x.Class, x.Format, x.Priority, microsOrNull(x.Start), microsOrNull(x.End), x.Zone,
		x.RRule, x.Event, series, x.PaddingBefore.Microseconds(), x.PaddingAfter.Microseconds(), x.Enabled, micros(x.Changed), x.ID)
	if err != nil {
		return fmt.Errorf("update schedule %q: %w", x.ID, err)
	}
	return nil
}

// MoveSchedule notes where the event of a schedule is now, and which it is, for when
// the guide has it no more.
func (s *Store) MoveSchedule(ctx context.Context, id, event string, start, end time.Time) error {
	err := s.execOne(ctx, "UPDATE schedules SET event = $1, starts = $2, ends = $3 WHERE id = $4 AND event <> ''", event, micros(start), micros(end), id)
	if err != nil {
		return fmt.Errorf("move schedule %q: %w", id, err)
	}
	return nil
}

// Schedule returns a schedule.
func (s *Store) Schedule(ctx context.Context, id string) (Schedule, error) {
	x, err := one(ctx, s.read, scanSchedule, "SELECT "+scheduleColumns+" FROM schedules WHERE id = $1", id)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %q: %w", id, err)
	}
	return x, nil
}

// ScheduleFilter chooses schedules; empty fields mean any.
type ScheduleFilter struct {
	Stream  string
	Enabled bool // only those
}

// Schedules returns a page of schedules, newest first, and how many match.
func (s *Store) Schedules(ctx context.Context, f ScheduleFilter, p Page) ([]Schedule, int, error) {
	var w where
	if f.Stream != "" {
		w.add("stream = ?", f.Stream)
	}
	if f.Enabled {
		w.add("enabled = ?", true)
	}
	l, total, err := page(ctx, s, scanSchedule, scheduleColumns, "schedules", "created DESC, id", w, p)
	if err != nil {
		return nil, 0, fmt.Errorf("list schedules: %w", err)
	}
	return l, total, nil
}

// AllSchedules returns all schedules by id, for the scheduler.
func (s *Store) AllSchedules(ctx context.Context) ([]Schedule, error) {
	l, err := many(ctx, s.read, scanSchedule, "SELECT "+scheduleColumns+" FROM schedules ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("read schedules: %w", err)
	}
	return l, nil
}

// DeleteSchedule removes a schedule. What became of it stays.
func (s *Store) DeleteSchedule(ctx context.Context, id string) error {
	if err := s.execOne(ctx, "DELETE FROM schedules WHERE id = $1", id); err != nil {
		return fmt.Errorf("delete schedule %q: %w", id, err)
	}
	return nil
}

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Meeting is a meeting that was convened. What happened in it is its event log.
type Meeting struct {
	ID        string
	Title     string
	Start     *time.Time // planned; nil: any time
	End       *time.Time // planned
	CreatedBy string     // user id
	Created   time.Time
	Closed    *time.Time // nil while it can be joined
	Record    string     // what is recorded from the first participant to the end: "" nothing, "programme", "all" (every site's tracks too)
}

// MeetingFilter chooses meetings; the zero value means all.
type MeetingFilter struct {
	Open   bool // only those not closed
	Closed bool // only those closed
}

const meetingColumns = "id, title, starts, ends, created_by, created, closed, record"

func scanMeeting(r scanner, m *Meeting) error {
	return r.Scan(&m.ID, &m.Title, maybe{&m.Start}, maybe{&m.End}, &m.CreatedBy, at{&m.Created}, maybe{&m.Closed}, &m.Record)
}

// CreateMeeting adds a meeting; a taken id is [ErrConflict].
func (s *Store) CreateMeeting(ctx context.Context, m Meeting) error {
	_, err := s.exec(ctx, "INSERT INTO meetings ("+meetingColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		m.ID, m.Title, microsOrNull(m.Start), microsOrNull(m.End), m.CreatedBy, micros(m.Created), microsOrNull(m.Closed), m.Record)
	if err != nil {
		return fmt.Errorf("create meeting %q: %w", m.ID, err)
	}
	return nil
}

// UpdateMeeting writes title, start, end, closed and record.
func (s *Store) UpdateMeeting(ctx context.Context, m Meeting) error {
	err := s.execOne(ctx, "UPDATE meetings SET title = $1, starts = $2, ends = $3, closed = $4, record = $5 WHERE id = $6",
		m.Title, microsOrNull(m.Start), microsOrNull(m.End), microsOrNull(m.Closed), m.Record, m.ID)
	if err != nil {
		return fmt.Errorf("update meeting %q: %w", m.ID, err)
	}
	return nil
}

// Meeting returns a meeting.
func (s *Store) Meeting(ctx context.Context, id string) (Meeting, error) {
	m, err := one(ctx, s.read, scanMeeting, "SELECT "+meetingColumns+" FROM meetings WHERE id = $1", id)
	if err != nil {
		return Meeting{}, fmt.Errorf("meeting %q: %w", id, err)
	}
	return m, nil
}

// Meetings returns a page of meetings, newest first, and how many match.
func (s *Store) Meetings(ctx context.Context, f MeetingFilter, p Page) ([]Meeting, int, error) {
	var w where
	if f.Open {
		w.conds = append(w.conds, "closed IS NULL")
	}
	if f.Closed {
		w.conds = append(w.conds, "closed IS NOT NULL")
	}
	l, total, err := page(ctx, s, scanMeeting, meetingColumns, "meetings", "created DESC, id", w, p)
	if err != nil {
		return nil, 0, fmt.Errorf("list meetings: %w", err)
	}
	return l, total, nil
}

// DeleteMeeting removes a meeting and its event log.
func (s *Store) DeleteMeeting(ctx context.Context, id string) error {
	if err := s.execOne(ctx, "DELETE FROM meetings WHERE id = $1", id); err != nil {
		return fmt.Errorf("delete meeting %q: %w", id, err)
	}
	return nil
}

// MeetingEvent is one entry of a meeting's log.
type MeetingEvent struct {
	Meeting string
	Seq     int64 // 1, 2, 3 … within the meeting
	At      time.Time
	Kind    string
	Data    []byte // a JSON value
}

func scanMeetingEvent(r scanner, e *MeetingEvent) error {
	return r.Scan(&e.Meeting, &e.Seq, at{&e.At}, &e.Kind, &e.Data)
}

// ErrNotJSON is returned by [Store.AppendMeetingEvents] for data that could not be read back.
var ErrNotJSON = errors.New("event data is not JSON")

// AppendMeetingEvents adds events to a meeting's log: all of them, synced to disk,
// or none. A sequence number that exists already is [ErrConflict], a meeting that
// does not is [ErrNotFound]. The Meeting field of the events is ignored.
func (s *Store) AppendMeetingEvents(ctx context.Context, meeting string, events []MeetingEvent) error {
	if len(events) == 0 {
		return nil
	}
	for i := range events {
		if !json.Valid(events[i].Data) {
			return fmt.Errorf("append event %d to meeting %q: %w", events[i].Seq, meeting, ErrNotJSON)
		}
	}
	err := s.tx(ctx, func(tx *sql.Tx) error {
		st, err := tx.PrepareContext(ctx, "INSERT INTO meeting_events (meeting, seq, at, kind, data) VALUES ($1, $2, $3, $4, $5)")
		if err != nil {
			return err
		}
		defer st.Close()
		for i := range events {
			e := &events[i]
			if _, err := st.ExecContext(ctx, meeting, e.Seq, micros(e.At), e.Kind, string(e.Data)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("append %d events to meeting %q: %w", len(events), meeting, err)
	}
	return nil
}

// MeetingEvents returns the log of a meeting after a sequence number (0: all of
// it), in order. A meeting without events has an empty log.
func (s *Store) MeetingEvents(ctx context.Context, meeting string, afterSeq int64) ([]MeetingEvent, error) {
	l, err := many(ctx, s.read, scanMeetingEvent,
		"SELECT meeting, seq, at, kind, data FROM meeting_events WHERE meeting = $1 AND seq > $2 ORDER BY seq", meeting, afterSeq)
	if err != nil {
		return nil, fmt.Errorf("events of meeting %q: %w", meeting, err)
	}
	return l, nil
}

package store

import (
	"context"
	"fmt"
	"time"
)

// MeetingShot is what went on air in a meeting at a moment.
type MeetingShot struct {
	At          time.Time
	Participant string // empty: nobody
	Screen      bool   // the shared screen
}

// AppendMeetingShot notes what went on air. A second one in the same microsecond
// takes the first one's place.
func (s *Store) AppendMeetingShot(ctx context.Context, meeting string, x MeetingShot) error {
	_, err := s.exec(ctx, `INSERT INTO meeting_shots (meeting, at, participant, screen) VALUES ($1, $2, $3, $4)
		ON CONFLICT (meeting, at) DO UPDATE SET participant = excluded.participant, screen = excluded.screen`, meeting, micros(x.At), x.Participant, x.Screen)
	if err != nil {
		return fmt.Errorf("note what is on air in meeting %q: %w", meeting, err)
	}
	return nil
}

// MeetingShots returns what was on air in a meeting before a moment, in order.
func (s *Store) MeetingShots(ctx context.Context, meeting string, before time.Time) ([]MeetingShot, error) {
	l, err := many(ctx, s.read, func(r scanner, x *MeetingShot) error { return r.Scan(at{&x.At}, &x.Participant, &x.Screen) },
		"SELECT at, participant, screen FROM meeting_shots WHERE meeting = $1 AND at < $2 ORDER BY at", meeting, micros(before))
	if err != nil {
		return nil, fmt.Errorf("what was on air in meeting %q: %w", meeting, err)
	}
	return l, nil
}

package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// RecordingView is where somebody stopped in a recording.
type RecordingView struct {
	Recording string
	Viewer    string // user id
	Position  time.Duration
	Watched   bool
	At        time.Time
}

// PutRecordingView notes where somebody stopped; a recording that does not exist is
// [ErrNotFound].
func (s *Store) PutRecordingView(ctx context.Context, v RecordingView) error {
	_, err := s.exec(ctx, `INSERT INTO recording_views (recording, viewer, position, watched, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (recording, viewer) DO UPDATE SET position = excluded.position, watched = excluded.watched, at = excluded.at`,
		v.Recording, v.Viewer, v.Position.Milliseconds(), v.Watched, micros(v.At))
	if err != nil {
		return fmt.Errorf("note where %q stopped in recording %q: %w", v.Viewer, v.Recording, err)
	}
	return nil
}

// RecordingViews returns where somebody stopped in each of some recordings, by their ids.
func (s *Store) RecordingViews(ctx context.Context, viewer string, recordings []string) (map[string]RecordingView, error) {
	if len(recordings) == 0 {
		return nil, nil
	}
	args := []any{viewer}
	marks := make([]string, len(recordings))
	for i, id := range recordings {
		args = append(args, id)
		marks[i] = fmt.Sprintf("$%d", i+2)
	}
	l, err := many(ctx, s.read, func(r scanner, v *RecordingView) error {
		var ms int64
		err := r.Scan(&v.Recording, &v.Viewer, &ms, &v.Watched, at{&v.At})
		v.Position = time.Duration(ms) * time.Millisecond
		return err
	}, "SELECT recording, viewer, position, watched, at FROM recording_views WHERE viewer = $1 AND recording IN ("+strings.Join(marks, ", ")+")", args...)
	if err != nil {
		return nil, fmt.Errorf("where %q stopped: %w", viewer, err)
	}
	out := make(map[string]RecordingView, len(l))
	for _, v := range l {
		out[v.Recording] = v
	}
	return out, nil
}

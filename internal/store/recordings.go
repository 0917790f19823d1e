package store

import (
	"context"
	"fmt"
	"time"
)

// RecordingState says how a recording stands.
type RecordingState string

// The states.
const (
	RecordingRunning     RecordingState = "recording"   // being written
	RecordingComplete    RecordingState = "complete"    // stopped by somebody
	RecordingInterrupted RecordingState = "interrupted" // the server went down; playable up to Ended
	RecordingFailed      RecordingState = "failed"      // Reason says why
)

// Recording is an entry of the library.
type Recording struct {
	ID       string
	Stream   string // name of the stream
	Title    string
	State    RecordingState
	Started  time.Time
	Ended    *time.Time
	Duration time.Duration // of the media; kept to microseconds
	Bytes    int64
	File     string // path below the recordings folder
	Reason   string // for a person; of interrupted and failed
}

// RecordingFilter chooses recordings; empty fields mean any.
type RecordingFilter struct {
	Stream string
	State  RecordingState
}

const recordingColumns = "id, stream, title, state, started, ended, duration, bytes, file, reason"

func scanRecording(r scanner, x *Recording) error {
	var us int64
	err := r.Scan(&x.ID, &x.Stream, &x.Title, &x.State, at{&x.Started}, maybe{&x.Ended}, &us, &x.Bytes, &x.File, &x.Reason)
	x.Duration = time.Duration(us) * time.Microsecond
	return err
}

// PutRecording adds a recording or replaces the one with its id.
func (s *Store) PutRecording(ctx context.Context, x Recording) error {
	_, err := s.exec(ctx, "INSERT INTO recordings ("+recordingColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (id) DO UPDATE SET stream = excluded.stream, title = excluded.title, state = excluded.state,
		started = excluded.started, ended = excluded.ended, duration = excluded.duration, bytes = excluded.bytes,
		file = excluded.file, reason = excluded.reason`,
		x.ID, x.Stream, x.Title, string(x.State), micros(x.Started), microsOrNull(x.Ended), x.Duration.Microseconds(), x.Bytes, x.File, x.Reason)
	if err != nil {
		return fmt.Errorf("put recording %q: %w", x.ID, err)
	}
	return nil
}

// Recording returns a recording.
func (s *Store) Recording(ctx context.Context, id string) (Recording, error) {
	x, err := one(ctx, s.read, scanRecording, "SELECT "+recordingColumns+" FROM recordings WHERE id = $1", id)
	if err != nil {
		return Recording{}, fmt.Errorf("recording %q: %w", id, err)
	}
	return x, nil
}

// Recordings returns a page of recordings, newest first, and how many match.
func (s *Store) Recordings(ctx context.Context, f RecordingFilter, p Page) ([]Recording, int, error) {
	var w where
	if f.Stream != "" {
		w.add("stream = ?", f.Stream)
	}
	if f.State != "" {
		w.add("state = ?", string(f.State))
	}
	l, total, err := page(ctx, s, scanRecording, recordingColumns, "recordings", "started DESC, id", w, p)
	if err != nil {
		return nil, 0, fmt.Errorf("list recordings: %w", err)
	}
	return l, total, nil
}

// DeleteRecording removes a recording from the library; its file is the recorder's.
func (s *Store) DeleteRecording(ctx context.Context, id string) error {
	if err := s.execOne(ctx, "DELETE FROM recordings WHERE id = $1", id); err != nil {
		return fmt.Errorf("delete recording %q: %w", id, err)
	}
	return nil
}

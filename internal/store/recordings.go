package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// RecordingState says how a recording stands.
type RecordingState string

// The states.
const (
	RecordingRunning     RecordingState = "recording"   // being written
	RecordingWaiting     RecordingState = "waiting"     // begun, and nothing can be written now: Reason says why
	RecordingComplete    RecordingState = "complete"    // stopped by somebody
	RecordingInterrupted RecordingState = "interrupted" // the server went down; playable up to Ended
	RecordingFailed      RecordingState = "failed"      // Reason says why
	RecordingMissed      RecordingState = "missed"      // it was planned and never began
)

// Active reports whether the recorder is at work on it.
func (s RecordingState) Active() bool { return s == RecordingRunning || s == RecordingWaiting }

// Gap is a time of a recording of which there is nothing, on its own time line.
type Gap struct {
	FromMS int64  `json:"from_ms"`
	ToMS   int64  `json:"to_ms"`
	Reason string `json:"reason"` // a stable code, as of the recording
}

// RecordingTrack is a picture or a sound of a recording.
type RecordingTrack struct {
	File     string `json:"file"`   // below the recording's folder
	Stream   string `json:"stream"` // what it was recorded from
	Kind     string `json:"kind"`   // video, audio; other for what only a transport stream carries
	Codec    string `json:"codec"`
	Language string `json:"language,omitempty"`
	Width    int    `json:"width,omitempty"`
	Height   int    `json:"height,omitempty"`
}

// Recording is an entry of the library.
type Recording struct {
	ID       string
	Stream   string // name of the stream
	Title    string
	Class    string // meeting, news, training, agriculture; "": none was chosen
	State    RecordingState
	Started  time.Time
	Ended    *time.Time
	Duration time.Duration // of the media; kept to microseconds
	Bytes    int64
	File     string // path of the main media file below the recordings folder
	Format   string // fmp4, ts
	Reason   string // stable code: why it waits, failed, was interrupted or missed
	Detail   string // what is known beyond the code
	Schedule string // id of the schedule that began it
	Event    string // id of the programme guide's event
	Gaps     []Gap
	Tracks   []RecordingTrack
}

// RecordingFilter chooses recordings; empty fields mean any.
type RecordingFilter struct {
	Stream string
	State  RecordingState
	Active bool // only those that the recorder is at work on
}

const recordingColumns = "id, stream, title, class, state, started, ended, duration, bytes, file, format, reason, detail, schedule, event, gaps, tracks"

func scanRecording(r scanner, x *Recording) error {
	var us int64
	err := r.Scan(&x.ID, &x.Stream, &x.Title, &x.Class, &x.State, at{&x.Started}, maybe{&x.Ended}, &us, &x.Bytes, &x.File,
		&x.Format, &x.Reason, &x.Detail, &x.Schedule, &x.Event, rows[Gap]{&x.Gaps}, rows[RecordingTrack]{&x.Tracks})
	x.Duration = time.Duration(us) * time.Microsecond
	return err
}

// rows scans a JSON list; an empty one is nil.
type rows[T any] struct{ l *[]T }

// Scan reads JSON text.
func (l rows[T]) Scan(v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("scan a list from %T", v)
	}
	*l.l = nil
	if s == "[]" {
		return nil
	}
	return json.Unmarshal([]byte(s), l.l)
}

// rowsText is a list as a column value.
func rowsText[T any](l []T) (string, error) {
	if len(l) == 0 {
		return "[]", nil
	}
	b, err := json.Marshal(l)
	return string(b), err
}

// PutRecording adds a recording, or writes what the recorder knows of the one with
// its id: all but Title, Class, Schedule and Event, which people may have changed
// meanwhile.
func (s *Store) PutRecording(ctx context.Context, x Recording) error {
	if x.Format == "" {
		x.Format = "fmp4"
	}
	gaps, err := rowsText(x.Gaps)
	if err != nil {
		return fmt.Errorf("put recording %q: %w", x.ID, err)
	}
	tracks, err := rowsText(x.Tracks)
	if err != nil {
		return fmt.Errorf("put recording %q: %w", x.ID, err)
	}
	_, err = s.exec(ctx, "INSERT INTO recordings ("+recordingColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
		ON CONFLICT (id) DO UPDATE SET stream = excluded.stream, state = excluded.state,
		started = excluded.started, ended = excluded.ended, duration = excluded.duration, bytes = excluded.bytes,
		file = excluded.file, format = excluded.format, reason = excluded.reason, detail = excluded.detail,
		gaps = excluded.gaps, tracks = excluded.tracks`,
		x.ID, x.Stream, x.Title, x.Class, string(x.State), micros(x.Started), microsOrNull(x.Ended), x.Duration.Microseconds(), x.Bytes, x.File,
		x.Format, x.Reason, x.Detail, x.Schedule, x.Event, gaps, tracks)
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
	if f.Active {
		w.conds = append(w.conds, "state IN ('recording', 'waiting')")
	}
	l, total, err := page(ctx, s, scanRecording, recordingColumns, "recordings", "started DESC, id", w, p)
	if err != nil {
		return nil, 0, fmt.Errorf("list recordings: %w", err)
	}
	return l, total, nil
}

// RecordingIDs returns the ids of all recordings, in order: for comparing the
// library with the folders.
func (s *Store) RecordingIDs(ctx context.Context) ([]string, error) {
	l, err := many(ctx, s.read, func(r scanner, id *string) error { return r.Scan(id) }, "SELECT id FROM recordings ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("list recordings: %w", err)
	}
	return l, nil
}

// DeleteRecording removes a recording from the library; its files are the recorder's.
func (s *Store) DeleteRecording(ctx context.Context, id string) error {
	if err := s.execOne(ctx, "DELETE FROM recordings WHERE id = $1", id); err != nil {
		return fmt.Errorf("delete recording %q: %w", id, err)
	}
	return nil
}

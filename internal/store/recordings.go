package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
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
	Bytes    int64         // of the main media file
	Beside   int64         // of all else in its folder: sites' own files, indexes, the manifest; 0: not known yet
	Made     int64         // of what jobs made of it; see [Store.PutUsage]
	File     string        // path of the main media file below the recordings folder
	Format   string        // fmp4, ts
	Reason   string        // stable code: why it waits, failed, was interrupted or missed
	Detail   string        // what is known beyond the code
	Schedule string        // id of the schedule that began it
	Event    string        // id of the programme guide's event
	Gaps     []Gap
	Tracks   []RecordingTrack

	// What follows is the library's. Retention says how long it is kept after its end:
	// as long as its class is (""), for a period such as "30d" or "10y", "forever", or
	// until Expires ("date").
	Retention string
	Expires   *time.Time
	Hold      bool       // never removed, whatever the rest says
	Deleted   *time.Time // in the recycle bin since; nil: not
	People    []string
	Units     []string
}

// Size returns how many bytes the recording takes of the disk.
func (r Recording) Size() int64 { return r.Bytes + r.Beside + r.Made }

// RecordingFilter chooses recordings; empty fields mean any.
type RecordingFilter struct {
	Stream string
	State  RecordingState
	Active bool // only those that the recorder is at work on
}

const recordingColumns = "id, stream, title, class, state, started, ended, duration, bytes, file, format, reason, detail, schedule, event, gaps, tracks, retention, expires, hold, deleted, people, units, beside, made"

func scanRecording(r scanner, x *Recording) error {
	var us int64
	err := r.Scan(&x.ID, &x.Stream, &x.Title, &x.Class, &x.State, at{&x.Started}, maybe{&x.Ended}, &us, &x.Bytes, &x.File,
		&x.Format, &x.Reason, &x.Detail, &x.Schedule, &x.Event, rows[Gap]{&x.Gaps}, rows[RecordingTrack]{&x.Tracks},
		&x.Retention, maybe{&x.Expires}, &x.Hold, maybe{&x.Deleted}, rows[string]{&x.People}, rows[string]{&x.Units}, &x.Beside, &x.Made)
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
// its id: all but Title, Class, Schedule, Event, Made and what is the library's, which
// people or jobs may have changed meanwhile.
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
	const update = `UPDATE recordings SET stream = $1, state = $2, started = $3, ended = $4, duration = $5, bytes = $6, file = $7,
		format = $8, reason = $9, detail = $10, gaps = $11, tracks = $12, beside = $13 WHERE id = $14`
	args := []any{
		x.Stream, string(x.State), micros(x.Started), microsOrNull(x.Ended), x.Duration.Microseconds(), x.Bytes, x.File,
		x.Format, x.Reason, x.Detail, gaps, tracks, x.Beside, x.ID,
	}
	// Most of the time it is there and its words stay. Somebody else may add it
	// between the two, or take the number: then once more.
	for range ordTries {
		var n int64
		if n, err = s.exec(ctx, update+" AND state = $2 AND stream = $1", args...); err != nil || n > 0 {
			break
		}
		err = s.tx(ctx, func(tx *sql.Tx) error {
			was, err := s.lockRecording(ctx, tx, x.ID)
			if errors.Is(err, sql.ErrNoRows) {
				return s.addRecording(ctx, tx, x, gaps, tracks)
			}
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, update, args...); err != nil {
				return err
			}
			was.State, was.Stream = x.State, x.Stream
			return s.index(ctx, tx, was.ord, was.Recording)
		})
		if !errors.Is(err, ErrConflict) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("put recording %q: %w", x.ID, err)
	}
	return nil
}

// ordTries bounds how often another number is tried.
const ordTries = 20

// addRecording adds a row and its words. Its number is the first from its beginning
// on that is free.
func (s *Store) addRecording(ctx context.Context, tx *sql.Tx, x Recording, gaps, tracks string) error {
	people, err := rowsText(x.People)
	if err != nil {
		return err
	}
	units, err := rowsText(x.Units)
	if err != nil {
		return err
	}
	ord := micros(x.Started)
	for {
		var taken bool
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM recordings WHERE ord = $1)", ord).Scan(&taken); err != nil {
			return err
		}
		if !taken {
			break
		}
		ord++
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO recordings (ord, "+recordingColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)`,
		ord, x.ID, x.Stream, x.Title, x.Class, string(x.State), micros(x.Started), microsOrNull(x.Ended), x.Duration.Microseconds(), x.Bytes, x.File,
		x.Format, x.Reason, x.Detail, x.Schedule, x.Event, gaps, tracks, x.Retention, microsOrNull(x.Expires), x.Hold, microsOrNull(x.Deleted), people, units, x.Beside, x.Made)
	if err != nil {
		return err
	}
	return s.index(ctx, tx, ord, x)
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
	err := s.tx(ctx, func(tx *sql.Tx) error {
		var ord int64
		if err := tx.QueryRowContext(ctx, "SELECT ord FROM recordings WHERE id = $1", id).Scan(&ord); err != nil {
			return err
		}
		if err := s.unindex(ctx, tx, ord); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM recordings WHERE id = $1", id)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete recording %q: %w", id, err)
	}
	return nil
}

package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// RecordingChange is what people may change of a recording; nil: it stays.
type RecordingChange struct {
	Title     *string
	Class     *string
	Retention *string
	Expires   *time.Time // with Retention "date"
	Hold      *bool
	People    *[]string
	Units     *[]string
}

// ChangeRecording changes a recording and returns it as it is then.
func (s *Store) ChangeRecording(ctx context.Context, id string, c RecordingChange) (Recording, error) {
	return s.edit(ctx, "change", id, func(x *Recording) {
		set(&x.Title, c.Title)
		set(&x.Class, c.Class)
		set(&x.Hold, c.Hold)
		set(&x.People, c.People)
		set(&x.Units, c.Units)
		if c.Retention != nil {
			x.Retention, x.Expires = *c.Retention, c.Expires
		}
	})
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// BinRecording puts a recording into the recycle bin, or takes it out (nil), and
// returns it as it is then. One that is in it keeps its first date.
func (s *Store) BinRecording(ctx context.Context, id string, when *time.Time) (Recording, error) {
	return s.edit(ctx, "delete", id, func(x *Recording) {
		if when == nil || x.Deleted == nil {
			x.Deleted = when
		}
	})
}

// edit changes what is the library's of a recording, and its words.
func (s *Store) edit(ctx context.Context, what, id string, change func(*Recording)) (Recording, error) {
	var out Recording
	err := s.tx(ctx, func(tx *sql.Tx) error {
		x, err := s.lockRecording(ctx, tx, id)
		if err != nil {
			return err
		}
		change(&x.Recording)
		people, err := rowsText(x.People)
		if err != nil {
			return err
		}
		units, err := rowsText(x.Units)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE recordings SET title = $1, class = $2, retention = $3, expires = $4, hold = $5, deleted = $6,
			people = $7, units = $8 WHERE id = $9`,
			x.Title, x.Class, x.Retention, microsOrNull(x.Expires), x.Hold, microsOrNull(x.Deleted), people, units, id)
		if err != nil {
			return err
		}
		out = x.Recording
		return s.index(ctx, tx, x.ord, x.Recording)
	})
	if err != nil {
		return Recording{}, fmt.Errorf("%s recording %q: %w", what, id, err)
	}
	return out, nil
}

// lockRecording reads a recording that nobody else changes until tx ends.
func (s *Store) lockRecording(ctx context.Context, tx *sql.Tx, id string) (indexed, error) {
	q := "SELECT ord, " + recordingColumns + " FROM recordings WHERE id = $1"
	if s.postgres { // in SQLite only one writes at a time
		q += " FOR UPDATE"
	}
	var x indexed
	err := scanIndexed(tx.QueryRowContext(ctx, q, id), &x)
	return x, err
}

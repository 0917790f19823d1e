package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Chapter is a place in a recording that somebody may look for.
type Chapter struct {
	AtMS  int64  `json:"at_ms"`
	Kind  string `json:"kind"` // speaker, screen, programme
	Title string `json:"title"`
	Who   string `json:"who,omitempty"`
}

// PutRecordingTexts sets what is to be found in a recording beside its title and
// names, and its chapters.
func (s *Store) PutRecordingTexts(ctx context.Context, id, body string, chapters []Chapter) error {
	text, err := rowsText(chapters)
	if err == nil {
		err = s.tx(ctx, func(tx *sql.Tx) error {
			x, err := s.lockRecording(ctx, tx, id)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO recording_texts (recording, body, chapters) VALUES ($1, $2, $3)
				ON CONFLICT (recording) DO UPDATE SET body = excluded.body, chapters = excluded.chapters`, id, body, text)
			if err != nil {
				return err
			}
			return s.index(ctx, tx, x.ord, x.Recording)
		})
	}
	if err != nil {
		return fmt.Errorf("put the texts of recording %q: %w", id, err)
	}
	return nil
}

// RecordingTexts returns what [Store.PutRecordingTexts] set; nothing is no error.
func (s *Store) RecordingTexts(ctx context.Context, id string) (body string, chapters []Chapter, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT body, chapters FROM recording_texts WHERE recording = $1", id).Scan(&body, rows[Chapter]{&chapters})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", nil, fmt.Errorf("texts of recording %q: %w", id, classify(err))
	}
	return body, chapters, nil
}

// UndescribedRecordings returns the ids of recordings that ended and have no texts yet,
// newest first.
func (s *Store) UndescribedRecordings(ctx context.Context, most int) ([]string, error) {
	l, err := many(ctx, s.read, func(r scanner, id *string) error { return r.Scan(id) }, `SELECT id FROM recordings
		WHERE state NOT IN ('recording', 'waiting') AND NOT EXISTS (SELECT 1 FROM recording_texts WHERE recording = recordings.id)
		ORDER BY ord DESC LIMIT $1`, most)
	if err != nil {
		return nil, fmt.Errorf("list recordings without texts: %w", err)
	}
	return l, nil
}

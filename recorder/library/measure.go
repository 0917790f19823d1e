package library

import (
	"context"
	"errors"
	"io/fs"

	"tongxiang/internal/store"
)

// Quotas count everything in a recording's folder. The recorder tells how long the
// media file is; the rest is looked at when the recording ended, when a job made
// something of it, and, of recordings that came in otherwise, before the rules are
// applied.

// Measure notes what lies in a recording's folder beside its main media file.
func (l *Library) Measure(ctx context.Context, id string) error {
	rec, err := l.store.Recording(ctx, id)
	if err != nil {
		return err
	}
	return l.measure(ctx, rec)
}

func (l *Library) measure(ctx context.Context, rec store.Recording) error {
	u, err := l.usage(rec)
	if err != nil || u.Beside == rec.Beside && u.Made == rec.Made {
		return err
	}
	return l.store.PutUsage(ctx, u)
}

func (l *Library) usage(rec store.Recording) (store.Usage, error) {
	u := store.Usage{Recording: rec.ID}
	var err error
	u.Beside, u.Made, err = l.rec.Usage(rec)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // nothing is there that could take room
	}
	return u, err
}

// measureBatch is how many are noted in one transaction.
const measureBatch = 200

// surveyor measures recordings that nobody measured, and notes what it found in batches.
type surveyor struct {
	l     *Library
	found []store.Usage
}

// look completes the entry of a recording.
func (s *surveyor) look(ctx context.Context, rec *store.Recording) error {
	if rec.Beside > 0 || rec.File == "" || rec.State.Active() {
		return nil
	}
	u, err := s.l.usage(*rec)
	if err != nil {
		s.l.log.Warn("it is not known how much lies in the folder of a recording", "id", rec.ID, "err", err)
		return nil
	}
	if u.Beside == 0 && u.Made == rec.Made {
		return nil
	}
	rec.Beside, rec.Made = u.Beside, u.Made
	if s.found = append(s.found, u); len(s.found) < measureBatch {
		return nil
	}
	return s.note(ctx)
}

func (s *surveyor) note(ctx context.Context) error {
	l := s.found
	s.found = nil
	if len(l) == 0 {
		return nil
	}
	return s.l.store.PutUsage(ctx, l...)
}

package library

import (
	"context"
	"time"

	"tongxiang/internal/store"
	"tongxiang/recorder/retention"
)

// Change changes what people may change of a recording. Retention is "class" for as
// long as its class, or as of [store.Recording].
func (l *Library) Change(ctx context.Context, id string, c store.RecordingChange) (store.Recording, error) {
	if c.Retention != nil {
		r := *c.Retention
		switch _, err := retention.Parse(r); {
		case r == "class":
			r = ""
		case r == "date" && c.Expires != nil:
		case err != nil:
			return store.Recording{}, ErrRetention.Because(err)
		}
		c.Retention = &r
	}
	return l.edit(ctx, func() (store.Recording, error) { return l.store.ChangeRecording(ctx, id, c) })
}

// Bin puts a recording into the recycle bin.
func (l *Library) Bin(ctx context.Context, id string) (store.Recording, error) {
	return l.edit(ctx, func() (store.Recording, error) {
		if _, err := l.removable(ctx, id); err != nil {
			return store.Recording{}, err
		}
		now := l.cfg.Now().UTC().Truncate(time.Microsecond)
		return l.store.BinRecording(ctx, id, &now)
	})
}

// Restore takes a recording out of the recycle bin. One whose time is over gets a new
// one, for ever, for it would go back at once.
func (l *Library) Restore(ctx context.Context, id string) (store.Recording, error) {
	return l.edit(ctx, func() (store.Recording, error) {
		rec, err := l.store.BinRecording(ctx, id, nil)
		if err != nil {
			return rec, err
		}
		if expires, ends := l.cfg.Rules.Expires(row(rec)); ends && !l.cfg.Now().Before(expires) {
			forever := retention.Forever
			return l.store.ChangeRecording(ctx, id, store.RecordingChange{Retention: &forever})
		}
		return rec, nil
	})
}

// edit carries out a change and writes it into the manifest.
func (l *Library) edit(ctx context.Context, change func() (store.Recording, error)) (store.Recording, error) {
	l.edits.Lock()
	defer l.edits.Unlock()
	rec, err := change()
	if err != nil {
		return rec, err
	}
	body, chapters, err := l.store.RecordingTexts(ctx, rec.ID)
	if err != nil {
		return rec, err
	}
	if err := l.rec.Keep(rec, body, chapters); err != nil {
		// The entry has it. A disk that is full must not keep anybody from deleting.
		l.log.Warn("change of a recording is not in its manifest", "id", rec.ID, "err", err)
	}
	return rec, nil
}

// removable returns a recording that may be removed.
func (l *Library) removable(ctx context.Context, id string) (store.Recording, error) {
	rec, err := l.store.Recording(ctx, id)
	switch {
	case err != nil:
		return rec, err
	case rec.State.Active() || l.rec.Active(id):
		return rec, ErrRuns
	case rec.Hold:
		return rec, ErrHeld
	}
	return rec, nil
}

// Purge removes a recording, its files first.
func (l *Library) Purge(ctx context.Context, id string) (store.Recording, error) {
	l.edits.Lock()
	defer l.edits.Unlock()
	rec, err := l.removable(ctx, id)
	if err != nil {
		return rec, err
	}
	if err := l.rec.Remove(rec); err != nil {
		return rec, err
	}
	return rec, l.store.DeleteRecording(ctx, id)
}

// Expires returns when a recording goes to the bin by itself; nil: never.
func (l *Library) Expires(rec store.Recording) *time.Time {
	return orNever(l.cfg.Rules.Expires(row(rec)))
}

// Purges returns when the files of a recording in the recycle bin are removed by
// itself; nil: never, or it is not there.
func (l *Library) Purges(rec store.Recording) *time.Time {
	return orNever(l.cfg.Rules.Purges(row(rec)))
}

// orNever is what the rules say as entries have it: in UTC, nil for never.
func orNever(at time.Time, ends bool) *time.Time {
	if !ends {
		return nil
	}
	at = at.UTC()
	return &at
}

// row is a recording as the rules see it.
func row(rec store.Recording) retention.Row {
	x := retention.Row{
		ID: rec.ID, Class: rec.Class, Retention: rec.Retention, Expires: rec.Expires, Ended: rec.Started.Add(rec.Duration), Bytes: rec.Size(),
		Active: rec.State.Active(), Hold: rec.Hold, Deleted: rec.Deleted,
	}
	if rec.Ended != nil {
		x.Ended = *rec.Ended
	}
	return x
}

package library

import (
	"context"
	"errors"
	"fmt"

	"tongxiang/internal/store"
	"tongxiang/recorder/retention"
)

// Apply carries out what the rules say now. run calls it; tests and operators may.
func (l *Library) Apply(ctx context.Context) {
	l.applying.Lock()
	defer l.applying.Unlock()
	if _, other := l.rec.Holder(); other {
		return // another server's folder, and its rules
	}
	var rows []retention.Row
	look := surveyor{l: l}
	err := l.store.EachRecording(ctx, func(rec store.Recording) error {
		if err := look.look(ctx, &rec); err != nil {
			return err
		}
		rows = append(rows, row(rec))
		return ctx.Err()
	})
	if err == nil {
		err = look.note(ctx)
	}
	if err != nil {
		if ctx.Err() == nil {
			l.log.Error("the library's rules were not applied", "err", err)
		}
		return
	}
	free := int64(-1)
	if l.cfg.Free != nil {
		if free, err = l.cfg.Free(); err != nil {
			l.log.Warn("free space is not known", "err", err)
			free = -1
		}
	}
	d := l.cfg.Rules.Decide(l.cfg.Now(), rows, free)
	for _, r := range d.Removals {
		if ctx.Err() != nil {
			return
		}
		l.remove(ctx, r)
	}
	l.tellShort(d.Short)
}

// remove carries out one decision. What was decided on may have changed: people who
// put it under hold were faster.
func (l *Library) remove(ctx context.Context, r retention.Removal) {
	var rec store.Recording
	var err error
	action := "recording.expire"
	if r.Action == retention.ToBin {
		rec, err = l.Bin(ctx, r.ID)
	} else {
		action = "recording.purge"
		rec, err = l.Purge(ctx, r.ID)
	}
	switch {
	case errors.Is(err, ErrHeld) || errors.Is(err, ErrRuns) || errors.Is(err, store.ErrNotFound):
		return
	case err != nil:
		l.log.Error("recording was not removed", "id", r.ID, "why", r.Reason, "err", err)
		return
	}
	l.log.Info("recording removed by rule", "id", r.ID, "what", r.Action, "why", r.Reason, "class", rec.Class, "title", rec.Title, "bytes", rec.Size())
	if l.cfg.Audit == nil {
		return
	}
	if err := l.cfg.Audit(ctx, action, r.ID, fmt.Sprintf("%s: %s", r.Reason, rec.Title)); err != nil {
		l.log.Error("removal of a recording is not in the audit", "id", r.ID, "err", err)
	}
}

// tellShort says once when a quota or the floor cannot be kept, and when it can again.
func (l *Library) tellShort(short map[string]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for class, n := range short {
		if _, known := l.short[class]; known {
			continue
		}
		if class == "" {
			l.log.Error("the disk has less than library.floor, and nothing more may be removed", "bytes", n)
		} else {
			l.log.Error("a class has more than its quota, and nothing more of it may be removed", "class", class, "bytes", n)
		}
	}
	for class := range l.short {
		if _, still := short[class]; !still {
			l.log.Info("there is room again", "class", class)
		}
	}
	l.short = short
}

// Short returns how many bytes each class has beyond its quota though nothing of it
// may be removed; "" is the disk below its floor.
func (l *Library) Short() map[string]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]int64, len(l.short))
	for k, v := range l.short {
		out[k] = v
	}
	return out
}

package recorder

import (
	"context"
	"errors"
	"os"
	"time"

	"tongxiang/recorder/folder"
)

// claim takes the folder.
func (r *Recorder) claim() error {
	l, holder, err := folder.Acquire(r.cfg.Dir, r.wall())
	if err != nil {
		if errors.Is(err, folder.ErrInUse) && r.other.Swap(&holder) == nil {
			r.log.Error("recordings are refused: another server writes to their folder", "dir", r.cfg.Dir, "who", holder)
		}
		return err
	}
	r.other.Store(nil)
	r.lock.Store(l)
	return nil
}

// holds reports whether this server may write to the folder.
func (r *Recorder) holds() bool {
	l := r.lock.Load()
	return l != nil && !l.Taken()
}

// taken reports whether another server took the folder from this one.
func (r *Recorder) taken() bool {
	l := r.lock.Load()
	return l != nil && l.Taken()
}

// holder says who has the folder, for people.
func (r *Recorder) holder() string {
	if h := r.other.Load(); h != nil {
		return h.String()
	}
	return "it could not be locked; check the disk"
}

// Holder returns the server that writes to the folder when it is not this one.
func (r *Recorder) Holder() (folder.Holder, bool) {
	if h := r.other.Load(); h != nil && !r.holds() {
		return *h, true
	}
	return folder.Holder{}, false
}

// keep takes the folder when it becomes free, and mends what the other left; then,
// once, it adds to the library what that has lost.
func (r *Recorder) keep(ctx context.Context) {
	tick := time.NewTicker(claimEvery)
	defer tick.Stop()
	for !r.holds() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if r.claim() != nil {
			continue
		}
		r.log.Info("recordings folder is free and ours now", "dir", r.cfg.Dir)
		if err := r.Recover(ctx); err != nil {
			r.log.Error("recordings of before were not mended", "err", err)
		}
	}
	done, err := r.Reindex(ctx, false, func(path, what string) { r.log.Warn("recording was not in the library", "path", path, "what", what) })
	if err != nil && ctx.Err() == nil {
		r.log.Error("folders were not compared with the library", "err", err)
		return
	}
	for i, l := range done.Left {
		if i == 20 {
			r.log.Warn("more in the recordings folder is not a recording", "count", len(done.Left)-i)
			break
		}
		r.log.Warn("in the recordings folder, and not a recording", "path", l.Path, "why", l.Why)
	}
}

// check reports a folder that cannot be written before anything is promised. A full
// disk is no reason to refuse: there may be room when it matters.
func (r *Recorder) check() error {
	if !r.holds() {
		who := r.holder()
		e := *errInUse
		e.EN, e.ZH = e.EN+" ("+who+").", e.ZH+"（"+who+"）。"
		return &e
	}
	f, err := os.CreateTemp(r.cfg.Dir, ".check-*")
	if err != nil {
		if diskReason(err) == ReasonDiskFull {
			return nil
		}
		return errDisk.Because(err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

package recorder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/store"
)

// Recover mends what the last process left running: the file is cut behind its
// last whole fragment and gets its index, the entry says when it was interrupted. A
// file that cannot be mended keeps its entry, as failed with the reason. Recover is
// called once, before the first Start; doing it again changes nothing.
func (r *Recorder) Recover(ctx context.Context) error {
	for {
		// Each pass takes what it mends out of the list.
		rows, _, err := r.library.Recordings(ctx, store.RecordingFilter{State: store.RecordingRunning}, store.Page{Limit: 100})
		if err != nil {
			return fmt.Errorf("list interrupted recordings: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		for _, rec := range rows {
			rec = r.mend(rec)
			if err := r.library.PutRecording(ctx, rec); err != nil {
				return fmt.Errorf("mark recording %s as interrupted: %w", rec.ID, err)
			}
			r.log.Warn("recording was interrupted", "id", rec.ID, "state", rec.State, "duration", rec.Duration, "why", rec.Reason)
		}
	}
}

// mend returns the entry of a recording that nobody closed, its file mended.
func (r *Recorder) mend(rec store.Recording) store.Recording {
	at := rec.Started.Add(rec.Duration)
	rec.State = store.RecordingInterrupted
	if rec.File == "" {
		rec.Ended, rec.Reason = &at, "interrupted before anything came"
		return rec
	}
	e, modified, err := mendFile(r.Path(rec))
	if !modified.IsZero() {
		at = modified
	}
	rec.Ended = &at
	rec.Bytes, rec.Duration = e.bytes, e.duration
	switch {
	case errors.Is(err, fs.ErrNotExist):
		rec.State, rec.Reason = store.RecordingFailed, "the file is gone"
	case errors.Is(err, fmp4.ErrNoInit):
		rec.State, rec.Reason = store.RecordingFailed, "interrupted before anything was on disk"
	case err != nil:
		rec.State, rec.Reason = store.RecordingFailed, diskReason(err)
	default:
		rec.Reason = join(rec.Reason, "interrupted at "+at.Format(time.RFC3339)+": the server ended without closing it")
	}
	return rec
}

// mendFile cuts a torn file and writes its index. It returns also when the file was
// written last.
func mendFile(path string) (extent, time.Time, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return extent{}, time.Time{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return extent{}, time.Time{}, fmt.Errorf("look at the recording: %w", err)
	}
	scan, err := fmp4.Scan(f, info.Size())
	if err != nil {
		return extent{}, info.ModTime(), err
	}
	e := extent{bytes: scan.Bytes, duration: scan.Duration}
	if scan.Bytes < info.Size() {
		if err := f.Truncate(scan.Bytes); err != nil {
			return e, info.ModTime(), fmt.Errorf("cut the torn end: %w", err)
		}
	}
	if scan.Space > 0 {
		err = writeIndex(f, scan.Space, scan.Index, e, scan.Lead)
	}
	return e, info.ModTime(), err
}

package recorder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

// Recover mends what the last process left running: files are cut behind their last
// whole fragment and get their indexes, the entry says when it was interrupted. A
// file that cannot be mended keeps its entry, as failed with the reason. Recover is
// called once, before the first Start; doing it again changes nothing. While another
// server writes to the folder it does nothing: what is running may be its.
func (r *Recorder) Recover(ctx context.Context) error {
	if !r.holds() {
		return nil
	}
	for {
		// Each pass takes what it mends out of the list.
		rows, _, err := r.library.Recordings(ctx, store.RecordingFilter{Active: true}, store.Page{Limit: 100})
		if err != nil {
			return fmt.Errorf("list interrupted recordings: %w", err)
		}
		mended := 0
		for _, rec := range rows {
			if r.job(rec.ID) != nil {
				continue // begun by this process
			}
			mended++
			rec = r.mend(rec)
			if err := r.library.PutRecording(ctx, rec); err != nil {
				return fmt.Errorf("mark recording %s as interrupted: %w", rec.ID, err)
			}
			if r.cfg.Ended != nil {
				r.cfg.Ended(rec)
			}
			r.log.Warn("recording was interrupted", "id", rec.ID, "state", rec.State, "duration", rec.Duration, "why", rec.Reason)
		}
		if mended == 0 {
			return nil
		}
	}
}

// mend returns the entry of a recording that nobody closed, its files mended and its
// manifest written.
func (r *Recorder) mend(rec store.Recording) store.Recording {
	at := rec.Started.Add(rec.Duration)
	rec.State, rec.Reason = store.RecordingInterrupted, ReasonInterrupted
	if rec.File == "" {
		rec.File = r.fileOf(rec)
	}
	if rec.File == "" {
		rec.Ended, rec.Reason = &at, ReasonNothingCame
		return rec
	}
	path := r.Path(rec)
	mend := func() (folder.Extent, error) { return folder.Mend(filepath.Dir(path), filepath.Base(path), false) }
	if flat(rec) {
		mend = func() (folder.Extent, error) { return folder.MendFlat(filepath.Dir(path), filepath.Base(path)) }
	}
	e, err := mend()
	if !e.Modified.IsZero() {
		at = e.Modified.UTC()
	}
	if least := rec.Started.Add(e.Duration); at.Before(least) {
		at = least // the clock was set back meanwhile
	}
	rec.Ended = &at
	rec.Bytes, rec.Duration = e.Bytes, e.Duration.Truncate(time.Microsecond)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		rec.State, rec.Reason = store.RecordingFailed, ReasonFileMissing
	case errors.Is(err, folder.ErrEmpty):
		rec.State, rec.Reason = store.RecordingFailed, ReasonNothingCame
	case err != nil:
		rec.State, rec.Reason, rec.Detail = store.RecordingFailed, ReasonFailed, err.Error()
	default:
		rec.Gaps = gapsOf(rec.Gaps, e.Index)
	}
	if !flat(rec) {
		r.remember(filepath.Dir(path), rec)
	}
	return rec
}

// fileOf returns where the media of a recording must be whose entry does not name
// it: it was killed between the one and the other. Empty when there is none.
func (r *Recorder) fileOf(rec store.Recording) string {
	dir := folder.Path(rec.ID, rec.Started.Local())
	if began, ok := folder.Began(rec.ID); ok { // the folder's name is of the request, which pre-roll precedes
		dir = folder.Path(rec.ID, began)
	}
	file := filepath.Join(dir, folder.MediaName(rec.Format))
	if info, err := r.root.Lstat(file); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return file
}

// flat reports whether a recording is a file of versions before folders.
func flat(rec store.Recording) bool {
	return filepath.Base(filepath.Dir(rec.File)) != rec.ID
}

// remember writes the entry into the manifest, and mends the further files.
func (r *Recorder) remember(dir string, rec store.Recording) {
	m, err := folder.Read(dir)
	if err != nil {
		m = folder.Describe(rec)
		m.Media = rec.Started
		m.Files = []folder.File{{Name: m.File, Index: folder.IndexOf(m.File), Stream: rec.Stream, Tracks: rec.Tracks}}
	}
	m.State, m.Reason, m.Detail, m.Ended = string(rec.State), rec.Reason, rec.Detail, rec.Ended
	m.Bytes, m.DurationMS, m.Gaps = rec.Bytes, rec.Duration.Milliseconds(), rec.Gaps
	for _, f := range m.Files {
		if f.Name == m.File {
			continue
		}
		if _, err := folder.Mend(dir, f.Name, false); err != nil {
			r.log.Warn("site of a recording was not mended", "id", rec.ID, "file", f.Name, "err", err)
		}
	}
	if err := folder.Write(dir, m); err != nil {
		r.log.Warn("recording has no manifest", "id", rec.ID, "err", err)
	}
}

// gapsOf adds the holes between fragments of which no gap tells yet.
func gapsOf(known []store.Gap, index []folder.Entry) []store.Gap {
	var end time.Duration
	out := known
	for i, e := range index {
		if e.Head {
			continue
		}
		if g := gap(end, e.Start(), ReasonNoSignal); i > 0 && end > 0 && e.Start()-end > hole && !told(known, g) && len(out) < maxGaps {
			out = append(out[:len(out):len(out)], g)
		}
		end = max(end, e.End())
	}
	return out
}

func told(gaps []store.Gap, g store.Gap) bool {
	for _, o := range gaps {
		if o.FromMS < g.ToMS && g.FromMS < o.ToMS {
			return true
		}
	}
	return false
}

package recorder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

// Reindexed is what a reindexing did.
type Reindexed struct {
	Found int // recordings in the folders
	Added int // entries that the library had lost
	Cut   int // files whose torn end was cut off
	Made  int // indexes that were made anew
	Left  []folder.Left
}

// maxLeft bounds the list of what is none of ours.
const maxLeft = 10000

// Reindex adds to the library what lies in the folders and is not in it, and mends
// it. Entries that are there stay as they are; no file is overwritten or deleted but
// for indexes that do not fit their media and torn ends. deep reads every byte of
// every recording and compares checksums, also of those that the library has. say is
// told of each that was added or mended; nil: nobody.
func (r *Recorder) Reindex(ctx context.Context, deep bool, say func(path, what string)) (Reindexed, error) {
	var out Reindexed
	if !r.holds() {
		return out, errInUse.Because(fmt.Errorf("%s", r.holder()))
	}
	ids, err := r.library.RecordingIDs(ctx)
	if err != nil {
		return out, err
	}
	known := make(map[string]bool, len(ids))
	for _, id := range ids {
		known[id] = true
	}
	seen := make(map[string]string)
	left := func(l folder.Left) {
		if len(out.Left) < maxLeft {
			out.Left = append(out.Left, l)
		}
	}
	err = folder.Walk(ctx, r.cfg.Dir, func(f folder.Found) error {
		if first, ok := seen[f.ID]; ok {
			left(folder.Left{Path: f.Path, Why: "has the id of " + first})
			return nil
		}
		seen[f.ID] = f.Path
		if known[f.ID] && !deep || r.job(f.ID) != nil {
			out.Found++
			return nil
		}
		rec, e, err := r.read(f, deep, left)
		if errors.Is(err, folder.ErrNotRecording) || errors.Is(err, folder.ErrNewer) || errors.Is(err, folder.ErrEmpty) || errors.Is(err, os.ErrNotExist) {
			left(folder.Left{Path: f.Path, Why: err.Error()})
			return nil
		}
		if err != nil {
			left(folder.Left{Path: f.Path, Why: "cannot be read: " + err.Error()})
			return nil
		}
		out.Found++
		what := ""
		if e.Cut > 0 {
			out.Cut++
			what = join(what, fmt.Sprintf("%d torn bytes cut", e.Cut))
		}
		if e.Remade {
			out.Made++
			what = join(what, "index made anew")
		}
		if !known[f.ID] {
			if _, err := r.library.Recording(ctx, f.ID); err == nil {
				return nil // begun and ended since the list was read
			}
			if err := r.library.PutRecording(ctx, rec); err != nil {
				return fmt.Errorf("add %s to the library: %w", f.Path, err)
			}
			if m, ok := r.Kept(rec); ok {
				if k := m.Kept(); k.Text != "" || len(k.Chapters) > 0 {
					if err := r.library.PutRecordingTexts(ctx, rec.ID, k.Text, k.Chapters); err != nil {
						return fmt.Errorf("add %s to the library: %w", f.Path, err)
					}
				}
			}
			out.Added++
			what = join("added", what)
		}
		if what != "" && say != nil {
			say(f.Path, what)
		}
		return nil
	}, left)
	return out, err
}

// read returns the entry of what was found, mended.
func (r *Recorder) read(f folder.Found, deep bool, left func(folder.Left)) (store.Recording, folder.Extent, error) {
	path := filepath.Join(r.cfg.Dir, f.Path)
	if f.Flat {
		return r.readFlat(f, path)
	}
	m, err := folder.Read(path)
	if errors.Is(err, folder.ErrNotRecording) {
		guess, guessing := folder.Guess(path)
		if guessing != nil {
			return store.Recording{}, folder.Extent{}, err
		}
		m = guess
	} else if err != nil {
		return store.Recording{}, folder.Extent{}, err
	}
	strangers, err := folder.Strangers(path, m)
	if err != nil {
		return store.Recording{}, folder.Extent{}, err
	}
	for _, s := range strangers {
		left(folder.Left{Path: filepath.Join(f.Path, s.Path), Why: s.Why})
	}
	var main folder.Extent
	for _, file := range m.Files {
		e, err := folder.Mend(path, file.Name, deep)
		if file.Name != m.File {
			main.Remade, main.Cut = main.Remade || e.Remade, main.Cut+e.Cut
			continue
		}
		if err != nil {
			return store.Recording{}, e, err
		}
		e.Cut, e.Remade = e.Cut+main.Cut, e.Remade || main.Remade
		main = e
	}
	rec := m.Recording(f.Path)
	rec.Bytes, rec.Duration = main.Bytes, main.Duration.Truncate(time.Microsecond)
	rec.Gaps = gapsOf(rec.Gaps, main.Index)
	if rec.State.Active() {
		at := m.Media.Add(rec.Duration)
		rec.State, rec.Reason, rec.Ended = store.RecordingInterrupted, ReasonInterrupted, &at
	}
	if m.State != string(rec.State) || m.DurationMS != rec.Duration.Milliseconds() || m.Bytes != rec.Bytes {
		r.remember(path, rec)
	}
	return rec, main, nil
}

// readFlat returns the entry of a file of versions before folders. Its stream and
// title went with the library.
func (r *Recorder) readFlat(f folder.Found, path string) (store.Recording, folder.Extent, error) {
	began, ok := folder.Began(f.ID)
	if !ok {
		return store.Recording{}, folder.Extent{}, folder.ErrNotRecording
	}
	e, err := folder.Measure(filepath.Dir(path), filepath.Base(path))
	if err != nil {
		return store.Recording{}, e, err
	}
	at := began.Add(e.Duration).UTC()
	return store.Recording{
		ID: f.ID, Title: f.ID, Format: folder.FMP4, State: store.RecordingComplete, Started: began.UTC(), Ended: &at,
		Duration: e.Duration.Truncate(time.Microsecond), Bytes: e.Bytes, File: f.Path,
	}, e, nil
}

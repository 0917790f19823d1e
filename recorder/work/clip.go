package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tongxiang/internal/jobs"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

// ClipArgs say what is cut out, on the recording's own time line.
type ClipArgs struct {
	FromMS int64  `json:"from_ms"`
	ToMS   int64  `json:"to_ms"`
	Title  string `json:"title"`
}

// ClipResult is what came of it.
type ClipResult struct {
	Recording string `json:"recording"` // id of the clip
	FromMS    int64  `json:"from_ms"`   // as cut, at key frames
	ToMS      int64  `json:"to_ms"`
	Damaged   int    `json:"damaged,omitempty"` // fragments left out, for their checksums do not fit
}

// hole is a step in an index that is a gap and not a slow frame.
const hole = 300 * time.Millisecond

// breaks reports whether b does not go on where a ends: a gap, or another clock.
func breaks(a, b folder.Entry) bool {
	if b.Start()-a.End() > hole {
		return true
	}
	if a.PTS == nil || b.PTS == nil {
		return false
	}
	media := time.Duration(mpegts.Forward(*a.PTS, *b.PTS)) * time.Second / mpegts.Ticks
	return (media - (b.Start() - a.Start())).Abs() > time.Second
}

// choose returns the entries that hold a range of the time line: from the last sync
// point that is not behind from, up to the fragment in which to lies. Where the index
// knows no sync point, it begins with the fragment in which from lies.
func choose(index []folder.Entry, from, to time.Duration) []folder.Entry {
	first, last, plain := -1, -1, -1
	for i, e := range index {
		if e.Start() < to {
			last = i
		}
		if e.Start() <= from || plain < 0 {
			plain = i
		}
		if e.Sync && e.Start() < to && (e.Start() <= from || first < 0) {
			first = i
		}
	}
	if plain >= 0 {
		first = near(index, first, plain)
	}
	if first < 0 || last < first || index[last].End() <= from {
		return nil
	}
	return index[first : last+1]
}

// clip makes a recording of a range of another: whole fragments, from a key frame on,
// without encoding. It is a folder beside the others when it is finished, and before
// that a hidden one below derived/.
func (s *Shop) clip(ctx context.Context, rec store.Recording, j store.Job, progress func(float64)) (any, error) {
	var args ClipArgs
	if err := json.Unmarshal([]byte(j.Args), &args); err != nil {
		return nil, &jobs.Failure{Code: jobs.CodeNoRange, Final: true, Err: err}
	}
	src, err := s.open(rec)
	if err != nil {
		return nil, err
	}
	defer src.close()
	at := func(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }
	chosen := choose(src.index, at(args.FromMS), at(args.ToMS))
	if len(chosen) == 0 {
		return nil, &jobs.Failure{Code: jobs.CodeNoRange, Final: true}
	}
	derived, err := src.derived(jobs.Clip)
	if err != nil {
		return nil, err
	}
	id := j.Created.Local().Format("20060102-150405-") + j.ID[:min(len(j.ID), 8)]
	path := folder.Path(id, j.Created.Local())
	base := chosen[0].Start()
	result := ClipResult{Recording: id, FromMS: base.Milliseconds()}
	if m, err := folder.Read(filepath.Join(s.Dir, path)); err == nil { // made before a crash
		clip := m.Recording(path)
		result.ToMS = result.FromMS + clip.Duration.Milliseconds()
		return result, s.Library.PutRecording(ctx, clip)
	}
	tmp := filepath.Join(derived, "."+string(jobs.Clip)+"-"+id)
	if err := os.Mkdir(tmp, 0o750); err != nil {
		return nil, disk(fmt.Errorf("make the clip's folder: %w", err))
	}
	defer func() { _ = os.RemoveAll(tmp) }() // renamed when all went well
	c := &cutting{src: src, base: base, name: folder.MediaName(src.format)}
	if err := c.copy(ctx, filepath.Join(tmp, c.name), chosen, progress); err != nil {
		return nil, err
	}
	if len(c.index) == 0 || len(c.index) == 1 && c.index[0].Head {
		return nil, &jobs.Failure{Code: jobs.CodeDamaged, Final: true}
	}
	if err := folder.WriteIndex(tmp, c.name, c.index); err != nil {
		return nil, disk(err)
	}
	extent, err := folder.Mend(tmp, c.name, false) // writes the index within an MP4 file too
	if err != nil {
		return nil, disk(fmt.Errorf("index the clip: %w", err))
	}
	result.ToMS, result.Damaged = (base + extent.Duration).Milliseconds(), len(c.lost)
	clip := s.describe(rec, id, path, args.Title, base, extent, c)
	m := folder.Describe(clip)
	m.Media = clip.Started
	m.Files = []folder.File{{Name: c.name, Index: folder.IndexOf(c.name), Stream: rec.Stream, Tracks: clip.Tracks}}
	if err := folder.Write(tmp, m); err != nil {
		return nil, disk(err)
	}
	final := filepath.Join(s.Dir, path)
	if err := os.MkdirAll(filepath.Dir(final), 0o750); err != nil {
		return nil, disk(fmt.Errorf("make the day's folder: %w", err))
	}
	if _, err := os.Lstat(final); !errors.Is(err, fs.ErrNotExist) {
		return nil, &jobs.Failure{Code: jobs.CodeFailed, Final: true, Detail: path + " is there already", Err: err}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := os.Rename(tmp, final); err != nil {
		return nil, disk(fmt.Errorf("place the clip: %w", err))
	}
	if err := folder.SyncDir(filepath.Dir(final)); err != nil {
		return nil, err
	}
	return result, s.Library.PutRecording(context.WithoutCancel(ctx), clip)
}

// describe returns the clip's entry of the library. Its time is that of what it shows.
func (s *Shop) describe(rec store.Recording, id, path, title string, base time.Duration, extent folder.Extent, c *cutting) store.Recording {
	media := rec.Started
	if m, err := folder.Read(c.src.dir); err == nil && !m.Media.IsZero() {
		media = m.Media
	}
	started := media.Add(base).UTC().Truncate(time.Microsecond)
	end := started.Add(extent.Duration).Truncate(time.Microsecond)
	if title == "" {
		title = rec.Title
	}
	clip := store.Recording{
		ID: id, Stream: rec.Stream, Title: title, Class: rec.Class, Format: rec.Format, State: store.RecordingComplete,
		Started: started, Ended: &end, Duration: extent.Duration.Truncate(time.Microsecond), Bytes: extent.Bytes,
		File: filepath.Join(path, c.name),
	}
	for _, t := range rec.Tracks {
		if t.File == c.name || t.File == "" {
			clip.Tracks = append(clip.Tracks, t)
		}
	}
	add := func(from, to int64, why string) {
		from, to = max(from-base.Milliseconds(), 0), min(to-base.Milliseconds(), extent.Duration.Milliseconds())
		if from < to {
			clip.Gaps = append(clip.Gaps, store.Gap{FromMS: from, ToMS: to, Reason: why})
		}
	}
	for _, g := range rec.Gaps {
		add(g.FromMS, g.ToMS, g.Reason)
	}
	for _, e := range c.lost {
		add(e.Start().Milliseconds(), e.End().Milliseconds(), jobs.CodeDamaged)
	}
	return clip
}

// cutting copies fragments into a new file.
type cutting struct {
	src   *source
	base  time.Duration
	name  string
	index []folder.Entry
	lost  []folder.Entry
}

// copy writes the file and syncs it. A fragment that is not what its checksum says is
// left out.
func (c *cutting) copy(ctx context.Context, path string, entries []folder.Entry, progress func(float64)) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return disk(fmt.Errorf("make the clip: %w", err))
	}
	defer func() { err = disk(errors.Join(err, f.Close())) }()
	at := int64(0)
	put := func(b []byte) error {
		n, err := f.Write(b)
		at += int64(n)
		return err
	}
	if c.src.head != nil {
		c.index = append(c.index, folder.Entry{Head: true, Length: int64(len(c.src.head)), CRC: folder.Hex(folder.Checksum(c.src.head))})
		if err := errors.Join(put(c.src.head), put(fmp4.Space())); err != nil {
			return fmt.Errorf("write the clip: %w", err)
		}
	}
	total, done := bytesOf(entries), int64(0)
	var b []byte
	for i, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		done += e.Length
		progress(0.95 * float64(done) / float64(total))
		if e.Length > maxFragment {
			c.lost = append(c.lost, e)
			continue
		}
		b = append(b[:0], make([]byte, e.Length)...)
		if _, err := c.src.file.ReadAt(b, e.Offset); err != nil {
			return fmt.Errorf("read the recording: %w", err)
		}
		whole := folder.Hex(folder.Checksum(b)) == e.CRC
		if whole && c.src.head != nil {
			_, whole = fmp4.Shift(c.src.head, b, -c.base, uint32(i+1))
		}
		if !whole {
			c.lost = append(c.lost, e)
			continue
		}
		n := e
		n.Offset, n.TimeUS = at, (e.Start() - c.base).Microseconds()
		if c.src.head != nil {
			crc := folder.Checksum(b)
			n.CRC = folder.Hex(crc)
			b = fmp4.AppendCheck(b, len(b), crc)
		}
		c.index = append(c.index, n)
		if err := put(b); err != nil {
			return fmt.Errorf("write the clip: %w", err)
		}
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write the clip: %w", err)
	}
	return nil
}

// maxFragment bounds what is read as one fragment: a second of 256 Mbit/s.
const maxFragment = 32 << 20

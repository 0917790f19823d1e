package recorder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

// small makes a file system of some bytes. It needs rights that a test seldom has.
func small(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("no right to mount a small file system, which fills up: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// badDisk creates files whose writes fail or wait as it is told.
type badDisk struct {
	mu    sync.Mutex
	err   error
	stall chan struct{} // not nil: writes wait until it is closed
	torn  int           // how many bytes of a write that fails are written all the same
	only  string        // only files whose path contains this are bad
}

func (b *badDisk) set(err error, torn int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err, b.torn = err, torn
}

// hold makes writes wait until the function that it returns is called.
func (b *badDisk) hold() (release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := make(chan struct{})
	b.stall = c
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.stall = nil
		close(c)
	}
}

func (b *badDisk) create(path string) (file, error) {
	if !strings.Contains(path, b.only) {
		return createFile(path)
	}
	if _, err := b.meet(); err != nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: err}
	}
	f, err := createFile(path)
	if err != nil {
		return nil, err
	}
	return &badFile{f, b}, nil
}

func (b *badDisk) meet() (torn int, err error) {
	b.mu.Lock()
	stall := b.stall
	b.mu.Unlock()
	if stall != nil {
		<-stall
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.torn, b.err
}

type badFile struct {
	file
	disk *badDisk
}

func (f *badFile) WriteAt(p []byte, at int64) (int, error) {
	torn, err := f.disk.meet()
	if err != nil {
		n, _ := f.file.WriteAt(p[:min(torn, len(p))], at)
		return n, err
	}
	return f.file.WriteAt(p, at)
}

func (f *badFile) Sync() error {
	if _, err := f.disk.meet(); err != nil {
		return err
	}
	return f.file.Sync()
}

func TestDiskInTroubleMakesTheRecordingWaitAndGoOn(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		reason string
	}{
		{"full", syscall.ENOSPC, ReasonDiskFull},
		{"read-only", syscall.EROFS, ReasonDiskReadOnly},
		{"broken", syscall.EIO, ReasonDiskError},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, t.TempDir())
			bad := &badDisk{}
			r.rec.storage.create = bad.create
			r.rec.storage.each = 256 << 10 // a few seconds
			clip := playtest.Make(t, 32, "320x180", playtest.BFrames)
			rec := r.start("channels/a")
			_, tracks := r.publish("channels/a", clip)
			played := make(chan struct{})
			go func() {
				defer close(played)
				r.play(clip, tracks, 4)
			}()
			r.entry(rec.ID, "some seconds on disk", func(store.Recording) bool { l, ok := r.rec.Live(rec.ID); return ok && l.Duration > 3*time.Second })
			bad.set(c.err, 1000)
			r.entry(rec.ID, "the recording waits", func(e store.Recording) bool {
				return e.State == store.RecordingWaiting && e.Reason == c.reason && e.Ended == nil && len(e.Gaps) > 0
			})
			bad.set(nil, 0)
			r.entry(rec.ID, "it goes on", func(e store.Recording) bool { return e.State == store.RecordingRunning })
			<-played
			<-time.After(2 * idleAfter)
			rec = r.stop(rec.ID)
			if rec.State != store.RecordingComplete || rec.Duration < 31*time.Second || len(rec.Gaps) == 0 || rec.Gaps[0].Reason != c.reason {
				t.Errorf("entry %+v", rec)
			}
			missing := time.Duration(0)
			for _, g := range rec.Gaps {
				missing += time.Duration(g.ToMS-g.FromMS) * time.Millisecond
			}
			pictures := playtest.ProbeFile(t, r.rec.Path(rec)).Decoded("video")
			if want := int((rec.Duration - missing - 2*time.Second) / (40 * time.Millisecond)); pictures < want {
				t.Errorf("%d pictures, want at least %d: more is missing than the gaps %v", pictures, want, rec.Gaps)
			}
			m, err := folder.Read(filepath.Dir(r.rec.Path(rec)))
			if err != nil || len(m.Gaps) != len(rec.Gaps) || m.State != "complete" {
				t.Errorf("manifest %+v, %v", m, err)
			}
		})
	}
}

func TestDiskThatStallsForTenSecondsLosesNothingAndDisturbsNoOther(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	bad := &badDisk{only: "bad"}
	r.rec.storage.create = bad.create
	clip := playtest.Make(t, 16, "320x180", playtest.BFrames)
	slow := r.start("channels/a")
	other := r.start("channels/b")
	bad.only = slow.ID
	_, tracks := r.publish("channels/a", clip)
	_, others := r.publish("channels/b", clip)
	played := make(chan struct{}, 2)
	go func() { r.play(clip, tracks, 1); played <- struct{}{} }()
	go func() { r.play(clip, others, 1); played <- struct{}{} }()
	r.entry(slow.ID, "the beginning on disk", func(store.Recording) bool { l, ok := r.rec.Live(slow.ID); return ok && l.Duration > time.Second })
	release := bad.hold()
	r.entry(slow.ID, "the recording says that the disk stalls", func(e store.Recording) bool {
		return e.State == store.RecordingWaiting && e.Reason == ReasonDiskStalled
	})
	r.entry(other.ID, "the other one goes on", func(store.Recording) bool { l, ok := r.rec.Live(other.ID); return ok && l.Duration > 11*time.Second })
	release()
	<-played
	<-played
	<-time.After(2 * idleAfter)
	slow, other = r.stop(slow.ID), r.stop(other.ID)
	for _, rec := range []store.Recording{slow, other} {
		if got := playtest.ProbeFile(t, r.rec.Path(rec)).Decoded("video"); got != 400 || len(rec.Gaps) > 0 {
			t.Errorf("%d pictures, want 400; gaps %v", got, rec.Gaps)
		}
	}
	if q := r.rec.storage.queued.Load(); q != 0 {
		t.Errorf("%d bytes wait for nothing", q)
	}
}

func TestFullDiskIsWaitedForAndNoOtherRecordingIsDisturbed(t *testing.T) {
	t.Parallel()
	// What the ballast leaves is less than the clip, what it gives back is more.
	const room, ballasted = 8 << 20, 8<<20 - 600<<10
	full := small(t, strconv.Itoa(room))
	r := newRig(t, t.TempDir())
	clip := playtest.Make(t, 24, "640x360", playtest.BFrames)
	other, err := New(Config{Dir: full, Clock: r.clock}, r.hub, r.store, r.rec.log)
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	t.Cleanup(func() {
		if !closed {
			_ = other.Close()
		}
	})
	other.storage.each = 256 << 10
	ballast := filepath.Join(full, "2020")
	if err := os.WriteFile(ballast, make([]byte, ballasted), 0o600); err != nil {
		t.Fatal(err)
	}
	bad, err := other.Start(t.Context(), Request{Stream: "channels/a", Title: "on the small disk"})
	if err != nil {
		t.Fatal(err)
	}
	good := r.start("channels/a")
	_, tracks := r.publish("channels/a", clip)
	played := make(chan struct{})
	go func() {
		defer close(played)
		r.play(clip, tracks, 2)
	}()
	r.entry(bad.ID, "the disk is full", func(e store.Recording) bool {
		return e.State == store.RecordingWaiting && e.Reason == ReasonDiskFull && e.Ended == nil
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	r.entry(bad.ID, "there is room again", func(e store.Recording) bool { return e.State == store.RecordingRunning })
	<-played
	<-time.After(2 * idleAfter)
	good = r.stop(good.ID)
	if got := playtest.ProbeFile(t, r.rec.Path(good)).Decoded("video"); got != 600 {
		t.Errorf("%d pictures in the other recording, want 600", got)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	closed = true
	bad = r.entry(bad.ID, "its end", func(e store.Recording) bool { return !e.State.Active() })
	if bad.Bytes == 0 {
		t.Fatal("nothing was on disk before it was full: the test proves too little")
	}
	if bad.Bytes < 600<<10 || bad.Duration < 23*time.Second {
		t.Errorf("%d bytes, %v: the recording did not go on to the end of the clip", bad.Bytes, bad.Duration)
	}
	if got := playtest.ProbeFile(t, filepath.Join(full, bad.File)).Decoded("video"); got == 0 {
		t.Error("nothing plays of what was on disk")
	}
}

func TestFolderThatCannotBeWrittenIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.rec.Start(t.Context(), Request{Stream: "channels/a"}); err == nil {
		t.Fatal("accepted")
	}
	if rows, _, err := r.store.Recordings(t.Context(), store.RecordingFilter{}, store.Page{}); err != nil || len(rows) != 0 {
		t.Errorf("%v entries, %v", rows, err)
	}
}

func TestQueuesOfDisksThatDoNotAnswerAreBounded(t *testing.T) {
	t.Parallel()
	s := &storage{most: 48 << 20, each: 32 << 20}
	a := newDisk(s, "", "", nil, 0, fmp4.Format{}, false) // run is not started: nobody takes anything out
	b := newDisk(s, "", "", nil, 0, fmp4.Format{}, false)
	accepted := map[*disk]int{}
	for _, d := range []*disk{a, b} {
		for range maxWaiting + 20 {
			if d.put(fragment{data: make([]byte, 1<<20)}) {
				accepted[d]++
			}
		}
	}
	if accepted[a] != 32 || accepted[b] != 16 {
		t.Errorf("%d and %d MiB wait, want 32 and 16", accepted[a], accepted[b])
	}
}

func TestWritesThatFailLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	bad := &badDisk{}
	s := &storage{create: bad.create, most: 1 << 20, each: 1 << 20}
	dir := filepath.Join(t.TempDir(), "r")
	d := newDisk(s, dir, "media.mp4", []byte("head"), 4, fmp4.Format{Track: 1, Timescale: 1000}, false)
	go d.run()
	put := func(b string, n int) {
		d.put(fragment{data: []byte(b), body: len(b), crc: folder.Checksum([]byte(b)), start: time.Duration(n) * time.Second, end: time.Duration(n+1) * time.Second})
	}
	put("first", 0)
	for d.written().duration < time.Second {
		<-time.After(time.Millisecond)
	}
	bad.set(errors.New("some trouble"), 3)
	put("second", 1)
	for d.state() != ReasonDiskError {
		<-time.After(time.Millisecond)
	}
	err := d.close(nil)
	if lost := d.takeLost(); err == nil || len(lost) != 1 || lost[0].FromMS != 1000 {
		t.Errorf("lost %v, %v", lost, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "media.mp4")); err != nil || string(b) != "headfirst" {
		t.Errorf("%q, %v", b, err)
	}
}

package recorder

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
)

// small makes a file system of some bytes. It needs rights that a test seldom has.
func small(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDiskEndsThatRecordingAndNoOther(t *testing.T) {
	t.Parallel()
	full := small(t, "600k")
	r := newRig(t, t.TempDir())
	// The day's folder of one recording lies on the small disk: as when its mount is another one.
	clip := playtest.Make(t, 10, "640x360", playtest.BFrames)
	other, err := New(Config{Dir: full}, r.hub, r.store, r.rec.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
	bad, err := other.Start(t.Context(), "channels/a", "on the small disk")
	if err != nil {
		t.Fatal(err)
	}
	good := r.start("channels/a")
	_, tracks := r.publish("channels/a", clip)
	r.play(clip, tracks, 4)
	bad = r.entry(bad.ID, "failure", func(e store.Recording) bool { return e.State == store.RecordingFailed })
	if bad.Reason != "the disk is full" || bad.Ended == nil {
		t.Errorf("entry %+v", bad)
	}
	<-time.After(2 * idleAfter)
	good = r.stop(good.ID)
	if got := playtest.ProbeFile(t, r.rec.Path(good)).Decoded("video"); got != 250 {
		t.Errorf("%d pictures in the other recording, want 250", got)
	}
	if bad.Bytes > 0 { // what was on disk plays
		if got := playtest.ProbeFile(t, other.Path(bad)).Decoded("video"); got == 0 {
			t.Error("nothing plays of what was on disk")
		}
	} else {
		t.Error("nothing was on disk before it was full: the test proves too little")
	}
	if s := other.Stats(); s.Failures != 1 || s.Running != 0 {
		t.Errorf("%+v", s)
	}
	if _, err := other.Start(t.Context(), "channels/b", "later"); err == nil {
		// A file of no bytes may still be made on a full disk; then it fails when something comes.
		t.Log("a new recording was accepted")
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
	if _, err := r.rec.Start(t.Context(), "channels/a", "x"); err == nil {
		t.Fatal("accepted")
	}
	if rows, _, err := r.store.Recordings(t.Context(), store.RecordingFilter{}, store.Page{}); err != nil || len(rows) != 0 {
		t.Errorf("%v entries, %v", rows, err)
	}
}

func TestQueueOfADiskThatDoesNotAnswerIsBounded(t *testing.T) {
	t.Parallel()
	d := newDisk(nil, nil, fmp4.Format{}, nil, nil) // run is not started: nobody takes anything out
	accepted := 0
	for range maxWaiting + 20 {
		if d.put(fragment{data: make([]byte, 1<<20)}) {
			accepted++
		}
	}
	if accepted != maxQueued>>20 {
		t.Errorf("%d MiB wait, want %d", accepted, maxQueued>>20)
	}
}

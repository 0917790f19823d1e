package recorder

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
)

// ext4 makes a file system in a file and mounts it. It needs rights and tools that a
// test seldom has.
func ext4(t *testing.T, megabytes int64) (dir, image string) {
	t.Helper()
	image = filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, megabytes<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", "-F", image).CombinedOutput(); err != nil {
		t.Skipf("no file system of its own to freeze: mkfs.ext4 (e2fsprogs): %v: %s", err, out)
	}
	return mount(t, image), image
}

func mount(t *testing.T, image string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		t.Skipf("no right to mount a file system of its own: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// freeze makes a file system hold every write until the function that it returns is called.
func freeze(t *testing.T, dir string) (thaw func()) {
	t.Helper()
	const fifreeze, fithaw = 0xC0045877, 0xC0045878 // linux/fs.h
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetInt(int(f.Fd()), fifreeze, 0); err != nil {
		t.Skipf("no right to freeze a file system: %v", err)
	}
	return func() {
		if err := unix.IoctlSetInt(int(f.Fd()), fithaw, 0); err != nil {
			t.Error(err)
		}
		_ = f.Close()
	}
}

// TestFrozenFileSystemHoldsUpNothingElse is the stall of the other test with a real
// file system: two recordings on it wait and lose nothing, one beside it goes on.
func TestFrozenFileSystemHoldsUpNothingElse(t *testing.T) {
	t.Parallel()
	disk, _ := ext4(t, 96)
	r := newRig(t, t.TempDir())
	stuck, err := New(Config{Dir: filepath.Join(disk, "recordings"), Clock: r.clock}, r.hub, r.store, r.rec.log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stuck.Close(); err != nil {
			t.Error(err)
		}
	}()
	clip := playtest.Make(t, 18, "320x180", playtest.BFrames)
	slow, err := stuck.Start(t.Context(), Request{Stream: "channels/a"})
	if err != nil {
		t.Fatal(err)
	}
	other := r.start("channels/a")
	_, tracks := r.publish("channels/a", clip)
	played := make(chan struct{})
	go func() { r.play(clip, tracks, 1); close(played) }()
	live := func(rec *Recorder, id string) time.Duration { l, _ := rec.Live(id); return l.Duration }
	r.entry(slow.ID, "the beginning on disk", func(store.Recording) bool { return live(stuck, slow.ID) > 2*time.Second })
	thaw := freeze(t, disk)
	began := time.Now()
	r.entry(slow.ID, "it says that the disk stalls", func(e store.Recording) bool { return e.Reason == ReasonDiskStalled })
	from := live(r.rec, other.ID)
	for time.Since(began) < 10*time.Second {
		<-time.After(100 * time.Millisecond)
	}
	if on := live(r.rec, other.ID) - from; on < 5*time.Second {
		t.Errorf("the other recording went on by %v meanwhile", on)
	}
	thaw()
	<-played
	<-time.After(2 * idleAfter)
	if _, err := stuck.Stop(t.Context(), slow.ID); err != nil {
		t.Fatal(err)
	}
	slow = r.entry(slow.ID, "the end", func(e store.Recording) bool { return !e.State.Active() })
	other = r.stop(other.ID)
	for path, rec := range map[string]store.Recording{stuck.Path(slow): slow, r.rec.Path(other): other} {
		if got := playtest.ProbeFile(t, path).Decoded("video"); got != 450 || len(rec.Gaps) > 0 || rec.State != store.RecordingComplete {
			t.Errorf("%d pictures, want 450; %+v", got, rec)
		}
	}
}

// TestReadOnlyFileSystemIsWaitedFor has the kernel itself refuse the writes.
func TestReadOnlyFileSystemIsWaitedFor(t *testing.T) {
	t.Parallel()
	disk, _ := ext4(t, 64)
	r := newRig(t, t.TempDir())
	rec, err := New(Config{Dir: filepath.Join(disk, "recordings"), Clock: r.clock}, r.hub, r.store, r.rec.log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := rec.Close(); err != nil {
			t.Error(err)
		}
	}()
	remount := func(how string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "mount", "-o", "remount,"+how, disk).CombinedOutput(); err != nil {
			t.Fatalf("remount: %v: %s", err, out)
		}
	}
	one, err := rec.Start(t.Context(), Request{Stream: "channels/a"})
	if err != nil {
		t.Fatal(err)
	}
	clip := playtest.Make(t, 10, "320x180", playtest.BFrames)
	// Nothing is open for writing yet: the disk can be made read-only, as after an error.
	if err := rec.lock.Load().Unlock(); err != nil {
		t.Fatal(err)
	}
	remount("ro")
	_, tracks := r.publish("channels/a", clip)
	played := make(chan struct{})
	go func() { r.play(clip, tracks, 1); close(played) }()
	r.entry(one.ID, "it says that the disk is read-only", func(e store.Recording) bool {
		return e.State == store.RecordingWaiting && e.Reason == ReasonDiskReadOnly
	})
	remount("rw")
	r.entry(one.ID, "it goes on", func(e store.Recording) bool { return e.State == store.RecordingRunning && e.Duration > 0 })
	<-played
	<-time.After(2 * idleAfter)
	if one, err = rec.Stop(t.Context(), one.ID); err != nil {
		t.Fatal(err)
	}
	if got := playtest.ProbeFile(t, rec.Path(one)).Decoded("video"); got != 250 {
		t.Errorf("%d pictures, want 250: what waited was lost", got)
	}
}

// TestPowerCutLeavesWhatWasSynced takes what a disk has at a moment in which nothing
// was closed and nothing flushed, mounts it as after a power cut, and makes the
// library anew from it.
func TestPowerCutLeavesWhatWasSynced(t *testing.T) {
	t.Parallel()
	disk, image := ext4(t, 64)
	r := newRig(t, t.TempDir())
	rec, err := New(Config{Dir: filepath.Join(disk, "recordings"), Clock: r.clock}, r.hub, r.store, r.rec.log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := rec.Close(); err != nil {
			t.Error(err)
		}
	}()
	bad := &badDisk{}
	rec.storage.create = bad.create
	one, err := rec.Start(t.Context(), Request{Stream: "channels/a", Title: "断电"})
	if err != nil {
		t.Fatal(err)
	}
	clip := playtest.Make(t, 12, "320x180", playtest.BFrames)
	_, tracks := r.publish("channels/a", clip)
	played := make(chan struct{})
	began := time.Now()
	go func() { r.play(clip, tracks, 1); close(played) }()
	r.entry(one.ID, "some seconds on disk", func(store.Recording) bool { l, _ := rec.Live(one.ID); return l.Duration > 6*time.Second })
	release := bad.hold() // so that the copy is of one moment
	cut := time.Since(began)
	// The loop device passes on what was synced, and keeps the rest from the image.
	copied := filepath.Join(t.TempDir(), "after.img")
	if out, err := exec.CommandContext(t.Context(), "cp", "--sparse=always", image, copied).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	release()
	after := mount(t, copied)
	empty := newRig(t, t.TempDir())
	found, err := Open(Config{Dir: filepath.Join(after, "recordings"), Clock: r.clock}, empty.hub, empty.store, r.rec.log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := found.Close(); err != nil {
			t.Error(err)
		}
	}()
	// The heartbeat that was copied is of a process of this host: its flock died with the power.
	done, err := found.Reindex(t.Context(), false, nil)
	if err != nil || done.Added != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	got, err := empty.store.Recording(t.Context(), one.ID)
	if err != nil {
		t.Fatal(err)
	}
	if lost := cut - got.Duration; got.State != store.RecordingInterrupted || got.Title != "断电" || lost > 2*time.Second {
		t.Errorf("%v lost: %+v", lost, got)
	}
	if n := playtest.ProbeFile(t, found.Path(got)).Decoded("video"); n < int((got.Duration-400*time.Millisecond)/(40*time.Millisecond)) {
		t.Errorf("%d pictures in %v", n, got.Duration)
	}
	<-played
}

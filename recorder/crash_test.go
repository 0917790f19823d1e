package recorder

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/recorder/folder"
)

// crashDir, when set, makes the test binary the process that is killed.
const crashDir = "TONGXIANG_TEST_CRASH_DIR"

// TestCrashingChild is not a test of its own: it records two channels until it is killed.
func TestCrashingChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("no test of its own: TestKilledRecordingsLoseAtMostTwoSeconds runs it as the process that it kills")
	}
	r := newRig(t, dir)
	ts, err := os.ReadFile(dir + "/clip.ts")
	if err != nil {
		t.Fatal(err)
	}
	clip := playtest.Demux(t, ts)
	var all [][]*stream.Track
	for _, name := range []stream.Name{"channels/a", "channels/b"} {
		rec := r.start(name)
		fmt.Println("id", rec.ID)
		_, tracks := r.publish(name, clip)
		all = append(all, tracks)
	}
	began := time.Now()
	for _, f := range clip.Frames {
		if wait := f.DTS.Sub(clip.Frames[0].DTS) - time.Since(began); wait > 0 {
			<-time.After(wait)
		}
		for _, tracks := range all {
			g := *f.Frame
			g.Arrival = r.clock.Now()
			tracks[f.Track].WriteFrame(&g)
		}
		if f.Track == 0 {
			fmt.Println("published", f.DTS.Sub(clip.Frames[0].DTS).Milliseconds())
		}
	}
	select {} // until the parent has killed it
}

// quickDir returns a folder in memory where there is one: a kernel keeps the files of a
// killed process either way, and how long a disk shared with other tests takes to write
// is not what is asked. `make bench-crash` asks a disk.
func quickDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "tongxiang-crash-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestKilledRecordingsLoseAtMostTwoSeconds(t *testing.T) {
	t.Parallel()
	ts := playtest.TS(t, 12, "320x180", playtest.BFrames)
	for i := range 3 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			dir := quickDir(t)
			if err := os.WriteFile(dir+"/clip.ts", ts, 0o600); err != nil {
				t.Fatal(err)
			}
			after := 2500*time.Millisecond + time.Duration(rand.IntN(6000))*time.Millisecond
			ids, published := crash(t, dir, after)
			r := newRig(t, dir)
			if err := r.rec.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				rec := r.entry(id, "recovery", func(e store.Recording) bool { return !e.State.Active() })
				if rec.State != store.RecordingInterrupted || rec.Reason != ReasonInterrupted || rec.Ended == nil {
					t.Fatalf("entry %+v", rec)
				}
				lost := published - rec.Duration
				t.Logf("killed at %v: %v published, %v on disk, %v lost", after, published, rec.Duration, lost)
				if lost > 2*time.Second {
					t.Errorf("%v lost", lost)
				}
				p := playtest.ProbeFile(t, r.rec.Path(rec))
				if want := int((rec.Duration - 200*time.Millisecond) / (40 * time.Millisecond)); p.Decoded("video") < want {
					t.Errorf("%d pictures decoded, want at least %d", p.Decoded("video"), want)
				}
				m, err := folder.Read(filepath.Dir(r.rec.Path(rec)))
				if err != nil || m.State != "interrupted" || m.DurationMS != rec.Duration.Milliseconds() {
					t.Errorf("manifest %+v, %v", m, err)
				}
			}
			if err := r.rec.Recover(t.Context()); err != nil {
				t.Errorf("second recovery: %v", err)
			}
		})
	}
}

// crash records in a child, kills it after some time, and returns the recordings'
// ids and how much the child had published.
func crash(t *testing.T, dir string, after time.Duration) (ids []string, published time.Duration) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestCrashingChild$", "-test.v")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var kill *time.Timer
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		kind, value, _ := strings.Cut(lines.Text(), " ")
		switch kind {
		case "id":
			ids = append(ids, value)
		case "published":
			if kill == nil {
				kill = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
			}
			if ms, err := strconv.Atoi(value); err == nil {
				published = time.Duration(ms) * time.Millisecond
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(ids) != 2 {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return ids, published
}

func TestTornTailIsCutAndAnEntryWithoutAFileSaysSo(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	clip := playtest.Make(t, 4, "320x180", playtest.BFrames)
	rec := r.start("channels/a")
	_, tracks := r.publish("channels/a", clip)
	r.play(clip, tracks, 4)
	<-time.After(2 * idleAfter)
	rec = r.stop(rec.ID)
	f, err := os.OpenFile(r.rec.Path(rec), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	// What a torn write leaves: a fragment's head without its end.
	if _, err := f.Write(append([]byte{0, 0, 1, 0, 'm', 'o', 'o', 'f'}, make([]byte, 60)...)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	whole := rec.Bytes
	rec.State, rec.Ended = store.RecordingRunning, nil
	gone, empty, never := rec, rec, rec
	gone.ID, gone.File = "gone", "2026/01/01/gone.mp4"
	never.ID, never.File = "never", ""
	empty.ID, empty.File = "empty", "empty.mp4"
	if err := os.WriteFile(r.rec.Path(empty), []byte("....ftyp"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, e := range []store.Recording{rec, gone, empty, never} {
		if err := r.store.PutRecording(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.rec.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := r.entry(rec.ID, "mended", func(e store.Recording) bool { return e.State == store.RecordingInterrupted })
	if info, err := os.Stat(r.rec.Path(rec)); err != nil || info.Size() != whole || got.Bytes != whole {
		t.Errorf("%v: %d bytes, %d in the library, want %d", err, info.Size(), got.Bytes, whole)
	}
	playtest.ProbeFile(t, r.rec.Path(rec))
	for id, state := range map[string]store.RecordingState{"gone": store.RecordingFailed, "empty": store.RecordingFailed, "never": store.RecordingInterrupted} {
		e := r.entry(id, string(state), func(e store.Recording) bool { return e.State == state })
		if e.Reason == "" {
			t.Errorf("%s: no reason", id)
		}
	}
}

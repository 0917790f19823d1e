package recorder

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

// TestTornWritesCostOnlyTheFragmentsThatTheyTouch cuts and zeroes the end of a
// recording at every kind of place: within each box of the last fragments, at its
// borders and at random, as a power cut leaves it; and lets the index lie or lack.
func TestTornWritesCostOnlyTheFragmentsThatTheyTouch(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	rec := r.recorded(Request{Stream: "channels/a"}, 6)
	dir := filepath.Dir(r.rec.Path(rec))
	media, err := os.ReadFile(r.rec.Path(rec))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, folder.IndexName))
	if err != nil {
		t.Fatal(err)
	}
	index, err := folder.ReadIndex(dir, "media.mp4")
	if err != nil || len(index) < 6 {
		t.Fatalf("%d entries, %v", len(index), err)
	}
	// As it lies before the index within it was written.
	copy(media[index[0].Length:], fmp4.Space())
	var places []int64
	for _, e := range index[len(index)-3:] {
		for _, d := range []int64{0, 1, 4, 8, 9, 100, e.Length / 2, e.Length - 1, e.Length, e.Length + 1, e.Length + 8, e.Length + 19, e.Length + 20} {
			places = append(places, e.Offset+d)
		}
	}
	for range 12 {
		places = append(places, index[2].Offset+rand.Int64N(int64(len(media))-index[2].Offset))
	}
	probed := 0
	for i, at := range places {
		for _, how := range []string{"cut", "zeroed", "page"} {
			if at > int64(len(media)) || how == "page" && len(media)-int(at) > 2<<20 {
				continue
			}
			torn := slices.Clone(media)
			end := len(torn)
			switch how {
			case "cut":
				torn = torn[:at]
			case "zeroed":
				clear(torn[at:])
			case "page": // only one page of the file did not reach the disk
				end = min(end, int(at)+4096)
				clear(torn[at:end])
			}
			if how != "cut" && slices.Equal(torn, media) {
				continue
			}
			scratch := filepath.Join(t.TempDir(), "r")
			mustWrite(t, filepath.Join(scratch, "media.mp4"), torn)
			lines := text
			switch i % 3 {
			case 1:
				lines = text[:len(text)*2/3] // torn, as is normal
			case 2:
				lines = nil
			}
			mustWrite(t, filepath.Join(scratch, folder.IndexName), lines)
			got, err := folder.Mend(scratch, "media.mp4", false)
			if err != nil {
				t.Fatalf("%s at %d: %v", how, at, err)
			}
			// All that lies before the place must be there.
			want := 0
			for _, e := range index {
				if e.Head || e.Offset+e.Length+20 <= at {
					want++
				}
			}
			if how == "page" && int64(len(media))-at > 8*(index[3].Length) { // deeper than what is read after a crash
				continue
			}
			if len(got.Index) != want {
				t.Errorf("%s at %d (of %d): %d entries, want %d", how, at, len(media), len(got.Index), want)
			}
			for i, e := range got.Index {
				if i < want && e != index[i] {
					t.Errorf("%s at %d: entry %d is %+v, was %+v", how, at, i, e, index[i])
				}
			}
			again, err := folder.Mend(scratch, "media.mp4", true)
			if err != nil || again.Cut != 0 || again.Remade || again.Bytes != got.Bytes {
				t.Errorf("%s at %d: mended twice: %+v, %v", how, at, again, err)
			}
			if probed++; probed%12 == 0 {
				p := playtest.ProbeFile(t, filepath.Join(scratch, "media.mp4"))
				if n := p.Decoded("video"); n < int(got.Duration/(40*time.Millisecond))-3 {
					t.Errorf("%s at %d: %d pictures in %v", how, at, n, got.Duration)
				}
			}
		}
	}
}

func mustWrite(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestClockSetBackAnHourDoesNotReachTheFile(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	clip := playtest.Make(t, 6, "320x180", playtest.BFrames)
	began := time.Now()
	rec := r.start("channels/a")
	r.rec.wall = func() time.Time { return time.Now().Round(0).Add(-time.Hour) } // from here on
	_, tracks := r.publish("channels/a", clip)
	r.play(clip, tracks, 2)
	<-time.After(2 * idleAfter)
	rec = r.stop(rec.ID)
	if rec.Duration < 5900*time.Millisecond || rec.Duration > 6200*time.Millisecond || len(rec.Gaps) > 0 {
		t.Errorf("%v, gaps %v", rec.Duration, rec.Gaps)
	}
	if took := rec.Ended.Sub(rec.Started); took < 0 || took > time.Since(began)+time.Second {
		t.Errorf("from %v to %v", rec.Started, rec.Ended)
	}
	if got := playtest.ProbeFile(t, r.rec.Path(rec)).Decoded("video"); got != 150 {
		t.Errorf("%d pictures", got)
	}
	// A second one within the hour that comes twice has a folder of its own.
	other := r.stop(r.start("channels/a").ID)
	if other.ID == rec.ID {
		t.Error("the same id twice")
	}
}

func TestPreRollKeepsWhatWasBeforeTheRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	clip := playtest.Make(t, 12, "320x180", playtest.BFrames)
	_, tracks := r.publish("channels/a", clip)
	r.play(clip, tracks, 1)
	asked := time.Now()
	rec := r.begin(Request{Stream: "channels/a", PreRoll: 5 * time.Second})
	r.entry(rec.ID, "a file", func(e store.Recording) bool { return e.File != "" })
	<-time.After(2 * idleAfter)
	rec = r.stop(rec.ID)
	// At least what was asked for, from the sync point before it: a GOP is a second.
	if rec.Duration < 4500*time.Millisecond || rec.Duration > 6500*time.Millisecond {
		t.Errorf("%v kept", rec.Duration)
	}
	if before := asked.Sub(rec.Started); before < 4*time.Second || before > 7*time.Second {
		t.Errorf("it says that it began %v before the request", before)
	}
	m, err := folder.Read(filepath.Dir(r.rec.Path(rec)))
	if err != nil || !m.Media.Equal(m.Started) {
		t.Errorf("%+v, %v", m, err)
	}
	without := r.begin(Request{Stream: "channels/a"})
	r.entry(without.ID, "a file", func(e store.Recording) bool { return e.File != "" })
	<-time.After(2 * idleAfter)
	if without = r.stop(without.ID); without.Duration > 1500*time.Millisecond {
		t.Errorf("%v without being asked", without.Duration)
	}
}

func TestManifestKeepsWhatTheLibraryAdds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "20260720-081500-k3v7mq2a")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	m := folder.Manifest{ID: filepath.Base(dir), Format: folder.FMP4, State: "recording", Started: time.Now().UTC(), Library: []byte(`{"hold":true}`)}
	if err := folder.Write(dir, m); err != nil {
		t.Fatal(err)
	}
	m.Library, m.State = nil, "complete"
	if err := folder.Write(dir, m); err != nil {
		t.Fatal(err)
	}
	got, err := folder.Read(dir)
	var kept struct{ Hold bool }
	if err != nil || got.State != "complete" || json.Unmarshal(got.Library, &kept) != nil || !kept.Hold {
		t.Errorf("%+v, %v", got, err)
	}
}

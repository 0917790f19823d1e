package recorder

import (
	"path/filepath"
	"testing"
	"time"

	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/stream"
	"tongxiang/recorder/folder"
)

// TestEverySiteHasAFileOnTheTimeLineOfTheProgramme: two sites and what is on air; one
// site comes two seconds later, and leaves and comes back.
func TestEverySiteHasAFileOnTheTimeLineOfTheProgramme(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	layers := make(map[string]int)
	changes := make(chan struct{ who string }, 16)
	r.rec.cfg.KeepLayers = func(meeting, who string, keep bool) {
		if meeting == "42" && keep {
			changes <- struct{ who string }{who}
		}
	}
	// Times of a meeting's streams are on the clock of the process.
	clip := playtest.Make(t, 8, "320x180", playtest.Plain)
	rec := r.begin(Request{Stream: stream.Programme("42"), Class: "meeting", AllTracks: true})
	base := time.Duration(r.clock.Now()) + 200*time.Millisecond
	onAir := clip.Shift(base-time.Duration(clip.Frames[0].DTS), false)
	_, air := r.publish(stream.Programme("42"), onAir)
	_, li := r.publish(stream.Participant("42", "li"), onAir)
	late := playtest.Make(t, 4, "160x120", playtest.Plain)
	late = late.Shift(base+2*time.Second-time.Duration(late.Frames[0].DTS), false)
	done := make(chan struct{}, 3)
	go func() { r.play(onAir, air, 1); done <- struct{}{} }()
	go func() { r.play(onAir, li, 1); done <- struct{}{} }()
	go func() {
		defer func() { done <- struct{}{} }()
		<-time.After(2 * time.Second)
		pub, err := r.hub.Publish(stream.Participant("42", "wang"), false)
		if err != nil {
			t.Error(err)
			return
		}
		r.play(late, pub.SetTracks(late.Infos()), 1)
		pub.Close()
	}()
	for range 3 {
		<-done
	}
	<-time.After(2 * idleAfter)
	rec = r.stop(rec.ID)
	dir := filepath.Dir(r.rec.Path(rec))
	m, err := folder.Read(dir)
	if err != nil || len(m.Files) != 3 || m.Files[0].Name != "media.mp4" {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, f := range m.Files {
		p := playtest.ProbeFile(t, filepath.Join(dir, f.Name))
		want, offset := 200, int64(0)
		if f.Name == "site-wang.mp4" {
			want, offset = 100, 2000
		}
		if got := p.Decoded("video"); got < want-25 || got > want {
			t.Errorf("%s: %d pictures, want about %d", f.Name, got, want)
		}
		if d := f.OffsetMS - offset; d < -1100 || d > 1100 || f.Name == "media.mp4" && f.OffsetMS != 0 {
			t.Errorf("%s begins at %d ms, want about %d", f.Name, f.OffsetMS, offset)
		}
		index, err := folder.ReadIndex(dir, f.Name)
		if err != nil || len(index) < 3 || len(f.Tracks) != 2 {
			t.Errorf("%s: %d entries, %d tracks, %v", f.Name, len(index), len(f.Tracks), err)
		}
	}
	close(changes)
	for c := range changes {
		layers[c.who]++
	}
	if layers["li"] != 1 || layers["wang"] != 1 {
		t.Errorf("all layers were asked of %v", layers)
	}
}

package recorder

import (
	"bytes"
	"os"
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
	// The library counts what the sites take as well, but for indexes and the manifest.
	if beside, _, err := folder.Usage(dir, "media.mp4"); err != nil || rec.Beside > beside || rec.Beside < beside*9/10 {
		t.Errorf("%d bytes of sites, %d lie there, %v", rec.Beside, beside, err)
	}
	close(changes)
	for c := range changes {
		layers[c.who]++
	}
	if layers["li"] != 1 || layers["wang"] != 1 {
		t.Errorf("all layers were asked of %v", layers)
	}
}

// TestASiteThatSendsVP8IsRecordedWithItsPicture: as it came, in MP4, whatever ends the
// recording.
func TestASiteThatSendsVP8IsRecordedWithItsPicture(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	clip := playtest.Make(t, 6, "320x180", playtest.Plain)
	sent := playtest.VP8(t, "testsrc2=rate=25:duration=6:size=160x90", "sine=frequency=440:sample_rate=48000:duration=6")
	rec := r.begin(Request{Stream: stream.Programme("42"), Class: "meeting", AllTracks: true})
	base := time.Duration(r.clock.Now()) + 200*time.Millisecond
	onAir := clip.Shift(base-time.Duration(clip.Frames[0].DTS), false)
	site := sent.Shift(base-time.Duration(sent.Frames[0].DTS), false)
	_, air := r.publish(stream.Programme("42"), onAir)
	_, li := r.publish(stream.Participant("42", "li"), site)
	done := make(chan struct{}, 2)
	go func() { r.play(onAir, air, 1); done <- struct{}{} }()
	go func() { r.play(site, li, 1); done <- struct{}{} }()
	for range 2 {
		<-done
	}
	<-time.After(2 * idleAfter)
	rec = r.stop(rec.ID)
	dir := filepath.Dir(r.rec.Path(rec))
	m, err := folder.Read(dir)
	if err != nil || len(m.Files) != 2 {
		t.Fatalf("%+v, %v", m, err)
	}
	f := m.Files[1]
	if f.Name != "site-li.mp4" || len(f.Tracks) != 2 || f.Tracks[0].Codec != "VP8" || f.Tracks[0].Width != 160 || f.Tracks[0].Height != 90 {
		t.Fatalf("%+v", f)
	}
	p := playtest.ProbeFile(t, filepath.Join(dir, f.Name))
	if got := p.Decoded("video"); got < 125 || got > 150 || p.Decoded("audio") < 250 || p.Streams[0].Codec != "vp8" || p.Streams[0].Width != 160 {
		t.Errorf("%+v", p)
	}
	if b, err := os.ReadFile(filepath.Join(dir, f.Name)); err != nil || !bytes.Contains(b[:2048], []byte("vp08")) || bytes.Contains(b[:2048], []byte("vp09")) {
		t.Errorf("the file does not say that it is VP8: %v", err)
	}
	before, err := folder.ReadIndex(dir, f.Name)
	if err != nil {
		t.Fatal(err)
	}
	e, err := folder.Mend(dir, f.Name, true)
	if err != nil || e.Cut != 0 || e.Remade || len(e.Index) != len(before) {
		t.Errorf("mended: %+v, %v", e, err)
	}
}

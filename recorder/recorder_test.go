package recorder

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
)

func TestRecordingHoldsEveryFrameUntouched(t *testing.T) {
	for name, args := range map[string]string{"B-frames and AAC": playtest.BFrames, "MPEG-2 and MP2": playtest.Broadcast} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, t.TempDir())
			clip := playtest.Make(t, 6, "320x180", args)
			rec := r.start("channels/a")
			_, tracks := r.publish("channels/a", clip)
			r.play(clip, tracks, 4)
			r.entry(rec.ID, "a file", func(e store.Recording) bool { return e.File != "" })
			<-time.After(2 * idleAfter) // the rest is written when nothing comes any more
			rec = r.stop(rec.ID)
			if rec.State != store.RecordingComplete || rec.Ended == nil || rec.Reason != "" {
				t.Errorf("entry %+v", rec)
			}
			pictures := 0
			for _, f := range clip.Frames {
				if clip.Formats[f.Track].Codec.Kind().String() == "video" {
					pictures++
				}
			}
			p := playtest.ProbeFile(t, r.rec.Path(rec))
			if got := p.Decoded("video"); got != pictures {
				t.Errorf("%d pictures in the file, %d were published", got, pictures)
			}
			if d := p.Duration(); d < 5900*time.Millisecond || d > 6200*time.Millisecond {
				t.Errorf("the file says it lasts %v", d)
			}
			if d := rec.Duration; d < 5900*time.Millisecond || d > 6200*time.Millisecond {
				t.Errorf("the library says it lasts %v", d)
			}
			info, err := os.Stat(r.rec.Path(rec))
			if err != nil || info.Size() != rec.Bytes {
				t.Errorf("%v, %v bytes in the library, %v", err, rec.Bytes, info.Size())
			}
		})
	}
}

func TestRecordingHasAnIndexWhenItEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	clip := playtest.Make(t, 5, "320x180", playtest.BFrames)
	rec := r.start("channels/a")
	_, tracks := r.publish("channels/a", clip)
	r.play(clip, tracks, 4)
	r.entry(rec.ID, "a file", func(e store.Recording) bool { return e.File != "" })
	<-time.After(2 * idleAfter)
	rec = r.stop(rec.ID)
	b, err := os.ReadFile(r.rec.Path(rec))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b[:4096]), "sidx") {
		t.Error("no index")
	}
	f, err := os.Open(r.rec.Path(rec))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e, err := fmp4.Scan(f, int64(len(b)))
	if err != nil || e.Bytes != int64(len(b)) || e.Fragments < 4 {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestSourceThatIsAwayLeavesAHoleAndTheRecordingGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	clip := playtest.Make(t, 3, "320x180", playtest.BFrames)
	rec := r.start("channels/a")
	_, tracks := r.publish("channels/a", clip)
	r.play(clip, tracks, 4)
	<-time.After(2 * idleAfter)
	r.play(clip.Shift(30*time.Second, true), tracks, 4)
	<-time.After(2 * idleAfter)
	rec = r.stop(rec.ID)
	if rec.State != store.RecordingComplete || rec.Duration < 32900*time.Millisecond || rec.Duration > 33200*time.Millisecond {
		t.Errorf("entry %+v", rec)
	}
	p := playtest.ProbeFile(t, r.rec.Path(rec))
	if got := p.Decoded("video"); got != 150 {
		t.Errorf("%d pictures, want 150", got)
	}
}

func TestOtherCodecsBeginASecondPart(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	first := playtest.Make(t, 3, "320x180", playtest.BFrames)
	second := playtest.Make(t, 3, "320x180", playtest.Broadcast).Shift(5*time.Second, true)
	rec := r.start("channels/a")
	pub, tracks := r.publish("channels/a", first)
	r.play(first, tracks, 4)
	<-time.After(2 * idleAfter)
	r.play(second, pub.SetTracks(second.Infos()), 4)
	done := r.entry(rec.ID, "the end of the first part", func(e store.Recording) bool { return e.State == store.RecordingComplete })
	if done.Reason != ReasonSourceChanged || !strings.Contains(done.Detail, "goes on in ") {
		t.Errorf("reason %q, %q", done.Reason, done.Detail)
	}
	next := done.Detail[strings.LastIndex(done.Detail, " ")+1:]
	<-time.After(2 * idleAfter)
	r.stop(rec.ID) // by the id that the operator knows
	other := r.entry(next, "the second part", func(e store.Recording) bool { return e.State == store.RecordingComplete })
	for _, e := range []store.Recording{done, other} {
		if got := playtest.ProbeFile(t, r.rec.Path(e)).Decoded("video"); got < 70 {
			t.Errorf("%s: %d pictures", e.Title, got)
		}
	}
}

func TestRecordingOfNothingIsAnEntryWithoutAFile(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	rec := r.stop(r.start("channels/a").ID)
	if rec.State != store.RecordingComplete || rec.File != "" || rec.Duration != 0 {
		t.Errorf("%+v", rec)
	}
	if _, err := os.Stat(r.rec.Path(rec)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestStreamIsRecordedOnceAtATime(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	rec := r.start("channels/a")
	code := func(err error) string {
		var e *apierr.Error
		if errors.As(err, &e) {
			return e.Code
		}
		return ""
	}
	if _, err := r.rec.Start(t.Context(), Request{Stream: "channels/a", Title: "again"}); code(err) != "already_recording" {
		t.Errorf("second start: %v", err)
	}
	r.stop(rec.ID)
	if _, err := r.rec.Stop(t.Context(), rec.ID); code(err) != "recording_not_running" {
		t.Errorf("second stop: %v", err)
	}
	if _, err := r.rec.Start(t.Context(), Request{Stream: "channels/a", Title: "again"}); err != nil {
		t.Errorf("after the end: %v", err)
	}
}

func TestServersEndClosesRecordings(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	clip := playtest.Make(t, 3, "320x180", playtest.BFrames)
	rec := r.start("channels/a")
	_, tracks := r.publish("channels/a", clip)
	r.play(clip, tracks, 1)
	if err := r.rec.Close(); err != nil {
		t.Fatal(err)
	}
	rec = r.entry(rec.ID, "its end", func(e store.Recording) bool { return e.State == store.RecordingInterrupted })
	if rec.Reason != ReasonServerStopped {
		t.Errorf("%q", rec.Reason)
	}
	if got := playtest.ProbeFile(t, r.rec.Path(rec)).Decoded("video"); got < 70 {
		t.Errorf("%d pictures of 75", got)
	}
	if _, err := r.rec.Start(t.Context(), Request{Stream: "channels/b", Title: "late"}); err == nil {
		t.Error("a closed recorder started one")
	}
}

func TestFileNamesOutsideTheFolderAreNotFollowed(t *testing.T) {
	r := newRig(t, t.TempDir())
	for _, file := range []string{"", "../secret", "/etc/passwd"} {
		if p := r.rec.Path(store.Recording{File: file}); !strings.HasPrefix(p, r.dir) {
			t.Errorf("%q leads to %s", file, p)
		}
	}
}

package library

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/recorder"
	"tongxiang/recorder/folder"
	"tongxiang/recorder/retention"
)

// rig is a library with a real store, a real recorder and a clock that tests set.
type rig struct {
	*testing.T
	dir   string
	store *store.Store
	lib   *Library

	mu    sync.Mutex
	now   time.Time
	audit []string
}

func newRig(t *testing.T, rules retention.Rules) *rig {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	r := &rig{T: t, dir: t.TempDir(), now: nine}
	var err error
	if r.store, err = store.Open(t.Context(), filepath.Join(r.dir, "library.db"), log); err != nil {
		t.Fatal(err)
	}
	hub := stream.NewHub(log)
	rec, err := recorder.Open(recorder.Config{Dir: filepath.Join(r.dir, "recordings")}, hub, r.store, log)
	if err != nil {
		t.Fatal(err)
	}
	r.lib = New(Config{
		Rules: rules, Every: time.Hour,
		Now: func() time.Time {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.now
		},
		Audit: func(_ context.Context, action, target, detail string) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.audit = append(r.audit, action+" "+target+" "+detail)
			return nil
		},
	}, r.store, rec, log)
	t.Cleanup(func() {
		r.lib.Close()
		if err := rec.Close(); err != nil {
			t.Error(err)
		}
		hub.Close()
		if err := r.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) check(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// later sets the clock.
func (r *rig) later(days int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = nine.AddDate(0, 0, days)
}

// said returns what went to the audit.
func (r *rig) said() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.audit)
}

// put adds a recording with a folder.
func (r *rig) put(n int, change func(*store.Recording)) store.Recording {
	r.Helper()
	id := fmt.Sprintf("20260720-09000%d-aaaaaaaa", n)
	end := in(time.Duration(n)*time.Second + time.Hour)
	rec := store.Recording{
		ID: id, Stream: "channels/a", Title: fmt.Sprint("录制", n), Class: "news", State: store.RecordingComplete, Started: in(time.Duration(n) * time.Second),
		Ended: &end, Duration: time.Hour, Bytes: 100, Format: "fmp4", File: filepath.Join("2026/07/20", id, "media.mp4"),
	}
	if change != nil {
		change(&rec)
	}
	dir := filepath.Join(r.dir, "recordings", filepath.Dir(rec.File))
	r.check(os.MkdirAll(dir, 0o750))
	r.check(os.WriteFile(filepath.Join(dir, "media.mp4"), []byte("not looked at"), 0o600))
	m := folder.Describe(rec)
	m.Media = rec.Started
	r.check(folder.Write(dir, m))
	r.check(r.store.PutRecording(r.Context(), rec))
	return rec
}

func (r *rig) exists(rec store.Recording) bool {
	_, err := os.Stat(filepath.Join(r.dir, "recordings", rec.File))
	return err == nil
}

func thirtyDays(t *testing.T) retention.Rules {
	t.Helper()
	p, err := retention.Parse("30d")
	if err != nil {
		t.Fatal(err)
	}
	return retention.Rules{Classes: map[string]retention.Class{"news": {Keep: p}}, Bin: 15 * 24 * time.Hour}
}

func TestRecordingsExpireIntoTheBinAndOutOfIt(t *testing.T) {
	r := newRig(t, thirtyDays(t))
	ctx := t.Context()
	plain, held, ever := r.put(1, nil), r.put(2, nil), r.put(3, nil)
	yes, forever := true, retention.Forever
	_, err := r.lib.Change(ctx, held.ID, store.RecordingChange{Hold: &yes})
	r.check(err)
	_, err = r.lib.Change(ctx, ever.ID, store.RecordingChange{Retention: &forever})
	r.check(err)
	r.later(29)
	r.lib.Apply(ctx)
	if len(r.said()) != 0 {
		t.Fatalf("removed early: %v", r.said())
	}
	r.later(31)
	r.lib.Apply(ctx)
	r.lib.Apply(ctx)
	got, err := r.store.Recording(ctx, plain.ID)
	r.check(err)
	if got.Deleted == nil || !r.exists(plain) || !slices.Equal(r.said(), []string{"recording.expire " + plain.ID + " expired: 录制1"}) {
		t.Fatalf("%+v, %v", got, r.said())
	}
	m, err := folder.Read(filepath.Join(r.dir, "recordings", filepath.Dir(plain.File)))
	r.check(err)
	if k := m.Kept(); k.Deleted == nil || !k.Deleted.Equal(*got.Deleted) {
		t.Errorf("the manifest says %+v", k)
	}
	if got, err = r.lib.Restore(ctx, plain.ID); err != nil || got.Deleted != nil || got.Retention != retention.Forever {
		t.Fatalf("restored: %+v, %v", got, err) // else it would go back at once
	}
	_, err = r.lib.Bin(ctx, plain.ID)
	r.check(err)
	r.later(45)
	r.lib.Apply(ctx)
	if !r.exists(plain) {
		t.Fatal("purged after 14 days")
	}
	r.later(46)
	r.lib.Apply(ctx)
	if _, err := r.store.Recording(ctx, plain.ID); err == nil || r.exists(plain) || last(r.said()) != "recording.purge "+plain.ID+" bin_time: 录制1" {
		t.Errorf("not purged: %v, %v", err, r.said())
	}
	r.later(36500)
	r.lib.Apply(ctx)
	for _, rec := range []store.Recording{held, ever} {
		if _, err := r.store.Recording(ctx, rec.ID); err != nil || !r.exists(rec) {
			t.Errorf("%s is gone: %v", rec.ID, err)
		}
	}
}

func TestWhatIsHeldOrRunsIsNotRemoved(t *testing.T) {
	r := newRig(t, thirtyDays(t))
	ctx := t.Context()
	held := r.put(1, func(x *store.Recording) { x.Hold = true })
	runs := r.put(2, func(x *store.Recording) { x.State, x.Ended = store.RecordingRunning, nil })
	for _, do := range []func(context.Context, string) (store.Recording, error){r.lib.Bin, r.lib.Purge} {
		if _, err := do(ctx, held.ID); apierr.As(err).Code != ErrHeld.Code {
			t.Errorf("held: %v", err)
		}
		if _, err := do(ctx, runs.ID); apierr.As(err).Code != ErrRuns.Code {
			t.Errorf("running: %v", err)
		}
	}
	r.later(36500)
	r.lib.Apply(ctx)
	if !r.exists(held) || !r.exists(runs) || len(r.said()) != 0 {
		t.Errorf("removed: %v", r.said())
	}
}

func TestQuotaOfWhatMayNotGoIsTold(t *testing.T) {
	rules := thirtyDays(t)
	rules.Classes["news"] = retention.Class{Keep: rules.Classes["news"].Keep, Quota: 150}
	r := newRig(t, rules)
	old := r.put(1, nil)
	over := int64(-150)
	held := []store.Recording{r.put(2, func(x *store.Recording) { x.Hold = true }), r.put(3, func(x *store.Recording) { x.Hold = true })}
	r.lib.Apply(t.Context())
	for _, rec := range held {
		rec, err := r.store.Recording(t.Context(), rec.ID)
		r.check(err)
		over += rec.Size()
	}
	if r.exists(old) || !slices.Equal(r.said(), []string{"recording.purge " + old.ID + " quota: 录制1"}) || over < 50 || r.lib.Short()["news"] != over {
		t.Errorf("%v, %v, want %d", r.said(), r.lib.Short(), over)
	}
}

func TestMeetingIsDescribedAndItsFolderKnows(t *testing.T) {
	r := newRig(t, thirtyDays(t))
	ctx := t.Context()
	rec := r.put(1, func(x *store.Recording) { x.Stream, x.Class = "meetings/42/programme", "meeting" })
	r.check(r.store.CreateMeeting(ctx, store.Meeting{ID: "42", Created: nine}))
	var events []store.MeetingEvent
	for i, e := range []store.MeetingEvent{joined(0, "a", "张伟"), joined(0, "s", "青山镇会场"), event(time.Minute, "chat", `{"name":"张伟","text":"水库水位"}`)} {
		e.Seq = int64(i + 1)
		events = append(events, e)
	}
	r.check(r.store.AppendMeetingEvents(ctx, "42", events))
	r.check(r.store.AppendMeetingShot(ctx, "42", store.MeetingShot{At: in(2 * time.Minute), Participant: "a"}))
	dir := filepath.Join(r.dir, "recordings", filepath.Dir(rec.File))
	r.check(os.Mkdir(filepath.Join(dir, folder.DerivedName), 0o750))
	r.check(os.WriteFile(filepath.Join(dir, folder.DerivedName, "captions.vtt"), []byte("WEBVTT\n\n1\n00:00:01.000 --> 00:00:02.000\n转移群众\n"), 0o600))
	r.check(r.lib.Describe(ctx, rec.ID))
	r.check(r.lib.Describe(ctx, rec.ID)) // again changes nothing
	for _, q := range []string{"张伟", "青山", "水位", "群众", "zw"} {
		l, err := r.store.Library(ctx, store.LibraryFilter{Text: q}, store.LibraryPage{})
		r.check(err)
		if l.Total != 1 {
			t.Errorf("%s is not found", q)
		}
	}
	m, err := folder.Read(dir)
	r.check(err)
	k := m.Kept()
	if !slices.Equal(k.People, []string{"张伟"}) || !slices.Equal(k.Units, []string{"青山镇会场"}) || k.Text != "张伟：水库水位\n转移群众\n" ||
		len(k.Chapters) != 1 || k.Chapters[0] != (store.Chapter{AtMS: 119_000, Kind: "speaker", Title: "张伟", Who: "a"}) {
		t.Errorf("%+v", k)
	}
	r.check(r.store.DeleteMeeting(ctx, "42")) // what was said is known all the same
	r.check(r.lib.Describe(ctx, rec.ID))
	body, chapters, err := r.store.RecordingTexts(ctx, rec.ID)
	if err != nil || len(chapters) != 1 || body == "" {
		t.Errorf("%q, %v, %v", body, chapters, err)
	}
}

func TestRetentionsThatCannotBeAreRefused(t *testing.T) {
	r := newRig(t, thirtyDays(t))
	rec := r.put(1, nil)
	for _, bad := range []string{"", "soon", "0d", "date", "-1y"} {
		if _, err := r.lib.Change(t.Context(), rec.ID, store.RecordingChange{Retention: &bad}); apierr.As(err).Code != ErrRetention.Code {
			t.Errorf("%q: %v", bad, err)
		}
	}
	year, class := "1y", "class"
	got, err := r.lib.Change(t.Context(), rec.ID, store.RecordingChange{Retention: &year})
	if end := r.lib.Expires(got); err != nil || end == nil || !end.Equal(rec.Ended.AddDate(1, 0, 0)) {
		t.Errorf("%v, %v", end, err)
	}
	got, err = r.lib.Change(t.Context(), rec.ID, store.RecordingChange{Retention: &class})
	if end := r.lib.Expires(got); err != nil || end == nil || !end.Equal(rec.Ended.AddDate(0, 0, 30)) {
		t.Errorf("%v, %v", end, err)
	}
}

func last(l []string) string {
	if len(l) == 0 {
		return ""
	}
	return l[len(l)-1]
}

package jobs

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/store"
)

// rig is a queue in a real store.
type rig struct {
	t     *testing.T
	store *store.Store
	now   atomic.Int64 // Unix seconds
}

func newRig(t *testing.T) *rig {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, store: st}
	r.now.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Unix())
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	err = st.PutRecording(t.Context(), store.Recording{ID: "r", Stream: "channels/a", State: store.RecordingComplete, File: "x/r/media.mp4", Duration: time.Minute, Tracks: []store.RecordingTrack{{Kind: "video"}}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) clock() time.Time { return time.Unix(r.now.Load(), 0).UTC() }

// start runs a service until the test ends or it is closed.
func (r *rig) start(cfg Config) *Service {
	r.t.Helper()
	cfg.Now = r.clock
	s := New(cfg, r.store, slog.New(slog.NewTextHandler(r.t.Output(), nil)))
	if err := s.Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(s.Close)
	return s
}

func (r *rig) add(s *Service, kind Kind) store.Job {
	r.t.Helper()
	j, err := s.Add(r.t.Context(), kind, "r", nil, "li")
	if err != nil {
		r.t.Fatal(err)
	}
	return j
}

// until waits for a job to be as wanted.
func (r *rig) until(id, what string, is func(store.Job) bool) store.Job {
	r.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		j, err := r.store.Job(context.Background(), id)
		if err != nil {
			r.t.Fatal(err)
		}
		if is(j) {
			return j
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("waited until %s: %+v", what, j)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func in(state store.JobState) func(store.Job) bool {
	return func(j store.Job) bool { return j.State == state }
}

// forever is a maker that works until it is told to end.
func forever(began chan<- string) Maker {
	return func(ctx context.Context, _ store.Recording, j store.Job, progress func(float64)) (any, error) {
		progress(0.25)
		began <- j.ID
		<-ctx.Done()
		return nil, ctx.Err()
	}
}

func TestAJobIsDoneAndItsResultKept(t *testing.T) {
	r := newRig(t)
	s := r.start(Config{Makers: map[Kind]Maker{Clip: func(_ context.Context, rec store.Recording, j store.Job, _ func(float64)) (any, error) {
		return map[string]string{"of": rec.ID, "args": j.Args}, nil
	}}})
	j, err := s.Add(t.Context(), Clip, "r", map[string]int{"from_ms": 1}, "li")
	if err != nil {
		t.Fatal(err)
	}
	j = r.until(j.ID, "it is done", in(store.JobDone))
	if j.Result != `{"args":"{\"from_ms\":1}","of":"r"}` || j.Progress != 1 || j.Attempts != 1 || j.Ended == nil || j.CreatedBy != "li" {
		t.Errorf("%+v", j)
	}
	if n := s.Counts()[Clip][store.JobDone]; n != 1 {
		t.Errorf("%d were counted", n)
	}
}

func TestAJobThatRunsIsCancelled(t *testing.T) {
	r := newRig(t)
	began := make(chan string, 1)
	s := r.start(Config{Makers: map[Kind]Maker{Rendition: forever(began)}})
	j := r.add(s, Rendition)
	<-began
	r.now.Add(30)
	if p, eta, ok := s.Live(j.ID); !ok || p != 0.25 || eta != 90*time.Second {
		t.Errorf("live: %v, %v, %v", p, eta, ok)
	}
	if _, err := s.Cancel(t.Context(), j.ID); err != nil {
		t.Fatal(err)
	}
	r.until(j.ID, "it is cancelled", in(store.JobCancelled))
	if _, err := s.Cancel(t.Context(), j.ID); !errors.Is(err, errJobEnded) {
		t.Errorf("cancelled twice: %v", err)
	}
	again, err := s.Retry(t.Context(), j.ID)
	if err != nil || again.State != store.JobQueued {
		t.Fatalf("%+v, %v", again, err)
	}
	if id := <-began; id != j.ID {
		t.Errorf("%s began", id)
	}
	if _, err := s.Retry(t.Context(), j.ID); !errors.Is(err, errJobNotEnded) {
		t.Errorf("tried again while it runs: %v", err)
	}
}

func TestJobsSurviveTheServer(t *testing.T) {
	r := newRig(t)
	began := make(chan string, 2)
	s := r.start(Config{Makers: map[Kind]Maker{Sprite: forever(began)}})
	j := r.add(s, Sprite)
	<-began
	s.Close() // in order: no attempt is lost
	if j = r.until(j.ID, "it waits", in(store.JobQueued)); j.Attempts != 0 || j.Ended != nil {
		t.Errorf("%+v", j)
	}
	for i := range MaxAttempts { // killed in the midst, again and again
		if _, err := r.store.NextJob(t.Context(), r.clock(), false, string(Sprite)); err != nil {
			t.Fatalf("attempt %d: %v", i, err)
		}
		if left, err := r.store.RequeueJobs(t.Context()); err != nil || len(left) != 1 {
			t.Fatalf("%+v, %v", left, err)
		}
	}
	if _, err := r.store.NextJob(t.Context(), r.clock(), false, string(Sprite)); err != nil {
		t.Fatal(err)
	}
	r.start(Config{Makers: map[Kind]Maker{Sprite: forever(began)}})
	if j = r.until(j.ID, "it is given up", in(store.JobFailed)); j.Code != CodeInterrupted {
		t.Errorf("%+v", j)
	}
}

func TestACauseThatMayPassIsTriedAgainWithPauses(t *testing.T) {
	r := newRig(t)
	var tries atomic.Int64
	s := r.start(Config{Makers: map[Kind]Maker{Export: func(context.Context, store.Recording, store.Job, func(float64)) (any, error) {
		tries.Add(1)
		return nil, &Failure{Code: CodeFFmpeg, Detail: strings.Repeat("x", 3000) + "last words", Err: errors.New("exit status 1")}
	}}})
	j := r.add(s, Export)
	for i := 1; i < MaxAttempts; i++ {
		j = r.until(j.ID, "it waits for another attempt", func(j store.Job) bool { return j.State == store.JobQueued && j.Attempts == i })
		if j.Code != CodeFFmpeg || !strings.HasSuffix(j.Detail, "last words") || len(j.Detail) > maxDetail || !j.NotBefore.After(r.clock()) {
			t.Errorf("%+v", j)
		}
		r.now.Store(j.NotBefore.Unix() + 1)
		s.look()
	}
	j = r.until(j.ID, "it is given up", in(store.JobFailed))
	if j.Attempts != MaxAttempts || tries.Load() != MaxAttempts || j.Ended == nil {
		t.Errorf("%+v after %d tries", j, tries.Load())
	}
}

func TestACauseThatStaysIsNotTriedAgain(t *testing.T) {
	r := newRig(t)
	s := r.start(Config{Makers: map[Kind]Maker{
		Clip: func(context.Context, store.Recording, store.Job, func(float64)) (any, error) { panic("broken media") },
		Verify: func(context.Context, store.Recording, store.Job, func(float64)) (any, error) {
			return nil, &Failure{Code: CodeDamaged, Final: true}
		},
	}})
	gone, err := s.Add(t.Context(), Verify, "nobody", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for id, code := range map[string]string{r.add(s, Clip).ID: CodeFailed, r.add(s, Verify).ID: CodeDamaged, r.add(s, Thumbnail).ID: CodeUnknownKind, gone.ID: CodeRecordingGone} {
		if j := r.until(id, "it fails", in(store.JobFailed)); j.Code != code || j.Attempts != 1 {
			t.Errorf("%+v, want %s", j, code)
		}
		if en, zh := Explain(code); en == "" || zh == "" {
			t.Errorf("%s has no meaning", code)
		}
	}
}

func TestAHeavyJobDoesNotHoldUpAQuickOneAndRunsAlone(t *testing.T) {
	r := newRig(t)
	began := make(chan string, 4)
	s := r.start(Config{Makers: map[Kind]Maker{
		Rendition: forever(began), Export: forever(began),
		Clip: func(context.Context, store.Recording, store.Job, func(float64)) (any, error) { return nil, nil },
	}})
	first := r.add(s, Rendition)
	if id := <-began; id != first.ID {
		t.Fatal(id)
	}
	second := r.add(s, Export)
	r.until(r.add(s, Clip).ID, "the clip is made", in(store.JobDone))
	if j, err := r.store.Job(t.Context(), second.ID); err != nil || j.State != store.JobQueued {
		t.Errorf("two heavy jobs at once: %+v, %v", j, err)
	}
	if _, err := s.Cancel(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	if id := <-began; id != second.ID {
		t.Errorf("%s began", id)
	}
}

func TestTheEndOfARecordingQueuesWhatIsMadeOfEach(t *testing.T) {
	r := newRig(t)
	s := New(Config{Low: true, Now: r.clock}, r.store, slog.New(slog.DiscardHandler))
	rec, err := r.store.Recording(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	sound := rec
	sound.ID, sound.Tracks = "sound", []store.RecordingTrack{{Kind: "audio"}}
	runs := rec
	runs.ID, runs.State = "runs", store.RecordingRunning
	for _, x := range []store.Recording{rec, sound, runs, rec, {ID: "none", State: store.RecordingMissed}} {
		s.Ended(t.Context(), x)
	}
	l, total, err := r.store.Jobs(t.Context(), store.JobFilter{}, store.Page{})
	if err != nil || total != 3 {
		t.Fatalf("%+v, %v", l, err)
	}
	for _, j := range l {
		if j.Recording != "r" || j.OffPeak != (j.Kind == string(Rendition)) || j.CreatedBy != "" {
			t.Errorf("%+v", j)
		}
	}
}

func TestTheQueueIsFull(t *testing.T) {
	s := New(Config{}, full{}, slog.New(slog.DiscardHandler))
	_, err := s.Add(t.Context(), Clip, "r", nil, "li")
	if e := apierr.As(err); e.Code != "queue_full" || e.Status != 503 {
		t.Errorf("%v", err)
	}
}

// full is a store in which there is no more room.
type full struct{ Store }

func (full) AddJob(context.Context, store.Job, int) (store.Job, error) {
	return store.Job{}, store.ErrQueueFull
}

func TestQuietHours(t *testing.T) {
	at := func(clock string) time.Time {
		v, err := time.Parse("15:04:05", clock)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tc := range []struct {
		hours   string
		in, out []string
	}{
		{"01:00-06:00", []string{"01:00:00", "05:59:59"}, []string{"00:59:59", "06:00:00", "13:00:00"}},
		{"22:30-06:00", []string{"22:30:00", "23:59:59", "00:00:00", "05:00:00"}, []string{"06:00:00", "22:29:59"}},
		{"18:00-24:00", []string{"18:00:00", "23:59:59"}, []string{"00:00:00", "17:59:59"}},
		{"00:00-00:00", []string{"12:00:00"}, nil},
		{"", []string{"00:00:00", "12:00:00"}, nil},
	} {
		h, err := ParseHours(tc.hours)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range tc.in {
			if !h.Contain(at(c)) {
				t.Errorf("%s is not in %q", c, tc.hours)
			}
		}
		for _, c := range tc.out {
			if h.Contain(at(c)) {
				t.Errorf("%s is in %q", c, tc.hours)
			}
		}
	}
	for _, bad := range []string{"night", "1-6", "01:00", "01:00-25:00", "01:60-02:00", "01:00-06:00x", "01:00-06:00 ", "-1:00-02:00", "24:30-01:00"} {
		if h, err := ParseHours(bad); err == nil {
			t.Errorf("%q is %+v", bad, h)
		}
	}
}

func TestHowLongTheRestTakes(t *testing.T) {
	for _, tc := range []struct {
		progress float64
		spent    time.Duration
		want     time.Duration
	}{
		{0, time.Hour, -1}, {0.005, time.Hour, -1}, {0.5, 0, -1}, {0.5, time.Minute, time.Minute}, {1, time.Minute, 0}, {0.75, 30 * time.Second, 10 * time.Second},
	} {
		if got := remaining(tc.progress, tc.spent); got != tc.want {
			t.Errorf("%v of %v: %v, want %v", tc.progress, tc.spent, got, tc.want)
		}
	}
}

func TestRecordingsThatCameInOtherwiseGetTheirJobs(t *testing.T) {
	r := newRig(t)
	put := func(id string, change func(*store.Recording)) {
		t.Helper()
		x := store.Recording{ID: id, Stream: "channels/a", State: store.RecordingComplete, File: "x/" + id + "/media.mp4", Duration: time.Minute, Tracks: []store.RecordingTrack{{Kind: "audio"}, {Kind: "video"}}}
		change(&x)
		if err := r.store.PutRecording(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	put("found", func(*store.Recording) {})
	put("guessed", func(x *store.Recording) { x.Tracks = nil })
	put("has", func(*store.Recording) {})
	put("failed", func(*store.Recording) {})
	put("sound", func(x *store.Recording) { x.Tracks = x.Tracks[:1] })
	put("runs", func(x *store.Recording) { x.State = store.RecordingRunning })
	put("missed", func(x *store.Recording) { x.State, x.File = store.RecordingMissed, "" })
	put("binned", func(x *store.Recording) { x.Deleted = &x.Started })
	if err := r.store.PutDerived(t.Context(), store.Derived{Recording: "has", Kind: string(Thumbnail), Result: "{}"}); err != nil {
		t.Fatal(err)
	}
	before := New(Config{Now: r.clock}, r.store, slog.New(slog.DiscardHandler))
	j, err := before.Add(t.Context(), Thumbnail, "failed", nil, "li")
	if err == nil {
		_, err = r.store.CancelJob(t.Context(), j.ID, r.clock())
	}
	before.Close()
	if err != nil {
		t.Fatal(err)
	}
	made := make(chan string, 100)
	maker := func(_ context.Context, rec store.Recording, j store.Job, _ func(float64)) (any, error) {
		made <- rec.ID + " " + j.Kind
		return nil, nil
	}
	r.start(Config{Low: true, Makers: map[Kind]Maker{Thumbnail: maker, Sprite: maker, Rendition: maker}})
	want := map[string]bool{}
	for _, id := range []string{"r", "found", "guessed"} {
		for _, kind := range []Kind{Thumbnail, Sprite, Rendition} {
			want[id+" "+string(kind)] = true
		}
	}
	for range len(want) {
		select {
		case got := <-made:
			if !want[got] {
				t.Errorf("%s was made", got)
			}
			delete(want, got)
		case <-time.After(20 * time.Second):
			t.Fatalf("not made: %v", want)
		}
	}
	l, err := r.store.Unpictured(t.Context(), 100)
	if err != nil || len(l) != 0 {
		t.Errorf("%d are looked for again, %v", len(l), err)
	}
}

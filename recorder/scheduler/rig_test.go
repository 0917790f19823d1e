package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/recorder"
	"tongxiang/recorder/schedule"
)

// rig is a scheduler with a real store, a clock that is set by the test, and a
// recorder that notes what it is told. It lives in a synctest bubble, where time
// passes when everybody waits; the bubble's time begins on 2000-01-01.
type rig struct {
	t   *testing.T
	dir string
	st  *store.Store
	s   *Scheduler

	mu      sync.Mutex // guards what follows
	offset  time.Duration
	gone    map[string]bool // channels that there are not
	dark    map[string]bool // channels from which nothing comes
	have    schedule.Capacity
	rate    int64
	fail    error // of the recorder's next starts
	empty   bool  // recordings have nothing in them
	running map[string]time.Time
	serial  int
	log     []string
}

var errDiskFull = apierr.New(507, "recording_disk", "", "")

var zero = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// bubble runs a test in virtual time, from a moment of the wall on.
func bubble(t *testing.T, from time.Time, f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, dir: t.TempDir(), gone: map[string]bool{}, dark: map[string]bool{}, running: map[string]time.Time{}, rate: 1 << 20, offset: from.Sub(zero)}
		r.open()
		f(r)
		if r.s != nil {
			r.s.Close()
		}
		r.close()
	})
}

func (r *rig) open() {
	r.t.Helper()
	st, err := store.Open(context.Background(), filepath.Join(r.dir, "s.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		r.t.Fatal(err)
	}
	r.st = st
}

func (r *rig) close() {
	if err := r.st.Close(); err != nil {
		r.t.Error(err)
	}
}

// start starts a scheduler and lets it look once.
func (r *rig) start() {
	r.s = New(r.t.Context(), Config{
		Recorder: r, Wall: r.wall,
		Source: func(n stream.Name) Source {
			r.mu.Lock()
			defer r.mu.Unlock()
			return Source{Known: !r.gone[n.String()], Live: !r.dark[n.String()] && !r.gone[n.String()]}
		},
		Capacity: func() schedule.Capacity { r.mu.Lock(); defer r.mu.Unlock(); return r.have },
		Need: func(string) schedule.Need {
			r.mu.Lock()
			defer r.mu.Unlock()
			return schedule.Need{BytesPerSecond: r.rate}
		},
	}, r.st, slog.New(slog.NewTextHandler(r.t.Output(), nil)))
	synctest.Wait()
}

// kill ends the scheduler and its recordings as the end of the process does.
func (r *rig) kill() {
	r.s.Close()
	r.s = nil
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, began := range r.running {
		r.entry(id, store.RecordingInterrupted, r.wallLocked().Sub(began))
	}
	clear(r.running)
	r.note("killed")
}

func (r *rig) wall() time.Time { r.mu.Lock(); defer r.mu.Unlock(); return r.wallLocked() }

func (r *rig) wallLocked() time.Time { return time.Now().Add(r.offset) }

// set sets the clock on the wall.
func (r *rig) set(by time.Duration) {
	r.mu.Lock()
	r.offset += by
	r.note("clock set by %v", by)
	r.mu.Unlock()
}

func (r *rig) with(f func()) { r.mu.Lock(); defer r.mu.Unlock(); f() }

// note writes a line with the time on the wall. The caller holds mu.
func (r *rig) note(format string, args ...any) {
	r.log = append(r.log, r.wallLocked().UTC().Format("15:04:05 ")+fmt.Sprintf(format, args...))
}

// until lets time pass until the wall shows h:m of the first day.
func (r *rig) until(h, m int) {
	r.t.Helper()
	d := clockTime(h, m).Sub(r.wall())
	if d < 0 {
		r.t.Fatalf("%d:%02d is over", h, m)
	}
	<-time.After(d)
	synctest.Wait()
}

func clockTime(h, m int) time.Time {
	return zero.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute)
}

// saw compares the log, and empties it.
func (r *rig) saw(want ...string) {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.log { // what is done in one moment has no order
		for k := i; k > 0 && r.log[k][:8] == r.log[k-1][:8] && r.log[k] < r.log[k-1]; k-- {
			r.log[k], r.log[k-1] = r.log[k-1], r.log[k]
		}
	}
	if got := strings.Join(r.log, "\n"); got != strings.Join(want, "\n") {
		r.t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	r.log = nil
}

// became compares what the store says became of occurrences.
func (r *rig) became(want ...string) {
	r.t.Helper()
	<-time.After(time.Second) // for the ledger
	synctest.Wait()
	rows, err := r.st.ScheduleRuns(context.Background(), store.RunFilter{}, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	var got []string
	for _, x := range rows {
		s := fmt.Sprintf("%s %s %s", x.Start.Format("15:04"), x.Title, x.State)
		if x.Reason != "" {
			s += "(" + x.Reason + ")"
		}
		if len(x.Recordings) > 0 {
			s += " " + strings.Join(x.Recordings, ",")
		}
		got = append(got, s)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		r.t.Errorf("became\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Start implements Recorder.
func (r *rig) Start(_ context.Context, q recorder.Request) (store.Recording, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		r.note("refused %s", q.Title)
		return store.Recording{}, r.fail
	}
	r.serial++
	id := fmt.Sprintf("r%d", r.serial)
	line := fmt.Sprintf("%s begin %s", id, q.Title)
	if q.PreRoll > 0 {
		line += fmt.Sprintf(" pre-roll %v", q.PreRoll)
	}
	r.note("%s", line)
	r.running[id] = r.wallLocked()
	return r.entry(id, store.RecordingRunning, 0), nil
}

// entry writes a recording's entry. The caller holds mu.
func (r *rig) entry(id string, state store.RecordingState, d time.Duration) store.Recording {
	rec := store.Recording{ID: id, Stream: "channels/a", State: state, Started: r.wallLocked(), Duration: d.Truncate(time.Microsecond), Bytes: int64(d)}
	if r.empty {
		rec.Duration, rec.Bytes = 0, 0
	}
	if err := r.st.PutRecording(context.Background(), rec); err != nil {
		r.t.Error(err)
	}
	return rec
}

// Stop implements Recorder.
func (r *rig) Stop(_ context.Context, id string) (store.Recording, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.running[id]; !ok {
		return store.Recording{}, errors.New("recording_not_running")
	}
	r.note("%s end", id)
	return r.ended(id, store.RecordingComplete), nil
}

// StopFor implements Recorder.
func (r *rig) StopFor(ctx context.Context, id, reason string) (store.Recording, error) {
	rec, err := r.Stop(ctx, id)
	if err == nil {
		rec.Reason = reason
		err = r.st.PutRecording(ctx, rec)
	}
	return rec, err
}

func (r *rig) ended(id string, state store.RecordingState) store.Recording {
	delete(r.running, id)
	return r.entry(id, state, time.Minute)
}

// Active implements Recorder.
func (r *rig) Active(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.running[id]
	return ok
}

// rule is a schedule of a channel.
func (r *rig) rule(id string, from, to time.Time, edit func(*store.Schedule)) {
	r.t.Helper()
	x := store.Schedule{
		ID: id, Stream: "channels/a", Title: id, Priority: "training", Start: &from, End: &to, Zone: "UTC", Enabled: true,
		Created: r.wall(), Changed: r.wall(),
	}
	if edit != nil {
		edit(&x)
	}
	if err := r.st.CreateSchedule(context.Background(), x); err != nil {
		r.t.Fatal(err)
	}
	if r.s != nil {
		r.s.Changed()
		synctest.Wait()
	}
}

// event puts an event of channel a into the guide.
func (r *rig) event(id int, title string, from, to time.Time, running int) {
	r.t.Helper()
	r.put(store.EPGEvent{Channel: "a", ID: id, Title: title, Start: from, End: to, Running: running})
}

func (r *rig) put(e store.EPGEvent) {
	r.t.Helper()
	e.Changed = r.wall()
	if err := r.st.PutEPG(context.Background(), []store.EPGEvent{e}, nil); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) gonePast(id int) {
	r.t.Helper()
	if err := r.st.PutEPG(context.Background(), nil, []store.EPGKey{{Channel: "a", ID: id}}); err != nil {
		r.t.Fatal(err)
	}
}

func padded(before, after time.Duration) func(*store.Schedule) {
	return func(x *store.Schedule) { x.PaddingBefore, x.PaddingAfter = before, after }
}

func ofEvent(id int) func(*store.Schedule) {
	return func(x *store.Schedule) {
		x.Event, x.PaddingBefore, x.PaddingAfter = fmt.Sprint(id), 2*time.Minute, 5*time.Minute
	}
}

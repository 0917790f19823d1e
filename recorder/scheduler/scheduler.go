// Package scheduler records what schedules ask for, when they do. What that means is
// decided by recorder/schedule, which is pure; here are the clock, the guide, the
// store and the recorder.
//
//	rules (store) ──┐                         ┌─> run ─> recorder
//	guide (store) ──┼─> plan.go ─> pending ───┤   (step.go, operate.go: begin, follow, end, begin again)
//	clock.go ───────┘   each minute, and      └─> missed, with the reason
//	                    when something changes
//
// One goroutine owns the plan and all runs. It looks at least once a second, and at
// the very moment when something is to begin. Nothing that may wait for a disk is done
// in it: recordings are begun and ended by a goroutine each, rows are written by
// ledger.go, and a guide of a million events is looked through by guide.go beside it.
//
//	goroutine      owner      ends when
//	run            Scheduler  Close
//	ledger.run     Scheduler  Close, when all is written
//	guide.load     Scheduler  done, or Close
//	begin, end     run        done, or Close; one at a time for each run
//
// Of a clock that is set, see clock.go.
package scheduler

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/recorder"
	"tongxiang/recorder/schedule"
)

// Recorder makes recordings; [recorder.Recorder] is one.
type Recorder interface {
	Start(context.Context, recorder.Request) (store.Recording, error)
	Stop(ctx context.Context, id string) (store.Recording, error)
	// StopFor is Stop with a reason that the recording keeps.
	StopFor(ctx context.Context, id, reason string) (store.Recording, error)
	// Active reports whether a recording, or a part that continues it, still runs.
	Active(id string) bool
}

// Source is how the source of a stream is.
type Source struct {
	Known bool // there is such a channel or meeting
	Live  bool // something comes from it
}

// Config is what a scheduler needs of the rest of the server. None may block for long.
type Config struct {
	Recorder Recorder
	Source   func(stream.Name) Source
	// Capacity is what there is room for; Need what a stream takes of it.
	Capacity func() schedule.Capacity
	Need     func(stream string) schedule.Need
	// Wall is the clock that somebody may set; nil: the machine's.
	Wall func() time.Time
}

const (
	// beat is how often the plan is compared with the clock and the guide's changes
	// are read, at least.
	beat = time.Second
	// planEvery is how often all is planned anew though nothing changed.
	planEvery = time.Minute
	// ahead is how far the scheduler plans for itself; pages ask for more.
	ahead = 48 * time.Hour
	// keepRuns is how long what became of an occurrence is kept in memory: as long as
	// its event may come again under the same id, and clocks are set back.
	keepRuns = 48 * time.Hour
	// patience is how long the store may take to answer.
	patience = 5 * time.Second
	// again is how soon what could not be done is tried again.
	again = 5 * time.Second
	// backMost bounds how far a start looks back for what was missed.
	backMost = 31 * 24 * time.Hour
	// aliveKey is the setting with the time until which the scheduler worked.
	aliveKey = "scheduler_alive"
)

// Scheduler records by schedules. Create it with [New]; it is safe for concurrent use.
type Scheduler struct {
	cfg    Config
	store  *store.Store
	log    *slog.Logger
	began  time.Time // of the process; counts monotonic time
	guide  *guide
	ledger *ledger

	stop    context.CancelFunc
	ops     sync.WaitGroup // begin, end and guide.load
	done    chan struct{}  // closed when run has ended
	wake    chan struct{}
	changed atomic.Bool // rules are to be read
	missed  atomic.Uint64

	mail struct { // from goroutines of operations to run
		sync.Mutex
		list  []result
		ends  []string // schedules whose recordings are to end
		skips []skip
	}

	mu     sync.Mutex                   // guards what follows; run alone writes
	rows   map[string]store.ScheduleRun // what became of what lies within keepRuns, by key
	active map[string]*run              // what is due or runs, by key

	// owned by run
	clock   clock
	rules   map[string]store.Schedule
	plan    []schedule.Rule
	events  map[schedule.EventID]schedule.Event // of what is planned and runs
	pending map[string]schedule.Occurrence
	back    time.Time     // since when nobody looked; zero: no longer of interest
	jumped  bool          // the clock was set since the last plan
	reload  bool          // rows are to be read from the store
	planAt  time.Duration // when to plan anew, by mono; likewise
	polled  time.Duration
	alive   time.Duration
	said    map[string]string // what the log said last of a rule
}

// New starts the scheduler: what ran when the last process ended goes on at once. The
// recorder has mended its recordings before. The caller calls Close before it closes
// the recorder and the store.
func New(ctx context.Context, cfg Config, st *store.Store, log *slog.Logger) *Scheduler {
	if cfg.Wall == nil {
		cfg.Wall = time.Now
	}
	s := &Scheduler{
		cfg: cfg, store: st, log: log, began: time.Now(), guide: newGuide(st, log), ledger: newLedger(log),
		done: make(chan struct{}), wake: make(chan struct{}, 1),
		rows: make(map[string]store.ScheduleRun), active: make(map[string]*run),
		rules: make(map[string]store.Schedule), events: make(map[schedule.EventID]schedule.Event),
		pending: make(map[string]schedule.Occurrence), said: make(map[string]string), reload: true,
	}
	// It lives until Close, not as long as the call that makes it.
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	go s.ledger.run()
	go s.run(ctx)
	return s
}

// Close ends the goroutines. Recordings go on; the recorder ends them, and they are
// continued by the next start.
func (s *Scheduler) Close() {
	s.stop()
	<-s.done
	s.ops.Wait()
	s.writeAlive(s.wall())
	s.ledger.close()
}

// Changed says that schedules were added, changed or removed. It does not block.
func (s *Scheduler) Changed() {
	s.changed.Store(true)
	s.nudge()
}

// End ends what is being recorded of a schedule. It does not wait for the end.
func (s *Scheduler) End(id string) {
	s.mail.Lock()
	if len(s.mail.ends) < mostSchedules {
		s.mail.ends = append(s.mail.ends, id)
	}
	s.mail.Unlock()
	s.nudge()
}

func (s *Scheduler) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Recording reports whether something of a schedule is being recorded now.
func (s *Scheduler) Recording(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.active {
		if row := s.rows[key]; row.Schedule == id && row.State == string(schedule.Recording) {
			return true
		}
	}
	return false
}

// Stats are for /metrics. Missed counts since the start.
type Stats struct {
	Recording, Waiting int // of what is due: what runs, and what cannot
	Missed             uint64
}

// Stats returns the counters.
func (s *Scheduler) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := Stats{Missed: s.missed.Load()}
	for key := range s.active {
		if s.rows[key].State == string(schedule.Recording) {
			x.Recording++
		} else {
			x.Waiting++
		}
	}
	return x
}

// wall is the clock on the wall, without the monotonic part.
func (s *Scheduler) wall() time.Time { return s.cfg.Wall().Round(0).UTC() }

// mono is the time that passed, whatever was done to the clock on the wall.
func (s *Scheduler) mono() time.Duration { return time.Since(s.began) }

func (s *Scheduler) run(ctx context.Context) {
	defer close(s.done)
	s.resume(ctx)
	for ctx.Err() == nil {
		timer := time.NewTimer(s.tick(ctx))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.wake:
		}
		timer.Stop()
	}
}

// tick does what is to be done now and returns when to look again at the latest.
func (s *Scheduler) tick(ctx context.Context) time.Duration {
	wall, mono := s.wall(), s.mono()
	if by := s.clock.step(wall, mono); by != 0 {
		s.log.Warn("the clock was set", "by", by)
		s.jumped, s.reload, s.planAt = true, true, 0
		s.guide.anew(wall)
	}
	s.results(wall, mono)
	if mono-s.polled >= beat || s.polled == 0 {
		s.polled = mono
		if s.guide.poll(ctx) {
			s.planAt = 0
		}
	}
	if s.changed.Swap(false) || mono >= s.planAt {
		s.replan(ctx, wall, mono)
	}
	s.due(wall, mono)
	s.step(ctx, wall, mono)
	if mono-s.alive >= planEvery || s.alive == 0 {
		s.alive = mono
		s.writeAlive(wall)
	}
	return s.next(wall)
}

// next returns how long nothing is to be done.
func (s *Scheduler) next(wall time.Time) time.Duration {
	wait := beat
	for _, o := range s.pending {
		if d := o.RecordFrom.Sub(wall); d > 0 && d < wait {
			wait = d
		}
	}
	for _, r := range s.active {
		if d := r.occ.RecordTo.Sub(wall); d > 0 && d < wait {
			wait = d
		}
	}
	return wait
}

func (s *Scheduler) writeAlive(wall time.Time) {
	text := wall.Format(time.RFC3339Nano)
	s.ledger.put(aliveKey, func(ctx context.Context) error { return s.store.SetSetting(ctx, aliveKey, text) })
}

// put keeps what became of an occurrence.
func (s *Scheduler) put(row store.ScheduleRun) {
	s.mu.Lock()
	s.rows[row.Key] = row
	s.mu.Unlock()
	s.ledger.put(row.Key, func(ctx context.Context) error { return s.store.PutScheduleRun(ctx, row) })
}

// sorted returns the runs in a fixed order.
func (s *Scheduler) sorted() []*run {
	out := make([]*run, 0, len(s.active))
	for _, k := range slices.Sorted(maps.Keys(s.active)) {
		out = append(out, s.active[k])
	}
	return out
}

// Package jobs does what is to be made of recordings, one after another: thumbnails,
// sprites, low renditions, clips, exports, verifications. What waits is in the store,
// so that a restart forgets nothing.
//
//	AddJob ─> store ─> lane quick: thumbnail, sprite, clip, verify ─> Maker
//	                └> lane heavy: rendition, export               ─> Maker
//
// Each lane does one job at a time, so that at most one encoder runs however many
// wait, and a clip that somebody waits for does not stand behind an hour of encoding.
// A job that fails for a cause that may pass is tried three times with growing pauses.
// What a maker leaves half done is its own to remove, when it begins again at the latest.
//
//	goroutine      owner    ends when
//	lane (2)       Service  Close
//	prune          Service  Close
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/retry"
	"tongxiang/internal/store"
)

// Kind is what a job makes.
type Kind string

// The kinds.
const (
	Thumbnail Kind = "thumbnail" // derived/thumb.jpg
	Sprite    Kind = "sprite"    // derived/sprite.jpg and sprite.json
	Rendition Kind = "rendition" // derived/low.mp4
	Clip      Kind = "clip"      // another recording
	Verify    Kind = "verify"    // checksums compared
	Export    Kind = "export"    // derived/export.mp4
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{Thumbnail, Sprite, Rendition, Clip, Verify, Export} }

// lanes are what is done beside each other.
var lanes = [][]Kind{{Thumbnail, Sprite, Clip, Verify}, {Rendition, Export}}

const (
	// MaxQueue is how many jobs may wait and run.
	MaxQueue = 10000
	// MaxAttempts is how often a job is tried.
	MaxAttempts = 3
	// keep is how long a job that has ended is listed.
	keep = 30 * 24 * time.Hour
	// lookEvery is how often the queue is looked at without being told: for pauses
	// that end, and quiet hours that begin.
	lookEvery = 5 * time.Second
	// pruneEvery is how often old jobs are removed.
	pruneEvery = time.Hour
	// firstPause and longestPause lie between two attempts.
	firstPause   = 30 * time.Second
	longestPause = 15 * time.Minute
	// storePatience bounds writing what became of a job while the server ends.
	storePatience = 3 * time.Second
	// maxDetail bounds what is kept of a program's last words.
	maxDetail = 2000
)

// Priorities: what somebody waits for comes first.
const (
	asked = iota
	automatic
	automaticSprite
	automaticLow
)

var (
	errQueueFull = apierr.New(http.StatusServiceUnavailable, "queue_full",
		"Too many jobs wait already; try again when some are done.", "排队任务过多，请稍后再试。")
	errJobEnded = apierr.New(http.StatusConflict, "job_ended",
		"This job has ended already.", "该任务已结束。")
	errJobNotEnded = apierr.New(http.StatusConflict, "job_not_ended",
		"Only a job that failed or was cancelled can be tried again, and only while the same does not wait already.", "只有失败或已取消、且没有相同任务在排队的任务才能重试。")
)

// Maker makes one kind of thing of a recording. It calls progress with what is done,
// 0 to 1, as often as it likes, and returns what came of it: something that becomes a
// JSON object, nil for nothing. It gives up when ctx ends. Its error is a [Failure]
// when it knows the cause.
type Maker func(ctx context.Context, rec store.Recording, j store.Job, progress func(float64)) (any, error)

// Failure is why a job failed.
type Failure struct {
	Code   string // stable, see [Explain]
	Final  bool   // another attempt would fail alike
	Detail string // for people who know programs: the last words of one
	Err    error
}

// Error returns the code and what lies beneath.
func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Code
	}
	return f.Code + ": " + f.Err.Error()
}

// Unwrap returns what lies beneath.
func (f *Failure) Unwrap() error { return f.Err }

// Store is the part of [store.Store] that is needed.
type Store interface {
	AddJob(ctx context.Context, j store.Job, most int) (store.Job, error)
	NextJob(ctx context.Context, now time.Time, offPeak bool, kinds ...string) (store.Job, error)
	EndJob(context.Context, store.Job) error
	CancelJob(ctx context.Context, id string, now time.Time) (store.Job, error)
	RetryJob(ctx context.Context, id string, now time.Time) (store.Job, error)
	Job(ctx context.Context, id string) (store.Job, error)
	RequeueJobs(context.Context) ([]store.Job, error)
	PruneJobs(ctx context.Context, before time.Time) (int64, error)
	Recording(ctx context.Context, id string) (store.Recording, error)
}

// Config says what is made, and when.
type Config struct {
	Makers map[Kind]Maker
	// OffPeak are the hours in which low renditions are made that nobody waits for.
	OffPeak Hours
	// Low has a low rendition made of every recording that has pictures.
	Low bool
	// Ready reports whether the recordings folder is this server's to write to; nil: it is.
	Ready func() bool
	// Now is the wall clock; nil: time.Now.
	Now func() time.Time
}

// Service does jobs. Create it with [New]; it is safe for concurrent use.
type Service struct {
	cfg   Config
	store Store
	log   *slog.Logger
	wake  []chan struct{} // by lane

	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu   sync.Mutex // guards what follows
	live map[string]*work
	done map[Kind]map[store.JobState]uint64
}

// work is a job that runs.
type work struct {
	cancel   context.CancelCauseFunc
	began    time.Time
	progress float64
}

// New returns the service; nothing runs before [Service.Start], but jobs can be added.
func New(cfg Config, st Store, log *slog.Logger) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Service{cfg: cfg, store: st, log: log, live: make(map[string]*work), done: make(map[Kind]map[store.JobState]uint64)}
	for range lanes {
		s.wake = append(s.wake, make(chan struct{}, 1))
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Start queues again what the last process left running, and begins.
func (s *Service) Start(ctx context.Context) error {
	left, err := s.store.RequeueJobs(ctx)
	if err != nil {
		return err
	}
	for _, j := range left {
		s.log.Warn("job was interrupted and is queued again", "id", j.ID, "kind", j.Kind, "recording", j.Recording)
	}
	for i := range lanes {
		s.running.Go(func() { s.lane(i) })
	}
	s.running.Go(s.prune)
	return nil
}

// Close ends what runs, which is queued again, and waits for it.
func (s *Service) Close() {
	s.stop()
	s.running.Wait()
}

// Add queues a job that somebody asked for. args becomes a JSON object; nil: none.
// The error is queue_full when too many wait.
func (s *Service) Add(ctx context.Context, kind Kind, recording string, args any, by string) (store.Job, error) {
	return s.add(ctx, kind, recording, args, by, asked, false)
}

func (s *Service) add(ctx context.Context, kind Kind, recording string, args any, by string, priority int, offPeak bool) (store.Job, error) {
	text := "{}"
	if args != nil {
		b, err := json.Marshal(args)
		if err != nil {
			return store.Job{}, fmt.Errorf("queue %s: %w", kind, err)
		}
		text = string(b)
	}
	now := s.cfg.Now()
	j, err := s.store.AddJob(ctx, store.Job{
		ID: store.NewID(), Kind: string(kind), Recording: recording, Args: text, Priority: priority, OffPeak: offPeak,
		NotBefore: now, Created: now, CreatedBy: by,
	}, MaxQueue)
	if errors.Is(err, store.ErrQueueFull) {
		return store.Job{}, errQueueFull.Because(err)
	}
	if err != nil {
		return store.Job{}, err
	}
	s.look()
	return j, nil
}

// Ended queues what is made of every recording that has ended and has pictures.
func (s *Service) Ended(ctx context.Context, rec store.Recording) {
	if rec.State.Active() || rec.File == "" || rec.Duration <= 0 || !Pictures(rec) {
		return
	}
	_, err := s.add(ctx, Thumbnail, rec.ID, nil, "", automatic, false)
	if err == nil {
		_, err = s.add(ctx, Sprite, rec.ID, nil, "", automaticSprite, false)
	}
	if err == nil && s.cfg.Low {
		_, err = s.add(ctx, Rendition, rec.ID, nil, "", automaticLow, true)
	}
	if err != nil { // the recording is safe; what is missing can be asked for
		s.log.Error("jobs of a recording were not queued", "recording", rec.ID, "err", err)
	}
}

// Pictures reports whether a recording may have pictures: it has a track of them, or
// nobody knows its tracks.
func Pictures(rec store.Recording) bool {
	for _, t := range rec.Tracks {
		if t.Kind == "video" {
			return true
		}
	}
	return len(rec.Tracks) == 0
}

// look has the lanes look at the queue.
func (s *Service) look() {
	for _, w := range s.wake {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// Live returns how far a job is that runs and how long it will take; eta is negative
// while that is not known. ok is false when it does not run here.
func (s *Service) Live(id string) (progress float64, eta time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.live[id]
	if w == nil {
		return 0, -1, false
	}
	return w.progress, remaining(w.progress, s.cfg.Now().Sub(w.began)), true
}

// remaining is how long the rest takes when it goes on as before; negative while too
// little is done to tell.
func remaining(progress float64, spent time.Duration) time.Duration {
	if progress < 0.01 || progress > 1 || spent <= 0 {
		return -1
	}
	return time.Duration(float64(spent) * (1 - progress) / progress).Round(time.Second)
}

// Cancel ends a job that waits or runs; job_ended when it has ended.
func (s *Service) Cancel(ctx context.Context, id string) (store.Job, error) {
	j, err := s.store.CancelJob(ctx, id, s.cfg.Now())
	if errors.Is(err, store.ErrConflict) {
		return store.Job{}, errJobEnded.Because(err)
	}
	if err != nil {
		return store.Job{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.live[id]; w != nil {
		w.cancel(errCancelled)
	}
	return j, nil
}

var errCancelled = errors.New("cancelled")

// Retry queues a job again that failed or was cancelled; job_not_ended otherwise.
func (s *Service) Retry(ctx context.Context, id string) (store.Job, error) {
	j, err := s.store.RetryJob(ctx, id, s.cfg.Now())
	if errors.Is(err, store.ErrConflict) {
		return store.Job{}, errJobNotEnded.Because(err)
	}
	if err == nil {
		s.look()
	}
	return j, err
}

// lane does jobs of its kinds until the service ends.
func (s *Service) lane(i int) {
	kinds := make([]string, len(lanes[i]))
	for n, k := range lanes[i] {
		kinds[n] = string(k)
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for s.ctx.Err() == nil {
		if s.next(kinds) {
			continue
		}
		select {
		case <-s.ctx.Done():
		case <-s.wake[i]:
		case <-tick.C:
		}
	}
}

// next does one job and reports whether there was one.
func (s *Service) next(kinds []string) bool {
	if s.cfg.Ready != nil && !s.cfg.Ready() {
		return false
	}
	now := s.cfg.Now()
	j, err := s.store.NextJob(s.ctx, now, s.cfg.OffPeak.Contain(now), kinds...)
	if err != nil {
		if !errors.Is(err, store.ErrNotFound) && s.ctx.Err() == nil {
			s.log.Error("queue of jobs cannot be read", "err", err)
		}
		return false
	}
	s.run(j)
	return true
}

// run does a job and writes what became of it.
func (s *Service) run(j store.Job) {
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	s.mu.Lock()
	s.live[j.ID] = &work{cancel: cancel, began: s.cfg.Now()}
	s.mu.Unlock()
	if now, err := s.store.Job(ctx, j.ID); err == nil && now.State == store.JobCancelled {
		cancel(errCancelled) // between the two lines before
	}
	s.log.Info("job", "id", j.ID, "kind", j.Kind, "recording", j.Recording, "attempt", j.Attempts)
	result, err := s.make(ctx, j)
	s.mu.Lock()
	w := s.live[j.ID]
	delete(s.live, j.ID)
	s.mu.Unlock()
	if errors.Is(context.Cause(ctx), errCancelled) {
		s.count(j, store.JobCancelled)
		s.log.Info("job was cancelled", "id", j.ID, "kind", j.Kind)
		return
	}
	j.Progress = w.progress
	j = s.outcome(j, result, err)
	s.count(j, j.State)
	end, stop := context.WithTimeout(context.Background(), storePatience)
	defer stop()
	switch err := s.store.EndJob(end, j); {
	case errors.Is(err, store.ErrNotFound): // cancelled in its last moment
	case err != nil: // the next start queues it again
		s.log.Error("job's end is not in the store", "id", j.ID, "err", err)
	}
}

// make calls the maker of a job.
func (s *Service) make(ctx context.Context, j store.Job) (result any, err error) {
	maker := s.cfg.Makers[Kind(j.Kind)]
	if maker == nil {
		return nil, &Failure{Code: CodeUnknownKind, Final: true}
	}
	if j.Attempts > MaxAttempts { // it was begun again and again, and took the server with it
		return nil, &Failure{Code: CodeInterrupted, Final: true}
	}
	rec, err := s.store.Recording(ctx, j.Recording)
	if errors.Is(err, store.ErrNotFound) {
		return nil, &Failure{Code: CodeRecordingGone, Final: true, Err: err}
	}
	if err != nil {
		return nil, err
	}
	defer func() { // a maker that reads broken media must not end the server
		if p := recover(); p != nil {
			err = &Failure{Code: CodeFailed, Final: true, Detail: fmt.Sprint(p), Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	return maker(ctx, rec, j, func(p float64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if w := s.live[j.ID]; w != nil {
			w.progress = min(max(p, w.progress), 1)
		}
	})
}

// outcome returns the job as it ends, or as it waits for another attempt.
func (s *Service) outcome(j store.Job, result any, err error) store.Job {
	now := s.cfg.Now()
	j.Ended, j.Code, j.Detail = &now, "", ""
	if err == nil {
		j.State, j.Progress, j.Result = store.JobDone, 1, "{}"
		if result != nil {
			b, bad := json.Marshal(result)
			if err = bad; err == nil {
				j.Result = string(b)
			}
		}
	}
	if err == nil {
		return j
	}
	if s.ctx.Err() != nil { // the server ends: it is no fault of the job's
		j.State, j.Ended, j.Attempts, j.Progress = store.JobQueued, nil, max(j.Attempts-1, 0), 0
		return j
	}
	f := &Failure{Code: CodeFailed, Err: err}
	errors.As(err, &f)
	j.State, j.Code, j.Detail = store.JobFailed, f.Code, f.Detail
	if j.Detail == "" && f.Err != nil {
		j.Detail = f.Err.Error()
	}
	if over := len(j.Detail) - maxDetail; over > 0 {
		j.Detail = j.Detail[over:]
	}
	if !f.Final && j.Attempts < MaxAttempts {
		pause := retry.Backoff{First: firstPause << (2 * (j.Attempts - 1)), Max: longestPause}
		j.State, j.Ended, j.NotBefore = store.JobQueued, nil, now.Add(pause.Next())
	}
	s.log.Warn("job failed", "id", j.ID, "kind", j.Kind, "recording", j.Recording, "attempt", j.Attempts, "code", j.Code, "state", j.State, "err", err)
	return j
}

func (s *Service) count(j store.Job, state store.JobState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := Kind(j.Kind)
	if s.done[k] == nil {
		s.done[k] = make(map[store.JobState]uint64)
	}
	s.done[k][state]++
}

// Counts returns how many jobs this process ended, by kind and what became of them;
// [store.JobQueued] counts attempts that are to be repeated.
func (s *Service) Counts() map[Kind]map[store.JobState]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[Kind]map[store.JobState]uint64, len(s.done))
	for k, m := range s.done {
		out[k] = make(map[store.JobState]uint64, len(m))
		for state, n := range m {
			out[k][state] = n
		}
	}
	return out
}

// prune removes old jobs until the service ends.
func (s *Service) prune() {
	for {
		if _, err := s.store.PruneJobs(s.ctx, s.cfg.Now().Add(-keep)); err != nil && s.ctx.Err() == nil {
			s.log.Error("old jobs were not removed", "err", err)
		}
		if !retry.Sleep(s.ctx, pruneEvery) {
			return
		}
	}
}

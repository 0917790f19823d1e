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
//	seek           Service  Close
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
	CountJobs(context.Context) (map[store.JobState]map[string]int, error)
	Unpictured(ctx context.Context, most int) ([]store.Recording, error)
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
	if s.cfg.Makers[Thumbnail] != nil {
		s.running.Go(s.seek)
	}
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

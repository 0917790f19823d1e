// Package library keeps the recordings: it describes what ended, carries out what
// recorder/retention decides and what people want, and writes both into the manifests,
// so that a library made anew from the folders knows them.
//
//	goroutine     owner    ends when
//	Library.run   Library  Close
package library

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/store"
	"tongxiang/recorder"
	"tongxiang/recorder/retention"
)

var (
	// ErrHeld: a recording under legal hold is neither deleted nor removed.
	ErrHeld = apierr.New(http.StatusConflict, "recording_held",
		"The recording is under legal hold; lift the hold first.", "该录制处于法定保留状态，请先解除保留。")
	// ErrRuns: a recording that runs is not deleted.
	ErrRuns = apierr.New(http.StatusConflict, "recording_runs",
		"The recording is still running; stop it first.", "录制仍在进行，请先停止。")
	// ErrRetention: the period cannot be read.
	ErrRetention = apierr.New(http.StatusUnprocessableEntity, "bad_retention",
		"Keep it for days (30d), years (10y), forever, as its class (class), or until a date.", "保留期限应为天数（30d）、年数（10y）、forever（永久）、class（按类别）或截止日期。")
)

// Config is what a library needs of the rest of the server.
type Config struct {
	Rules retention.Rules
	// Free returns what the recordings' disk has, in bytes.
	Free func() (int64, error)
	// Audit writes down what the library did by itself, and why.
	Audit func(ctx context.Context, action, target, detail string) error
	// Every is how often the rules are applied; 0: every ten minutes.
	Every time.Duration
	// Now is the time; nil: time.Now.
	Now func() time.Time
}

const (
	defaultEvery = 10 * time.Minute
	// settle is how long is waited before a recording that ended is looked at again,
	// while its further parts or its manifest are being written.
	settle = time.Second
	// maxWaiting bounds the recordings to be described; what is beyond is found again
	// at the next start.
	maxWaiting = 100_000
)

// Library is safe for concurrent use. Close it before the recorder and the store.
type Library struct {
	cfg   Config
	store *store.Store
	rec   *recorder.Recorder
	log   *slog.Logger
	wake  chan struct{}

	stop context.CancelFunc
	done chan struct{}

	edits    sync.Mutex // one change of an entry and its manifest at a time
	applying sync.Mutex // the rules are applied once at a time

	mu      sync.Mutex // guards what follows
	waiting []string   // ids of recordings to be described
	short   map[string]int64
}

// New starts the library.
func New(cfg Config, st *store.Store, rec *recorder.Recorder, log *slog.Logger) *Library {
	if cfg.Every == 0 {
		cfg.Every = defaultEvery
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	l := &Library{cfg: cfg, store: st, rec: rec, log: log, wake: make(chan struct{}, 1), done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	go l.run(ctx)
	return l
}

// Close ends the library's goroutine. What it was about to do, the next start does.
func (l *Library) Close() {
	l.stop()
	<-l.done
}

// Ended is told of a recording that ended. It never blocks.
func (l *Library) Ended(rec store.Recording) {
	l.later(rec.ID)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *Library) later(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) < maxWaiting {
		l.waiting = append(l.waiting, id)
	}
}

// run describes what ended and applies the rules until ctx ends.
func (l *Library) run(ctx context.Context) {
	defer close(l.done)
	ids, err := l.store.UndescribedRecordings(ctx, maxWaiting)
	if err != nil && ctx.Err() == nil {
		l.log.Error("recordings without a description were not looked for", "err", err)
	}
	for _, id := range ids {
		l.later(id)
	}
	apply := time.NewTimer(settle) // soon after a start, and then every so often
	defer apply.Stop()
	again := time.NewTicker(settle)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-apply.C:
			l.Apply(ctx)
			apply.Reset(l.cfg.Every)
		case <-l.wake:
			l.describeWaiting(ctx)
		case <-again.C:
			l.describeWaiting(ctx)
		}
	}
}

// describeWaiting describes what waits for it, but for what still runs.
func (l *Library) describeWaiting(ctx context.Context) {
	l.mu.Lock()
	ids := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	for i, id := range ids {
		if ctx.Err() != nil {
			return
		}
		if l.rec.Active(id) {
			l.later(id)
			continue
		}
		if err := l.Describe(ctx, id); err != nil && !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
			l.log.Warn("recording is not described", "id", id, "err", err)
		}
		if i%100 == 99 {
			l.log.Info("describing recordings", "left", len(ids)-i-1)
		}
	}
}

// Package recorder writes streams of the hub to disk, untouched: fragmented MP4 in
// fragments of about a second, each on disk before the next is begun.
//
//	hub ─> feed ─> job.go ─> part.go ─────────> disk.go ─> YYYY/MM/DD/{id}.mp4
//	               gather.go  one file:          write and sync,
//	               (what is   cutter.go makes    a goroutine of
//	               there?)    the fragments      its own
//
// A recording follows its stream by wall clock: while the source is gone the file
// has a hole, and it goes on when the source is back, until somebody stops it. When
// the source comes back with other codecs the file is closed and a second part is
// begun, an entry of the library with the same title.
//
// Whatever ends the process, what is on disk plays: the file is whole up to its
// last fragment, and [Recorder.Recover] cuts off what is torn, writes the index and
// marks the entry as interrupted.
//
//	goroutine        owner     ends when
//	job.run          Recorder  Stop, Close, or the disk failed
//	disk.run         job       its queue is closed
package recorder

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

var (
	errNotRunning = apierr.New(http.StatusConflict, "recording_not_running",
		"This recording is not running.", "该录制未在进行中。")
	errRunsAlready = apierr.New(http.StatusConflict, "already_recording",
		"This is being recorded already.", "该内容已在录制中。")
	errDisk = apierr.New(http.StatusInsufficientStorage, "recording_disk",
		"The recordings folder cannot be written; check the disk.", "无法写入录制文件夹，请检查磁盘。")
	errShuttingDown = apierr.New(http.StatusServiceUnavailable, "shutting_down",
		"The server is shutting down.", "服务器正在关闭。")
)

// Library keeps the entries of recordings; [store.Store] is one.
type Library interface {
	PutRecording(context.Context, store.Recording) error
	Recording(ctx context.Context, id string) (store.Recording, error)
	Recordings(context.Context, store.RecordingFilter, store.Page) ([]store.Recording, int, error)
}

// Config says where and what to record.
type Config struct {
	// Dir is the folder of all recordings; it is made when needed.
	Dir string
	// Resolve returns the stream to record for a name, such as a rendition of one
	// whose codecs MP4 cannot carry; nil: the stream itself.
	Resolve func(context.Context, stream.Name) (stream.Name, error)
}

// closePatience is how long Close waits for disks that do not answer.
const closePatience = 4 * time.Second

// Recorder makes recordings. Create it with [New]; it is safe for concurrent use.
type Recorder struct {
	cfg     Config
	hub     *stream.Hub
	library Library
	log     *slog.Logger
	now     func() time.Time // of the wall

	bytes, failures, slow atomic.Uint64

	mu     sync.Mutex // guards what follows
	closed bool
	jobs   map[string]*job // by the id of each part
	ends   sync.WaitGroup
}

// Stats counts since the start, but for Running.
type Stats struct {
	Running  int
	Bytes    uint64 // written
	Failures uint64 // recordings that ended by an error
	Slow     uint64 // fragments lost because the disk was too slow
}

// New makes the folder. The caller calls Recover before the first Start, and Close
// before it closes the hub and the library.
func New(cfg Config, hub *stream.Hub, library Library, log *slog.Logger) (*Recorder, error) {
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the recordings folder: %w", err)
	}
	return &Recorder{cfg: cfg, hub: hub, library: library, log: log, now: time.Now, jobs: make(map[string]*job)}, nil
}

// Start begins to record a stream, whether or not it carries anything yet. The same
// stream is recorded once at a time: the error is then already_recording.
func (r *Recorder) Start(ctx context.Context, name stream.Name, title string) (store.Recording, error) {
	rec := store.Recording{
		ID: newID(r.now()), Stream: name.String(), Title: title, State: store.RecordingRunning, Started: r.now(),
	}
	j := newJob(r, name, rec)
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return store.Recording{}, errShuttingDown
	}
	for _, o := range r.jobs {
		if o.name == name {
			r.mu.Unlock()
			return store.Recording{}, errRunsAlready
		}
	}
	r.jobs[rec.ID] = j
	r.mu.Unlock()
	err := r.check()
	if err == nil {
		err = r.library.PutRecording(ctx, rec)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && r.closed {
		err = errShuttingDown
	}
	if err != nil {
		delete(r.jobs, rec.ID)
		return store.Recording{}, err
	}
	r.ends.Go(j.run)
	r.log.Info("recording", "id", rec.ID, "stream", name, "title", title)
	return rec, nil
}

// check reports a folder that cannot be written before anything is promised.
func (r *Recorder) check() error {
	f, err := os.CreateTemp(r.cfg.Dir, ".check-*")
	if err != nil {
		return errDisk.Because(err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// Stop ends a recording and returns its entry when the file is closed. Any of its
// parts names it. It returns recording_not_running for what has ended.
func (r *Recorder) Stop(ctx context.Context, id string) (store.Recording, error) {
	r.mu.Lock()
	j := r.jobs[id]
	r.mu.Unlock()
	if j == nil {
		return store.Recording{}, errNotRunning
	}
	j.end(errStopped)
	select {
	case <-j.done:
	case <-ctx.Done():
		return store.Recording{}, fmt.Errorf("stop recording %s: %w", id, context.Cause(ctx))
	}
	rec, err := r.library.Recording(ctx, id)
	if err != nil {
		return store.Recording{}, fmt.Errorf("stop recording %s: %w", id, err)
	}
	return rec, nil
}

// Path returns the file of a recording.
func (r *Recorder) Path(rec store.Recording) string {
	if !filepath.IsLocal(rec.File) {
		return filepath.Join(r.cfg.Dir, "none") // an entry without a file, or one that leads out of the folder
	}
	return filepath.Join(r.cfg.Dir, rec.File)
}

// Stats returns the counters.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	running := make(map[*job]bool)
	for _, j := range r.jobs {
		running[j] = true
	}
	return Stats{Running: len(running), Bytes: r.bytes.Load(), Failures: r.failures.Load(), Slow: r.slow.Load()}
}

// Close closes all recordings: their entries say that the server was stopped. A
// disk that does not answer within four seconds is left to Recover.
func (r *Recorder) Close() error {
	r.mu.Lock()
	r.closed = true
	for _, j := range r.jobs {
		j.end(errClosing)
	}
	r.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		r.ends.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-time.After(closePatience):
		return fmt.Errorf("close recordings: a disk has not answered for %v", closePatience)
	}
}

// add names a job by one more part of it.
func (r *Recorder) add(id string, j *job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs[id] = j
}

// forget is called by a job that ends.
func (r *Recorder) forget(j *job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, o := range r.jobs {
		if o == j {
			delete(r.jobs, id)
		}
	}
}

// newID returns the time of day, for people who look into the folder, and 40 bits
// that nobody can guess.
func newID(now time.Time) string {
	return now.Format("20060102-150405-") + strings.ToLower(rand.Text()[:8])
}

// fileOf returns where a part goes, below the folder: by the day that it began.
func fileOf(id string, began time.Time) string {
	return filepath.Join(began.Format("2006"), began.Format("01"), began.Format("02"), id+".mp4")
}

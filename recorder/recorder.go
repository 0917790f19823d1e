// Package recorder writes streams of the hub to disk, untouched: frames as fragmented
// MP4, or the packets of a programme as they were received, in fragments of about a
// second, which are written at once and synced right behind.
//
//	hub ─> feed ─> take.go ────> part.go ─────────> disk.go ─> YYYY/MM/DD/{id}/media.mp4
//	               gather.go     one file:          write and sync,          index.jsonl
//	               (what is      cutter.go makes    a goroutine of           recording.json
//	               there?)       the fragments      its own
//	hub ─> packets.go ──────────> part.go ─────────> disk.go ─> …/media.ts
//
// A job is one recording: it follows its stream by the clock that nobody sets. While
// the source is gone the file has a gap, and so it has while the disk is full, cannot
// be written or does not answer; it goes on when that is over, until somebody stops
// it. When the source comes back with other codecs the file is closed and a second
// part is begun, an entry of the library with the same title.
//
// Whatever ends the process, what is on disk plays: docs/formats/recording.md says
// how, [Recorder.Recover] mends it, [Recorder.Reindex] makes the library anew from the
// folders alone.
//
//	goroutine        owner     ends when
//	job.run          Recorder  Stop, Close, or another server took the folder
//	sites, take.run  job       the job ends
//	disk.run         part      its queue is closed
//	disk.syncing     disk.run  likewise
//	clerk.run        Recorder  Close
//	Recorder.keep    Recorder  Close
package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/recorder/folder"
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
	errInUse = apierr.New(http.StatusConflict, "recordings_in_use",
		"Another server writes to the recordings folder", "另一台服务器正在使用录制文件夹")
)

// Library keeps the entries of recordings; [store.Store] is one.
type Library interface {
	PutRecording(context.Context, store.Recording) error
	PutRecordingTexts(ctx context.Context, id, body string, chapters []store.Chapter) error
	Recording(ctx context.Context, id string) (store.Recording, error)
	Recordings(context.Context, store.RecordingFilter, store.Page) ([]store.Recording, int, error)
	RecordingIDs(context.Context) ([]string, error)
}

// Config says where and what to record.
type Config struct {
	// Dir is the folder of all recordings; it is made when needed.
	Dir string
	// Clock is that of the hub's publishers.
	Clock media.Clock
	// Memory is how many bytes may wait for disks that are slow, in all; 0: 384 MiB,
	// which is 12 s of 250 Mbit/s. One recording may have an eighth of it, or 10 s of
	// 25 Mbit/s.
	Memory int64
	// Resolve returns the stream to record for a name when a rendition was asked for;
	// nil: the stream itself.
	Resolve func(context.Context, stream.Name) (stream.Name, error)
	// KeepLayers says that a participant's pictures are read (or not any more), so
	// that he sends all their layers; nil: nobody is told.
	KeepLayers func(meeting, participant string, keep bool)
	// Ended is told of each recording that ended, when the library has its entry; its
	// other parts and its manifest may not be done yet. It is called by goroutines of
	// the recorder and must not block; nil: nobody is told.
	Ended func(store.Recording)
}

const (
	// closePatience is how long Close waits for disks that do not answer.
	closePatience = 4 * time.Second
	// claimEvery is how often a folder that another server has is tried again.
	claimEvery = 5 * time.Second

	defaultMemory = 384 << 20
	leastMemory   = 32 << 20
	spareBuffers  = 64
)

// Recorder makes recordings. Create it with [New]; it is safe for concurrent use.
type Recorder struct {
	cfg     Config
	hub     *stream.Hub
	library Library
	log     *slog.Logger
	clock   media.Clock
	wall    func() time.Time // which somebody may set
	root    *os.Root
	storage *storage
	clerk   *clerk

	failures atomic.Uint64
	lock     atomic.Pointer[folder.Lock] // nil: another server has the folder
	other    atomic.Pointer[folder.Holder]

	ctx     context.Context // of clerk and keep
	stop    context.CancelFunc
	running sync.WaitGroup // likewise

	mu     sync.Mutex // guards what follows
	closed bool
	jobs   map[string]*job // by the id of each part
	ends   sync.WaitGroup
}

// Stats counts since the start, but for Running, Waiting and Queued.
type Stats struct {
	Running  int
	Waiting  int    // of Running: nothing can be written now
	Bytes    uint64 // written
	Failures uint64 // recordings that ended by an error
	Slow     uint64 // fragments lost because the disk was too slow, full or away
	Queued   int64  // bytes that wait for disks
}

// New makes the folder and takes it for this server. When another has it, the
// recorder refuses to record until the folder is free. The caller calls Recover
// before the first Start, and Close before it closes the hub and the library.
func New(cfg Config, hub *stream.Hub, library Library, log *slog.Logger) (*Recorder, error) {
	r, err := Open(cfg, hub, library, log)
	if err == nil {
		r.begin(r.keep)
	}
	return r, err
}

// Open is New for a look at the folders without a server: nothing is done by itself.
func Open(cfg Config, hub *stream.Hub, library Library, log *slog.Logger) (*Recorder, error) {
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the recordings folder: %w", err)
	}
	root, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the recordings folder: %w", err)
	}
	if cfg.Memory == 0 {
		cfg.Memory = defaultMemory
	}
	if cfg.Clock == (media.Clock{}) {
		cfg.Clock = media.NewClock()
	}
	r := &Recorder{
		cfg: cfg, hub: hub, library: library, log: log, clock: cfg.Clock, wall: time.Now, root: root,
		storage: &storage{create: createFile, most: cfg.Memory, each: max(cfg.Memory/8, leastMemory), free: make(chan []byte, spareBuffers)},
		clerk:   newClerk(library, cfg.Ended, log), jobs: make(map[string]*job),
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	if err := r.claim(); err != nil && !errors.Is(err, folder.ErrInUse) {
		log.Error("recordings folder is not locked", "err", err) // a disk that is full or away: tried again
	}
	r.begin(r.clerk.run)
	return r, nil
}

// begin runs one of the recorder's own goroutines.
func (r *Recorder) begin(f func(context.Context)) { r.running.Go(func() { f(r.ctx) }) }

// Stats returns the counters.
func (r *Recorder) Stats() Stats {
	s := Stats{Bytes: r.storage.total.Load(), Failures: r.failures.Load(), Slow: r.storage.lost.Load(), Queued: r.storage.queued.Load()}
	for _, rec := range r.Running() {
		s.Running++
		if rec.State == store.RecordingWaiting {
			s.Waiting++
		}
	}
	return s
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
		r.stop()
		r.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(closePatience):
		r.stop()
		return fmt.Errorf("close recordings: a disk has not answered for %v", closePatience)
	}
	errs := []error{r.root.Close()}
	if l := r.lock.Load(); l != nil {
		errs = append(errs, l.Unlock())
	}
	return errors.Join(errs...)
}

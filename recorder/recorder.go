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

// claim takes the folder.
func (r *Recorder) claim() error {
	l, holder, err := folder.Acquire(r.cfg.Dir, r.wall())
	if err != nil {
		if errors.Is(err, folder.ErrInUse) && r.other.Swap(&holder) == nil {
			r.log.Error("recordings are refused: another server writes to their folder", "dir", r.cfg.Dir, "who", holder)
		}
		return err
	}
	r.other.Store(nil)
	r.lock.Store(l)
	return nil
}

// holds reports whether this server may write to the folder.
func (r *Recorder) holds() bool {
	l := r.lock.Load()
	return l != nil && !l.Taken()
}

// taken reports whether another server took the folder from this one.
func (r *Recorder) taken() bool {
	l := r.lock.Load()
	return l != nil && l.Taken()
}

// holder says who has the folder, for people.
func (r *Recorder) holder() string {
	if h := r.other.Load(); h != nil {
		return h.String()
	}
	return "it could not be locked; check the disk"
}

// Holder returns the server that writes to the folder when it is not this one.
func (r *Recorder) Holder() (folder.Holder, bool) {
	if h := r.other.Load(); h != nil && !r.holds() {
		return *h, true
	}
	return folder.Holder{}, false
}

// keep takes the folder when it becomes free, and mends what the other left; then,
// once, it adds to the library what that has lost.
func (r *Recorder) keep(ctx context.Context) {
	tick := time.NewTicker(claimEvery)
	defer tick.Stop()
	for !r.holds() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if r.claim() != nil {
			continue
		}
		r.log.Info("recordings folder is free and ours now", "dir", r.cfg.Dir)
		if err := r.Recover(ctx); err != nil {
			r.log.Error("recordings of before were not mended", "err", err)
		}
	}
	done, err := r.Reindex(ctx, false, func(path, what string) { r.log.Warn("recording was not in the library", "path", path, "what", what) })
	if err != nil && ctx.Err() == nil {
		r.log.Error("folders were not compared with the library", "err", err)
		return
	}
	for i, l := range done.Left {
		if i == 20 {
			r.log.Warn("more in the recordings folder is not a recording", "count", len(done.Left)-i)
			break
		}
		r.log.Warn("in the recordings folder, and not a recording", "path", l.Path, "why", l.Why)
	}
}

// Start begins to record a stream, whether or not it carries anything yet. The same
// is recorded once at a time: the error is then already_recording. While another
// server writes to the folder it is recordings_in_use.
func (r *Recorder) Start(ctx context.Context, req Request) (store.Recording, error) {
	if err := req.check(); err != nil {
		return store.Recording{}, err
	}
	now := r.wall()
	rec := store.Recording{
		ID: newID(now), Stream: req.Stream.String(), Title: req.Title, Class: req.Class, Format: req.Format,
		State: store.RecordingRunning, Started: now, Schedule: req.Schedule, Event: req.Event,
	}
	j := newJob(r, req, rec)
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return store.Recording{}, errShuttingDown
	}
	for _, o := range r.jobs {
		if o.req.same(&req) {
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
	r.log.Info("recording", "id", rec.ID, "stream", req.Stream, "format", req.Format, "title", req.Title)
	return rec, nil
}

// check reports a folder that cannot be written before anything is promised. A full
// disk is no reason to refuse: there may be room when it matters.
func (r *Recorder) check() error {
	if !r.holds() {
		who := r.holder()
		e := *errInUse
		e.EN, e.ZH = e.EN+" ("+who+").", e.ZH+"（"+who+"）。"
		return &e
	}
	f, err := os.CreateTemp(r.cfg.Dir, ".check-*")
	if err != nil {
		if diskReason(err) == ReasonDiskFull {
			return nil
		}
		return errDisk.Because(err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// Stop ends a recording and returns its entry when the file is closed. Any of its
// parts names it. It returns recording_not_running for what has ended.
func (r *Recorder) Stop(ctx context.Context, id string) (store.Recording, error) {
	return r.stopped(ctx, id, errStopped)
}

// StopFor is Stop with a reason that the recording is to keep, a stable code.
func (r *Recorder) StopFor(ctx context.Context, id, reason string) (store.Recording, error) {
	return r.stopped(ctx, id, stoppedFor(reason))
}

// stoppedFor ends a recording with a reason.
type stoppedFor string

func (s stoppedFor) Error() string { return string(s) }

func (r *Recorder) stopped(ctx context.Context, id string, cause error) (store.Recording, error) {
	j := r.job(id)
	if j == nil {
		return store.Recording{}, errNotRunning
	}
	j.end(cause)
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

// Live returns a running recording as it is now; ok is false when it does not run.
// What people may change is as it was at its beginning.
func (r *Recorder) Live(id string) (rec store.Recording, ok bool) {
	j := r.job(id)
	if j == nil {
		return store.Recording{}, false
	}
	rec = j.live()
	return rec, rec.ID == id && rec.State.Active()
}

// Running returns the recordings that run, in no order.
func (r *Recorder) Running() []store.Recording {
	r.mu.Lock()
	jobs := make(map[*job]bool)
	for _, j := range r.jobs {
		jobs[j] = true
	}
	r.mu.Unlock()
	out := make([]store.Recording, 0, len(jobs))
	for j := range jobs {
		out = append(out, j.live())
	}
	return out
}

func (r *Recorder) job(id string) *job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.jobs[id]
}

// Path returns the main media file of a recording.
func (r *Recorder) Path(rec store.Recording) string {
	if !filepath.IsLocal(rec.File) {
		return filepath.Join(r.cfg.Dir, "none") // an entry without a file, or one that leads out of the folder
	}
	return filepath.Join(r.cfg.Dir, rec.File)
}

// Open opens a file of a recording: its main media file when name is empty. It does
// not follow a path or a link that leads out of the recordings folder.
func (r *Recorder) Open(rec store.Recording, name string) (*os.File, error) {
	path := rec.File
	if name != "" && !flat(rec) {
		path = filepath.Join(filepath.Dir(rec.File), name)
	}
	f, err := r.root.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open recording %s: %w", rec.ID, err)
	}
	return f, nil
}

// Folder returns the path of a recording's folder; ok is false for a file of versions
// before folders, and for one of which nothing is on disk.
func (r *Recorder) Folder(rec store.Recording) (dir string, ok bool) {
	if rec.File == "" || flat(rec) || !filepath.IsLocal(rec.File) {
		return "", false
	}
	return filepath.Join(r.cfg.Dir, filepath.Dir(rec.File)), true
}

// Remove deletes the files of a recording that does not run.
func (r *Recorder) Remove(rec store.Recording) error {
	if rec.File == "" {
		return nil
	}
	if !r.holds() {
		return r.check()
	}
	path := rec.File
	if !flat(rec) {
		path = filepath.Dir(path)
	}
	if err := r.root.RemoveAll(path); err != nil {
		return fmt.Errorf("delete recording %s: %w", rec.ID, err)
	}
	return nil
}

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

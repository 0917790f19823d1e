package recorder

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/playout/feed"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/recorder/folder"
)

// Causes of a recording's end.
var (
	errStopped = errors.New("stopped")
	errClosing = errors.New("the server was stopped")
	errTaken   = errors.New("another server took the recordings folder")
)

const (
	// progressEvery is how often the library learns how far a recording is; who asks
	// the recorder knows always.
	progressEvery = 30 * time.Second
	// awayAfter is how long nothing may come before the recording waits.
	awayAfter = 3 * time.Second
)

// job is one recording. What mu does not guard, and end is not, belongs to the
// goroutine of run.
type job struct {
	r    *Recorder
	req  Request
	ctx  context.Context
	end  context.CancelCauseFunc
	done chan struct{} // closed when the last part is closed and its entry written
	now  int64         // of the request, on the clock

	mu   sync.Mutex      // guards rec
	rec  store.Recording // entry of the present part
	disk atomic.Pointer[disk]

	dir       string // of the present part, below the recordings folder
	part      *part  // nil: no file yet
	arrived   int64  // the first item of the part, on the clock
	sites     *sites // nil: not wanted
	parts     int
	continues string // id of the part before
	told      time.Time
	left      string      // what is left out of the file, for people
	described int         // how many files the manifest names
	packets   *packetTake // of a transport stream
}

func newJob(r *Recorder, req Request, rec store.Recording) *job {
	j := &job{r: r, req: req, rec: rec, parts: 1, told: time.Now(), now: r.clock.Now(), done: make(chan struct{})}
	j.dir = folder.Path(rec.ID, rec.Started)
	j.ctx, j.end = context.WithCancelCause(context.Background())
	return j
}

// run records until somebody ends it.
func (j *job) run() {
	defer close(j.done)
	defer j.r.forget(j)
	defer j.end(nil)
	if !j.req.Until.IsZero() {
		// The time until then is fixed now: a clock that is set later does not matter.
		timer := time.AfterFunc(time.Until(j.req.Until), func() { j.end(errStopped) })
		defer timer.Stop()
	}
	cutoff := int64(0)
	if j.req.PreRoll > 0 {
		cutoff = max(j.now-int64(j.req.PreRoll), 1)
	}
	if name, ok := j.resolve(); ok {
		if j.req.AllTracks {
			j.sites = newSites(j.r, name)
		}
		if j.req.Format == folder.TS {
			j.packets = &packetTake{
				clock: j.r.clock, hub: j.r.hub, name: name, cutoff: cutoff,
				begin: j.beginPackets, look: func() { j.look(j.packets.heard, j.packetTrouble) },
			}
			j.packets.run(j.ctx)
		} else {
			t := &take{clock: j.r.clock, hub: j.r.hub, name: name, cutoff: cutoff, begin: j.beginFrames, end: j.nextPart}
			t.look = func(f *feed.Feed) { j.look(t.heard, func() (string, string) { return frameTrouble(f) }) }
			t.run(j.ctx)
		}
	}
	j.finish(context.Cause(j.ctx))
}

// resolve asks which stream to record until there is an answer. A channel whose
// source is gone may have none now and one later.
func (j *job) resolve() (stream.Name, bool) {
	if !j.req.Transcode || j.r.cfg.Resolve == nil {
		return j.req.Stream, true
	}
	for {
		name, err := j.r.cfg.Resolve(j.ctx, j.req.Stream)
		if err == nil {
			return name, true
		}
		j.set(func(rec *store.Recording) {
			rec.State, rec.Reason, rec.Detail = store.RecordingWaiting, ReasonNoSignal, err.Error()
		})
		select {
		case <-j.ctx.Done():
			return "", false
		case <-time.After(idleAfter):
		}
	}
}

// finish ends the recording for the cause that ended the job.
func (j *job) finish(cause error) {
	switch {
	case errors.Is(cause, errClosing):
		j.closePart(store.RecordingInterrupted, ReasonServerStopped, "")
	case errors.Is(cause, errTaken):
		j.closePart(store.RecordingInterrupted, ReasonStorageTaken, "")
	default:
		var why stoppedFor
		errors.As(cause, &why)
		j.closePart(store.RecordingComplete, string(why), "")
	}
	id := j.entry().ID
	if err := j.r.clerk.settled(context.Background(), id); err != nil {
		j.r.log.Error("recording is not in the library", "id", id, "err", err)
	}
}

// entry returns the entry as it is now.
func (j *job) entry() store.Recording {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.rec
}

// set changes the entry and has it written. Lists in it are replaced, not changed.
func (j *job) set(change func(*store.Recording)) {
	j.mu.Lock()
	change(&j.rec)
	j.mu.Unlock()
	j.put()
}

func (j *job) put() {
	j.told = time.Now()
	j.r.clerk.put(j.entry())
}

// live returns the entry with how far the file is.
func (j *job) live() store.Recording {
	j.mu.Lock()
	defer j.mu.Unlock()
	rec := j.rec
	if d := j.disk.Load(); d != nil {
		e := d.written()
		rec.Bytes, rec.Duration = e.bytes, e.duration.Truncate(time.Microsecond)
	}
	return rec
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

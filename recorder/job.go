package recorder

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/media"
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

// beginFrames opens the file for what was gathered.
func (j *job) beginFrames(g *gather) (*part, []int) {
	id := j.entry().ID
	p, lanes, err := openFrames(j.r.storage, filepath.Join(j.r.cfg.Dir, j.dir), folder.MediaName(folder.FMP4), j.req.Stream.String(), g)
	if err != nil { // of the formats; the disk has not been asked yet
		j.set(func(rec *store.Recording) {
			rec.State, rec.Reason, rec.Detail = store.RecordingWaiting, ReasonUnplayable, err.Error()
		})
		return nil, nil
	}
	if j.left = g.left(); j.left != "" {
		j.r.log.Warn("recorded in part", "id", id, "why", j.left)
	}
	j.begun(p, g.events[0].Frame.Arrival, g.events[0].Frame.DTS)
	return p, lanes
}

// beginPackets opens the file for transport packets.
func (j *job) beginPackets(arrival int64) *part {
	p := openPackets(j.r.storage, filepath.Join(j.r.cfg.Dir, j.dir), folder.MediaName(folder.TS), j.req.Stream.String())
	j.begun(p, arrival, 0)
	return p
}

// begun takes note of a new file.
func (j *job) begun(p *part, arrival int64, zero media.Time) {
	j.part, j.arrived = p, arrival
	j.disk.Store(p.disk)
	j.set(func(rec *store.Recording) {
		rec.File = filepath.Join(j.dir, p.disk.name)
		rec.State, rec.Reason, rec.Detail = store.RecordingRunning, "", j.left
		rec.Tracks = p.tracks
		if began := rec.Started.Add(time.Duration(arrival - j.now)); j.parts == 1 && began.Before(rec.Started) {
			rec.Started = began // pre-roll
		}
	})
	if j.sites != nil {
		j.sites.begin(filepath.Join(j.r.cfg.Dir, j.dir), zero)
	}
	j.describe()
}

// frameTrouble says why a feed brings nothing that can be recorded.
func frameTrouble(f *feed.Feed) (reason, detail string) {
	if refused := f.Refused(); len(refused) > 0 && len(f.Tracks()) == 0 {
		return ReasonUnplayable, refused[0].Err.Error()
	}
	return ReasonNoSignal, ""
}

func (j *job) packetTrouble() (reason, detail string) {
	if j.r.hub.Published(j.req.Stream) && j.packets.part == nil && carries(j.r.hub, j.req.Stream, j.packets.heard) {
		return ReasonNoTransport, ""
	}
	return ReasonNoSignal, ""
}

// carries reports whether a stream has had media since a moment of the clock.
func carries(hub *stream.Hub, name stream.Name, since int64) bool {
	sub := hub.Open(name)
	defer sub.Close()
	return slices.ContainsFunc(sub.Tracks(), func(t *stream.Track) bool { return t.Stats().Last > since })
}

// look judges, at every beat, how the recording is.
func (j *job) look(heard int64, trouble func() (reason, detail string)) {
	if j.r.taken() {
		j.end(errTaken)
		return
	}
	if j.packets != nil && j.packets.cut != nil {
		if tracks, ok := j.packets.cut.news(j.req.Stream.String()); ok {
			j.part.tracks = tracks
			j.set(func(rec *store.Recording) { rec.Tracks = tracks })
			j.describe()
		}
	}
	state, reason, detail := store.RecordingRunning, "", ""
	if time.Duration(j.r.clock.Now()-heard) >= awayAfter {
		state = store.RecordingWaiting
		reason, detail = trouble()
	}
	gaps := 0
	if j.part != nil {
		if stuck := j.part.disk.state(); stuck != "" {
			state, reason, detail = store.RecordingWaiting, stuck, ""
		}
		j.part.unsynced()
		gaps = len(j.part.gaps)
	}
	old := j.entry()
	news := old.State != state || old.Reason != reason || len(old.Gaps) != gaps
	if j.part != nil && j.sites != nil && j.sites.count() != j.described {
		j.describe()
	}
	if !news && (j.part == nil || time.Since(j.told) < progressEvery) {
		return
	}
	j.set(func(rec *store.Recording) {
		rec.State, rec.Reason, rec.Detail = state, reason, join(j.left, detail)
		j.measure(rec)
	})
	if news {
		j.r.log.Info("recording", "id", old.ID, "state", state, "reason", reason, "gaps", gaps)
		j.describe()
	}
}

// measure notes how far the file is.
func (j *job) measure(rec *store.Recording) {
	if j.part == nil {
		return
	}
	e := j.part.disk.written()
	rec.Bytes, rec.Duration = e.bytes, e.duration.Truncate(time.Microsecond)
	rec.Gaps = slices.Clone(j.part.gaps)
}

// describe has the manifest written.
func (j *job) describe() {
	if j.part != nil {
		j.part.disk.describe(j.manifest())
	}
}

func (j *job) manifest() folder.Manifest {
	m := folder.Describe(j.entry())
	m.File = j.part.disk.name
	m.Media = m.Started.Add(time.Duration(j.arrived - j.now))
	if j.arrived < j.now && j.parts == 1 {
		m.Media = m.Started // which was moved there
	}
	m.Gaps = slices.Clone(j.part.gaps)
	m.Continues = j.continues
	m.Files = []folder.File{j.part.file()}
	if j.sites != nil {
		m.Files = append(m.Files, j.sites.files()...)
		j.described = len(m.Files) - 1
	}
	return m
}

// nextPart closes the file because what comes now does not fit into it.
func (j *job) nextPart(*part) {
	j.parts++
	old := j.entry()
	next := store.Recording{
		ID: newID(j.r.wall()), Stream: old.Stream, Class: old.Class, Format: old.Format, Schedule: old.Schedule, Event: old.Event,
		State: store.RecordingRunning, Started: j.ended(),
		Title: fmt.Sprintf("%s (%d)", strings.TrimSuffix(old.Title, fmt.Sprintf(" (%d)", j.parts-1)), j.parts),
	}
	j.closePart(store.RecordingComplete, ReasonSourceChanged, next.ID)
	j.mu.Lock()
	j.rec = next
	j.mu.Unlock()
	j.now, j.continues = j.r.clock.Now(), old.ID
	j.dir = folder.Path(next.ID, next.Started)
	j.r.add(next.ID, j)
	j.put()
}

// ended returns the wall-clock time of now, counted from the beginning: somebody may
// have set the clock.
func (j *job) ended() time.Time {
	began := j.entry().Started
	if j.parts == 1 && j.arrived > 0 && j.arrived < j.now {
		return began.Add(time.Duration(j.r.clock.Now() - j.arrived))
	}
	return began.Add(time.Duration(j.r.clock.Now() - j.now))
}

// closePart closes the file, if one is open, and writes the entry.
func (j *job) closePart(state store.RecordingState, reason, next string) {
	at := j.ended()
	var err error
	if p := j.part; p != nil {
		if j.sites != nil {
			j.sites.end()
		}
		_, err = p.close(func() *folder.Manifest {
			j.set(func(rec *store.Recording) {
				rec.State, rec.Reason, rec.Ended = state, reason, &at
				j.measure(rec)
			})
			m := j.manifest()
			m.Next = next
			return &m
		})
	}
	j.set(func(rec *store.Recording) {
		rec.State, rec.Reason, rec.Ended = state, reason, &at
		j.measure(rec)
		if next != "" {
			rec.Detail = join(rec.Detail, "goes on in "+next)
		}
		if j.part == nil {
			rec.File = ""
			if reason == "" {
				rec.Reason = ReasonNothingCame
			}
		} else if err != nil {
			rec.Detail = join(rec.Detail, err.Error())
			if rec.Duration == 0 {
				rec.State, rec.Reason = store.RecordingFailed, diskReason(err)
			}
		}
	})
	rec := j.entry()
	j.part, j.arrived, j.left = nil, 0, ""
	j.disk.Store(nil)
	if rec.State == store.RecordingFailed || err != nil {
		j.r.failures.Add(1)
		j.r.log.Error("recording failed", "id", rec.ID, "stream", j.req.Stream, "why", rec.Reason, "err", err)
	} else {
		j.r.log.Info("recording ended", "id", rec.ID, "stream", j.req.Stream, "duration", rec.Duration, "why", reason)
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

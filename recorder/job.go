package recorder

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

// Causes of a recording's end.
var (
	errStopped = errors.New("stopped")
	errClosing = errors.New("the server was stopped")
)

const (
	// idleAfter is how long nothing may arrive before what is held is written.
	idleAfter = time.Second
	// progressEvery is how often the library learns how far a recording is.
	progressEvery = 5 * time.Second
	// maxSounds bounds the languages and commentaries of one recording.
	maxSounds = 4
)

// job is one recording. All but end belongs to the goroutine of run.
type job struct {
	r    *Recorder
	name stream.Name // what was asked for
	ctx  context.Context
	end  context.CancelCauseFunc
	done chan struct{} // closed when the last part is closed and its entry written

	rec    store.Recording // entry of the present part
	parts  int
	gather *gather // while it is not known what to write
	part   *part   // the file being written; nil: none
	lanes  []int   // track of the part for each track of the feed; -1: not written
	told   time.Time
}

func newJob(r *Recorder, name stream.Name, rec store.Recording) *job {
	j := &job{r: r, name: name, rec: rec, parts: 1, told: rec.Started, done: make(chan struct{})}
	j.ctx, j.end = context.WithCancelCause(context.Background())
	return j
}

// run records until somebody ends it or the disk fails.
func (j *job) run() {
	defer close(j.done)
	defer j.r.forget(j)
	defer j.end(nil)
	name, ok := j.resolve()
	if ok {
		j.follow(name)
	}
	j.finish(context.Cause(j.ctx))
}

// resolve asks which stream to record until there is an answer. A channel whose
// source is gone may have none now and one later.
func (j *job) resolve() (stream.Name, bool) {
	if j.r.cfg.Resolve == nil {
		return j.name, true
	}
	for {
		name, err := j.r.cfg.Resolve(j.ctx, j.name)
		if err == nil {
			return name, true
		}
		j.waiting(err.Error())
		select {
		case <-j.ctx.Done():
			return "", false
		case <-time.After(idleAfter):
		}
	}
}

// follow reads the stream until the job's end.
func (j *job) follow(name stream.Name) {
	f := feed.Open(j.r.hub, name, feed.Options{Accept: recordable, Sounds: maxSounds, From: stream.AtSync})
	defer f.Close()
	for j.ctx.Err() == nil {
		wait, stop := context.WithTimeout(j.ctx, idleAfter)
		ev, err := f.Next(wait)
		stop()
		switch {
		case err != nil:
			if j.ctx.Err() == nil {
				j.idle(f)
			}
		case ev.Frame == nil:
			j.tracks(f.Tracks())
		default:
			j.frame(ev)
		}
		j.progress()
	}
	j.rest(f)
}

// rest takes what the feed holds back.
func (j *job) rest(f *feed.Feed) {
	for {
		ev, ok := f.Held()
		if !ok {
			return
		}
		j.frame(ev)
	}
}

// recordable refuses what MP4 cannot carry.
func recordable(f media.Format) error {
	if !fmp4.Supported(f.Codec) {
		return fmt.Errorf("%s cannot be recorded in MP4", f.Codec)
	}
	return nil
}

// tracks takes a new choice of tracks over: into the same file when they fit.
func (j *job) tracks(now []feed.Track) {
	if j.part != nil {
		if lanes, ok := j.part.fit(now); ok {
			j.lanes = lanes
			return
		}
		j.nextPart()
	}
	j.gather = newGather(now)
}

func (j *job) frame(ev feed.Event) {
	if j.part != nil {
		if lane := j.lanes[ev.Track]; lane >= 0 {
			j.part.push(lane, ev)
		}
		return
	}
	if j.gather == nil {
		return
	}
	j.gather.add(ev, j.r.now())
	if j.gather.ready(j.r.now()) {
		j.begin()
	}
}

// idle writes what is held, because nothing has come for a while.
func (j *job) idle(f *feed.Feed) {
	j.rest(f)
	switch {
	case j.part != nil:
		j.part.pause()
	case j.gather != nil && j.gather.ready(j.r.now()):
		j.begin()
	case len(f.Refused()) > 0 && len(f.Tracks()) == 0:
		j.waiting(f.Refused()[0].Err.Error())
	}
}

// begin opens the file and writes what was gathered.
func (j *job) begin() {
	g := j.gather
	j.gather = nil
	j.rec.File = fileOf(j.rec.ID, j.rec.Started)
	j.rec.Reason = ""
	p, lanes, err := openPart(j.r, j.rec.File, g, func(err error) { j.end(err) })
	if err != nil {
		j.end(err)
		return
	}
	j.part, j.lanes = p, lanes
	if left := g.left(); left != "" {
		j.rec.Reason = left
		j.r.log.Warn("recorded in part", "id", j.rec.ID, "why", left)
	}
	for _, ev := range g.events {
		if lane := lanes[ev.Track]; lane >= 0 {
			p.push(lane, ev)
		}
	}
	j.put()
}

// nextPart closes the file because what comes now does not fit into it.
func (j *job) nextPart() {
	j.parts++
	next := store.Recording{
		ID: newID(j.r.now()), Stream: j.rec.Stream, State: store.RecordingRunning, Started: j.r.now(),
		Title: fmt.Sprintf("%s (%d)", strings.TrimSuffix(j.rec.Title, fmt.Sprintf(" (%d)", j.parts-1)), j.parts),
	}
	j.closePart(store.RecordingComplete, "the source changed its tracks; goes on in "+next.ID)
	j.rec = next
	j.r.add(next.ID, j)
	j.put()
}

// closePart closes the file, if one is open, and writes the entry.
func (j *job) closePart(state store.RecordingState, reason string) {
	if j.part != nil {
		e, err := j.part.close()
		j.part = nil
		j.rec.Bytes, j.rec.Duration = e.bytes, e.duration
		if e.lost > 0 {
			reason = join(reason, fmt.Sprintf("%d fragments lost because the disk was too slow", e.lost))
		}
		if err != nil && state != store.RecordingFailed {
			state, reason = store.RecordingFailed, join(diskReason(err), reason)
		}
	}
	at := j.r.now()
	j.rec.State, j.rec.Ended, j.rec.Reason = state, &at, join(j.rec.Reason, reason)
	if state == store.RecordingFailed {
		j.r.failures.Add(1)
		j.r.log.Error("recording failed", "id", j.rec.ID, "stream", j.name, "why", j.rec.Reason)
	} else {
		j.r.log.Info("recording ended", "id", j.rec.ID, "stream", j.name, "duration", j.rec.Duration, "why", reason)
	}
	j.put()
}

// finish ends the recording for the cause that ended the job.
func (j *job) finish(cause error) {
	switch {
	case errors.Is(cause, errStopped):
		j.closePart(store.RecordingComplete, "")
	case errors.Is(cause, errClosing):
		j.closePart(store.RecordingInterrupted, "interrupted at "+j.r.now().Format(time.RFC3339)+": "+errClosing.Error())
	default:
		j.closePart(store.RecordingFailed, diskReason(cause))
	}
}

// waiting says in the library why nothing is written yet.
func (j *job) waiting(why string) {
	if why = "waiting: " + why; j.rec.Reason != why {
		j.rec.Reason = why
		j.put()
	}
}

// progress tells the library now and then how far the file is.
func (j *job) progress() {
	now := j.r.now()
	if now.Sub(j.told) < progressEvery || j.part == nil {
		return
	}
	e := j.part.written()
	j.rec.Bytes, j.rec.Duration = e.bytes, e.duration
	j.put()
}

// put writes the entry. An entry that cannot be written does not end a recording.
func (j *job) put() {
	j.told = j.r.now()
	ctx, stop := context.WithTimeout(context.WithoutCancel(j.ctx), idleAfter)
	defer stop()
	if err := j.r.library.PutRecording(ctx, j.rec); err != nil {
		j.r.log.Error("recording is not in the library", "id", j.rec.ID, "err", err)
	}
}

// diskReason says for a person what is wrong with a disk.
func diskReason(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the disk is full"
	case errors.Is(err, syscall.EROFS):
		return "the disk is read-only"
	}
	return err.Error()
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

package recorder

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"tongxiang/internal/store"
)

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

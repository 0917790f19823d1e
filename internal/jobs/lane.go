package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tongxiang/internal/retry"
	"tongxiang/internal/store"
)

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

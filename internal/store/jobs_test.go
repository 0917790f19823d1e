package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"tongxiang/internal/store"
)

func job(id, kind, recording string, at time.Duration) store.Job {
	return store.Job{ID: id, Kind: kind, Recording: recording, Args: "{}", Priority: 1, NotBefore: noon, Created: noon.Add(at), CreatedBy: "li"}
}

func TestTheQueueGivesTheMostUrgentJobThatMayBegin(t *testing.T) {
	both(t, testTheQueueGivesTheMostUrgentJobThatMayBegin)
}

func testTheQueueGivesTheMostUrgentJobThatMayBegin(t *testing.T, db database) {
	s := db.open(t)
	low := job("low", "rendition", "r1", 0)
	low.OffPeak, low.Priority = true, 0
	later := job("later", "thumbnail", "r1", 0)
	later.NotBefore = noon.Add(time.Minute)
	urgent := job("urgent", "clip", "r1", time.Second)
	urgent.Priority = 0
	for _, j := range []store.Job{low, later, job("b", "sprite", "r2", 3*time.Second), job("a", "sprite", "r1", 2*time.Second), urgent} {
		_, err := s.AddJob(t.Context(), j, 10)
		check(t, err)
	}
	kinds := []string{"thumbnail", "sprite", "clip", "rendition"}
	for _, id := range []string{"urgent", "a", "b"} {
		j, err := s.NextJob(t.Context(), noon, false, kinds...)
		check(t, err)
		if j.ID != id || j.State != store.JobRunning || j.Attempts != 1 || j.Began == nil || !j.Began.Equal(noon) || j.CreatedBy != "li" {
			t.Errorf("got %+v, want %s", j, id)
		}
	}
	_, err := s.NextJob(t.Context(), noon, false, kinds...)
	want(t, err, store.ErrNotFound)
	_, err = s.NextJob(t.Context(), noon.Add(time.Hour), true, "clip")
	want(t, err, store.ErrNotFound)
	for _, id := range []string{"low", "later"} {
		j, err := s.NextJob(t.Context(), noon.Add(time.Hour), true, kinds...)
		check(t, err)
		if j.ID != id {
			t.Errorf("got %s, want %s", j.ID, id)
		}
	}
	n, err := s.CountJobs(t.Context())
	check(t, err)
	if n[store.JobRunning]["sprite"] != 2 || len(n) != 1 {
		t.Errorf("counted %v", n)
	}
}

func TestAJobIsGivenToOneWhoAsks(t *testing.T) { both(t, testAJobIsGivenToOneWhoAsks) }

func testAJobIsGivenToOneWhoAsks(t *testing.T, db database) {
	s := db.open(t)
	for i := range 20 {
		_, err := s.AddJob(t.Context(), job(fmt.Sprint(i), "clip", fmt.Sprint(i), 0), 100)
		check(t, err)
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for misses := 0; misses < 50; {
				j, err := s.NextJob(t.Context(), noon, false, "clip")
				if errors.Is(err, store.ErrNotFound) { // of two at once the second finds nothing
					misses++
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				seen[j.ID]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(seen) != 20 {
		t.Errorf("%d of 20 jobs were given", len(seen))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("job %s was given %d times", id, n)
		}
	}
}

func TestTheQueueIsBoundedAndTheSameIsQueuedOnce(t *testing.T) {
	both(t, testTheQueueIsBoundedAndTheSameIsQueuedOnce)
}

func testTheQueueIsBoundedAndTheSameIsQueuedOnce(t *testing.T, db database) {
	s := db.open(t)
	first := job("1", "rendition", "r", 0)
	first.OffPeak = true
	_, err := s.AddJob(t.Context(), first, 2)
	check(t, err)
	again := job("2", "rendition", "r", 0)
	again.Priority = 0
	j, err := s.AddJob(t.Context(), again, 2)
	check(t, err)
	if j.ID != "1" || j.OffPeak || j.Priority != 0 {
		t.Errorf("asked for again: %+v", j)
	}
	_, err = s.AddJob(t.Context(), job("3", "clip", "r", 0), 2)
	check(t, err)
	_, err = s.AddJob(t.Context(), job("4", "sprite", "r", 0), 2)
	want(t, err, store.ErrQueueFull)
	_, total, err := s.Jobs(t.Context(), store.JobFilter{Recording: "r", State: store.JobQueued}, store.Page{})
	check(t, err)
	if total != 2 {
		t.Errorf("%d wait", total)
	}
}

func TestAJobIsCancelledTriedAgainAndSurvivesARestart(t *testing.T) {
	both(t, testAJobIsCancelledTriedAgainAndSurvivesARestart)
}

func testAJobIsCancelledTriedAgainAndSurvivesARestart(t *testing.T, db database) {
	s := db.open(t)
	_, err := s.AddJob(t.Context(), job("1", "clip", "r", 0), 10)
	check(t, err)
	_, err = s.RetryJob(t.Context(), "1", noon)
	want(t, err, store.ErrConflict)
	_, err = s.RetryJob(t.Context(), "none", noon)
	want(t, err, store.ErrNotFound)
	j, err := s.NextJob(t.Context(), noon, false, "clip")
	check(t, err)
	left, err := s.RequeueJobs(t.Context())
	check(t, err)
	if len(left) != 1 || left[0].ID != "1" || left[0].Attempts != 1 {
		t.Errorf("left running: %+v", left)
	}
	want(t, s.EndJob(t.Context(), j), store.ErrNotFound) // it does not run any more
	_, err = s.NextJob(t.Context(), noon, false, "clip")
	check(t, err)
	j, err = s.CancelJob(t.Context(), "1", noon)
	check(t, err)
	if j.State != store.JobCancelled || j.Ended == nil {
		t.Errorf("cancelled: %+v", j)
	}
	j.State, j.Result = store.JobDone, "{}"
	want(t, s.EndJob(t.Context(), j), store.ErrNotFound)
	_, err = s.CancelJob(t.Context(), "1", noon)
	want(t, err, store.ErrConflict)
	j, err = s.RetryJob(t.Context(), "1", noon)
	check(t, err)
	if j.State != store.JobQueued || j.Attempts != 0 || j.Ended != nil {
		t.Errorf("again: %+v", j)
	}
	j, err = s.NextJob(t.Context(), noon, false, "clip")
	check(t, err)
	j.State, j.Code, j.Detail, j.Progress, j.Ended = store.JobFailed, "ffmpeg_failed", "last words", 0.25, after(time.Minute)
	check(t, s.EndJob(t.Context(), j))
	got, err := s.Job(t.Context(), "1")
	check(t, err)
	if got.State != store.JobFailed || got.Code != "ffmpeg_failed" || got.Detail != "last words" || got.Progress != 0.25 || !got.Ended.Equal(noon.Add(time.Minute)) {
		t.Errorf("failed: %+v", got)
	}
	n, err := s.PruneJobs(t.Context(), noon.Add(time.Hour))
	check(t, err)
	if n != 1 {
		t.Errorf("%d removed", n)
	}
}

func TestWhatWasMadeOfARecordingIsNoted(t *testing.T) {
	both(t, testWhatWasMadeOfARecordingIsNoted)
}

func testWhatWasMadeOfARecordingIsNoted(t *testing.T, db database) {
	s := db.open(t)
	d := store.Derived{Recording: "r1", Kind: "sprite", Made: noon, Bytes: 5, Result: "{}"}
	check(t, s.PutDerived(t.Context(), d))
	d.Bytes = 6
	check(t, s.PutDerived(t.Context(), d))
	check(t, s.PutDerived(t.Context(), store.Derived{Recording: "r2", Kind: "thumbnail", Made: noon, Result: "{}"}))
	check(t, s.PutDerived(t.Context(), store.Derived{Recording: "r3", Kind: "thumbnail", Made: noon, Result: "{}"}))
	l, err := s.DerivedOf(t.Context(), "r2", "r1")
	check(t, err)
	if len(l) != 2 || l[0] != d || l[1].Recording != "r2" {
		t.Errorf("made: %+v", l)
	}
	check(t, s.PutRecording(t.Context(), store.Recording{ID: "r1", State: store.RecordingComplete, Started: noon}))
	_, err = s.PruneJobs(t.Context(), noon)
	check(t, err)
	if l, err = s.DerivedOf(t.Context(), "r1", "r2"); err != nil || len(l) != 1 || l[0].Recording != "r1" {
		t.Errorf("of recordings that are there: %+v, %v", l, err)
	}
	check(t, s.DeleteDerived(t.Context(), "r1", ""))
	if l, err = s.DerivedOf(t.Context(), "r1"); err != nil || len(l) != 0 {
		t.Errorf("left: %+v, %v", l, err)
	}
}

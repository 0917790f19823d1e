package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// JobState says how a job stands.
type JobState string

// The states.
const (
	JobQueued    JobState = "queued"
	JobRunning   JobState = "running"
	JobDone      JobState = "done"
	JobFailed    JobState = "failed" // Code says why
	JobCancelled JobState = "cancelled"
)

// Open reports whether the job is still to be done.
func (s JobState) Open() bool { return s == JobQueued || s == JobRunning }

// ErrQueueFull: as many jobs wait as may.
var ErrQueueFull = errors.New("as many jobs wait as may")

// Job is something to be made of a recording.
type Job struct {
	ID        string
	Kind      string
	Recording string // id; it may be gone meanwhile
	Args      string // JSON object, "{}" without any
	State     JobState
	Priority  int  // the lowest comes first
	OffPeak   bool // only in the quiet hours
	NotBefore time.Time
	Attempts  int     // how often it was begun
	Progress  float64 // 0 to 1; kept to a thousandth
	Code      string  // stable code: why it failed, or is to be tried again
	Detail    string  // what is known beyond the code: the last words of a program
	Result    string  // JSON object of what came of it, "" before
	CreatedBy string  // who asked; "": the server itself
	Created   time.Time
	Began     *time.Time // the newest attempt
	Ended     *time.Time
}

const jobColumns = "id, kind, recording, args, state, priority, off_peak, not_before, attempts, progress, code, detail, result, created_by, created, began, ended"

func scanJob(r scanner, j *Job) error {
	var thousandths int64
	err := r.Scan(&j.ID, &j.Kind, &j.Recording, &j.Args, &j.State, &j.Priority, &j.OffPeak, at{&j.NotBefore}, &j.Attempts, &thousandths,
		&j.Code, &j.Detail, &j.Result, &j.CreatedBy, at{&j.Created}, maybe{&j.Began}, maybe{&j.Ended})
	j.Progress = float64(thousandths) / 1000
	return err
}

// AddJob puts a job into the queue, where no more than most may wait and run: then it
// is [ErrQueueFull]. When the same is asked for already, that job is returned, which
// comes as early as the more urgent of the two.
func (s *Store) AddJob(ctx context.Context, j Job, most int) (Job, error) {
	var out Job
	err := s.tx(ctx, func(tx *sql.Tx) error {
		err := scanJob(tx.QueryRowContext(ctx, "SELECT "+jobColumns+" FROM jobs WHERE recording = $1 AND kind = $2 AND args = $3 AND state IN ('queued', 'running')",
			j.Recording, j.Kind, j.Args), &out)
		if err == nil {
			out.OffPeak, out.Priority = out.OffPeak && j.OffPeak, min(out.Priority, j.Priority)
			_, err = tx.ExecContext(ctx, "UPDATE jobs SET off_peak = $1, priority = $2 WHERE id = $3", out.OffPeak, out.Priority, out.ID)
			return err
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		waiting := 0
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM jobs WHERE state IN ('queued', 'running')").Scan(&waiting); err != nil {
			return err
		}
		if waiting >= most {
			return ErrQueueFull
		}
		out = j
		out.State = JobQueued
		_, err = tx.ExecContext(ctx, "INSERT INTO jobs ("+jobColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, '', '', '', $9, $10, NULL, NULL)",
			j.ID, j.Kind, j.Recording, j.Args, string(JobQueued), j.Priority, j.OffPeak, micros(j.NotBefore), j.CreatedBy, micros(j.Created))
		return err
	})
	if err != nil {
		return Job{}, fmt.Errorf("queue %s of recording %q: %w", j.Kind, j.Recording, err)
	}
	return out, nil
}

// NextJob takes the first job of these kinds that may begin now out of the queue and
// marks it as running; [ErrNotFound] when there is none. Two who ask at once never
// get the same: the second finds its row changed.
func (s *Store) NextJob(ctx context.Context, now time.Time, offPeak bool, kinds ...string) (Job, error) {
	args := []any{micros(now), offPeak}
	places := make([]string, len(kinds))
	for i, k := range kinds {
		args = append(args, k)
		places[i] = fmt.Sprintf("$%d", len(args))
	}
	j, err := one(ctx, s.write, scanJob, `UPDATE jobs SET state = 'running', began = $1, attempts = attempts + 1, progress = 0
		WHERE state = 'queued' AND id = (SELECT id FROM jobs WHERE state = 'queued' AND not_before <= $1 AND (NOT off_peak OR $2)
		AND kind IN (`+strings.Join(places, ", ")+`) ORDER BY priority, created, id LIMIT 1) RETURNING `+jobColumns, args...)
	if err != nil {
		return Job{}, fmt.Errorf("next job: %w", err)
	}
	return j, nil
}

// EndJob writes what became of a job that runs: its State, NotBefore, Attempts,
// Progress, Code, Detail, Result and Ended. One that was cancelled meanwhile stays so
// and is [ErrNotFound].
func (s *Store) EndJob(ctx context.Context, j Job) error {
	err := s.execOne(ctx, `UPDATE jobs SET state = $1, not_before = $2, attempts = $3, progress = $4, code = $5, detail = $6, result = $7, ended = $8
		WHERE id = $9 AND state = 'running'`,
		string(j.State), micros(j.NotBefore), j.Attempts, int64(j.Progress*1000), j.Code, j.Detail, j.Result, microsOrNull(j.Ended), j.ID)
	if err != nil {
		return fmt.Errorf("end job %q: %w", j.ID, err)
	}
	return nil
}

// CancelJob marks a job that waits or runs as cancelled; [ErrConflict] when it has ended.
func (s *Store) CancelJob(ctx context.Context, id string, now time.Time) (Job, error) {
	return s.moveJob(ctx, id, "UPDATE jobs SET state = 'cancelled', ended = $2 WHERE id = $1 AND state IN ('queued', 'running') RETURNING ", micros(now))
}

// RetryJob queues a job again that failed or was cancelled, to begin at once;
// [ErrConflict] when it is none of these, or the same waits already.
func (s *Store) RetryJob(ctx context.Context, id string, now time.Time) (Job, error) {
	return s.moveJob(ctx, id, `UPDATE jobs SET state = 'queued', not_before = $2, attempts = 0, progress = 0, off_peak = FALSE, ended = NULL
		WHERE id = $1 AND state IN ('failed', 'cancelled') RETURNING `, micros(now))
}

func (s *Store) moveJob(ctx context.Context, id, update string, now int64) (Job, error) {
	j, err := one(ctx, s.write, scanJob, update+jobColumns, id, now)
	if errors.Is(err, ErrNotFound) {
		if _, missing := s.Job(ctx, id); missing != nil {
			return Job{}, missing
		}
		err = ErrConflict
	}
	if err != nil {
		return Job{}, fmt.Errorf("change job %q: %w", id, err)
	}
	return j, nil
}

// RequeueJobs puts the jobs that the last process left running back into the queue
// and returns them as they were.
func (s *Store) RequeueJobs(ctx context.Context) ([]Job, error) {
	l, err := many(ctx, s.write, scanJob, "UPDATE jobs SET state = 'queued' WHERE state = 'running' RETURNING "+jobColumns)
	if err != nil {
		return nil, fmt.Errorf("queue jobs again: %w", err)
	}
	return l, nil
}

// Job returns a job.
func (s *Store) Job(ctx context.Context, id string) (Job, error) {
	j, err := one(ctx, s.read, scanJob, "SELECT "+jobColumns+" FROM jobs WHERE id = $1", id)
	if err != nil {
		return Job{}, fmt.Errorf("job %q: %w", id, err)
	}
	return j, nil
}

// JobFilter chooses jobs; empty fields mean any.
type JobFilter struct {
	State     JobState
	Kind      string
	Recording string
}

// Jobs returns a page of jobs, the newest first, and how many match.
func (s *Store) Jobs(ctx context.Context, f JobFilter, p Page) ([]Job, int, error) {
	var w where
	if f.State != "" {
		w.add("state = ?", string(f.State))
	}
	if f.Kind != "" {
		w.add("kind = ?", f.Kind)
	}
	if f.Recording != "" {
		w.add("recording = ?", f.Recording)
	}
	l, total, err := page(ctx, s, scanJob, jobColumns, "jobs", "created DESC, id", w, p)
	if err != nil {
		return nil, 0, fmt.Errorf("list jobs: %w", err)
	}
	return l, total, nil
}

// CountJobs returns how many jobs there are in each state, by kind.
func (s *Store) CountJobs(ctx context.Context) (map[JobState]map[string]int, error) {
	type row struct {
		state JobState
		kind  string
		n     int
	}
	l, err := many(ctx, s.read, func(r scanner, v *row) error { return r.Scan(&v.state, &v.kind, &v.n) },
		"SELECT state, kind, COUNT(*) FROM jobs GROUP BY state, kind")
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	out := make(map[JobState]map[string]int)
	for _, v := range l {
		if out[v.state] == nil {
			out[v.state] = make(map[string]int)
		}
		out[v.state][v.kind] = v.n
	}
	return out, nil
}

// PruneJobs removes jobs that ended before a time and says how many, and forgets what
// was made of recordings that are gone.
func (s *Store) PruneJobs(ctx context.Context, before time.Time) (int64, error) {
	n, err := s.exec(ctx, "DELETE FROM jobs WHERE state IN ('done', 'failed', 'cancelled') AND ended < $1", micros(before))
	if err != nil {
		return 0, fmt.Errorf("remove old jobs: %w", err)
	}
	if _, err := s.exec(ctx, "DELETE FROM derived WHERE NOT EXISTS (SELECT 1 FROM recordings WHERE recordings.id = derived.recording)"); err != nil {
		return n, fmt.Errorf("forget what was made of recordings that are gone: %w", err)
	}
	return n, nil
}

// Unpictured returns recordings that may have pictures and have ended, of which there
// is no thumbnail and no job for one is listed: newest first, and at most that many.
func (s *Store) Unpictured(ctx context.Context, most int) ([]Recording, error) {
	l, err := many(ctx, s.read, scanRecording, "SELECT "+recordingColumns+` FROM recordings
		WHERE state NOT IN ('recording', 'waiting') AND file <> '' AND duration > 0 AND deleted IS NULL AND (tracks = '[]' OR tracks LIKE '%"kind":"video"%')
		AND NOT EXISTS (SELECT 1 FROM derived WHERE derived.recording = recordings.id AND derived.kind = 'thumbnail')
		AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.recording = recordings.id AND jobs.kind = 'thumbnail')
		ORDER BY ord DESC LIMIT $1`, most)
	if err != nil {
		return nil, fmt.Errorf("list recordings without a thumbnail: %w", err)
	}
	return l, nil
}

// Derived is something that was made of a recording and lies in its folder.
type Derived struct {
	Recording string
	Kind      string // the job's
	Made      time.Time
	Bytes     int64
	Result    string // JSON object
}

// PutDerived notes what was made; of each kind a recording has one.
func (s *Store) PutDerived(ctx context.Context, d Derived) error {
	_, err := s.exec(ctx, `INSERT INTO derived (recording, kind, made, bytes, result) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (recording, kind) DO UPDATE SET made = excluded.made, bytes = excluded.bytes, result = excluded.result`,
		d.Recording, d.Kind, micros(d.Made), d.Bytes, d.Result)
	if err != nil {
		return fmt.Errorf("note %s of recording %q: %w", d.Kind, d.Recording, err)
	}
	return nil
}

// DeleteDerived forgets what was made: the file is gone. No kind means all.
func (s *Store) DeleteDerived(ctx context.Context, recording, kind string) error {
	if _, err := s.exec(ctx, "DELETE FROM derived WHERE recording = $1 AND ($2 = '' OR kind = $2)", recording, kind); err != nil {
		return fmt.Errorf("forget %s of recording %q: %w", kind, recording, err)
	}
	return nil
}

// DerivedOf returns what was made of these recordings, at most [MaxPage] of them.
func (s *Store) DerivedOf(ctx context.Context, recordings ...string) ([]Derived, error) {
	if len(recordings) == 0 {
		return nil, nil
	}
	args := make([]any, 0, len(recordings))
	places := make([]string, 0, len(recordings))
	for i, id := range recordings[:min(len(recordings), MaxPage)] {
		args = append(args, id)
		places = append(places, fmt.Sprintf("$%d", i+1))
	}
	l, err := many(ctx, s.read, func(r scanner, d *Derived) error {
		return r.Scan(&d.Recording, &d.Kind, at{&d.Made}, &d.Bytes, &d.Result)
	}, "SELECT recording, kind, made, bytes, result FROM derived WHERE recording IN ("+strings.Join(places, ", ")+") ORDER BY recording, kind", args...)
	if err != nil {
		return nil, fmt.Errorf("list what was made of recordings: %w", err)
	}
	return l, nil
}

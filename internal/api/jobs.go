package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

var (
	errNoJobs = apierr.New(http.StatusServiceUnavailable, "jobs_unavailable",
		"This node does no jobs.", "本节点不处理任务。")
	errBadRange = apierr.New(http.StatusUnprocessableEntity, "bad_range",
		"A clip must end behind its beginning, and within the recording.", "片段的结束时间必须晚于开始时间，且不超出录制时长。")
	errRecordingRuns = apierr.New(http.StatusConflict, "recording_runs",
		"The recording is still running; stop it first.", "录制仍在进行，请先停止。")
	errNotRecorded = apierr.New(http.StatusConflict, "nothing_recorded",
		"Nothing was recorded of which something could be made.", "该录制没有内容，无法处理。")
)

// Jobs makes things of recordings.
type Jobs interface {
	// Add queues a job that somebody asked for; args becomes a JSON object.
	Add(ctx context.Context, kind, recording string, args any, by string) (store.Job, error)
	Retry(ctx context.Context, id string) (store.Job, error)
	Cancel(ctx context.Context, id string) (store.Job, error)
	// Live returns how far a job is that runs; eta is negative while it is not known.
	Live(id string) (progress float64, eta time.Duration, ok bool)
	// Explain returns what the code of a cause means.
	Explain(code string) (en, zh string)
}

type jobView struct {
	ID        string          `json:"id"`
	Kind      string          `json:"kind" enum:"thumbnail,sprite,rendition,clip,verify,export"`
	Recording string          `json:"recording"`
	Title     string          `json:"title" doc:"Of the recording; empty when it is gone"`
	State     string          `json:"state" enum:"queued,running,done,failed,cancelled"`
	Progress  float64         `json:"progress" minimum:"0" maximum:"1"`
	ETA       *float64        `json:"eta_s" doc:"Seconds until it is done; null when not known"`
	Attempts  int             `json:"attempts"`
	OffPeak   bool            `json:"off_peak" doc:"It waits for the quiet hours"`
	NotBefore *time.Time      `json:"not_before,omitempty" doc:"When it is tried again"`
	Cause     *Reason         `json:"cause" doc:"Why it failed, or is to be tried again"`
	Detail    string          `json:"detail,omitempty" doc:"The last words of the program that failed"`
	Args      json.RawMessage `json:"args,omitempty"`
	Result    json.RawMessage `json:"result,omitempty" doc:"Of a clip: recording, from_ms, to_ms as cut"`
	By        string          `json:"by,omitempty" doc:"Who asked for it; the server itself when missing"`
	Created   time.Time       `json:"created"`
	Began     *time.Time      `json:"began,omitempty"`
	Ended     *time.Time      `json:"ended"`
}

func (s *service) jobView(ctx context.Context, j store.Job) jobView {
	v := jobView{
		ID: j.ID, Kind: j.Kind, Recording: j.Recording, State: string(j.State), Progress: j.Progress, Attempts: j.Attempts,
		OffPeak: j.OffPeak, Detail: j.Detail, By: j.CreatedBy, Created: j.Created, Began: j.Began, Ended: j.Ended,
	}
	if j.Args != "{}" {
		v.Args = json.RawMessage(j.Args)
	}
	if j.Result != "" {
		v.Result = json.RawMessage(j.Result)
	}
	if j.State == store.JobQueued && j.Attempts > 0 {
		v.NotBefore = &j.NotBefore
	}
	if rec, err := s.Store.Recording(ctx, j.Recording); err == nil { // it may be gone
		v.Title = rec.Title
	}
	if s.Jobs == nil {
		return v
	}
	if j.Code != "" {
		en, zh := s.Jobs.Explain(j.Code)
		v.Cause = &Reason{j.Code, en, zh}
	}
	if p, eta, ok := s.Jobs.Live(j.ID); ok && j.State == store.JobRunning {
		v.Progress = p
		if eta >= 0 {
			seconds := eta.Seconds()
			v.ETA = &seconds
		}
	}
	return v
}

type jobList struct {
	Page
	State     string `query:"state" enum:"queued,running,done,failed,cancelled"`
	Kind      string `query:"kind" enum:"thumbnail,sprite,rendition,clip,verify,export"`
	Recording string `query:"recording" maxLength:"64"`
}

type newJob struct {
	ByID
	Body struct {
		Kind string `json:"kind" enum:"thumbnail,sprite,rendition,verify,export"`
	}
}

type newClip struct {
	ByID
	Body struct {
		FromMS int64  `json:"from_ms" minimum:"0"`
		ToMS   int64  `json:"to_ms" minimum:"1"`
		Title  string `json:"title,omitempty" maxLength:"200"`
	}
}

// clipArgs are the arguments of the job, as its maker reads them.
type clipArgs struct {
	FromMS int64  `json:"from_ms"`
	ToMS   int64  `json:"to_ms"`
	Title  string `json:"title"`
}

func (s *service) jobs(a huma.API) {
	huma.Register(a, op("GET", "/jobs", "list-jobs", "What is made of recordings, the newest first", auth.SeeRecordings, http.StatusOK), func(ctx context.Context, in *jobList) (*list[jobView], error) {
		rows, total, err := s.Store.Jobs(ctx, store.JobFilter{State: store.JobState(in.State), Kind: in.Kind, Recording: in.Recording}, in.store())
		if err != nil {
			return nil, problem(err)
		}
		out := make([]jobView, len(rows))
		for i, j := range rows {
			out[i] = s.jobView(ctx, j)
		}
		return listOf(out, total), nil
	})
	huma.Register(a, op("GET", "/jobs/{id}", "get-job", "A job", auth.SeeRecordings, http.StatusOK), func(ctx context.Context, in *ByID) (*body[jobView], error) {
		j, err := s.Store.Job(ctx, in.ID)
		if err != nil {
			return nil, found(err)
		}
		return &body[jobView]{s.jobView(ctx, j)}, nil
	})
	s.changeJob(a, "retry", "Try a job again that failed or was cancelled", func(ctx context.Context, id string) (store.Job, error) { return s.Jobs.Retry(ctx, id) })
	s.changeJob(a, "cancel", "Cancel a job that waits or runs", func(ctx context.Context, id string) (store.Job, error) { return s.Jobs.Cancel(ctx, id) })
	huma.Register(a, op("POST", "/recordings/{id}/jobs", "add-job", "Have something made of a recording, at once", auth.ManageRecordings, http.StatusAccepted), func(ctx context.Context, in *newJob) (*body[jobView], error) {
		return s.addJob(ctx, in.ID, in.Body.Kind, nil)
	})
	huma.Register(a, op("POST", "/recordings/{id}/clips", "add-clip", "Cut a clip at key frames, without encoding; it becomes a recording of its own", auth.ManageRecordings, http.StatusAccepted), func(ctx context.Context, in *newClip) (*body[jobView], error) {
		rec, err := s.Store.Recording(ctx, in.ID)
		if err != nil {
			return nil, found(err)
		}
		if s.Recorder != nil {
			if l, ok := s.Recorder.Live(rec.ID); ok {
				rec = l
			}
		}
		if in.Body.ToMS <= in.Body.FromMS || in.Body.FromMS >= max(rec.Duration.Milliseconds(), 1) {
			return nil, problem(errBadRange)
		}
		return s.addJob(ctx, in.ID, "clip", clipArgs{in.Body.FromMS, in.Body.ToMS, in.Body.Title})
	})
}

// changeJob registers an operation on one job.
func (s *service) changeJob(a huma.API, what, summary string, change func(context.Context, string) (store.Job, error)) {
	huma.Register(a, op("POST", "/jobs/{id}/"+what, what+"-job", summary, auth.ManageRecordings, http.StatusOK), func(ctx context.Context, in *ByID) (*body[jobView], error) {
		if s.Jobs == nil {
			return nil, problem(errNoJobs)
		}
		j, err := s.Store.Job(ctx, in.ID)
		if err != nil {
			return nil, found(err)
		}
		if rec, err := s.Store.Recording(ctx, j.Recording); err == nil && !may(ctx, rec) {
			return nil, problem(auth.ErrForbidden)
		}
		j, err = change(ctx, in.ID)
		if errors.Is(err, store.ErrNotFound) {
			return nil, found(err)
		}
		if err != nil {
			return nil, problem(err)
		}
		return &body[jobView]{s.jobView(ctx, j)}, s.audit(ctx, "job."+what, j.ID, j.Kind+" "+j.Recording)
	})
}

func (s *service) addJob(ctx context.Context, recording, kind string, args any) (*body[jobView], error) {
	if s.Jobs == nil {
		return nil, problem(errNoJobs)
	}
	rec, err := s.Store.Recording(ctx, recording)
	if err != nil {
		return nil, found(err)
	}
	if !may(ctx, rec) {
		return nil, problem(auth.ErrForbidden)
	}
	switch {
	case rec.State.Active() && kind != "clip" && kind != "thumbnail":
		return nil, problem(errRecordingRuns)
	case rec.File == "" && !rec.State.Active():
		return nil, problem(errNotRecorded)
	}
	j, err := s.Jobs.Add(ctx, kind, rec.ID, args, asker(ctx))
	if err != nil {
		return nil, problem(err)
	}
	return &body[jobView]{s.jobView(ctx, j)}, s.audit(ctx, "job."+kind, rec.ID, rec.Title)
}

// may reports whether the caller may change things about a recording of its stream.
func may(ctx context.Context, rec store.Recording) bool {
	name, err := stream.ParseName(rec.Stream)
	return err == nil && principal(ctx).May(auth.ManageRecordings, name) || err != nil && principal(ctx).May(auth.ManageRecordings, "")
}

// asker returns what the caller is called in a list.
func asker(ctx context.Context) string {
	if p := principal(ctx); p.Name != "" {
		return p.Name
	}
	return principal(ctx).ID
}

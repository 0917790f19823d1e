package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

var (
	errBadStream = apierr.New(http.StatusUnprocessableEntity, "bad_stream",
		"Only a channel (channels/ID) or a meeting (meetings/ID) can be recorded.", "只能录制频道（channels/编号）或会议（meetings/编号）。")
	errRecordingRuns = apierr.New(http.StatusConflict, "recording_runs",
		"The recording is still running; stop it first.", "录制仍在进行，请先停止。")
	errNoRecorder = apierr.New(http.StatusServiceUnavailable, "recorder_unavailable",
		"This node cannot record.", "本节点不支持录制。")
	errFileGone = apierr.New(http.StatusNotFound, "recording_file_missing",
		"The file of this recording is not there any more.", "该录制的文件已不存在。")
)

type recordingView struct {
	ID       string     `json:"id"`
	Stream   string     `json:"stream"`
	Title    string     `json:"title"`
	State    string     `json:"state" enum:"recording,complete,interrupted,failed"`
	Started  time.Time  `json:"started"`
	Ended    *time.Time `json:"ended,omitempty"`
	Duration float64    `json:"duration" doc:"Seconds of media"`
	Bytes    int64      `json:"bytes"`
	Reason   string     `json:"reason,omitempty"`
}

func recordingViewOf(r store.Recording) recordingView {
	return recordingView{
		ID: r.ID, Stream: r.Stream, Title: r.Title, State: string(r.State), Started: r.Started, Ended: r.Ended,
		Duration: r.Duration.Seconds(), Bytes: r.Bytes, Reason: r.Reason,
	}
}

type newRecording struct {
	Body struct {
		Stream string `json:"stream" minLength:"1" maxLength:"200" doc:"channels/ID or meetings/ID"`
		Title  string `json:"title,omitempty" maxLength:"200"`
	}
}

type recordingList struct {
	Page
	Stream string `query:"stream"`
	State  string `query:"state" enum:"recording,complete,interrupted,failed"`
}

func (s *service) recordings(a huma.API, mux *http.ServeMux) {
	huma.Register(a, op("POST", "/recordings", "start-recording", "Record a channel, or what is on air in a meeting", auth.ManageRecordings, http.StatusCreated), s.startRecording)
	huma.Register(a, op("GET", "/recordings", "list-recordings", "The library, newest first", auth.SeeRecordings, http.StatusOK), func(ctx context.Context, in *recordingList) (*list[recordingView], error) {
		rows, total, err := s.Store.Recordings(ctx, store.RecordingFilter{Stream: in.Stream, State: store.RecordingState(in.State)}, in.store())
		if err != nil {
			return nil, problem(err)
		}
		out := make([]recordingView, len(rows))
		for i, r := range rows {
			out[i] = recordingViewOf(r)
		}
		return listOf(out, total), nil
	})
	huma.Register(a, op("GET", "/recordings/{id}", "get-recording", "A recording", auth.SeeRecordings, http.StatusOK), func(ctx context.Context, in *ByID) (*body[recordingView], error) {
		r, err := s.Store.Recording(ctx, in.ID)
		if err != nil {
			return nil, found(err)
		}
		return &body[recordingView]{recordingViewOf(r)}, nil
	})
	huma.Register(a, op("POST", "/recordings/{id}/stop", "stop-recording", "Stop a recording", auth.ManageRecordings, http.StatusOK), func(ctx context.Context, in *ByID) (*body[recordingView], error) {
		if _, err := s.Store.Recording(ctx, in.ID); err != nil {
			return nil, found(err)
		}
		if s.Recorder == nil {
			return nil, problem(errNoRecorder)
		}
		r, err := s.Recorder.Stop(ctx, in.ID)
		if err != nil {
			return nil, problem(err)
		}
		return &body[recordingView]{recordingViewOf(r)}, s.audit(ctx, "recording.stop", r.ID, r.Title)
	})
	huma.Register(a, op("DELETE", "/recordings/{id}", "delete-recording", "Delete a recording and its file", auth.DeleteRecordings, http.StatusNoContent), s.deleteRecording)
	// Files are served outside the framework: ranges, conditional requests and sendfile are net/http's.
	file := op("GET", "/recordings/{id}/file", "recording-file", "The file; supports Range", auth.SeeRecordings, http.StatusOK)
	file.Responses = map[string]*huma.Response{"200": {Description: "The recording", Content: map[string]*huma.MediaType{"video/mp4": {}}}}
	file.Parameters = []*huma.Param{{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}}}
	a.OpenAPI().AddOperation(&file)
	mux.HandleFunc("GET /api/v1/recordings/{id}/file", s.recordingFile)
}

func (s *service) startRecording(ctx context.Context, in *newRecording) (*body[recordingView], error) {
	if s.Recorder == nil {
		return nil, problem(errNoRecorder)
	}
	name, err := stream.ParseName(in.Body.Stream)
	if err != nil {
		return nil, problem(errBadStream.Because(err))
	}
	title := in.Body.Title
	segs := name.Segments()
	switch {
	case len(segs) == 2 && segs[0] == "channels":
		c, ok := s.Channels.Get(segs[1])
		if !ok {
			return nil, problem(errNotFound)
		}
		if title == "" {
			title = c.Name
		}
	case segs[0] == "meetings" && (len(segs) == 2 || len(segs) == 3 && segs[2] == stream.ProgrammeID):
		m, err := s.Store.Meeting(ctx, segs[1])
		if err != nil {
			return nil, found(err)
		}
		if title == "" {
			title = m.Title
		}
		name = stream.Programme(m.ID)
	default:
		return nil, problem(errBadStream)
	}
	if !principal(ctx).May(auth.ManageRecordings, name) {
		return nil, problem(auth.ErrForbidden)
	}
	if s.CanRecord != nil {
		if err := s.CanRecord(ctx, name); err != nil {
			return nil, problem(err)
		}
	}
	r, err := s.Recorder.Start(ctx, name, title)
	if err != nil {
		return nil, problem(err)
	}
	return &body[recordingView]{recordingViewOf(r)}, s.audit(ctx, "recording.start", r.ID, r.Stream+" "+r.Title)
}

func (s *service) deleteRecording(ctx context.Context, in *ByID) (*struct{}, error) {
	r, err := s.Store.Recording(ctx, in.ID)
	if err != nil {
		return nil, found(err)
	}
	if r.State == store.RecordingRunning {
		return nil, problem(errRecordingRuns)
	}
	if r.File != "" && s.Recorder != nil {
		if err := os.Remove(s.Recorder.Path(r)); err != nil && !os.IsNotExist(err) {
			return nil, problem(fmt.Errorf("delete recording %s: %w", r.ID, err))
		}
	}
	if err := s.Store.DeleteRecording(ctx, r.ID); err != nil {
		return nil, found(err)
	}
	return nil, s.audit(ctx, "recording.delete", r.ID, r.Title)
}

func (s *service) recordingFile(w http.ResponseWriter, r *http.Request) {
	p, err := s.Auth.Authenticate(r)
	if err == nil && !p.May(auth.SeeRecordings, "") {
		err = auth.ErrForbidden
	}
	if err != nil {
		apierr.Write(w, r, s.Log, err)
		return
	}
	rec, err := s.Store.Recording(r.Context(), r.PathValue("id"))
	if err != nil {
		apierr.Write(w, r, s.Log, errNotFound.Because(err))
		return
	}
	if s.Recorder == nil {
		apierr.Write(w, r, s.Log, errNoRecorder)
		return
	}
	f, err := os.Open(s.Recorder.Path(rec))
	if err != nil {
		apierr.Write(w, r, s.Log, errFileGone.Because(err))
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "video/mp4")
	w.Header().Set("Cache-Control", "private, no-cache")
	if r.URL.Query().Has("download") {
		name := rec.Title + " " + rec.Started.Format("2006-01-02 1504") + ".mp4"
		w.Header().Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(name))
		if err := s.Auth.Audit(r.Context(), p, "recording.download", rec.ID, "ok", rec.Title); err != nil {
			apierr.Write(w, r, s.Log, err)
			return
		}
	}
	modified := time.Time{} // of a running recording the length changes all the time
	if rec.State != store.RecordingRunning && rec.Ended != nil {
		modified = *rec.Ended
	}
	http.ServeContent(w, r, rec.ID+".mp4", modified, f)
}

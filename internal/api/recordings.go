package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
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
	errNoRecorder = apierr.New(http.StatusServiceUnavailable, "recorder_unavailable",
		"This node cannot record.", "本节点不支持录制。")
	errFileGone = apierr.New(http.StatusNotFound, "recording_file_missing",
		"The file of this recording is not there any more.", "该录制的文件已不存在。")
)

type recordingView struct {
	ID       string                 `json:"id"`
	Stream   string                 `json:"stream"`
	Title    string                 `json:"title"`
	Class    string                 `json:"class,omitempty"`
	Format   string                 `json:"format" enum:"fmp4,ts"`
	State    string                 `json:"state" enum:"recording,waiting,complete,interrupted,failed,missed"`
	Started  time.Time              `json:"started"`
	Ended    *time.Time             `json:"ended,omitempty"`
	Duration float64                `json:"duration" doc:"Seconds of media"`
	Bytes    int64                  `json:"bytes" doc:"Of the main media file"`
	Beside   int64                  `json:"bytes_beside" doc:"Of all else that was recorded: sites' own files, indexes, the manifest"`
	Made     int64                  `json:"bytes_derived" doc:"Of what jobs made of it; quotas count all three"`
	Code     string                 `json:"code,omitempty" doc:"Stable code of the reason"`
	Reason   string                 `json:"reason,omitempty" doc:"Why it waits, failed or was interrupted, in the reader's language"`
	Detail   string                 `json:"detail,omitempty"`
	Schedule string                 `json:"schedule,omitempty"`
	Event    string                 `json:"event,omitempty"`
	Gaps     []store.Gap            `json:"gaps" doc:"Of which there is nothing, on the recording's own time line"`
	Tracks   []store.RecordingTrack `json:"tracks"`

	Expires   *time.Time      `json:"expires" doc:"When it goes to the recycle bin by itself; null: never"`
	Retention string          `json:"retention" doc:"class: as long as its class; 30d, 10y: so long after its end; forever; date: until expires"`
	Hold      bool            `json:"hold" doc:"Under legal hold: never removed"`
	Deleted   *time.Time      `json:"deleted" doc:"In the recycle bin since; null: not"`
	Purges    *time.Time      `json:"purges,omitempty" doc:"Of what is in the recycle bin: when its files are removed; absent: never"`
	People    []string        `json:"people"`
	Units     []string        `json:"units"`
	Chapters  []store.Chapter `json:"chapters,omitempty" doc:"Not in lists"`
	Position  int64           `json:"position_ms" doc:"Where the asker stopped"`
	Watched   bool            `json:"watched" doc:"The asker saw it to the end"`
	Has       made            `json:"has" doc:"What was made of it"`
	Verified  json.RawMessage `json:"verified,omitempty" doc:"What the newest comparison with its checksums found: at, ok, damaged"`
}

// recordingView returns a recording as it is now. What people may change is the
// library's, how far it is the recorder's.
func (s *service) recordingView(r store.Recording, language string) recordingView {
	if s.Recorder != nil && r.State.Active() {
		if l, ok := s.Recorder.Live(r.ID); ok {
			r.State, r.Reason, r.Detail, r.Started = l.State, l.Reason, l.Detail, l.Started
			r.Duration, r.Bytes, r.Beside, r.Gaps, r.Tracks = l.Duration, l.Bytes, l.Beside, l.Gaps, l.Tracks
		}
	}
	v := recordingView{
		ID: r.ID, Stream: r.Stream, Title: r.Title, Class: r.Class, Format: r.Format, State: string(r.State), Started: r.Started, Ended: r.Ended,
		Duration: r.Duration.Seconds(), Bytes: r.Bytes, Beside: r.Beside, Made: r.Made, Code: r.Reason, Detail: r.Detail, Schedule: r.Schedule, Event: r.Event,
		Gaps: r.Gaps, Tracks: r.Tracks,
	}
	s.libraryView(&v, r)
	if v.Gaps == nil {
		v.Gaps = []store.Gap{}
	}
	if v.Tracks == nil {
		v.Tracks = []store.RecordingTrack{}
	}
	if s.Recorder != nil {
		en, zh := s.Recorder.Explain(r.Reason)
		v.Reason = en
		if apierr.Chinese(language) {
			v.Reason = zh
		}
	}
	if v.Reason == "" {
		v.Reason = r.Detail
	}
	return v
}

// recordingID names a recording for a reader of a language.
type recordingID struct {
	ByID
	Language string `header:"Accept-Language"`
}

type newRecording struct {
	Language string `header:"Accept-Language"`
	Body     struct {
		Stream    string    `json:"stream" minLength:"1" maxLength:"200" doc:"channels/ID or meetings/ID"`
		Title     string    `json:"title,omitempty" maxLength:"200"`
		Class     string    `json:"class,omitempty" enum:"meeting,news,training,agriculture"`
		Format    string    `json:"format,omitempty" enum:"fmp4,ts" doc:"fmp4: pictures and sounds as they come, in fragmented MP4; ts: the programme's packets as received, of channels that are transport streams"`
		PreRoll   float64   `json:"preroll_s,omitempty" minimum:"0" maximum:"60" doc:"Seconds from before this request, as far as they are still held: about ten, and back to where a picture begins; of format ts six, where recorder.hold_packets is set"`
		Until     time.Time `json:"until,omitempty" doc:"When it ends by itself"`
		Tracks    string    `json:"tracks,omitempty" enum:"programme,all" doc:"all: every site of a meeting too, each in a file of its own"`
		Transcode bool      `json:"transcode,omitempty" doc:"Record what a browser can play, where the source's codecs are others"`
	}
}

// LibraryQuery chooses recordings, in a list as in a file of it. Exported, for the
// framework looks for fields only there.
type LibraryQuery struct {
	Q       string    `query:"q" maxLength:"200" doc:"Words in titles, people, units, chat, captions and the programme guide, all of them; initials of pinyin find titles and names"`
	Class   string    `query:"class" enum:"meeting,news,training,agriculture"`
	Stream  string    `query:"stream" maxLength:"200"`
	Person  string    `query:"person" maxLength:"200"`
	Unit    string    `query:"unit" maxLength:"200"`
	From    time.Time `query:"from" doc:"Begun then or later"`
	To      time.Time `query:"to" doc:"Begun before"`
	State   string    `query:"state" enum:"recording,waiting,complete,interrupted,failed,missed,running,done" doc:"running and done stand for recording and complete"`
	Deleted bool      `query:"deleted" doc:"Those in the recycle bin instead of all others"`
	Sort    string    `query:"sort" enum:"newest,oldest,longest,largest,title" default:"newest"`
}

type recordingList struct {
	Page
	LibraryQuery
	Cursor   string `query:"cursor" maxLength:"100" doc:"next of the page before; offset does not count then"`
	Language string `header:"Accept-Language"`
}

// state returns the filter's state in the library's words.
func (l *LibraryQuery) state() store.RecordingState {
	switch l.State {
	case "running":
		return store.RecordingRunning
	case "done":
		return store.RecordingComplete
	}
	return store.RecordingState(l.State)
}

func (s *service) recordings(a huma.API, mux *http.ServeMux) {
	huma.Register(a, op("POST", "/recordings", "start-recording", "Record a channel, or what is on air in a meeting", auth.ManageRecordings, http.StatusCreated), s.startRecording)
	huma.Register(a, op("GET", "/recordings", "list-recordings", "The library, newest first", auth.SeeRecordings, http.StatusOK), s.listRecordings)
	huma.Register(a, op("GET", "/recordings/{id}", "get-recording", "A recording", auth.SeeRecordings, http.StatusOK), func(ctx context.Context, in *recordingID) (*body[recordingView], error) {
		r, err := s.Store.Recording(ctx, in.ID)
		if err != nil {
			return nil, found(err)
		}
		return s.wholeRecording(ctx, r, in.Language)
	})
	s.exportRecordings(a)
	s.libraryChanges(a)
	huma.Register(a, op("POST", "/recordings/{id}/stop", "stop-recording", "Stop a recording", auth.ManageRecordings, http.StatusOK), func(ctx context.Context, in *recordingID) (*body[recordingView], error) {
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
		return &body[recordingView]{s.recordingView(r, in.Language)}, s.audit(ctx, "recording.stop", r.ID, r.Title)
	})
	// Files are served outside the framework: ranges, conditional requests and sendfile are net/http's.
	s.serveRecording(a, mux, "/file", "recording-file", "The main media file; supports Range", "video/mp4", s.recordingFile)
}

// serveRecording registers what is served outside the framework.
func (s *service) serveRecording(a huma.API, mux *http.ServeMux, path, id, what, kind string, serve func(http.ResponseWriter, *http.Request, auth.Principal, store.Recording)) {
	o := op("GET", "/recordings/{id}"+path, id, what, auth.SeeRecordings, http.StatusOK)
	o.Responses = map[string]*huma.Response{"200": {Description: what, Content: map[string]*huma.MediaType{kind: {}}}}
	o.Parameters = []*huma.Param{{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}}}
	a.OpenAPI().AddOperation(&o)
	mux.HandleFunc("GET /api/v1/recordings/{id}"+path, func(w http.ResponseWriter, r *http.Request) {
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
		if err := s.viewed(r, p, rec, path); err != nil {
			apierr.Write(w, r, s.Log, err)
			return
		}
		serve(w, r, p, rec)
	})
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
	r, err := s.Recorder.Start(ctx, RecordingRequest{
		Stream: name, Title: title, Class: in.Body.Class, Format: in.Body.Format, Until: in.Body.Until,
		PreRoll:   time.Duration(in.Body.PreRoll * float64(time.Second)),
		AllTracks: in.Body.Tracks == "all", Transcode: in.Body.Transcode,
	})
	if err != nil {
		return nil, problem(err)
	}
	return &body[recordingView]{s.recordingView(r, in.Language)}, s.audit(ctx, "recording.start", r.ID, r.Stream+" "+r.Title)
}

func (s *service) recordingFile(w http.ResponseWriter, r *http.Request, p auth.Principal, rec store.Recording) {
	f, err := s.Recorder.Open(rec, "")
	if err != nil {
		apierr.Write(w, r, s.Log, errFileGone.Because(err))
		return
	}
	defer f.Close()
	kind, ext := "video/mp4", ".mp4"
	if rec.Format == "ts" {
		kind, ext = "video/mp2t", ".ts"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "private, no-cache")
	if r.URL.Query().Has("download") {
		name := rec.Title + " " + rec.Started.Format("2006-01-02 1504") + ext
		w.Header().Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(name))
		if err := s.Auth.Audit(r.Context(), p, "recording.download", rec.ID, "ok", rec.Title); err != nil {
			apierr.Write(w, r, s.Log, err)
			return
		}
	}
	modified := time.Time{} // of a running recording the length changes all the time
	if !rec.State.Active() && rec.Ended != nil {
		modified = *rec.Ended
	}
	http.ServeContent(w, r, rec.ID+ext, modified, f)
}

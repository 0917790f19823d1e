// Package api is the REST interface under /api/v1, described by OpenAPI 3.1 at
// /api/openapi.json. It turns requests into calls of the store, the accounts and
// the live parts, and holds the table of who may call what.
//
// It starts no goroutines; everything is safe for concurrent use.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

// Config is what the API needs of the rest of the server.
type Config struct {
	Version string
	Name    string // of the node
	Store   *store.Store
	Auth    *auth.Service
	Log     *slog.Logger

	Channels  Channels
	Outputs   Outputs
	Scans     Scans // nil: none
	EPG       EPG   // nil: none
	Recorder  Recorder
	Library   Library   // nil: the library is only looked at
	Schedules Schedules // nil: nothing is recorded by schedule
	Storage   Storage   // nil: not known
	Jobs      Jobs      // nil: nothing is made of recordings
	Meetings  Meetings
	Quality   Quality                                  // nil: nobody watches over the channels
	CanRecord func(context.Context, stream.Name) error // nil: yes; an *apierr.Error says why not
	// Features says what this node can do: "ffmpeg", "https" …
	Features func() map[string]bool
	// Ports are those of protocols beside HTTP: "https", "rtsp" and "rtmp"; 0: it is off.
	Ports map[string]int
}

// Channels are the running channels.
type Channels interface {
	// List returns all, in their order; Get one.
	List() []ChannelState
	Get(id string) (ChannelState, bool)
	// Add starts a channel, Update changes it in its course and Remove stops it; none
	// disturbs another. Errors about the rule wrap [ErrBadSwitch], all others are
	// about an address.
	Add(store.Channel) error
	Update(store.Channel) error
	Remove(id string)
	// Switch puts a source on air, 0 the primary; the error may wrap [ErrNoSource].
	Switch(id string, source int) error
}

// ChannelState is a channel as it is now.
type ChannelState struct {
	store.Channel
	Fixed    bool // from the configuration file
	State    string
	Since    time.Time
	Playable string
	Reason   Reason
	Tracks   []Track
	Bitrate  int64 // bits a second

	Service     string // what the stream calls itself
	Provider    string
	OnBackup    bool
	Sources     []Source          // the primary and the backups, in order
	Rule        store.Switch      // in force, with its defaults
	Switched    time.Time         // when another source last went on air; zero: never
	SwitchedFor string            // why
	Attempts    int               // how often a source was started
	Errors      map[string]uint64 // of the source in use, by name

	ClockOffset *time.Duration // the server's clock minus the broadcaster's; nil: not known
	Warnings    []Reason       // what somebody should look at, though it plays
}

// Source is one source of a channel as it is now.
type Source struct {
	Address string    `json:"address" doc:"Without its password"`
	Active  bool      `json:"active" doc:"It is on air, or to be on air"`
	State   string    `json:"state" doc:"idle, connecting, live, lost or refused"`
	Since   time.Time `json:"since"`
	Reason  *Reason   `json:"reason,omitempty"`
}

// Reason is why something is as it is, for a program and for people.
type Reason struct {
	Code string `json:"code"`
	EN   string `json:"en"`
	ZH   string `json:"zh"`
}

// Track is one picture or sound of a channel.
type Track struct {
	Kind     string `json:"kind"`
	Codec    string `json:"codec"`
	Width    int    `json:"width,omitempty"`
	Height   int    `json:"height,omitempty"`
	Language string `json:"language,omitempty"`
	Note     string `json:"note,omitempty"`
}

// Recorder makes recordings.
type Recorder interface {
	Start(context.Context, RecordingRequest) (store.Recording, error)
	Stop(ctx context.Context, id string) (store.Recording, error)
	// Live returns a recording that runs as it is at this moment.
	Live(id string) (store.Recording, bool)
	// Open opens the main media file of a recording, or another file of its folder.
	Open(rec store.Recording, name string) (*os.File, error)
	// Playlist returns an HLS playlist of ranges of the main media file, which is at uri.
	Playlist(rec store.Recording, uri string) ([]byte, error)
	// LowPlaylist is Playlist for the low rendition; Master lists both, each at its
	// uri, and is nil while there is no low rendition.
	LowPlaylist(rec store.Recording, uri string) ([]byte, error)
	Master(rec store.Recording, full, low string) []byte
	// Remove deletes the files of a recording.
	Remove(store.Recording) error
	// Explain returns what the code of a reason means.
	Explain(code string) (en, zh string)
}

// RecordingRequest asks for a recording.
type RecordingRequest struct {
	Stream    stream.Name
	Title     string
	Class     string
	Format    string
	PreRoll   time.Duration
	Until     time.Time
	AllTracks bool
	Transcode bool
}

// Meetings are the meetings that people sit in.
type Meetings interface {
	// Live returns who is connected now.
	Live(meetingID string) []Participant
	// End closes a meeting for everybody.
	End(ctx context.Context, meetingID string) error
	// Programme returns what the programme shows; nil while nobody watches or records it.
	Programme(meetingID string) *Programme
}

// Programme is what a meeting's programme shows.
type Programme struct {
	Participant string  `json:"participant,omitempty" doc:"Id of the participant whose picture is on air"`
	Picture     string  `json:"picture,omitempty" enum:"video,screen" doc:"Which of his pictures"`
	Transcoded  bool    `json:"transcoded" doc:"It is not sent in H.264 and made so while it is on air"`
	Reason      *Reason `json:"reason,omitempty" doc:"Why outputs that need H.264 have no picture"`
	SoundReason *Reason `json:"sound_reason,omitempty" doc:"Why the dominant speaker is heard alone, and not all who speak"`
}

// Participant is somebody who is connected.
type Participant struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Role string `json:"role"`
}

// Errors of the API.
var (
	errBadRequest = apierr.New(http.StatusBadRequest, "bad_request",
		"The request could not be read.", "无法识别该请求。")
	errInvalid = apierr.New(http.StatusUnprocessableEntity, "invalid",
		"Something is missing or wrong; see what is said beside it.", "填写的内容有缺失或错误，请看具体说明。")
	errNotFound = apierr.New(http.StatusNotFound, "not_found",
		"There is no such thing here.", "没有找到所请求的内容。")
	errTooLarge = apierr.New(http.StatusRequestEntityTooLarge, "too_large",
		"The request is too large.", "请求内容过大。")
	errUnsupported = apierr.New(http.StatusUnsupportedMediaType, "unsupported_media_type",
		"Send JSON.", "请使用 JSON 格式。")
)

type service struct {
	Config
	views views
}

// maxBody bounds a request: the largest is a channel with its backups.
const maxBody = 64 << 10

// New returns the handler of /api/.
func New(cfg Config) http.Handler {
	useOwnErrors()
	s := &service{Config: cfg}
	mux := http.NewServeMux()
	hc := huma.DefaultConfig("Tongxiang", cfg.Version)
	hc.OpenAPIPath = "/api/openapi"
	hc.DocsPath = ""    // the page that shows it would load scripts from outside
	hc.SchemasPath = "" // all schemas are in the document
	hc.CreateHooks = nil
	hc.Info.Description = "Meetings, channels and recordings. Errors are application/problem+json with a stable code."
	hc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer"},
		"cookie": {Type: "apiKey", In: "cookie", Name: auth.CookieName},
	}
	a := humago.New(mux, hc)
	a.UseMiddleware(s.authenticate(a))
	s.sessions(a)
	s.meetings(a)
	s.channels(a)
	s.outputs(a)
	s.scans(a)
	s.epg(a)
	s.quality(a, mux)
	s.recordings(a, mux)
	s.derived(a, mux)
	s.jobs(a)
	s.schedules(a)
	s.storage(a)
	s.shiftLog(a)
	s.exports(a)
	s.users(a)
	s.kiosks(a)
	s.tokens(a)
	s.about(a)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) { apierr.Write(w, r, cfg.Log, errNotFound) })
	return http.MaxBytesHandler(localise(mux, cfg.Log), maxBody)
}

type principalKey struct{}
type requestKey struct{}

// principal returns who calls; operations without permission have nobody.
func principal(ctx context.Context) auth.Principal {
	p, _ := ctx.Value(principalKey{}).(auth.Principal)
	return p
}

// metaAction is where an operation says what right it needs.
const metaAction = "action"

// authenticate finds out who calls and whether the operation's right is theirs.
func (s *service) authenticate(a huma.API) func(huma.Context, func(huma.Context)) {
	return func(c huma.Context, next func(huma.Context)) {
		r, _ := humago.Unwrap(c)
		c = huma.WithValue(c, requestKey{}, r)
		need, guarded := c.Operation().Metadata[metaAction].(auth.Action)
		if !guarded {
			next(c)
			return
		}
		p, err := s.Auth.Authenticate(r)
		if err == nil && need != "" && !p.May(need, "") {
			err = auth.ErrForbidden
		}
		if err != nil {
			s.refuse(a, c, err)
			return
		}
		next(huma.WithValue(c, principalKey{}, p))
	}
}

func (s *service) refuse(a huma.API, c huma.Context, err error) {
	p := problem(err)
	c.SetHeader("Content-Type", "application/problem+json") // before the status, which sends the headers
	c.SetStatus(p.Status)
	if err := a.Marshal(c.BodyWriter(), "application/json", p); err != nil {
		s.Log.Debug("answer refused request", "err", err)
	}
}

// op describes an operation; need is the right that it takes, "" any account.
func op(method, path, id, summary string, need auth.Action, status int) huma.Operation {
	return huma.Operation{
		Method: method, Path: "/api/v1" + path, OperationID: id, Summary: summary,
		DefaultStatus: status,
		Metadata:      map[string]any{metaAction: need},
		Security:      []map[string][]string{{"bearer": {}}, {"cookie": {}}},
	}
}

// found turns the store's errors into those of the API.
func found(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return problem(errNotFound.Because(err))
	}
	return problem(err)
}

// Page is how lists are cut.
type Page struct {
	Limit  int `query:"limit" minimum:"1" maximum:"500" default:"50"`
	Offset int `query:"offset" minimum:"0"`
}

func (p Page) store() store.Page { return store.Page{Limit: p.Limit, Offset: p.Offset} }

// list is the body of every list: a page, and how many there are in all.
type list[T any] struct {
	Body struct {
		Items []T `json:"items"`
		Total int `json:"total"`
	}
}

func listOf[T any](items []T, total int) *list[T] {
	l := &list[T]{}
	l.Body.Items, l.Body.Total = items, total
	if items == nil {
		l.Body.Items = []T{}
	}
	return l
}

// body wraps one thing.
type body[T any] struct{ Body T }

// ByID is the input of operations on one thing.
type ByID struct {
	ID string `path:"id" maxLength:"64"`
}

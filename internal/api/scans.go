package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

// Scans look at what a source carries.
type Scans interface {
	// Start begins a scan of an address for some seconds, 0: as long as needed. The
	// error may wrap [ErrBadSource] or [ErrManyScans].
	Start(source string, seconds int) (Scan, error)
	Get(id string) (Scan, bool)
	// Cancel ends a scan and forgets it.
	Cancel(id string) bool
}

// Scan is one look at a source.
type Scan struct {
	ID       string           `json:"id"`
	Source   string           `json:"source"`
	State    string           `json:"state" doc:"running, done, failed or cancelled"`
	Progress float64          `json:"progress" doc:"0 to 1"`
	Reason   *Reason          `json:"reason,omitempty" doc:"Of a failure"`
	Services []ScannedService `json:"services" doc:"What was found so far"`
}

// ScannedService is one programme of a source.
type ScannedService struct {
	ServiceID int             `json:"service_id"`
	Name      string          `json:"name"`
	Provider  string          `json:"provider"`
	LCN       int             `json:"lcn,omitempty" doc:"Logical channel number"`
	Type      string          `json:"type" doc:"tv, radio or data"`
	Scrambled bool            `json:"scrambled"`
	Playable  string          `json:"playable" doc:"direct, needs_transcoding or unplayable"`
	Reason    *Reason         `json:"reason,omitempty" doc:"Why not directly"`
	Streams   []ScannedStream `json:"streams"`
	Now       *ScannedEvent   `json:"now,omitempty"`
	Next      *ScannedEvent   `json:"next,omitempty"`
	Channel   string          `json:"channel,omitempty" doc:"A channel that has it already"`
}

// ScannedStream is one picture, sound or other stream of a programme.
type ScannedStream struct {
	PID        int     `json:"pid"`
	Type       int     `json:"stream_type"`
	Codec      string  `json:"codec"`
	Language   string  `json:"language,omitempty"`
	Width      int     `json:"width,omitempty"`
	Height     int     `json:"height,omitempty"`
	FPS        float64 `json:"fps,omitempty"`
	Interlaced bool    `json:"interlaced,omitempty"`
	Rate       int     `json:"sample_rate,omitempty"`
	Channels   int     `json:"channels,omitempty"`
	Scrambled  bool    `json:"scrambled,omitempty"`
}

// ScannedEvent is what is on, or what comes next.
type ScannedEvent struct {
	Title string    `json:"title"`
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

var (
	errManyScans = apierr.New(http.StatusTooManyRequests, "too_many_scans",
		"As many scans are running as may; wait for one to end or cancel it.", "正在进行的扫描过多，请等待其结束或取消一个。")
	errScanRunning = apierr.New(http.StatusConflict, "scan_running",
		"The scan is still running.", "扫描尚未结束。")
	errNoService = apierr.New(http.StatusNotFound, "no_such_service",
		"The scan found no programme with this number.", "扫描结果中没有该节目号。")
	errServiceTaken = apierr.New(http.StatusConflict, "service_has_channel",
		"There is already a channel for this programme.", "该节目已有对应的频道。")
	errUnplayable = apierr.New(http.StatusUnprocessableEntity, "service_unplayable",
		"This programme cannot be played; see its reason.", "该节目无法播放，原因见扫描结果。")
)

// ErrBadSource and ErrManyScans are wrapped by errors of [Scans].
var (
	ErrBadSource error = errBadSource
	ErrManyScans error = errManyScans
)

type newScan struct {
	Body struct {
		Source  string `json:"source" minLength:"1" maxLength:"2000"`
		Seconds int    `json:"seconds,omitempty" minimum:"1" maximum:"120" doc:"How long at most; 12 when it is not said. A scan ends early when everything was seen."`
	}
}

type newScanChannels struct {
	ByID
	Body struct {
		Services []scanChoice `json:"services" minItems:"1" maxItems:"512"`
	}
}

type scanChoice struct {
	ServiceID int    `json:"service_id" minimum:"0" maximum:"65535"`
	ID        string `json:"id,omitempty" maxLength:"64" doc:"Of the channel; when it is not said, from the name"`
	Name      string `json:"name,omitempty" maxLength:"100"`
}

// scanResult is what became of one choice.
type scanResult struct {
	ServiceID int    `json:"service_id"`
	Channel   string `json:"channel,omitempty"`
	Code      string `json:"code,omitempty" doc:"Why there is no channel"`
	Detail    string `json:"detail,omitempty"`
}

func (s *service) scans(a huma.API) {
	if s.Scans == nil {
		return
	}
	huma.Register(a, op("POST", "/scans", "start-scan", "Look at what a source carries", auth.ManageChannels, http.StatusAccepted), func(ctx context.Context, in *newScan) (*body[Scan], error) {
		x, err := s.Scans.Start(in.Body.Source, in.Body.Seconds)
		if err != nil {
			return nil, problem(err)
		}
		// The address may hold a password, and who scans changes nothing: the id is enough.
		if err := s.audit(ctx, "scan.start", x.ID, ""); err != nil {
			return nil, err
		}
		return &body[Scan]{x}, nil
	})
	huma.Register(a, op("GET", "/scans/{id}", "get-scan", "A scan with what it found", auth.ManageChannels, http.StatusOK), func(_ context.Context, in *ByID) (*body[Scan], error) {
		x, ok := s.Scans.Get(in.ID)
		if !ok {
			return nil, problem(errNotFound)
		}
		return &body[Scan]{x}, nil
	})
	huma.Register(a, op("DELETE", "/scans/{id}", "cancel-scan", "End a scan and forget it", auth.ManageChannels, http.StatusNoContent), func(ctx context.Context, in *ByID) (*struct{}, error) {
		if !s.Scans.Cancel(in.ID) {
			return nil, problem(errNotFound)
		}
		return nil, s.audit(ctx, "scan.cancel", in.ID, "")
	})
	huma.Register(a, op("POST", "/scans/{id}/channels", "create-scanned-channels", "Make channels of programmes that a scan found", auth.ManageChannels, http.StatusOK), s.scanChannels)
}

// scanChannels makes channels. Each programme succeeds or fails by itself.
func (s *service) scanChannels(ctx context.Context, in *newScanChannels) (*body[struct {
	Services []scanResult `json:"services"`
}], error) {
	x, ok := s.Scans.Get(in.ID)
	if !ok {
		return nil, problem(errNotFound)
	}
	if x.State == "running" {
		return nil, problem(errScanRunning)
	}
	found := make(map[int]ScannedService, len(x.Services))
	for _, v := range x.Services {
		found[v.ServiceID] = v
	}
	out := &body[struct {
		Services []scanResult `json:"services"`
	}]{}
	made := make(map[int]bool)
	for _, c := range in.Body.Services {
		r := scanResult{ServiceID: c.ServiceID}
		v, ok := found[c.ServiceID]
		var err error
		switch {
		case !ok:
			err = errNoService
		case v.Channel != "" || made[c.ServiceID]:
			err = errServiceTaken
		case v.Playable == "unplayable":
			err = errUnplayable
		default:
			r.Channel, err = s.scanChannel(ctx, x.Source, c, v)
			made[c.ServiceID] = err == nil
		}
		if err != nil {
			p := problem(err)
			r.Channel, r.Code, r.Detail = "", p.Code, s.sentence(ctx, p)
			if p.Status >= http.StatusInternalServerError {
				s.Log.Error("make a channel of a scan", "service", c.ServiceID, "err", err)
			}
		}
		out.Body.Services = append(out.Body.Services, r)
	}
	return out, nil
}

// sentence picks the language of the request.
func (s *service) sentence(ctx context.Context, p *both) string {
	if r, ok := ctx.Value(requestKey{}).(*http.Request); ok && !apierr.Chinese(r.Header.Get("Accept-Language")) {
		return p.Detail
	}
	return p.ZH
}

// scanChannel makes the channel of one programme and returns its id.
func (s *service) scanChannel(ctx context.Context, source string, c scanChoice, v ScannedService) (string, error) {
	ch := store.Channel{ID: c.ID, Name: strings.TrimSpace(c.Name), Source: source, Program: v.ServiceID}
	if ch.Name == "" {
		ch.Name = v.Name
	}
	if ch.Name == "" {
		ch.Name = fmt.Sprintf("Service %d", v.ServiceID)
	}
	ch.Name = cutText(ch.Name, 100)
	if c.ID != "" {
		return ch.ID, s.addChannel(ctx, ch)
	}
	base := idOf(v)
	for n := 1; n <= 100; n++ {
		ch.ID = base
		if n > 1 {
			ch.ID = fmt.Sprintf("%s-%d", base, n)
		}
		if err := s.addChannel(ctx, ch); !errors.Is(err, errChannelExists) {
			return ch.ID, err
		}
	}
	return "", errChannelExists
}

// idOf makes an id of a programme's name: what is ASCII in it, else "svc-" and its
// number. Other letters are left out, for there is no one way to write them so.
func idOf(v ScannedService) string {
	var b strings.Builder
	other := false
	for _, r := range strings.ToLower(v.Name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case r > 0x7F:
			other = true
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	id := strings.Trim(cutText(b.String(), 48), "-")
	// "BTV-4高清" is btv-4; of "第1剧场" nothing is left that anybody would know.
	if other && len(id) < 3 || id == "" || stream.CheckID(id) != nil {
		return fmt.Sprintf("svc-%d", v.ServiceID)
	}
	return id
}

// cutText returns the first n characters of a text.
func cutText(s string, n int) string {
	r := []rune(s)
	return string(r[:min(n, len(r))])
}

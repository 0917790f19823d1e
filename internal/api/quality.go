package api

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/store"
)

var errNoThumbnail = apierr.New(http.StatusNotFound, "no_thumbnail",
	"There is no picture of this channel yet.", "该频道还没有画面缩略图。")

// Quality is what watches over the channels.
type Quality interface {
	// Channel returns what is known of a channel, nil when nothing is yet.
	Channel(id string) *ChannelQuality
	// Thumbnail returns its newest picture; ok is false when there is none.
	Thumbnail(id string) (t Thumbnail, ok bool, err error)
}

// Thumbnail is a picture as JPEG.
type Thumbnail struct {
	JPEG []byte
	ETag string
	At   time.Time
}

// ChannelQuality is the state of a channel's signal, picture and sound.
type ChannelQuality struct {
	Alarms      []string             `json:"alarms" doc:"What is wrong now"`
	Since       time.Time            `json:"since" doc:"When the newest alarm began or the last one ended"`
	Raised      map[string]time.Time `json:"raised" doc:"Alarms with the time since which each is"`
	Judged      string               `json:"judged,omitempty" doc:"How picture and sound are judged: decoded, or coded when there is no decoder"`
	TR101290    map[string]uint64    `json:"tr101290,omitempty" doc:"Errors by ETSI TR 101 290 since the server started"`
	PIDs        []PID                `json:"pids,omitempty"`
	Bitrate     int64                `json:"bitrate,omitempty" doc:"Bits a second of the programme's packets"`
	JitterUS    *int64               `json:"jitter_us,omitempty" doc:"Of the clock, RFC 3550"`
	DelayUS     *int64               `json:"delay_factor_us,omitempty" doc:"Of the clock, RFC 4445"`
	Loudness    *float64             `json:"loudness_lufs,omitempty" doc:"Over the last minute of samples"`
	Level       *float64             `json:"level_dbfs,omitempty" doc:"RMS of the newest sample's louder channel"`
	Luma        *float64             `json:"luma,omitempty" doc:"Mean of the newest sampled picture, 16 black to 235 white"`
	ThumbnailAt *time.Time           `json:"thumbnail_at,omitempty"`
}

// PID is one PID of a channel's programme.
type PID struct {
	PID     uint16 `json:"pid"`
	Codec   string `json:"codec"`
	Bitrate int64  `json:"bitrate"`
}

// withQuality adds what is known of a channel's quality to its view.
func (s *service) withQuality(v channelView) channelView {
	if s.Quality != nil {
		v.Quality = s.Quality.Channel(v.ID)
	}
	return v
}

type alarmView struct {
	Alarm   string     `json:"alarm"`
	Raised  time.Time  `json:"raised"`
	Cleared *time.Time `json:"cleared,omitempty"`
}

type alarmList struct {
	ByID
	Page
	From time.Time `query:"from" doc:"Those that lasted until then or longer"`
	To   time.Time `query:"to" doc:"Those that began before"`
}

func (s *service) quality(a huma.API, mux *http.ServeMux) {
	huma.Register(a, op("GET", "/channels/{id}/alarms", "list-channel-alarms", "What was wrong with a channel, newest first", auth.SeeChannels, http.StatusOK), func(ctx context.Context, in *alarmList) (*list[alarmView], error) {
		f := store.AlarmFilter{Channel: in.ID}
		if !in.From.IsZero() {
			f.From = &in.From
		}
		if !in.To.IsZero() {
			f.To = &in.To
		}
		rows, total, err := s.Store.ChannelAlarms(ctx, f, in.store())
		if err != nil {
			return nil, problem(err)
		}
		if _, ok := s.Channels.Get(in.ID); !ok && total == 0 {
			return nil, problem(errNotFound)
		}
		out := make([]alarmView, len(rows))
		for i, r := range rows {
			out[i] = alarmView{r.Alarm, r.Raised, r.Cleared}
		}
		return listOf(out, total), nil
	})
	// Served outside the framework, like files: conditional requests are net/http's.
	picture := op("GET", "/channels/{id}/thumbnail", "channel-thumbnail", "The newest picture of a channel, a few seconds old", auth.SeeChannels, http.StatusOK)
	picture.Responses = map[string]*huma.Response{"200": {Description: "The picture", Content: map[string]*huma.MediaType{"image/jpeg": {}}}}
	picture.Parameters = []*huma.Param{{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}}}
	a.OpenAPI().AddOperation(&picture)
	mux.HandleFunc("GET /api/v1/channels/{id}/thumbnail", s.thumbnail)
}

func (s *service) thumbnail(w http.ResponseWriter, r *http.Request) {
	p, err := s.Auth.Authenticate(r)
	if err == nil && !p.May(auth.SeeChannels, "") {
		err = auth.ErrForbidden
	}
	if err != nil {
		apierr.Write(w, r, s.Log, err)
		return
	}
	id := r.PathValue("id")
	if _, ok := s.Channels.Get(id); !ok {
		apierr.Write(w, r, s.Log, errNotFound)
		return
	}
	if s.Quality == nil {
		apierr.Write(w, r, s.Log, errNoThumbnail)
		return
	}
	t, ok, err := s.Quality.Thumbnail(id)
	switch {
	case err != nil:
		apierr.Write(w, r, s.Log, err)
		return
	case !ok:
		apierr.Write(w, r, s.Log, errNoThumbnail)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("ETag", t.ETag)
	w.Header().Set("Cache-Control", "private, no-cache")
	http.ServeContent(w, r, "", t.At, bytes.NewReader(t.JPEG))
}

package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/auth"
	"tongxiang/internal/store"
)

// EPG tells what is on.
type EPG interface {
	// NowNext returns what is on now on a channel and what comes next; nil: not known.
	NowNext(channel string) (now, next *store.EPGEvent)
}

type epgView struct {
	Channel  string    `json:"channel"`
	EventID  int       `json:"event_id"`
	Title    string    `json:"title"`
	Summary  string    `json:"summary,omitempty"`
	Text     string    `json:"text,omitempty"`
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`
	Running  bool      `json:"running" doc:"It is on now, as the broadcaster says"`
	Status   string    `json:"status" doc:"undefined, not_running, starts_soon, pausing, running or off_air"`
	Genre    string    `json:"genre,omitempty" doc:"movie, news, show, sports, children, music, arts, social, education, leisure, special or other"`
	Language string    `json:"language,omitempty" doc:"ISO 639-2"`
	Rating   int       `json:"rating,omitempty" doc:"Youngest age"`
	Changed  time.Time `json:"changed"`
}

var runningNames = [...]string{"undefined", "not_running", "starts_soon", "pausing", "running", "off_air"}

// genreNames are those of content_nibble_level_1 (ETSI EN 300 468 table 29).
var genreNames = [...]string{"", "movie", "news", "show", "sports", "children", "music", "arts", "social", "education", "leisure", "special", "other", "other", "other", "other"}

func epgViewOf(e store.EPGEvent) epgView {
	v := epgView{
		Channel: e.Channel, EventID: e.ID, Title: e.Title, Summary: e.Summary, Text: e.Text, Start: e.Start.UTC(), End: e.End.UTC(),
		Genre: genreNames[e.Genre>>4&0xF], Language: e.Language, Rating: e.Rating, Changed: e.Changed.UTC(),
	}
	v.Status = runningNames[0]
	if e.Running > 0 && e.Running < len(runningNames) {
		v.Status = runningNames[e.Running]
	}
	v.Running = v.Status == "running" || v.Status == "pausing"
	return v
}

func maybeEPG(e *store.EPGEvent) *epgView {
	if e == nil {
		return nil
	}
	v := epgViewOf(*e)
	return &v
}

type epgQuery struct {
	Page
	Channel string    `query:"channel" maxLength:"64"`
	From    time.Time `query:"from" doc:"Events that end after it"`
	To      time.Time `query:"to" doc:"Events that begin before it"`
	Text    string    `query:"q" maxLength:"100" doc:"In the title or the texts"`
}

func (s *service) epg(a huma.API) {
	huma.Register(a, op("GET", "/epg", "list-epg", "The programme guide, by start", auth.SeeChannels, http.StatusOK), func(ctx context.Context, in *epgQuery) (*list[epgView], error) {
		if !in.From.IsZero() && !in.To.IsZero() && in.To.Before(in.From) {
			return nil, problem(errEndBeforeStart)
		}
		rows, total, err := s.Store.EPG(ctx, store.EPGFilter{Channel: in.Channel, From: in.From, To: in.To, Text: in.Text}, in.Page.store())
		if err != nil {
			return nil, problem(err)
		}
		out := make([]epgView, len(rows))
		for i, e := range rows {
			out[i] = epgViewOf(e)
		}
		return listOf(out, total), nil
	})
}

package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/auth"
	"tongxiang/internal/store"
)

type kioskView struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Created time.Time  `json:"created"`
	Seen    *time.Time `json:"seen,omitempty"`
	Revoked *time.Time `json:"revoked,omitempty"`
	Online  bool       `json:"online" doc:"It asked for something within the last three minutes; a kiosk that plays asks every quarter of a minute"`
	Token   string     `json:"token,omitempty" doc:"Only in the answer that creates it"`
}

// onlineFor is how long a kiosk counts as online after it asked for something. It is
// judged here, by the clock that wrote down when that was: those of the operators'
// machines are not set by anybody.
const onlineFor = 3 * time.Minute

func kioskViewOf(d store.Device, now time.Time) kioskView {
	return kioskView{
		ID: d.ID, Name: d.Name, Created: d.Created, Seen: d.Seen, Revoked: d.Revoked,
		Online: d.Revoked == nil && d.Seen != nil && now.Sub(*d.Seen) < onlineFor,
	}
}

type newKiosk struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"100" doc:"Where it hangs"`
	}
}

func (s *service) kiosks(a huma.API) {
	huma.Register(a, op("GET", "/kiosks", "list-kiosks", "Kiosks", auth.ManageDevices, http.StatusOK), func(ctx context.Context, in *Page) (*list[kioskView], error) {
		rows, total, err := s.Store.Devices(ctx, in.store())
		if err != nil {
			return nil, problem(err)
		}
		out, now := make([]kioskView, len(rows)), time.Now()
		for i, d := range rows {
			out[i] = kioskViewOf(d, now)
		}
		return listOf(out, total), nil
	})
	huma.Register(a, op("POST", "/kiosks", "create-kiosk", "Add a kiosk; its token is shown once", auth.ManageDevices, http.StatusCreated), func(ctx context.Context, in *newKiosk) (*body[kioskView], error) {
		d, token, err := s.Auth.CreateDevice(ctx, principal(ctx), in.Body.Name)
		if err != nil {
			return nil, problem(err)
		}
		v := kioskViewOf(d, time.Now())
		v.Token = token
		return &body[kioskView]{v}, nil
	})
	huma.Register(a, op("DELETE", "/kiosks/{id}", "revoke-kiosk", "Make a kiosk's token useless", auth.ManageDevices, http.StatusNoContent), func(ctx context.Context, in *ByID) (*struct{}, error) {
		if err := s.Auth.RevokeDevice(ctx, principal(ctx), in.ID); err != nil {
			return nil, problem(err)
		}
		return nil, nil
	})
}

type newToken struct {
	Body struct {
		Subject string    `json:"subject" minLength:"1" maxLength:"100"`
		Role    auth.Role `json:"role" enum:"administrator,operator,chair,member,viewer,kiosk"`
		Stream  string    `json:"stream,omitempty" maxLength:"200" doc:"What it is for: a stream, or all below it"`
		TTL     int       `json:"ttl_s" minimum:"1" maximum:"31622400" doc:"Seconds"`
	}
}

type tokenView struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

func (s *service) tokens(a huma.API) {
	huma.Register(a, op("POST", "/tokens", "issue-token", "Issue a bearer token for an encoder, a player or a script", auth.IssueTokens, http.StatusCreated), func(ctx context.Context, in *newToken) (*body[tokenView], error) {
		token, expires, err := s.Auth.IssueToken(ctx, principal(ctx), auth.TokenRequest{
			Subject: in.Body.Subject, Role: in.Body.Role, Stream: in.Body.Stream, TTL: time.Duration(in.Body.TTL) * time.Second,
		})
		if err != nil {
			return nil, problem(err)
		}
		return &body[tokenView]{tokenView{token, expires.UTC()}}, nil
	})
}

type aboutView struct {
	Name     string          `json:"name"`
	Version  string          `json:"version"`
	Now      time.Time       `json:"now"`
	Features map[string]bool `json:"features"`
	Ports    map[string]int  `json:"ports" doc:"Of protocols beside HTTP; 0: off"`
}

func (s *service) about(a huma.API) {
	open := op("GET", "/about", "about", "What this node is", "", http.StatusOK)
	open.Metadata, open.Security = nil, nil
	huma.Register(a, open, func(context.Context, *struct{}) (*body[aboutView], error) {
		return &body[aboutView]{aboutView{s.Name, s.Version, time.Now().UTC(), s.Features(), s.Ports}}, nil
	})
}

package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/auth"
)

type me struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Display string     `json:"display"`
	Role    auth.Role  `json:"role"`
	Expires *time.Time `json:"expires,omitempty"`
}

func meOf(p auth.Principal) me {
	m := me{ID: p.ID, Name: p.Name, Display: p.Display, Role: p.Role}
	if !p.Expires.IsZero() {
		t := p.Expires.UTC()
		m.Expires = &t
	}
	return m
}

type signIn struct {
	Body struct {
		Name     string `json:"name" minLength:"1" maxLength:"128"`
		Password string `json:"password" minLength:"1" maxLength:"256"`
	}
}

type signedIn struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires"`
		User    me        `json:"user"`
	}
}

type signedOut struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (s *service) sessions(a huma.API) {
	open := op("POST", "/sessions", "sign-in", "Sign in; also sets the page's cookie", "", http.StatusCreated)
	open.Metadata, open.Security = nil, nil
	huma.Register(a, open, func(ctx context.Context, in *signIn) (*signedIn, error) {
		r := ctx.Value(requestKey{}).(*http.Request)
		if err := s.Auth.CheckOrigin(r); err != nil { // else another site could sign a browser in as somebody else
			return nil, problem(err)
		}
		token, p, err := s.Auth.SignIn(ctx, auth.Login{Name: in.Body.Name, Password: in.Body.Password, Address: auth.Address(r), Agent: r.UserAgent()})
		if err != nil {
			return nil, problem(err)
		}
		out := &signedIn{SetCookie: *s.Auth.Cookie(token, r.TLS != nil)}
		out.Body.Token, out.Body.Expires, out.Body.User = token, p.Expires.UTC(), meOf(p)
		return out, nil
	})
	huma.Register(a, op("GET", "/sessions/current", "who-am-i", "Who is signed in", "", http.StatusOK), func(ctx context.Context, _ *struct{}) (*body[me], error) {
		return &body[me]{meOf(principal(ctx))}, nil
	})
	huma.Register(a, op("DELETE", "/sessions/current", "sign-out", "Sign out", "", http.StatusNoContent), func(ctx context.Context, _ *struct{}) (*signedOut, error) {
		if err := s.Auth.SignOut(ctx, principal(ctx)); err != nil {
			return nil, problem(err)
		}
		r := ctx.Value(requestKey{}).(*http.Request)
		return &signedOut{SetCookie: *s.Auth.Cookie("", r.TLS != nil)}, nil
	})
}

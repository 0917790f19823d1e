package sfu

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"tongxiang/internal/apierr"
	"tongxiang/internal/stream"
)

const (
	typeSDP      = "application/sdp"
	typeFragment = "application/trickle-ice-sdpfrag"
)

// Handler serves POST /whip/{stream} and POST /whep/{stream}, and PATCH, DELETE
// and OPTIONS on the resources that they create. A resource's address is its own
// key: it holds 130 random bits and is told to nobody but the client.
func (e *Engine) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := h(w, r); err != nil {
				apierr.Write(w, r, e.log, err)
			}
		})
	}
	handle("POST /whip/{stream...}", e.whip)
	handle("POST /whep/{stream...}", e.whep)
	for _, kind := range []string{"whip", "whep"} {
		handle("PATCH /"+kind+"/sessions/{id}", e.patch)
		handle("DELETE /"+kind+"/sessions/{id}", e.delete)
		handle("OPTIONS /"+kind+"/{stream...}", options)
	}
	return mux
}

// options says what a POST takes (RFC 9725 section 4.2). No Link: there are no
// STUN or TURN servers to announce.
func options(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Accept-Post", typeSDP)
	w.Header().Set("Accept-Patch", typeFragment)
	w.Header().Set("Allow", "POST, PATCH, DELETE, OPTIONS")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// request reads what WHIP and WHEP requests have in common.
func (e *Engine) request(w http.ResponseWriter, r *http.Request, a Action) (Grant, string, error) {
	name, err := stream.ParseName(strings.TrimSuffix(r.PathValue("stream"), "/"))
	if err != nil {
		return Grant{}, "", errBadName.Because(err)
	}
	// The token first: who may not come in learns nothing else.
	grant, err := e.cfg.Authorize(r, a, name)
	if err != nil {
		return Grant{}, "", err
	}
	body, err := e.body(w, r, typeSDP)
	if err != nil {
		return Grant{}, "", err
	}
	// pion and we look for CRLF; some clients write bare line feeds.
	offer := strings.ReplaceAll(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n", "\r\n")
	return grant, offer, nil
}

func (e *Engine) body(w http.ResponseWriter, r *http.Request, want string) ([]byte, error) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != want {
		return nil, errContentType
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, e.cfg.MaxSDP))
	if err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return nil, errTooLarge
		}
		return nil, errBadSDP.Because(err)
	}
	return b, nil
}

// created answers a POST.
func created(w http.ResponseWriter, kind string, p *peer, answer string) {
	h := w.Header()
	h.Set("Content-Type", typeSDP)
	h.Set("Location", "/"+kind+"/sessions/"+p.id)
	h.Set("ETag", p.tag())
	h.Set("Accept-Patch", typeFragment)
	h.Set("Cache-Control", "no-store")
	h.Set("Access-Control-Expose-Headers", "Location, ETag")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer) // a client that is gone is noticed by ICE
}

// patch takes trickled candidates, which an ICE-lite server does not need, and ICE
// restarts (RFC 9725 section 4.3).
func (e *Engine) patch(w http.ResponseWriter, r *http.Request) error {
	s, ok := e.session(r.PathValue("id"))
	if !ok {
		return errNoSession
	}
	p := s.transport()
	body, err := e.body(w, r, typeFragment)
	if err != nil {
		return err
	}
	f, err := readFragment(body)
	if err != nil {
		return err
	}
	match := r.Header.Get("If-Match")
	if match == "" {
		return errNoETag
	}
	if match != "*" && match != p.tag() {
		return errETag
	}
	if f.ufrag == "" || p.knows(f) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	answer := p.restart(f)
	w.Header().Set("Content-Type", typeFragment)
	w.Header().Set("ETag", p.tag())
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, answer)
	return nil
}

func (e *Engine) delete(w http.ResponseWriter, r *http.Request) error {
	s, ok := e.session(r.PathValue("id"))
	if !ok {
		return errNoSession
	}
	s.stop()
	w.WriteHeader(http.StatusOK)
	return nil
}

package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/apierr"
)

// The framework writes errors deep inside, where the reader's language is not
// known. So an error travels as its code with both sentences, and localise, around
// everything, picks one.

// both is a problem with its sentences in both languages; it never leaves the server.
type both struct {
	apierr.Problem
	ZH     string   `json:"zh"`
	Fields []string `json:"fields_zh"` // messages of Errors in Chinese, or empty
	Cause  string   `json:"cause"`     // of what is the server's own fault, for its log
	err    error
}

func (b *both) Error() string  { return b.Code }
func (b *both) GetStatus() int { return b.Status }

// ContentType makes the framework send problem+json.
func (b *both) ContentType(string) string { return "application/problem+json" }

func problem(err error) *both {
	var done *both
	if errors.As(err, &done) {
		return done
	}
	e := apierr.As(err)
	b := &both{Problem: e.Problem("en"), ZH: e.ZH, err: err}
	for _, f := range b.Errors {
		b.Fields = append(b.Fields, f.ZH)
	}
	if b.Status >= http.StatusInternalServerError {
		b.Cause = err.Error()
	}
	return b
}

// useOwnErrors makes the framework's own refusals (validation, bad JSON) ours. It
// can be set for the whole process only; it depends on nothing, so servers that
// share a process share it, and it is set once: the others may already read it.
var useOwnErrors = sync.OnceFunc(func() {
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		base := errBadRequest
		switch {
		case tooLarge(errs):
			base = errTooLarge
		case msg == unreadable: // whoever sent it stopped in the middle
		case status == http.StatusUnprocessableEntity:
			base = errInvalid
		case status == http.StatusNotFound:
			base = errNotFound
		case status == http.StatusRequestEntityTooLarge:
			base = errTooLarge
		case status == http.StatusUnsupportedMediaType:
			base = errUnsupported
		case status >= http.StatusInternalServerError:
			base = apierr.Internal
		}
		var fields []apierr.Field
		for _, e := range errs {
			var own *both
			if errors.As(e, &own) {
				return own
			}
			var d huma.ErrorDetailer
			if errors.As(e, &d) {
				detail := d.ErrorDetail()
				en, zh := fieldSentence(detail.Message)
				fields = append(fields, apierr.Field{Location: detail.Location, Message: en, ZH: zh})
			} else if e != nil && status < http.StatusInternalServerError {
				fields = append(fields, apierr.Field{Message: e.Error()})
			}
		}
		return problem(base.WithFields(fields...).Because(errors.Join(append(errs, errors.New(msg))...)))
	}
})

// unreadable is what the framework says, as an error of the server's, when a body does
// not come whole.
const unreadable = "cannot read request body"

// tooLarge reports whether a body ended at the limit that all requests have.
func tooLarge(errs []error) bool {
	return slices.ContainsFunc(errs, func(err error) bool {
		var limit *http.MaxBytesError
		return errors.As(err, &limit)
	})
}

// localise rewrites problem answers into the reader's language and logs what is
// the server's own fault.
func localise(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lw := &localiser{ResponseWriter: w}
		next.ServeHTTP(lw, r)
		if !lw.hold {
			return
		}
		var b both
		if err := json.Unmarshal(lw.body.Bytes(), &b); err != nil {
			log.Error("answer with a problem", "path", r.URL.Path, "err", err)
		}
		if b.Status >= http.StatusInternalServerError {
			log.Error("request failed", "method", r.Method, "path", r.URL.Path, "code", b.Code, "err", b.Cause)
		}
		if apierr.Chinese(r.Header.Get("Accept-Language")) && b.ZH != "" {
			b.Detail = b.ZH
			for i, zh := range b.Fields {
				if zh != "" && i < len(b.Errors) {
					b.Errors[i].Message = zh
				}
			}
		}
		w.Header().Del("Content-Length")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(lw.status)
		// The connection may be gone; there is nobody left to tell.
		_ = json.NewEncoder(w).Encode(b.Problem)
	})
}

// localiser holds back the body of a problem answer; all others pass through.
type localiser struct {
	http.ResponseWriter
	status int
	hold   bool
	body   bytes.Buffer
}

func (l *localiser) WriteHeader(status int) {
	l.status = status
	if status >= http.StatusBadRequest && l.Header().Get("Content-Type") == "application/problem+json" {
		l.hold = true
		return
	}
	l.ResponseWriter.WriteHeader(status)
}

func (l *localiser) Write(p []byte) (int, error) {
	if l.hold {
		return l.body.Write(p)
	}
	return l.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (l *localiser) Unwrap() http.ResponseWriter { return l.ResponseWriter }

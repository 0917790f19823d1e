// Package apierr is how an error reaches a person or a script: a stable code, an
// HTTP status and one sentence in the reader's language, as
// application/problem+json (RFC 9457). Every HTTP and WebSocket edge uses it;
// packages below the edges return ordinary errors.
package apierr

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"golang.org/x/text/language"
)

// Error is what a caller may know. Make one per cause with [New], as a package
// variable of the edge that returns it, and add the underlying error with [Error.Because].
type Error struct {
	Status int    // HTTP status
	Code   string // stable; scripts rely on it: "stream_not_found"
	EN, ZH string // one sentence each, saying what to do when there is something to do
	cause  error
	fields []Field
}

// Field is one thing wrong with a request, named by its place in it.
type Field struct {
	Location string `json:"location"` // "body.title"
	Message  string `json:"message"`
	ZH       string `json:"-"` // Message in Chinese, where there is one
}

// New returns an error with a status, a stable code and its sentence in English and Chinese.
func New(status int, code, en, zh string) *Error {
	return &Error{Status: status, Code: code, EN: en, ZH: zh}
}

// Because returns a copy that wraps cause. The cause is logged, never sent.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// WithFields returns a copy that names what is wrong where.
func (e *Error) WithFields(f ...Field) *Error {
	c := *e
	c.fields = f
	return &c
}

// Error returns the code and the cause, for logs.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %v", e.Code, e.cause)
	}
	return e.Code
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an Error with the same code.
func (e *Error) Is(target error) bool {
	var o *Error
	return errors.As(target, &o) && o.Code == e.Code
}

// Message returns the sentence in the language that an Accept-Language header prefers.
func (e *Error) Message(acceptLanguage string) string {
	if Chinese(acceptLanguage) {
		return e.ZH
	}
	return e.EN
}

// Chinese reports whether an Accept-Language header prefers Chinese to English.
// An empty or broken header means Chinese: it is the first language of the product.
func Chinese(acceptLanguage string) bool {
	tags, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil || len(tags) == 0 {
		return true
	}
	_, i, _ := language.NewMatcher([]language.Tag{language.SimplifiedChinese, language.English}).Match(tags...)
	return i == 0
}

// Internal is what anything unexpected becomes.
var Internal = New(http.StatusInternalServerError, "internal",
	"Something went wrong on the server. It has been logged; please try again.",
	"服务器内部出错，已记录日志，请重试。")

// As returns err as an *Error; anything else becomes [Internal] with err as its cause.
func As(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Internal.Because(err)
}

// Problem is the JSON body of an error answer.
type Problem struct {
	Type   string  `json:"type"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail"`
	Code   string  `json:"code"`
	Errors []Field `json:"errors,omitempty"`
}

// Problem returns the body for a reader's language.
func (e *Error) Problem(acceptLanguage string) Problem {
	fields := slices.Clone(e.fields)
	for i, f := range fields {
		if f.ZH != "" && Chinese(acceptLanguage) {
			fields[i].Message = f.ZH
		}
	}
	return Problem{
		Type: "about:blank", Title: http.StatusText(e.Status), Status: e.Status,
		Detail: e.Message(acceptLanguage), Code: e.Code, Errors: fields,
	}
}

// Write answers r with err as problem+json, and logs what is the server's own fault.
func Write(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	e := As(err)
	if e.Status >= http.StatusInternalServerError {
		log.Error("request failed", "method", r.Method, "path", r.URL.Path, "code", e.Code, "err", err)
	} else {
		log.Debug("request refused", "method", r.Method, "path", r.URL.Path, "code", e.Code, "err", err)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(e.Status)
	// The connection may be gone; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(e.Problem(r.Header.Get("Accept-Language")))
}

package server

import (
	"context"
	"net/http"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/stream"
)

var errNoStream = apierr.New(http.StatusNotFound, "stream_not_found",
	"There is no such channel or meeting.", "没有这个频道或会议。")

// mayWatch says whether a request may watch a stream that exists.
func (s *Server) mayWatch(r *http.Request, name stream.Name) error {
	p, err := s.auth.Authenticate(r)
	if err != nil {
		return err
	}
	if !p.May(auth.Watch, name) {
		return auth.ErrForbidden
	}
	return s.exists(r.Context(), name)
}

// exists keeps those who ask for names that nobody gave from making streams of them.
func (s *Server) exists(ctx context.Context, name stream.Name) error {
	segs := name.Segments()
	switch segs[0] {
	case "channels":
		if _, ok := s.channels.Get(segs[1]); ok {
			return nil
		}
	case "meetings":
		if _, err := s.store.Meeting(ctx, segs[1]); err == nil {
			return nil
		}
	}
	return errNoStream
}

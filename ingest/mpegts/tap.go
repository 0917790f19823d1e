package mpegts

import (
	"context"
	"slices"

	"tongxiang/internal/media"
)

// tap is somebody who looks at all bytes of a mux.
type tap struct{ f func([]byte) }

// Read passes the bytes of the source to f, as they come, until ctx or the source
// ends: for looking at a multiplex as a whole. A multiplex that is being read
// already is read by the same socket, and its channels are not disturbed; f runs in
// the reader's goroutine and must be quick. Read returns what Run would.
func (s *Source) Read(ctx context.Context, clock media.Clock, f func([]byte)) error {
	t := &tap{f}
	x := s.muxes.enter(s, clock, func(x *mux) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.taps = append(x.taps, t)
	})
	defer s.muxes.leave(x, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.taps = slices.DeleteFunc(x.taps, func(o *tap) bool { return o == t })
	})
	return x.wait(ctx)
}

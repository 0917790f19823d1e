package source

import (
	"sync/atomic"

	"tongxiang/internal/media"
)

// Raw is the door for a programme's transport packets as they were received. A
// source asks it before it does anything for them: nobody wants them most of the
// time. The zero value is ready; it is safe for concurrent use.
type Raw struct {
	take atomic.Pointer[func(*media.Packet)]
}

// Wanted reports whether somebody takes the packets now.
func (r *Raw) Wanted() bool { return r.take.Load() != nil }

// Write hands a run of packets over: 188 bytes each, tables in front. The source's
// goroutine calls it; p must not change afterwards.
func (r *Raw) Write(p *media.Packet) {
	if f := r.take.Load(); f != nil {
		(*f)(p)
	}
}

// Set has f called with what the source writes; nil: nobody wants it any more. f
// does not block. It may still be called once after it was replaced.
func (r *Raw) Set(f func(*media.Packet)) {
	if f == nil {
		r.take.Store(nil)
		return
	}
	r.take.Store(&f)
}

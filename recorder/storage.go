package recorder

import (
	"sync/atomic"
	"time"
)

// storage is what the disks of one recorder share.
type storage struct {
	create func(path string) (file, error)
	total  atomic.Uint64 // bytes written
	lost   atomic.Uint64 // fragments not taken
	queued atomic.Int64  // bytes that wait for disks
	most   int64         // of queued
	each   int64         // of one file's queue
	free   chan []byte   // buffers for the next fragments
}

// buffer returns a buffer to make a fragment in.
func (s *storage) buffer() []byte {
	select {
	case b := <-s.free:
		return b[:0]
	default:
		return nil
	}
}

func (s *storage) release(b []byte) {
	select {
	case s.free <- b:
	default:
	}
}

// extent is how much of a file is on disk.
type extent struct {
	bytes    int64
	duration time.Duration
}

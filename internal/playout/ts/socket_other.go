//go:build !linux

package ts

import (
	"errors"
	"os"
	"syscall"
	"time"
)

const gramSize = rtpHeader + perGram*packetSize

// sender holds one datagram.
type sender struct{ gram [gramSize]byte }

func (s *socket) bind() {}

// next returns the memory of the next datagram.
func (s *socket) next() []byte { return s.gram[:] }

// add sends the datagram that was written into [socket.next], of a size.
func (s *socket) add(size int) {
	// A write that would wait fails at once.
	_ = s.conn.SetWriteDeadline(time.Now().Add(time.Millisecond))
	switch _, err := s.conn.Write(s.gram[:size]); {
	case err == nil:
		s.counts.sent++
		s.row = 0
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.counts.full++
	default:
		s.counts.failed++
		s.row++
		s.err = err
	}
}

func (s *socket) flush() {}

func bindTo(syscall.RawConn, string) error {
	return errors.New("an interface for one machine can be chosen on Linux only")
}

// multicastBy leaves the choice to [Address.adjust].
func multicastBy(syscall.RawConn, int, bool) error { return nil }

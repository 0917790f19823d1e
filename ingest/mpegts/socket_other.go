//go:build !linux

package mpegts

import (
	"context"
	"net"
	"syscall"
	"time"

	"tongxiang/internal/media"
)

// control does nothing where the options of Linux do not exist: one socket a group and port.
func control(_, _ string, _ syscall.RawConn) error { return nil }

// socket reads datagrams one by one where the batches of Linux do not exist.
type socket struct {
	conn       *net.UDPConn
	drops, cut uint64 // never known
}

func newSocket(conn *net.UDPConn) (*socket, error) {
	_ = conn.SetReadBuffer(receiveBuffer) // what the kernel grants is worth going on with
	return &socket{conn: conn}, nil
}

func (s *socket) close() error { return s.conn.Close() }

// receive passes each datagram to f, which may not keep the bytes, until ctx ends
// or reading fails.
func (s *socket) receive(ctx context.Context, clock media.Clock, f func(b []byte, arrival int64)) error {
	// A deadline in the past wakes the reader.
	defer context.AfterFunc(ctx, func() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) })()
	b := make([]byte, datagram)
	for {
		n, _, err := s.conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return err
		}
		f(b[:n], clock.Now())
	}
}

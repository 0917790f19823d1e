package sfu

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// socketBuffer is asked of the kernel in both directions: at 100,000 packets a
// second of 1200 bytes it is 130 ms. The kernel gives what net.core.rmem_max and
// wmem_max allow.
const socketBuffer = 16 << 20

// udpSocket is the one UDP port of all peers. It is a net.PacketConn for pion/ice
// that also knows netip addresses, so that no address is allocated per packet, and
// whose writes never wait: what the kernel does not take is dropped and counted,
// because one full buffer must not hold up every peer.
type udpSocket struct {
	*net.UDPConn
	raw    syscall.RawConn
	inet6  bool // the socket is AF_INET6, so IPv4 addresses are mapped
	guard  *ssrcGuard
	now    func() int64
	writes sync.Pool // of *writeOp

	packetsIn, bytesIn   atomic.Uint64
	packetsOut, bytesOut atomic.Uint64
	full                 atomic.Uint64 // datagrams that the kernel would not take
	failed               atomic.Uint64 // sends refused for another reason
	refused              atomic.Uint64 // RTP dropped by guard
}

// writeOp is one non-blocking send; fn is bound once so that a send does not allocate.
type writeOp struct {
	buf []byte
	to4 unix.SockaddrInet4
	to6 unix.SockaddrInet6
	use *unix.SockaddrInet6 // nil: to4
	err error
	fn  func(uintptr) bool
}

func listenUDP(address string, guard *ssrcGuard, now func() int64) (*udpSocket, error) {
	a, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for media on UDP %q: %w", address, err)
	}
	conn, err := net.ListenUDP("udp", a)
	if err != nil {
		return nil, fmt.Errorf("listen for media on UDP %q: %w", address, err)
	}
	// The kernel may refuse a size; what it has by default still works.
	_ = conn.SetReadBuffer(socketBuffer)
	_ = conn.SetWriteBuffer(socketBuffer)
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for media on UDP %q: %w", address, err), conn.Close())
	}
	s := &udpSocket{UDPConn: conn, raw: raw, guard: guard, now: now}
	err = raw.Control(func(fd uintptr) {
		sa, e := unix.Getsockname(int(fd))
		_, s.inet6 = sa.(*unix.SockaddrInet6)
		err = e
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for media on UDP %q: %w", address, err), conn.Close())
	}
	s.writes.New = func() any {
		op := new(writeOp)
		op.fn = op.send
		return op
	}
	return s, nil
}

// send makes the system call; it always returns true, which tells the runtime not to wait.
func (op *writeOp) send(fd uintptr) bool {
	if op.use != nil {
		op.err = unix.Sendto(int(fd), op.buf, unix.MSG_DONTWAIT, op.use)
	} else {
		op.err = unix.Sendto(int(fd), op.buf, unix.MSG_DONTWAIT, &op.to4)
	}
	return true
}

// ReadFromAddrPort reads one datagram. RTP that guard refuses is skipped.
func (s *udpSocket) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := s.UDPConn.ReadFromUDPAddrPort(b)
		if err != nil {
			return n, from, err
		}
		s.packetsIn.Add(1)
		s.bytesIn.Add(uint64(n))
		if ssrc, ok := rtpSSRC(b[:n]); ok && !s.guard.admit(from, ssrc, s.now()) {
			s.refused.Add(1)
			continue
		}
		return n, from, nil
	}
}

// WriteToAddrPort sends one datagram or drops it; a full buffer is not an error.
func (s *udpSocket) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	op, _ := s.writes.Get().(*writeOp)
	defer s.writes.Put(op)
	op.buf = b
	if s.inet6 {
		op.to6.Addr, op.to6.Port = to.Addr().As16(), int(to.Port())
		op.use = &op.to6
	} else {
		op.to4.Addr, op.to4.Port = to.Addr().Unmap().As4(), int(to.Port())
		op.use = nil
	}
	err := s.raw.Write(op.fn)
	if err == nil {
		err = op.err
	}
	op.buf = nil
	switch {
	case err == nil:
		s.packetsOut.Add(1)
		s.bytesOut.Add(uint64(len(b)))
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOBUFS):
		s.full.Add(1)
	case errors.Is(err, net.ErrClosed):
		return 0, err
	default:
		// An unreachable peer shows up here; its ICE agent notices by itself.
		s.failed.Add(1)
	}
	return len(b), nil
}

// WriteTo implements net.PacketConn.
func (s *udpSocket) WriteTo(b []byte, to net.Addr) (int, error) {
	u, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, fmt.Errorf("send media to %v: not a UDP address", to)
	}
	return s.WriteToAddrPort(b, u.AddrPort())
}

// ReadFrom implements net.PacketConn.
func (s *udpSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := s.ReadFromAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

package mpegts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tongxiang/internal/media"
)

const (
	// batch is how many datagrams one system call fetches: 13 ms of a 40 Mbit/s multiplex.
	batch = 64
	// Datagrams gather in the kernel for a while after it was found empty: a
	// multiplex brings one every 260 µs, and to be woken for each costs ten times as
	// much as to read it. Their times of arrival are the kernel's all the same. A
	// pause is as short as the rate wants it, so that some wait each time.
	shortNap, longNap = 4 * time.Millisecond, 20 * time.Millisecond
	fewWaiting        = 16
	// control is the room for a datagram's time and the count of drops.
	controlSize = 64
	// ipv6MulticastAll is IPV6_MULTICAST_ALL of linux/in6.h (since Linux 4.20).
	ipv6MulticastAll = 29
)

// control lets several sockets join groups on one port, and keeps the groups that
// other programs joined out of ours.
func control(network, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		if failed != nil {
			return
		}
		switch network {
		case "udp4":
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0)
		case "udp6":
			// An older kernel does without: the address bound to keeps most of it out.
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, ipv6MulticastAll, 0)
		}
	})
	return errors.Join(err, failed)
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// socket reads datagrams in batches, without allocation. It belongs to one goroutine.
// The runtime's poller does not know it: it would be woken for each datagram even
// while nobody waits for one.
type socket struct {
	fd int

	buffers  []byte // batch × datagram; pages that no datagram reaches cost nothing
	controls [batch][controlSize]byte
	vectors  [batch]unix.Iovec
	messages [batch]mmsghdr

	drops   uint64 // datagrams that found the kernel's buffer full
	dropped uint32 // what the kernel said last (SO_RXQ_OVFL)
	cut     uint64 // datagrams that were longer than a buffer
	newest  int64  // arrival
}

// newSocket takes a connection over: it gets a large buffer, the kernel's count of
// drops and its times of arrival. The connection is closed; the socket is to be.
func newSocket(conn *net.UDPConn) (*socket, error) {
	s := &socket{fd: -1, buffers: make([]byte, batch*datagram)}
	raw, err := conn.SyscallConn()
	if err == nil {
		var failed error
		err = raw.Control(func(fd uintptr) { s.fd, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
		err = errors.Join(err, failed)
	}
	if err = errors.Join(err, conn.Close()); err != nil {
		return nil, fmt.Errorf("take the socket over: %w", err)
	}
	// Past net.core.rmem_max where we may; what the kernel grants is worth going on with.
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	// Without these nothing is counted, and datagrams came when they are read.
	_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
	_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, 1)
	for i := range s.messages {
		s.vectors[i] = unix.Iovec{Base: &s.buffers[i*datagram], Len: datagram}
		h := &s.messages[i].header
		h.Iov, h.Iovlen = &s.vectors[i], 1
		h.Control = &s.controls[i][0]
	}
	return s, nil
}

// close closes the socket, after receive has returned.
func (s *socket) close() error { return unix.Close(s.fd) }

// receive passes each datagram with its time of arrival to f, which may not keep
// the bytes, until ctx ends or reading fails.
func (s *socket) receive(ctx context.Context, clock media.Clock, f func(b []byte, arrival int64)) error {
	nap := shortNap
	pause := time.NewTimer(nap)
	defer pause.Stop()
	for ctx.Err() == nil {
		n, err := s.read(clock, f)
		if err != nil {
			return err
		}
		if n == batch {
			continue
		}
		nap = nextNap(nap, n)
		pause.Reset(nap)
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// nextNap returns how long to wait after a read that found n datagrams.
func nextNap(nap time.Duration, n int) time.Duration {
	if n < fewWaiting {
		return min(nap+nap/4, longNap)
	}
	if n > batch/2 {
		return max(nap/2, shortNap)
	}
	return nap
}

// read passes on what waits in the kernel, one batch at most, and says how much that was.
func (s *socket) read(clock media.Clock, f func(b []byte, arrival int64)) (int, error) {
	for i := range s.messages {
		s.messages[i].header.SetControllen(controlSize)
	}
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.messages[0])), batch, unix.MSG_DONTWAIT, 0, 0)
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return 0, nil
	}
	if errno != 0 {
		return 0, errno
	}
	n := int(r)
	now, wall := clock.Now(), time.Now().UnixNano()
	for i := range n {
		m := &s.messages[i]
		if m.header.Flags&unix.MSG_TRUNC != 0 {
			s.cut++
		}
		at := i * datagram
		f(s.buffers[at:at+min(int(m.length), datagram)], s.arrival(m, now, wall))
	}
	return n, nil
}

// arrival reads what the kernel says beside a datagram, and returns when it came.
// The kernel's clock is the wall clock, which may be set; its distance from now is
// believed when it can be one.
func (s *socket) arrival(m *mmsghdr, now, wall int64) int64 {
	at := now
	b := unsafe.Slice(m.header.Control, int(m.header.Controllen))
	for head := unix.CmsgLen(0); len(b) >= head; {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		size := int(h.Len)
		if size < head || size > len(b) {
			break
		}
		data := b[head:size]
		switch {
		case h.Level != unix.SOL_SOCKET:
		case h.Type == unix.SO_TIMESTAMPNS_NEW && len(data) >= 16:
			t := (*[2]int64)(unsafe.Pointer(&data[0]))
			if age := wall - t[0]*1e9 - t[1]; age > 0 && age < maxAge {
				at = now - age
			}
		case h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			total := *(*uint32)(unsafe.Pointer(&data[0]))
			s.drops += uint64(total - s.dropped) // 32 bits, over a wrap
			s.dropped = total
		}
		b = b[min(unix.CmsgSpace(len(data)), len(b)):]
	}
	s.newest = max(s.newest, at)
	return s.newest
}

// maxAge is the longest that a datagram can have lain in the kernel, in nanoseconds.
const maxAge = int64(10e9)

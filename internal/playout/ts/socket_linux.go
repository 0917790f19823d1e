package ts

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// gramBatch is how many datagrams one system call sends.
	gramBatch = 64
	// gramSize is the longest datagram: an RTP header and seven packets.
	gramSize = rtpHeader + perGram*packetSize
)

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// sender holds datagrams for one sendmmsg(2).
type sender struct {
	grams    [gramBatch][gramSize]byte
	vectors  [gramBatch]unix.Iovec
	messages [gramBatch]mmsghdr
	n        int

	first, taken int
	errno        unix.Errno
	// submitted is submit, bound once so that a send does not allocate.
	submitted func(uintptr)
}

func (s *socket) bind() {
	s.submitted = s.submit
	for i := range s.messages {
		s.vectors[i].Base = &s.grams[i][0]
		s.messages[i].header = unix.Msghdr{Iov: &s.vectors[i], Iovlen: 1}
	}
}

// next returns the memory of the next datagram.
func (s *socket) next() []byte {
	if s.n == gramBatch {
		s.flush()
	}
	return s.grams[s.n][:]
}

// add queues the datagram that was written into [socket.next], of a size.
func (s *socket) add(size int) {
	s.vectors[s.n].SetLen(size)
	s.n++
}

// flush gives everything to the kernel. What it does not take now is lost.
func (s *socket) flush() {
	for s.first = 0; s.first < s.n; {
		if s.raw.Control(s.submitted) != nil {
			break // closed
		}
		switch s.errno {
		case 0:
			s.counts.sent += uint64(s.taken)
			s.row = 0
			s.first += s.taken
		case unix.EINTR:
		case unix.EAGAIN, unix.ENOBUFS:
			s.counts.full += uint64(s.n - s.first)
			s.first = s.n
		case unix.ECONNREFUSED:
			// An answer to an earlier datagram; this one was not sent.
			s.counts.refused++
			s.first++
		default: // the network is down, there is no route: it may come back
			s.counts.failed++
			s.row++
			s.err = s.errno
			s.first++
		}
	}
	s.n = 0
}

func (s *socket) submit(fd uintptr) {
	// The raw form: a call of more than 20 µs through the runtime's ordinary path makes
	// it hand the processor to another thread and fight for it afterwards.
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&s.messages[s.first])),
		uintptr(s.n-s.first), unix.MSG_DONTWAIT, 0, 0)
	s.taken, s.errno = int(n), errno
}

// bindTo ties a socket to an interface by name (socket(7), SO_BINDTODEVICE).
func bindTo(c syscall.RawConn, name string) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = unix.BindToDevice(int(fd), name) })
	if err != nil {
		return err
	}
	return failed
}

// multicastBy chooses the interface of what is sent to groups (ip(7), IP_MULTICAST_IF).
func multicastBy(c syscall.RawConn, index int, v6 bool) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		if v6 {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index)
			return
		}
		failed = unix.SetsockoptIPMreqn(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(index)})
	})
	if err != nil {
		return err
	}
	return failed
}

package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socketBuffer is asked of the kernel in both directions: at 100,000 packets a
// second of 1200 bytes it is 130 ms.
const socketBuffer = 16 << 20

const (
	// maxDatagram is the largest datagram that is taken: Ethernet carries no more.
	maxDatagram  = 1500
	receiveBatch = 64
)

// udpSocket is the one UDP port of all peers. Its reads come in batches; its
// writes never wait: what the kernel does not take is dropped and counted, because
// one full buffer must not hold up every peer.
type udpSocket struct {
	conn  *net.UDPConn
	raw   syscall.RawConn
	inet6 bool // the socket is AF_INET6, so IPv4 addresses are mapped

	packetsIn, bytesIn   atomic.Uint64
	packetsOut, bytesOut atomic.Uint64
	full                 atomic.Uint64 // datagrams that the kernel would not take
	failed               atomic.Uint64 // sends refused for another reason
	noSegments           atomic.Bool   // the kernel or the card cannot cut a long send into datagrams
}

// mmsghdr is struct mmsghdr of recvmmsg(2) and sendmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

func listenUDP(address string) (*udpSocket, error) {
	a, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for media on UDP %q: %w", address, err)
	}
	conn, err := net.ListenUDP("udp", a)
	if err != nil {
		return nil, fmt.Errorf("listen for media on UDP %q: %w", address, err)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for media on UDP %q: %w", address, err), conn.Close())
	}
	s := &udpSocket{conn: conn, raw: raw}
	controlled := raw.Control(func(fd uintptr) {
		var sa unix.Sockaddr
		sa, err = unix.Getsockname(int(fd))
		_, s.inet6 = sa.(*unix.SockaddrInet6)
		grow(int(fd), unix.SO_RCVBUFFORCE, unix.SO_RCVBUF)
		grow(int(fd), unix.SO_SNDBUFFORCE, unix.SO_SNDBUF)
	})
	if err = errors.Join(err, controlled); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for media on UDP %q: %w", address, err), conn.Close())
	}
	return s, nil
}

// grow asks for a large buffer, past net.core.rmem_max and wmem_max where we may.
// The kernel may refuse; what it has by default still works.
func grow(fd, force, ask int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, socketBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, ask, socketBuffer)
	}
}

// receiver is the buffers of receive.
type receiver struct {
	buffers  [receiveBatch][maxDatagram + 1]byte
	names    [receiveBatch]unix.RawSockaddrInet6
	vectors  [receiveBatch]unix.Iovec
	messages [receiveBatch]mmsghdr
}

// receive hands each datagram to f until the socket is closed; f may not keep the
// bytes. It takes all that has come with one system call, so that under load the
// cost of a wake-up is shared.
func (s *udpSocket) receive(f func(b []byte, from netip.AddrPort)) {
	r := new(receiver)
	for i := range r.messages {
		r.vectors[i] = unix.Iovec{Base: &r.buffers[i][0], Len: uint64(len(r.buffers[i]))}
		h := &r.messages[i].header
		h.Name, h.Iov, h.Iovlen = (*byte)(unsafe.Pointer(&r.names[i])), &r.vectors[i], 1
	}
	for {
		var failure error
		// The whole loop runs inside of Read: it returns false when the socket is
		// empty, and is called again when something has come. Leaving Read for
		// each batch would cost one more system call, to see that it is empty.
		err := s.raw.Read(func(fd uintptr) bool {
			for {
				n, errno := r.take(fd)
				switch {
				case errno == unix.EINTR:
					continue
				case errno == unix.EAGAIN:
					return false
				case errno != 0:
					failure = errno
					return true
				}
				for i := range n {
					size := min(int(r.messages[i].length), maxDatagram+1)
					s.packetsIn.Add(1)
					s.bytesIn.Add(uint64(size))
					if size <= maxDatagram {
						f(r.buffers[i][:size], source(&r.names[i]))
					}
				}
				if n < receiveBatch {
					return false
				}
			}
		})
		if err != nil {
			return
		}
		// An ICMP error of one peer shows up at the shared socket; the next read works.
		if failure != nil && !errors.Is(failure, unix.ECONNREFUSED) {
			s.failed.Add(1)
		}
	}
}

func (r *receiver) take(fd uintptr) (int, unix.Errno) {
	for i := range r.messages {
		r.messages[i].header.Namelen = unix.SizeofSockaddrInet6
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.messages[0])), receiveBatch, unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// source reads a socket address as the kernel wrote it.
func source(n *unix.RawSockaddrInet6) netip.AddrPort {
	if n.Family == unix.AF_INET {
		n4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(n))
		return netip.AddrPortFrom(netip.AddrFrom4(n4.Addr), swap(n4.Port))
	}
	a := netip.AddrFrom16(n.Addr).Unmap()
	if n.Scope_id != 0 && a.IsLinkLocalUnicast() {
		return netip.AddrPort{} // a link-local address is never announced
	}
	return netip.AddrPortFrom(a, swap(n.Port))
}

// swap turns a port from network order to the host's, and back.
func swap(p uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, p))
}

// destination is a socket address as the kernel reads it.
type destination struct {
	name [unix.SizeofSockaddrInet6]byte
	size uint32
}

func (s *udpSocket) destination(to netip.AddrPort) (d destination) {
	if s.inet6 {
		n := unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: swap(to.Port()), Addr: to.Addr().As16()}
		d.name, d.size = *(*[unix.SizeofSockaddrInet6]byte)(unsafe.Pointer(&n)), unix.SizeofSockaddrInet6
		return d
	}
	n := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: swap(to.Port()), Addr: to.Addr().Unmap().As4()}
	copy(d.name[:], (*[unix.SizeofSockaddrInet4]byte)(unsafe.Pointer(&n))[:])
	d.size = unix.SizeofSockaddrInet4
	return d
}

// send sends one datagram now or not at all; taken is false when the kernel's
// buffer is full.
func (s *udpSocket) send(b []byte, d *destination) (taken bool) {
	var errno unix.Errno
	err := s.raw.Control(func(fd uintptr) {
		_, _, errno = unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
			unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&d.name[0])), uintptr(d.size))
	})
	switch {
	case err != nil: // closed
	case errno == 0:
		s.packetsOut.Add(1)
		s.bytesOut.Add(uint64(len(b)))
	case errno == unix.EAGAIN, errno == unix.ENOBUFS:
		s.full.Add(1)
		return false
	default:
		// An unreachable peer shows up here; its ICE checks end by themselves.
		s.failed.Add(1)
	}
	return true
}

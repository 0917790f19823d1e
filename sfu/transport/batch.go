package transport

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	batchMessages = 64
	arenaSize     = 192 << 10
	// maxSegments and maxRun bound one UDP_SEGMENT send: the kernel's limit, and
	// what fits an IP packet.
	maxSegments = 64
	maxRun      = 60000
)

// Batch collects packets and gives them to the kernel together: up to 64 messages
// by one sendmmsg(2), and packets of one size to one peer as one message that the
// kernel or the network card cuts up (UDP_SEGMENT, udp(7)). Nothing waits in it:
// its owner calls [Batch.Flush] before it sleeps. It belongs to one goroutine.
type Batch struct {
	s     *udpSocket
	nonce nonce
	arena []byte // packets in a row, sealed

	runs     [batchMessages]run
	vectors  [batchMessages]unix.Iovec
	control  [batchMessages]segmentSize
	messages [batchMessages]mmsghdr
	n        int

	first int // of the messages that submit sends
	sent  int
	errno unix.Errno
	// submitted is submit, bound once so that a send does not allocate.
	submitted func(uintptr)
}

// run is one message: packets of one size, the last one maybe smaller.
type run struct {
	to            *route
	begin         int // in arena
	size          int // of its packets
	bytes, number int
	ended         bool // its last packet was smaller
}

// segmentSize is a control message of type UDP_SEGMENT.
type segmentSize struct {
	header unix.Cmsghdr
	size   uint16
	_      [6]byte
}

// NewBatch returns an empty batch.
func (t *Transport) NewBatch() *Batch {
	b := &Batch{s: t.udp, arena: make([]byte, 0, arenaSize)}
	for i := range b.control {
		b.control[i].header = unix.Cmsghdr{Len: unix.SizeofCmsghdr + 2, Level: unix.SOL_UDP, Type: unix.UDP_SEGMENT}
	}
	b.submitted = b.submit
	return b
}

// Send seals one packet for a peer. The header and the payload are not kept. roc
// is how often the SSRC's sequence numbers have wrapped (RFC 3711 section 3.3.1).
// It is false when the packet can go nowhere: the peer is not connected, or its
// TCP line is full.
func (b *Batch) Send(p *Peer, header, payload []byte, roc uint32) bool {
	crypt, to := p.protection(), p.route.Load()
	if crypt == nil || to == nil {
		return false
	}
	size := len(header) + len(payload) + crypt.overhead()
	if to.tcp != nil {
		sealed, err := crypt.sealRTP(&b.nonce, make([]byte, 0, size), header, payload, roc)
		return err == nil && to.tcp.send(sealed)
	}
	if len(b.arena)+size > cap(b.arena) {
		b.Flush()
	}
	at := len(b.arena)
	sealed, err := crypt.sealRTP(&b.nonce, b.arena, header, payload, roc)
	if err != nil || len(sealed) > cap(b.arena) {
		return false
	}
	if b.n > 0 {
		if r := &b.runs[b.n-1]; r.to == to && !r.ended && size <= r.size && r.number < maxSegments && r.bytes+size <= maxRun &&
			!b.s.noSegments.Load() && !p.noSegments.Load() {
			r.bytes += size
			r.number++
			r.ended = size < r.size
			b.arena = sealed
			return true
		}
	}
	if b.n == batchMessages {
		// The packet just sealed lies behind what is sent now: move it to the front.
		b.Flush()
		sealed = append(b.arena, sealed[at:]...)
		at = 0
	}
	b.arena = sealed
	b.runs[b.n] = run{to: to, begin: at, size: size, bytes: size, number: 1}
	b.n++
	return true
}

// Flush sends everything. What the kernel does not take at once is dropped and
// counted: media that is late is of no use, and the next must not wait for it.
func (b *Batch) Flush() {
	if b.n == 0 {
		return
	}
	for i := range b.n {
		r := &b.runs[i]
		b.vectors[i] = unix.Iovec{Base: &b.arena[r.begin], Len: uint64(r.bytes)}
		h := &b.messages[i].header
		*h = unix.Msghdr{Name: &r.to.to.name[0], Namelen: r.to.to.size, Iov: &b.vectors[i], Iovlen: 1}
		if r.number > 1 {
			b.control[i].size = uint16(r.size)
			h.Control = (*byte)(unsafe.Pointer(&b.control[i]))
			h.Controllen = uint64(unsafe.Sizeof(b.control[i]))
		}
	}
	for b.first = 0; b.first < b.n; {
		if b.s.raw.Control(b.submitted) != nil {
			break // closed
		}
		b.account()
	}
	clear(b.runs[:b.n]) // lets go of the routes
	b.n, b.arena = 0, b.arena[:0]
}

func (b *Batch) submit(fd uintptr) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.messages[b.first])), uintptr(b.n-b.first), unix.MSG_DONTWAIT, 0, 0)
	b.sent, b.errno = int(n), errno
}

// account counts what submit did and moves first on.
func (b *Batch) account() {
	r := &b.runs[b.first]
	switch b.errno {
	case 0:
		var packets, size uint64
		for i := b.first; i < b.first+b.sent; i++ {
			packets += uint64(b.runs[i].number)
			size += uint64(b.runs[i].bytes)
		}
		b.s.packetsOut.Add(packets)
		b.s.bytesOut.Add(size)
		b.first += b.sent
	case unix.EINTR:
	case unix.EAGAIN, unix.ENOBUFS:
		for _, r := range b.runs[b.first:b.n] {
			b.s.full.Add(uint64(r.number))
		}
		b.first = b.n
	default:
		switch {
		case r.number == 1:
			// An unreachable peer shows up here; its ICE checks end by themselves.
			b.s.failed.Add(1)
		case b.errno == unix.EIO, b.errno == unix.EOPNOTSUPP, b.errno == unix.ENOPROTOOPT:
			b.s.noSegments.Store(true) // no checksum offload (udp(7)): it will not get better
			b.single(r)
		default: // its path takes only smaller datagrams
			r.to.peer.noSegments.Store(true)
			b.single(r)
		}
		b.first++
	}
}

// single sends the packets of a run one by one.
func (b *Batch) single(r *run) {
	for rest := b.arena[r.begin : r.begin+r.bytes]; len(rest) > 0; {
		n := min(r.size, len(rest))
		b.s.send(rest[:n], &r.to.to)
		rest = rest[n:]
	}
}

package transport

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// tcpBuffer is what one ICE-TCP peer may have unsent before packets are
	// dropped: a quarter of a second at 4 Mbit/s. More would only be stale by the
	// time it arrives.
	tcpBuffer = 128 << 10
	// tcpPatience is how long a line may stay without saying whose it is.
	tcpPatience = 10 * time.Second
	maxLines    = 8192
)

// tcpLine is one TCP connection of a peer, with frames as in RFC 4571.
type tcpLine struct {
	conn net.Conn
	wake chan struct{}
	end  chan struct{}
	once sync.Once

	mu      sync.Mutex // guards what follows
	pending []byte
	last    bool // nothing more will be queued: close when all is sent
}

// accept takes lines until the listener is closed.
func (t *Transport) accept() {
	for {
		conn, err := t.tcp.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors: those that end make room.
			select {
			case <-time.After(100 * time.Millisecond):
			case <-t.done:
				return
			}
			continue
		}
		l := &tcpLine{conn: conn, wake: make(chan struct{}, 1), end: make(chan struct{})}
		t.mu.Lock()
		full := t.closed || len(t.lines) >= maxLines
		if !full {
			t.lines[l] = struct{}{}
		}
		t.mu.Unlock()
		if full {
			l.close()
			continue
		}
		t.running.Go(l.write)
		t.running.Go(func() {
			t.read(l)
			l.close()
			t.mu.Lock()
			delete(t.lines, l)
			t.mu.Unlock()
		})
	}
}

// read takes a line's frames until it breaks. The first one says whose it is.
func (t *Transport) read(l *tcpLine) {
	at, ok := l.conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return
	}
	from := at.AddrPort()
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	if l.conn.SetReadDeadline(time.Now().Add(tcpPatience)) != nil {
		return
	}
	var p *Peer
	var c check
	var size [2]byte
	b := make([]byte, maxDatagram)
	for {
		if _, err := io.ReadFull(l.conn, size[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(size[:]))
		if n > len(b) {
			return // no peer of ours frames more than a datagram
		}
		if _, err := io.ReadFull(l.conn, b[:n]); err != nil {
			return
		}
		now := t.now()
		kind := kindOf(b[:n])
		switch {
		case kind == kindSTUN:
			if of := t.check(&c, b[:n], from, l, now); of != nil && p == nil {
				p = of
				if l.conn.SetReadDeadline(time.Time{}) != nil {
					return
				}
			}
		case p != nil && kind != kindOther:
			p.datagram(kind, b[:n], now)
		}
	}
}

// send queues one frame; it is false when the line is full.
func (l *tcpLine) send(b []byte) bool {
	l.mu.Lock()
	full := len(l.pending)+len(b)+2 > tcpBuffer
	if !full {
		l.pending = binary.BigEndian.AppendUint16(l.pending, uint16(len(b)))
		l.pending = append(l.pending, b...)
	}
	l.mu.Unlock()
	if full {
		return false
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return true
}

// write sends what is queued until the line is closed.
func (l *tcpLine) write() {
	var b []byte
	for {
		select {
		case <-l.wake:
		case <-l.end:
			return
		}
		l.mu.Lock()
		b, l.pending = l.pending, b[:0]
		last := l.last
		l.mu.Unlock()
		if _, err := l.conn.Write(b); err != nil || last {
			l.close()
			return
		}
	}
}

// finish closes the line when what is queued was sent.
func (l *tcpLine) finish() {
	l.mu.Lock()
	l.last = true
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *tcpLine) close() {
	l.once.Do(func() {
		close(l.end)
		_ = l.conn.Close() // it is broken or not wanted: there is nobody to tell
	})
}

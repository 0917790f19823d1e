package main

import (
	"context"
	"net"
	"strconv"
	"sync/atomic"
)

// damage is what happens to a transport stream on its way.
type damage int32

const (
	intact    damage = iota
	cut              // nothing arrives any more
	noPCR            // the clock references are taken out
	scrambled        // pictures and sound are marked scrambled, as behind a card that expired
	gone             // the PAT no longer has the programme
)

// wire passes a transport stream on to a port and damages it on demand.
type wire struct {
	in, to int
	what   atomic.Int32
	conn   *net.UDPConn
	done   chan struct{}
}

func newWire() (*wire, error) {
	in, err := freePort("udp")
	if err != nil {
		return nil, err
	}
	to, err := freePort("udp")
	return &wire{in: in, to: to}, err
}

func (w *wire) source() string { return "udp://127.0.0.1:" + strconv.Itoa(w.to) }

func (w *wire) start() error {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: w.in})
	if err != nil {
		return err
	}
	w.conn, w.done = conn, make(chan struct{})
	go w.run()
	return nil
}

func (w *wire) stop() {
	_ = w.conn.Close() // ends run
	<-w.done
}

func (w *wire) run() {
	defer close(w.done)
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: w.to}
	buf := make([]byte, 2048)
	for {
		n, err := w.conn.Read(buf)
		if err != nil {
			return
		}
		what := damage(w.what.Load())
		if what == cut {
			continue
		}
		for at := 0; at+188 <= n; at += 188 {
			hurt(what, buf[at:at+188])
		}
		_, _ = w.conn.WriteToUDP(buf[:n], to) // nobody may be listening yet
	}
}

// hurt damages one packet.
func hurt(what damage, p []byte) {
	pid := int(p[1]&0x1F)<<8 | int(p[2])
	switch {
	case what == noPCR && p[3]&0x20 != 0 && p[4] > 0:
		p[5] &^= 0x10
	case what == scrambled && pid >= 0x100 && pid < 0x1000:
		p[3] |= 0x80
	case what == gone && pid == 0:
		copy(p[4:], emptyPAT())
	}
}

// emptyPAT is the payload of a packet with a PAT without programmes.
func emptyPAT() []byte {
	b := make([]byte, 184)
	for i := range b {
		b[i] = 0xFF
	}
	section := []byte{0x00, 0xB0, 9, 0, 1, 0xC1 | 9<<1, 0, 0}
	crc := ^uint32(0)
	for _, c := range section { // ISO/IEC 13818-1 annex A
		crc ^= uint32(c) << 24
		for range 8 {
			if crc&0x80000000 != 0 {
				crc = crc<<1 ^ 0x04C11DB7
			} else {
				crc <<= 1
			}
		}
	}
	b[0] = 0
	copy(b[1:], append(section, byte(crc>>24), byte(crc>>16), byte(crc>>8), byte(crc)))
	return b
}

// feed starts ffmpeg into the wire.
func (w *wire) feed(ctx context.Context) (*sender, error) {
	return send(ctx, "-f", "mpegts", "udp://127.0.0.1:"+strconv.Itoa(w.in)+"?pkt_size=1316")
}

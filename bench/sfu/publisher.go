package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"tongxiang/bench/process"
)

// The traffic of one publisher: 25 pictures a second of 5 packets and three times
// a second of 6, which is 128 packets of 1150 bytes or 1.18 Mbit/s, and 50 of sound.
const (
	framesPerSecond = 25
	packetSize      = 1150 // RTP header and payload
	soundSize       = 120
	gop             = 2 * framesPerSecond
	apart           = 2500 * time.Microsecond
	soundEvery      = 20 * time.Millisecond
	packetsPerSec   = 178
)

// A stamp is at the front of each payload behind the codec's own first bytes: a
// mark, the packet's number and when it was sent.
const (
	stampMark = 0x54584243
	stampSize = 20
)

// testSPS and testPPS are real parameter sets of OpenH264: 640x480, constrained baseline.
var (
	testSPS = []byte{0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0x90, 0x0f, 0x08, 0x84, 0x6a}
	testPPS = []byte{0x68, 0xcb, 0x83, 0xcb}
)

// publisher sends one picture and one sound by WHIP.
type publisher struct {
	*peer
	burst   bool
	picture bool        // false: sound only
	muted   bool        // says that it is silent
	holds   atomic.Bool // sends nothing for now

	sent    atomic.Int64 // stamped packets; the next one's number
	keys    atomic.Bool  // a key frame was asked for
	asked   atomic.Int64
	mu      sync.Mutex // guards what follows, and the order on the wire
	video   rtp.Header
	audio   rtp.Header
	history [1024][]byte // ciphertext by sequence number, for NACKs
	nacked  atomic.Int64

	stop   context.CancelFunc
	ending sync.WaitGroup
}

func newPublisher(id *identity, s *server, token string, burst, picture bool) *publisher {
	p := &publisher{peer: newPeer(id, s, token), burst: burst, picture: picture}
	p.video = rtp.Header{Version: 2, PayloadType: ptVideo, SSRC: ssrcVideo, SequenceNumber: 1000}
	p.audio = rtp.Header{Version: 2, PayloadType: ptAudio, SSRC: ssrcAudio, SequenceNumber: 2000}
	p.onRTCP = p.feedback
	return p
}

// start joins and sends until close.
func (p *publisher) start(ctx context.Context, path string) error {
	video := 1
	if !p.picture {
		video = 0
	}
	if err := p.join(ctx, path, "sendonly", video, 1); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	run, cancel := context.WithCancel(ctx)
	p.stop = cancel
	if p.picture {
		p.ending.Go(func() { p.pictures(run) })
	}
	p.ending.Go(func() { p.sounds(run) })
	p.ending.Go(func() { p.consent(run) })
	return nil
}

func (p *publisher) close() {
	if p.stop != nil {
		p.stop()
		p.ending.Wait()
	}
	p.peer.close()
}

// consent keeps the server's consent fresh.
func (p *publisher) consent(ctx context.Context) {
	for process.Pause(ctx, consentEvery) == nil {
		_ = p.check() // the next one may get through
	}
}

// pictures sends frames on a fixed grid of time, so that a late timer does not
// lower the rate.
func (p *publisher) pictures(ctx context.Context) {
	begin := time.Now()
	for i := 0; ; i++ {
		due := begin.Add(time.Duration(i) * time.Second / framesPerSecond)
		if process.Pause(ctx, time.Until(due)) != nil {
			return
		}
		n := 5
		if i%framesPerSecond%9 == 4 { // 3 of 25: frames 4, 13, 22
			n = 6
		}
		key := i%gop == 0 || p.keys.Swap(false)
		p.mu.Lock()
		p.video.Timestamp += 90000 / framesPerSecond
		p.mu.Unlock()
		for k := range n {
			if !p.burst && k > 0 {
				if process.Pause(ctx, time.Until(due.Add(time.Duration(k)*apart))) != nil {
					return
				}
			}
			p.fragment(key, k, n)
		}
	}
}

// fragment sends the k-th of n packets of a frame: FU-A, and before a key frame
// its parameter sets in a STAP-A (RFC 6184 sections 5.7.1 and 5.8).
func (p *publisher) fragment(key bool, k, n int) {
	nal := byte(0x01)
	if key {
		nal = 0x05
		if k == 0 {
			stap := append([]byte{0x78, 0, byte(len(testSPS))}, testSPS...)
			stap = append(append(stap, 0, byte(len(testPPS))), testPPS...)
			p.send(&p.video, stap, false)
		}
	}
	b := make([]byte, packetSize-12)
	b[0], b[1] = 0x7c, nal
	switch k {
	case 0:
		b[1] |= 0x80
	case n - 1:
		b[1] |= 0x40
	}
	b[2] = 0x88 // first_mb_in_slice 0, an I or P slice
	p.stamp(b[3:])
	p.send(&p.video, b, k == n-1)
}

func (p *publisher) sounds(ctx context.Context) {
	begin := time.Now()
	for i := 0; ; i++ {
		if process.Pause(ctx, time.Until(begin.Add(time.Duration(i)*soundEvery))) != nil {
			return
		}
		if p.holds.Load() {
			continue
		}
		b := make([]byte, soundSize)
		b[0] = 0xf8
		p.stamp(b[1:])
		level := []byte{0x80 | 20}
		if p.muted {
			level[0] = 127
		}
		p.mu.Lock()
		p.audio.Timestamp += 960
		err := p.audio.SetExtension(extLevel, level)
		p.mu.Unlock()
		if err == nil {
			p.send(&p.audio, b, false)
		}
	}
}

// stamp writes the mark, the number and the time at the front of b.
func (p *publisher) stamp(b []byte) {
	binary.BigEndian.PutUint32(b, stampMark)
	binary.BigEndian.PutUint64(b[4:], uint64(p.sent.Add(1)-1))
	binary.BigEndian.PutUint64(b[12:], uint64(time.Now().UnixNano()))
}

func (p *publisher) send(h *rtp.Header, payload []byte, marker bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h.Marker = marker
	plain, err := (&rtp.Packet{Header: *h, Payload: payload}).Marshal()
	if err != nil {
		return
	}
	h.SequenceNumber++
	p.outMu.Lock()
	sealed, err := p.out.EncryptRTP(nil, plain, nil)
	p.outMu.Unlock()
	if err != nil {
		return
	}
	if h == &p.video {
		p.history[(h.SequenceNumber-1)%uint16(len(p.history))] = sealed
	}
	_, _ = p.conn.Write(sealed) // what a full socket drops is asked for again
}

// feedback acts on RTCP: it runs on the reading goroutine.
func (p *publisher) feedback(b []byte, _ time.Time) {
	plain, err := p.in.DecryptRTCP(nil, b, nil)
	if err != nil {
		return
	}
	packets, err := rtcp.Unmarshal(plain)
	if err != nil {
		return
	}
	for _, pk := range packets {
		switch pk := pk.(type) {
		case *rtcp.PictureLossIndication:
			p.asked.Add(1)
			p.keys.Store(true)
		case *rtcp.TransportLayerNack:
			if pk.MediaSSRC != ssrcVideo {
				continue
			}
			for _, pair := range pk.Nacks {
				for _, seq := range pair.PacketList() {
					p.nacked.Add(1)
					p.mu.Lock()
					again := p.history[seq%uint16(len(p.history))]
					p.mu.Unlock()
					if len(again) > 4 && binary.BigEndian.Uint16(again[2:]) == seq {
						_, _ = p.conn.Write(again)
					}
				}
			}
		}
	}
}

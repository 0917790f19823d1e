package sfu

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// maxLayers bounds the incoming streams of one publisher: three layers, a screen,
// sound, and as many again for an encoder that restarts one under another SSRC.
const maxLayers = 12

// publication is one WHIP session: what it receives it writes to the hub. It
// implements [transport.Handler]: RTP runs on the goroutine that reads the socket.
// run sends feedback and ends the session.
type publication struct {
	eng    *Engine
	log    *slog.Logger
	peer   *peer
	grant  Grant
	lines  []*mediaLine
	ids    payloadTypes // header extensions, which are the same in all m-lines
	pub    *stream.Publisher
	muted  *atomic.Bool // of the participant in its room; nil outside of one
	clocks media.RTPSession

	wake chan struct{} // to run: something is due earlier than it thinks
	lost chan struct{} // closed by Gone
	end  chan struct{} // closed by stop
	once sync.Once
	done chan struct{} // closed when run has ended

	receiving sync.Mutex // guards what follows: a peer may come by UDP and by TCP at once
	streams   map[uint32]*incoming
	scratch   [maxPacket]byte

	arrivalMu sync.Mutex // guards arrivals
	arrivals  *twcc.Recorder
	reporting atomic.Bool // run knows that arrivals has something

	mu     sync.Mutex // guards layers
	layers []*layer
}

func newPublication(e *Engine, grant Grant, lines []*mediaLine, log *slog.Logger) *publication {
	p := &publication{
		eng: e, log: log, grant: grant, lines: lines,
		wake: make(chan struct{}, 1), lost: make(chan struct{}), end: make(chan struct{}), done: make(chan struct{}),
		streams: make(map[uint32]*incoming), arrivals: twcc.NewRecorder(feedbackSSRC),
	}
	for _, l := range lines {
		p.ids.share(&l.types)
	}
	return p
}

// Up implements [transport.Handler].
func (p *publication) Up() {}

// Gone implements [transport.Handler].
func (p *publication) Gone() { close(p.lost) }

// RTCP implements [transport.Handler]: senders report when they sent what.
func (p *publication) RTCP(b []byte, now int64) {
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		p.eng.drops.Add(stream.DropMalformed, 1)
		return
	}
	for _, pk := range packets {
		sr, ok := pk.(*rtcp.SenderReport)
		if !ok {
			continue
		}
		p.mu.Lock()
		for _, l := range p.layers {
			if l.ssrc == sr.SSRC {
				l.report(sr, now)
			}
		}
		p.mu.Unlock()
	}
}

// ignoreAgain is the least time between two requests to ignore a muted stream: its
// path may have changed since.
const ignoreAgain = 1000 * ms

// ignore has a muted stream dropped before it costs anything.
func (p *publication) ignore(ssrc uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.muted.Load() { // heed comes after the flag was taken back, and waits for mu
		p.peer.Ignore(ssrc)
	}
}

// heed lets the publisher's sound in again.
func (p *publication) heed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peer.Heed()
}

// arrived notes a transport-wide sequence number
// (draft-holmer-rmcat-transport-wide-cc-extensions-01), those of retransmissions
// and of padding among them.
func (p *publication) arrived(ssrc uint32, number uint16, now int64) {
	p.arrivalMu.Lock()
	p.arrivals.Record(ssrc, number, now/1000)
	p.arrivalMu.Unlock()
	if p.reporting.CompareAndSwap(false, true) {
		p.poke()
	}
}

func (p *publication) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run sends the feedback that senders need: without transport-wide reports
// Chromium stays at 98 kbit/s for ever. It ends the session when the connection is
// gone or somebody else took over the name.
func (p *publication) run() {
	defer close(p.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var nextTWCC int64
	var asks [maxLayers]<-chan struct{}
	for {
		now := p.eng.clock.Now()
		out, next := p.collect(now, &nextTWCC, &asks)
		if len(out) > 0 {
			p.peer.sendRTCP(out, p.log)
		}
		wait := time.Hour
		if next > 0 {
			wait = time.Duration(max(0, next-p.eng.clock.Now()))
		}
		timer.Reset(wait)
		select {
		case <-p.end:
			p.close("closed")
			return
		case <-p.lost:
			p.close("connection lost")
			return
		case <-p.pub.Done():
			p.close("taken over")
			return
		case <-p.eng.done:
			p.close("server closing")
			return
		case <-p.wake:
		case <-timer.C:
		case <-asks[0]:
			p.asked(0)
		case <-asks[1]:
			p.asked(1)
		case <-asks[2]:
			p.asked(2)
		case <-asks[3]:
			p.asked(3)
		case <-asks[4]:
			p.asked(4)
		case <-asks[5]:
			p.asked(5)
		case <-asks[6]:
			p.asked(6)
		case <-asks[7]:
			p.asked(7)
		case <-asks[8]:
			p.asked(8)
		case <-asks[9]:
			p.asked(9)
		case <-asks[10]:
			p.asked(10)
		case <-asks[11]:
			p.asked(11)
		}
	}
}

// asked notes that readers of the i-th layer need a key frame.
func (p *publication) asked(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i < len(p.layers) {
		l := p.layers[i]
		l.mu.Lock()
		l.keys.want()
		l.mu.Unlock()
	}
}

// collect returns the RTCP to send now and when it wants to be called again; 0:
// only when poked. It fills asks with the layers' request channels.
func (p *publication) collect(now int64, nextTWCC *int64, asks *[maxLayers]<-chan struct{}) (out []rtcp.Packet, next int64) {
	at := func(t int64) {
		if t > 0 && (next == 0 || t < next) {
			next = t
		}
	}
	if p.reporting.Load() {
		if now >= *nextTWCC {
			p.reporting.Store(false)
			p.arrivalMu.Lock()
			out = append(out, p.arrivals.BuildFeedbackPacket()...)
			p.arrivalMu.Unlock()
			*nextTWCC = now + twccEvery
		} else {
			at(*nextTWCC)
		}
	}
	*asks = [maxLayers]<-chan struct{}{}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, l := range p.layers {
		l.mu.Lock()
		if l.track != nil && l.video {
			asks[i] = l.track.KeyFrameRequests()
		}
		out = l.feedback(now, out)
		at(l.keys.next())
		at(l.loss.next())
		at(l.nextRR)
		l.mu.Unlock()
	}
	return out, next
}

// feedbackSSRC is who our RTCP says it is from: a receiver sends no media.
const feedbackSSRC = 1

// close ends the session. Only run calls it.
func (p *publication) close(why string) {
	p.pub.Close()
	p.peer.Close()
	p.eng.forget(p.peer.id)
	p.log.Info("publisher ended", "why", why)
}

// quit asks run to end the session.
func (p *publication) quit() { p.once.Do(func() { close(p.end) }) }

// stop asks run to end the session, and waits for it.
func (p *publication) stop() {
	p.quit()
	<-p.done
}

// transport implements session.
func (p *publication) transport() *peer { return p.peer }

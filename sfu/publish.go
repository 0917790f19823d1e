package sfu

import (
	"log/slog"
	"slices"
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

// publication is one WHIP session: what it receives it writes to the hub.
//
// Goroutines: run, which sends feedback and ends the session, and for each
// incoming stream one that reads RTP and one that reads RTCP. The readers belong
// to the peer, which waits for them.
type publication struct {
	eng    *Engine
	log    *slog.Logger
	peer   *peer
	grant  Grant
	lines  []mediaLine
	ready  chan struct{}     // closed when peer and pub are set
	pub    *stream.Publisher // set before ready is closed
	muted  *atomic.Bool      // of the participant in its room; nil outside of one
	clocks media.RTPSession

	wake chan struct{} // to run: something is due earlier than it thinks
	end  chan struct{} // closed by stop
	once sync.Once
	done chan struct{} // closed when run has ended

	arrivalMu sync.Mutex // guards arrivals
	arrivals  *twcc.Recorder
	reporting atomic.Bool // run knows that arrivals has something

	mu     sync.Mutex // guards layers
	layers []*layer
}

// arrived is called by pion's readers for each transport-wide sequence number.
func (p *publication) arrived(ssrc uint32, number uint16) {
	p.arrivalMu.Lock()
	p.arrivals.Record(ssrc, number, p.eng.clock.Now()/1000)
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

// receive reads one incoming stream until it ends. It is the peer's onTrack.
func (p *publication) receive(r remoteTrack) {
	select {
	case <-p.ready:
	case <-p.end:
		return
	case <-p.eng.done:
		return
	}
	line, ok := p.line(r)
	if !ok {
		p.log.Warn("track without an m-line", "mid", r.mid, "rid", r.rid)
		return
	}
	l := newLayer(p, line, r)
	p.mu.Lock()
	if len(p.layers) >= maxLayers {
		p.mu.Unlock()
		p.log.Warn("too many incoming streams", "ssrc", r.ssrc)
		return
	}
	p.layers = append(p.layers, l)
	p.mu.Unlock()
	p.peer.run(l.readReports)
	p.log.Debug("track", "label", l.label, "layer", l.index, "rid", l.rid, "ssrc", r.ssrc)
	for {
		b := l.slab.buffer()
		n, repair, err := r.read(b)
		if err != nil {
			break
		}
		l.push(b[:n], repair, p.eng.clock.Now())
	}
	p.mu.Lock()
	p.layers = slices.DeleteFunc(p.layers, func(o *layer) bool { return o == l })
	p.mu.Unlock()
	p.poke()
}

// line finds the m-line of an incoming stream.
func (p *publication) line(r remoteTrack) (mediaLine, bool) {
	for _, l := range p.lines {
		if l.mid == r.mid {
			return l, true
		}
	}
	return mediaLine{}, false
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
			p.peer.sendRTCP(out)
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
		case <-p.peer.gone:
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
	p.peer.close()
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

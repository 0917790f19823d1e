package rtsp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

const (
	// reportEvery is how often sender reports are sent.
	reportEvery = 5 * time.Second
	// hold is how long sound waits for the first picture, so that both begin at the
	// same moment: the picture begins at a key frame of the past.
	hold = 2 * time.Second
	// goneAfter is how long a player waits for a stream that nobody publishes.
	goneAfter = 30 * time.Second
	// A player by UDP cannot say that it gets too much: what lies in the ring is
	// sent to it in bursts of 16 packets every 2 ms, about 70 Mbit/s.
	burst      = 16
	burstPause = 2 * time.Millisecond
)

// Why a pump ends by itself.
var (
	errChanged = errors.New("the stream's tracks are others than those described")
	errGone    = errors.New("the stream is gone")
)

// pump sends the packets of one stream to one library stream, which has one player,
// or all those of a multicast group.
type pump struct {
	server *Server
	name   stream.Name
	out    *gortsplib.ServerStream
	paced  bool
	// full is set by the library's callback when it did not take a packet.
	full atomic.Bool

	lanes  []*lane
	cancel context.CancelFunc
	done   chan struct{}

	// owned by run
	sub    *stream.Subscription
	rd     *stream.Reader
	synced bool      // the first picture is there, or no longer waited for
	sent   int       // since the last pause
	absent time.Time // since when there are no tracks; zero: there are
}

// newPump makes a pump for some medias of a layout; nil: all.
func newPump(s *Server, name stream.Name, l *layout, out *gortsplib.ServerStream, medias []*description.Media) *pump {
	p := &pump{server: s, name: name, out: out}
	stats := out.Stats()
	for _, part := range l.parts {
		if medias == nil || slices.Contains(medias, part.media) {
			p.lanes = append(p.lanes, newLane(part, stats.Medias[part.media].Formats[part.format].LocalSSRC))
		}
	}
	return p
}

// start runs the pump in its goroutine; failed is told when it ends by itself.
func (p *pump) start(failed func(error)) {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel, p.done = cancel, make(chan struct{})
	go func() {
		defer close(p.done)
		if err := p.run(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}()
}

// stop ends the pump and waits for it.
func (p *pump) stop() {
	if p.cancel == nil {
		return
	}
	p.cancel()
	<-p.done
}

func (p *pump) run(ctx context.Context) error {
	p.sub = p.server.hub.Open(p.name)
	defer p.sub.Close()
	p.rd = stream.NewReader(&p.server.drops)
	defer func() {
		for _, l := range p.lanes {
			l.detach()
		}
	}()
	changed := p.sub.Changed()
	if err := p.attach(stream.AtSync); err != nil {
		return err
	}
	reports := time.NewTicker(reportEvery)
	defer reports.Stop()
	held := time.NewTimer(hold)
	defer held.Stop()
	for {
		if err := p.drain(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.rd.Wake():
		case <-held.C:
			if err := p.beginWithout(); err != nil {
				return err
			}
		case <-changed:
			changed = p.sub.Changed()
			if err := p.attach(stream.AtOldest); err != nil {
				return err
			}
		case now := <-reports.C:
			for _, l := range p.lanes {
				p.report(l)
			}
			if !p.absent.IsZero() && now.Sub(p.absent) > goneAfter {
				return errGone
			}
		}
	}
}

// attach follows the tracks that carry the lanes now. A track that is new to a player
// who is here already begins at its beginning.
func (p *pump) attach(from stream.Start) error {
	tracks := p.sub.Tracks()
	pictures := stream.Find(tracks, media.Video) != nil
	followed := 0
	for _, l := range p.lanes {
		t, changed := l.find(tracks)
		if changed {
			return errChanged
		}
		if t != nil {
			followed++
		}
		if t == l.track {
			continue
		}
		start := from
		if l.known.Codec.Kind() == media.Audio && pictures {
			start = stream.AtOldest // what lies before the picture is passed over
		}
		if err := l.attach(t, p.rd, start); err != nil {
			return fmt.Errorf("follow %s: %w", l.label, err)
		}
		if t != nil && t.Kind() == media.Video {
			t.RequestKeyFrame()
		}
	}
	switch {
	case followed > 0:
		p.absent = time.Time{}
	case p.absent.IsZero():
		p.absent = time.Now()
	}
	return nil
}

// drain sends what there is, in order of time.
func (p *pump) drain(ctx context.Context) error {
	for {
		l := p.choose()
		if l == nil {
			return nil
		}
		if err := p.send(l); err != nil {
			return err
		}
		if p.sent++; p.paced && p.sent >= burst && l.cursor != nil && l.cursor.Behind() > 0 {
			p.sent = 0
			pause := time.NewTimer(burstPause)
			select {
			case <-ctx.Done():
				pause.Stop()
				return nil
			case <-pause.C:
			}
		}
	}
}

// choose returns the lane whose packet is next, or nil.
func (p *pump) choose() *lane {
	p.align()
	var best *lane
	for _, l := range p.lanes {
		if !p.synced && l.known.Codec.Kind() == media.Audio {
			continue
		}
		q := l.peek(&p.server.drops)
		if q != nil && (best == nil || q.Time < best.head.Time) {
			best = l
		}
	}
	return best
}

// align has sound begin where the picture begins.
func (p *pump) align() {
	if p.synced {
		return
	}
	pictures := false
	var first media.Time
	for _, l := range p.lanes {
		if l.known.Codec.Kind() != media.Video || l.track == nil {
			continue
		}
		pictures = true
		if q := l.peek(&p.server.drops); q != nil {
			first, p.synced = q.Time, true
		}
	}
	if !p.synced {
		p.synced = !pictures
		return
	}
	for _, l := range p.lanes {
		if l.known.Codec.Kind() != media.Audio {
			continue
		}
		l.from = first // also of what is derived a moment later
	}
}

// beginWithout has the sound begin now, because there is no picture yet.
func (p *pump) beginWithout() error {
	if p.synced {
		return nil
	}
	p.synced = true
	for _, l := range p.lanes {
		if l.known.Codec.Kind() != media.Audio {
			continue
		}
		if err := l.attach(l.track, p.rd, stream.AtSync); err != nil {
			return fmt.Errorf("follow %s: %w", l.label, err)
		}
	}
	return nil
}

// send gives one packet to the library.
func (p *pump) send(l *lane) error {
	fresh := l.packets == 0
	pkt := l.next()
	if fresh {
		p.report(l)
	}
	size := len(pkt.Payload)
	err := p.out.WritePacketRTP(l.media, pkt)
	if p.full.Swap(false) || err != nil {
		// It takes no more. What is left of this picture is of no use to it.
		p.server.drops.Add(stream.DropSocketFull, 1)
		if l.known.Codec.Kind() == media.Video {
			l.waits = true
			l.track.RequestKeyFrame()
		}
		return nil
	}
	p.server.packets.Add(1)
	p.server.bytes.Add(uint64(size))
	return nil
}

// report sends a sender report of a lane that has begun.
func (p *pump) report(l *lane) {
	if l.packets == 0 {
		return
	}
	// A report that is not taken is followed by the next one.
	_ = p.out.WritePacketRTCP(l.media, l.report(p.server.clock))
}

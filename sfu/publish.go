package sfu

import (
	"bytes"
	"encoding/binary"
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

// layer is one incoming RTP stream: a sound, a picture or a simulcast layer of one.
type layer struct {
	p      *publication
	label  stream.Label
	index  int
	rid    string
	remote remoteTrack
	video  bool

	mu      sync.Mutex // guards what follows; held for moments by the two readers and by run
	ended   bool
	track   *stream.Track
	seqs    media.Unwrapper
	stamps  media.Unwrapper
	loss    lossList
	stats   reception
	clock   *media.RTPClock // nil before the first media packet
	keys    keyFrames
	nextRR  int64
	pending []uint16 // scratch of run

	// owned by the RTP reader
	look  media.Inspector
	pack  compactor
	slab  slab
	sps   []byte
	codec media.Codec
}

// slab hands out packets and their bytes from larger pieces, so that a packet
// costs a fraction of an allocation. The collector frees a piece with the last
// packet in it, which a ring keeps for a few seconds.
type slab struct {
	bytes   []byte
	packets []media.Packet
}

const (
	slabBytes   = 64 << 10
	slabPackets = 64
	maxPacket   = 1500
)

// buffer returns room for one packet.
func (s *slab) buffer() []byte {
	if len(s.bytes) < maxPacket {
		s.bytes = make([]byte, slabBytes)
	}
	return s.bytes[:maxPacket:maxPacket]
}

// take keeps the first n bytes of the last buffer and returns a packet for them.
func (s *slab) take(n int) *media.Packet {
	s.bytes = s.bytes[n:]
	if len(s.packets) == 0 {
		s.packets = make([]media.Packet, slabPackets)
	}
	p := &s.packets[0]
	s.packets = s.packets[1:]
	return p
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
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	p.poke()
}

func newLayer(p *publication, line mediaLine, r remoteTrack) *layer {
	return &layer{
		p: p, label: line.label, index: layerIndex(line.rids, r.rid), rid: r.rid,
		remote: r, video: line.kind == media.Video,
		seqs: media.NewUnwrapper(16), stamps: media.NewUnwrapper(32),
	}
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

// layerIndex orders simulcast layers from small to large. The usual names say
// their order; of others the order of the offer is believed. Which layer is how
// high is known from the pictures themselves, later.
func layerIndex(rids []string, rid string) int {
	switch rid {
	case "q", "l", "low":
		return 0
	case "h", "m", "mid":
		return min(1, max(0, len(rids)-1))
	case "f", "hi", "high":
		return max(0, len(rids)-1)
	}
	return max(0, slices.Index(rids, rid))
}

// push takes one packet, whose bytes are at the front of the slab.
func (l *layer) push(b []byte, repair bool, now int64) {
	eng := l.p.eng
	v, ok := parseRTP(b)
	if !ok {
		eng.drops.Add(stream.DropMalformed, 1)
		return
	}
	codec := l.remote.types.codec[v.pt]
	l.mu.Lock()
	seq := l.seqs.Unwrap(uint64(v.seq))
	fresh, outage := l.loss.arrived(seq, now)
	newest := seq == l.loss.newest
	nackable := len(l.loss.missing) > 0
	if repair && fresh {
		l.stats.repaired()
	} else if fresh {
		l.stats.arrived(seq, v.timestamp, media.Time(now).Ticks(clockRate(codec)))
	}
	if outage && l.video {
		l.keys.want()
	}
	if l.nextRR == 0 {
		l.nextRR = now + rrEvery/4 // the first soon, so that the sender learns its round trip
		defer l.p.poke()
	}
	l.mu.Unlock()
	if (nackable && newest) || outage {
		l.p.poke()
	}
	if !fresh {
		eng.drops.Add(stream.DropDuplicate, 1)
		return
	}
	if len(v.payload) == 0 {
		if newest && !repair {
			l.pack.skip(seq)
		}
		return
	}
	if codec == 0 {
		eng.drops.Add(stream.DropUnplayable, 1)
		return
	}
	if !l.video && l.p.muted != nil && l.p.muted.Load() {
		if newest && !repair {
			l.pack.skip(seq) // what nobody may hear leaves no gap either
		}
		eng.drops.Add(stream.DropMuted, 1)
		return
	}
	pk := l.slab.take(len(b))
	l.mu.Lock()
	if codec != l.codec {
		l.clock = l.p.clocks.Clock(clockRate(codec))
	}
	pk.Timestamp = l.stamps.Unwrap(uint64(v.timestamp))
	pk.Time, _ = l.clock.Time(pk.Timestamp, now)
	l.mu.Unlock()
	pk.Sequence, pk.Arrival, pk.Payload = l.pack.number(seq), now, v.payload
	pk.Codec, pk.Marker, pk.Repair = codec, v.marker, repair
	if e := v.extension(l.remote.types.level); len(e) > 0 && !l.video {
		pk.HasLevel, pk.Voice, pk.AudioLevel = true, e[0]&0x80 != 0, e[0]&0x7f
	}
	l.look.Inspect(pk)
	if codec != l.codec {
		l.open(codec)
	}
	if l.video && pk.SyncPoint() {
		l.learn(pk)
		l.mu.Lock()
		l.keys.seen()
		l.mu.Unlock()
	}
	l.track.WritePacket(pk)
	eng.in.packets.Add(1)
	eng.in.bytes.Add(uint64(len(pk.Payload)))
}

// open publishes the layer's track for a codec.
func (l *layer) open(codec media.Codec) {
	f := media.Format{Codec: codec, ClockRate: clockRate(codec)}
	if codec == media.Opus {
		f.Channels, f.Rate = 2, 48000
	}
	t := l.p.pub.AddTrack(stream.TrackInfo{Label: l.label, Layer: l.index, RID: l.rid, Form: stream.Packets, Format: f})
	l.mu.Lock()
	l.track = t
	l.mu.Unlock()
	l.codec = codec
	l.p.poke() // run listens for this track's requests
}

// learn publishes the format that a sync point shows, when it is a new one.
func (l *layer) learn(pk *media.Packet) {
	f := l.track.Format()
	switch pk.Codec {
	case media.VP8:
		d, err := media.ParseVP8(pk.Payload)
		if err != nil {
			return
		}
		w, h, err := media.VP8Size(pk.Payload[d.Size:])
		if err != nil || (w == f.Width && h == f.Height) {
			return
		}
		f.Width, f.Height = w, h
	case media.H264:
		units := h264Units(pk.Payload)
		if len(units) == 0 || bytes.Equal(units[0], l.sps) {
			return
		}
		g, err := media.H264Format(units)
		if err != nil {
			return
		}
		l.sps, f = units[0], g
	default:
		return
	}
	l.track.SetFormat(f)
}

// h264Units returns the parameter sets of a payload that begins with an SPS,
// either alone or in a STAP-A (RFC 6184 section 5.7.1).
func h264Units(b []byte) [][]byte {
	if len(b) == 0 {
		return nil
	}
	switch media.H264Type(b) {
	case media.H264SPS:
		return [][]byte{b}
	case media.H264STAPA:
	default:
		return nil
	}
	var sps, others [][]byte
	for rest := b[1:]; len(rest) > 2; {
		n := int(binary.BigEndian.Uint16(rest))
		if n == 0 || n > len(rest)-2 {
			break
		}
		u := rest[2 : 2+n]
		switch media.H264Type(u) {
		case media.H264SPS:
			sps = append(sps, u)
		case media.H264PPS:
			others = append(others, u)
		}
		rest = rest[2+n:]
	}
	if len(sps) == 0 {
		return nil
	}
	return append(sps, others...)
}

// readReports takes the sender reports of one stream until it ends.
func (l *layer) readReports() {
	b := make([]byte, maxPacket)
	for {
		n, err := l.remote.readRTCP(b)
		if err != nil {
			return
		}
		packets, err := rtcp.Unmarshal(b[:n])
		if err != nil {
			l.p.eng.drops.Add(stream.DropMalformed, 1)
			continue
		}
		now := l.p.eng.clock.Now()
		for _, pk := range packets {
			if sr, ok := pk.(*rtcp.SenderReport); ok && sr.SSRC == l.remote.ssrc {
				l.mu.Lock()
				l.stats.lastSR, l.stats.lastSRAt = uint32(sr.NTPTime>>16), now
				clock := l.clock
				l.mu.Unlock()
				if clock != nil {
					clock.SenderReport(sr.RTPTime, sr.NTPTime, now)
				}
			}
		}
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

// feedback appends what is due for one layer. The caller holds l.mu.
func (l *layer) feedback(now int64, out []rtcp.Packet) []rtcp.Packet {
	eng := l.p.eng
	if l.keys.due(now) {
		out = append(out, &rtcp.PictureLossIndication{SenderSSRC: feedbackSSRC, MediaSSRC: l.remote.ssrc})
		eng.plis.Add(1)
	}
	if l.video {
		if l.pending = l.loss.due(now, l.pending[:0]); len(l.pending) > 0 {
			out = append(out, &rtcp.TransportLayerNack{
				SenderSSRC: feedbackSSRC, MediaSSRC: l.remote.ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(l.pending),
			})
			eng.nacks.Add(uint64(len(l.pending)))
		}
	} else {
		l.loss.missing = l.loss.missing[:0] // sound is concealed sooner than it is repaired
	}
	if l.nextRR > 0 && now >= l.nextRR && l.stats.begun {
		if l.stats.reportedSequence == l.stats.highest {
			l.nextRR = 0 // nothing arrived since: wait for the next packet
			return out
		}
		l.stats.reportedSequence = l.stats.highest
		fraction, lost := l.stats.report()
		r := rtcp.ReceptionReport{
			SSRC: l.remote.ssrc, FractionLost: fraction, TotalLost: lost,
			LastSequenceNumber: uint32(l.stats.highest), Jitter: uint32(l.stats.jitter),
		}
		if l.stats.lastSRAt > 0 {
			r.LastSenderReport = l.stats.lastSR
			r.Delay = uint32((now - l.stats.lastSRAt) * 65536 / int64(time.Second))
		}
		out = append(out, &rtcp.ReceiverReport{SSRC: feedbackSSRC, Reports: []rtcp.ReceptionReport{r}})
		l.nextRR = now + rrEvery
	}
	return out
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

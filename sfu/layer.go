package sfu

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/pion/rtcp"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// layer is one incoming RTP stream: a sound, a picture or a simulcast layer of one.
type layer struct {
	p     *publication
	line  *mediaLine
	index int // simulcast layer, 0 the smallest
	rid   string
	ssrc  uint32
	video bool

	mu      sync.Mutex // guards what follows; held for moments
	track   *stream.Track
	seqs    media.Unwrapper
	stamps  media.Unwrapper
	loss    lossList
	stats   reception
	clock   *media.RTPClock // nil before the first media packet
	keys    keyFrames
	nextRR  int64
	pending []uint16 // scratch of run

	// owned by publication.RTP
	nextIgnore int64 // when the transport may be asked to ignore it
	quiet      bool  // it was asked, so what is missing was not lost
	look       media.Inspector
	pack       compactor
	slab       slab
	sps        []byte
	codec      media.Codec
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

func newLayer(p *publication, line *mediaLine, rid string, ssrc uint32) *layer {
	return &layer{
		p: p, line: line, index: layerIndex(line.rids, rid), rid: rid, ssrc: ssrc,
		video: line.kind == media.Video,
		seqs:  media.NewUnwrapper(16), stamps: media.NewUnwrapper(32),
	}
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

// push takes one packet, whose size bytes are at the front of the slab. repair says
// that it came by retransmission: a repaired loss, or one of the old packets that
// Chromium sends again to probe for bandwidth.
func (l *layer) push(v *rtpView, size int, repair bool, now int64) {
	eng := l.p.eng
	codec := l.line.types.codec[v.pt]
	l.mu.Lock()
	seq := l.seqs.Unwrap(uint64(v.seq))
	last := l.loss.newest
	fresh, outage := l.loss.arrived(seq, now)
	unheard := int64(0) // that the kernel dropped because nobody may hear them
	if l.quiet && seq > last+1 {
		unheard = seq - last - 1
		l.stats.received += unheard
	}
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
	l.pack.skipped += unheard
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
		if now >= l.nextIgnore {
			l.nextIgnore = now + ignoreAgain
			l.quiet = true
			l.p.ignore(l.ssrc)
		}
		return
	}
	l.quiet, l.nextIgnore = false, 0
	pk := l.slab.take(size)
	l.mu.Lock()
	if codec != l.codec {
		l.clock = l.p.clocks.Clock(clockRate(codec))
	}
	pk.Timestamp = l.stamps.Unwrap(uint64(v.timestamp))
	pk.Time, _ = l.clock.Time(pk.Timestamp, now)
	l.mu.Unlock()
	pk.Sequence, pk.Arrival, pk.Payload = l.pack.number(seq), now, v.payload
	pk.Codec, pk.Marker, pk.Repair = codec, v.marker, repair
	if e := v.extension(l.line.types.level); len(e) > 0 && !l.video {
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
	t := l.p.pub.AddTrack(stream.TrackInfo{Label: l.line.label, Layer: l.index, RID: l.rid, Form: stream.Packets, Format: f})
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

// report takes a sender report about this layer.
func (l *layer) report(sr *rtcp.SenderReport, now int64) {
	l.mu.Lock()
	l.stats.lastSR, l.stats.lastSRAt = uint32(sr.NTPTime>>16), now
	clock := l.clock
	l.mu.Unlock()
	if clock != nil {
		clock.SenderReport(sr.RTPTime, sr.NTPTime, now)
	}
}

// feedback appends what is due for one layer. The caller holds l.mu.
func (l *layer) feedback(now int64, out []rtcp.Packet) []rtcp.Packet {
	eng := l.p.eng
	if l.keys.due(now) {
		out = append(out, &rtcp.PictureLossIndication{SenderSSRC: feedbackSSRC, MediaSSRC: l.ssrc})
		eng.plis.Add(1)
	}
	if l.video {
		if l.pending = l.loss.due(now, l.pending[:0]); len(l.pending) > 0 {
			out = append(out, &rtcp.TransportLayerNack{
				SenderSSRC: feedbackSSRC, MediaSSRC: l.ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(l.pending),
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
			SSRC: l.ssrc, FractionLost: fraction, TotalLost: lost,
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

package sfu

import (
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// How old the newest sync point may be for a joiner to start there. An older one
// would be seen as a fast-forward; a publisher that answers requests makes a new
// one in a few tens of milliseconds instead. Sources that make frames cannot be
// asked, so with those any age is better than waiting.
const (
	joinAge      = 500 * ms
	joinAgePlain = 3000 * ms
	askAgain     = 1000 * ms
	vacateAfter  = 1000 * ms
)

// feed is a track being followed for a slot.
type feed struct {
	track  *stream.Track
	cursor *stream.Cursor[media.Packet]
	source stream.Name
	first  *media.Packet // read already, to see how old it is
	began  bool          // something of it was sent
	asked  int64         // when a key frame was last asked for
}

// next returns the feed's next packet, or nil.
func (f *feed) next() *media.Packet {
	if p := f.first; p != nil {
		f.first = nil
		return p
	}
	return f.cursor.Next()
}

// slot is one outgoing m-line. It belongs to its viewer's goroutine.
type slot struct {
	v     *viewer
	out   *sender
	index int // among the slots of its kind
	mid   string
	video bool

	label     stream.Label // what it shows of its source
	maxHeight int          // 0: as high as there is
	src       *source      // nil: empty
	cur, next *feed        // shown now; waited for
	failed    *stream.Track
	absent    int64         // since when the source has nothing to show; 0: it has
	wanted    *stream.Track // the layer that would fit best
	shown     shownAs

	rw      rewriter
	header  rtp.Header
	twcc    [2]byte
	resent  [128]resend
	rtxSeq  uint16
	history []*media.Packet // of a derived track, which has no Lookup; by slot sequence number

	packets, octets uint32 // for sender reports
	reported        uint32
}

// shownAs is what a slot last told its room.
type shownAs struct {
	source stream.Name
	label  stream.Label
	layer  int
	rid    string
}

type resend struct {
	seq uint16
	at  int64
}

// historySize is how many packets of a derived track are kept per slot for
// retransmission: a quarter of a second at 1.2 Mbit/s is about 32.
const historySize = 256

// assign makes the slot show a label of a stream; an empty name empties it.
func (s *slot) assign(name stream.Name, label stream.Label, maxHeight int) {
	s.maxHeight = maxHeight
	if s.src != nil && s.src.name == name && s.label == label {
		return
	}
	old := s.src
	s.label, s.src = label, nil
	if name != "" {
		s.src = s.v.eng.sources.open(name, s.v)
	}
	if old != nil {
		s.v.eng.sources.close(old, s.v)
	}
	s.drop(&s.next)
	if name == "" {
		s.drop(&s.cur)
	}
	// Else what is shown goes on until the new source has a key frame.
}

func (s *slot) drop(f **feed) {
	if *f != nil {
		(*f).cursor.Close()
		*f = nil
	}
}

// close lets go of everything.
func (s *slot) close() { s.assign("", "", 0) }

func (s *slot) playable(c media.Codec) bool {
	_, ok := s.out.types.media[c]
	return ok
}

// choose looks at the tracks there are and follows the one that fits.
func (s *slot) choose(now int64) {
	var tracks []*stream.Track
	if s.src != nil {
		tracks = candidates(s.src.sub.Tracks(), s.label, s.playable)
		if len(tracks) == 0 && s.v.plain && s.video && s.label == stream.LabelVideo {
			tracks = candidates(s.src.sub.Tracks(), stream.LabelScreen, s.playable)
		}
	}
	var buf [4]layerChoice
	layers, current := buf[:0], -1
	for i, t := range tracks {
		layers = append(layers, layerChoice{t.Layer(), t.Format().Height, t.Stats().Last})
		if s.cur != nil && s.cur.track == t {
			current = i
		}
	}
	want, play := chooseLayer(layers, s.maxHeight, current, now)
	s.wanted = nil
	if want >= 0 {
		s.wanted = tracks[want]
	}
	s.vacate(play < 0, now)
	if play < 0 || (s.v.hold && s.video) {
		s.drop(&s.next)
		if s.v.hold && s.video {
			s.drop(&s.cur)
		}
		return
	}
	target := tracks[play]
	switch {
	case s.cur != nil && s.cur.track == target:
		s.drop(&s.next)
	case s.next != nil && s.next.track == target:
	case s.failed != target:
		s.drop(&s.next)
		s.next = s.follow(target, now)
	}
}

// vacate empties a slot whose source has had nothing to show for a while: what it
// showed before must not stand in for somebody else. A picture of the source's own
// stays on the screen that long, so a publisher that reloads its page is not missed.
func (s *slot) vacate(absent bool, now int64) {
	switch {
	case !absent || s.src == nil:
		s.absent = 0
	case s.absent == 0:
		s.absent = now
	case now-s.absent > vacateAfter:
		if s.cur != nil && s.cur.source != s.src.name {
			s.drop(&s.cur)
		}
		if s.cur == nil {
			s.report(nil)
		}
	}
}

// follow opens a track for the slot. Where it starts depends on what is shown:
// with a picture on the screen only live media may follow it.
func (s *slot) follow(t *stream.Track, now int64) *feed {
	from := stream.AtSync
	if s.cur != nil && s.video && t.Info().Form == stream.Packets {
		from = stream.AtLive
	}
	c, err := t.FollowPackets(s.v.reader, from)
	if err != nil {
		s.failed = t
		s.v.log.Warn("track cannot go out by WebRTC", "stream", s.src.name, "track", t.Label(), "err", err)
		return nil
	}
	f := &feed{track: t, cursor: c, source: s.src.name}
	if !s.video || t.Info().Form == stream.Frames {
		return f
	}
	if from == stream.AtSync {
		limit := joinAge
		if s.v.plain {
			limit = joinAgePlain
		}
		f.first = c.Next()
		if f.first != nil && now-f.first.Arrival <= limit {
			return f
		}
		if f.first != nil {
			live, err := t.FollowPackets(s.v.reader, stream.AtLive)
			c.Close()
			if err != nil {
				s.failed = t
				return nil
			}
			f = &feed{track: t, cursor: live, source: s.src.name}
		}
	}
	t.RequestKeyFrame()
	f.asked = now
	return f
}

// drain sends what the slot's tracks have.
func (s *slot) drain(now int64) {
	if s.next != nil {
		if p := s.next.next(); p != nil {
			s.drop(&s.cur)
			s.cur, s.next = s.next, nil
			s.forward(p, now)
		} else if s.video && now-s.next.asked > askAgain {
			s.next.track.RequestKeyFrame()
			s.next.asked = now
		}
	}
	if s.cur == nil {
		return
	}
	for p := s.cur.next(); p != nil; p = s.cur.next() {
		s.forward(p, now)
	}
	select {
	case <-s.cur.track.Done():
		// Nothing more will come. The last picture stays on the viewer's screen.
		s.drop(&s.cur)
		s.choose(now)
	default:
	}
}

// forward sends one packet of the current feed.
func (s *slot) forward(p *media.Packet, now int64) {
	f := s.cur
	fresh := f.cursor.Gap() || !f.began
	o, ok := s.rw.rewrite(p, f.track, f.source, fresh)
	if !ok {
		s.v.eng.drops.Add(stream.DropLate, 1)
		return
	}
	if !f.began {
		f.began = true
		s.report(f)
	}
	if _, known := s.v.bases[f.source]; !known && len(s.v.bases) < maxBases {
		s.v.bases[f.source] = p.Arrival - int64(p.Time)
	}
	if f.track.Info().Form == stream.Frames {
		if s.history == nil {
			s.history = make([]*media.Packet, historySize)
		}
		s.history[o.sequence%historySize] = p
	}
	marker := p.Marker
	if !s.video {
		marker = o.first // RFC 3551 section 4.1: the first packet after a silence
	}
	s.send(p, o.seg, o.sequence, o.timestamp, marker)
}

// send sends a packet as it is called in the slot.
func (s *slot) send(p *media.Packet, seg *segment, sequence uint16, timestamp uint32, marker bool) {
	pt, ok := s.out.types.media[p.Codec]
	if !ok {
		s.v.eng.drops.Add(stream.DropUnplayable, 1)
		return
	}
	h := &s.header
	h.Version, h.Marker, h.PayloadType = 2, marker, pt
	h.SequenceNumber, h.Timestamp, h.SSRC = sequence, timestamp, s.out.ssrc
	s.count()
	payload := seg.payload(p, s.v.scratch[:])
	s.v.write(s, h, payload)
	s.packets++
	s.octets += uint32(len(payload))
	s.v.budget.earn(len(payload))
}

// count stamps the header with the transport's next sequence number.
func (s *slot) count() {
	id := s.out.types.twcc
	if id == 0 {
		return
	}
	s.v.twcc++
	s.twcc[0], s.twcc[1] = byte(s.v.twcc>>8), byte(s.v.twcc)
	if !s.header.Extension {
		// The header keeps the slice, so later packets only change the bytes.
		if err := s.header.SetExtension(id, s.twcc[:]); err != nil {
			s.out.types.twcc = 0
		}
	}
}

// retransmit answers a NACK for one packet.
func (s *slot) retransmit(sequence uint16, now int64) {
	eng := s.v.eng
	eng.nacked.Add(1)
	r := &s.resent[sequence%uint16(len(s.resent))]
	if r.seq == sequence && r.at != 0 && now-r.at < 20*ms {
		return // it is on its way
	}
	seg, in, ok := s.rw.find(sequence)
	if !ok {
		return
	}
	p := seg.track.Lookup(in)
	if p == nil && s.history != nil {
		if h := s.history[sequence%historySize]; h != nil && h.Sequence == in {
			p = h
		}
	}
	if p == nil {
		return
	}
	if !s.v.budget.spend(len(p.Payload)) {
		eng.overBudget.Add(1)
		return
	}
	*r = resend{sequence, now}
	pt, ok := s.out.types.media[p.Codec]
	if !ok {
		return
	}
	h := &s.header
	h.Version, h.Marker, h.PayloadType = 2, p.Marker, pt
	h.SequenceNumber, h.Timestamp, h.SSRC = sequence, uint32(p.Timestamp)+seg.timestamps, s.out.ssrc
	s.count()
	payload := seg.payload(p, s.v.scratch[:])
	if rtx := s.out.types.rtx[pt]; rtx != 0 && s.out.rtxSSRC != 0 && len(payload)+2 <= len(s.v.repair) {
		// RFC 4588: the original sequence number stands in front of the payload.
		b := s.v.repair[:2+copy(s.v.repair[2:], payload)]
		b[0], b[1] = byte(sequence>>8), byte(sequence)
		h.PayloadType, h.SSRC = rtx, s.out.rtxSSRC
		h.SequenceNumber = s.rtxSeq
		s.rtxSeq++
		payload = b
	}
	s.v.write(s, h, payload)
	eng.resent.Add(1)
}

// senderReport returns a report that lets the browser play the slots of one
// stream in time with each other, or nil when nothing was sent since the last.
func (s *slot) senderReport(now int64) rtcp.Packet {
	if s.packets == s.reported || s.rw.current() == nil {
		return nil
	}
	base, ok := s.v.bases[s.rw.source]
	if !ok {
		return nil
	}
	s.reported = s.packets
	rate := 48000
	if s.video {
		rate = 90000
	}
	ahead := media.Time(now - base).Sub(s.rw.time)
	return &rtcp.SenderReport{
		SSRC: s.out.ssrc, NTPTime: ntp(s.v.eng.clock.Wall(now)),
		RTPTime:     s.rw.timestamp + uint32(media.Time(ahead).Ticks(rate)),
		PacketCount: s.packets, OctetCount: s.octets,
	}
}

// report tells the room what the slot shows now.
func (s *slot) report(f *feed) {
	now := shownAs{}
	if f != nil {
		now = shownAs{f.source, f.track.Label(), f.track.Layer(), f.track.Info().RID}
	}
	if now != s.shown {
		s.shown = now
		s.v.shownChanged = true
	}
}

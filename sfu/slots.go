package sfu

import (
	"encoding/binary"
	"slices"

	"github.com/pion/rtcp"

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

// slot is one outgoing m-line. It belongs to its viewer's worker.
type slot struct {
	v     *viewer
	out   *sender
	index int // among the slots of its kind
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
	head    [20]byte // the header, as a template
	size    int      // of it
	numbers []sentAs // by sequence number, where repairs must be the same bytes
	resent  []resend // likewise, made with the first NACK
	rtxSeq  uint64

	packets, octets uint32 // for sender reports
	reported        uint32
}

func newSlot(v *viewer, video bool, out *sender) *slot {
	s := &slot{v: v, video: video, out: out, size: 12}
	s.head[0] = 0x80
	if id := out.types.twcc; id != 0 {
		// RFC 8285 section 4.2: one extension of two bytes, and one byte to fill the word.
		s.head[0] |= 0x10
		s.head[12], s.head[13], s.head[15], s.head[16] = 0xbe, 0xde, 1, id<<4|1
		s.size = 20
		if video && out.rtxSSRC == 0 {
			s.numbers = make([]sentAs, keptNumbers)
		}
	}
	return s
}

// accepted reports whether the client can receive anything in this slot.
func (s *slot) accepted() bool { return s.out.ssrc != 0 }

// shownAs is what a slot last told its room.
type shownAs struct {
	source stream.Name
	label  stream.Label
	layer  int
	rid    string
}

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
		(*f).leave()
		*f = nil
	}
}

// close lets go of everything.
func (s *slot) close() { s.assign("", "", 0) }

func (s *slot) playable(c media.Codec) bool {
	return s.out.types.of(c) != 0
}

// choose looks at the tracks there are and follows the one that fits.
func (s *slot) choose(now int64) {
	var tracks []*stream.Track
	if s.src != nil {
		if s.v.plain && !s.video {
			s.label = spokenIn(s.src.sub.Tracks(), s.v.grant.Audio, s.playable)
		}
		tracks = candidates(s.src.sub.Tracks(), s.label, s.playable)
		if len(tracks) == 0 && s.v.plain && s.video && s.label == stream.LabelVideo {
			tracks = candidates(s.src.sub.Tracks(), stream.LabelScreen, s.playable)
		}
	}
	var buf [4]layerChoice
	layers, current := buf[:0], -1
	for i, t := range tracks {
		layers = append(layers, layerChoice{t.Layer(), t.Format().Height, t.Stats().Last})
		if s.cur != nil && s.cur.tap.track == t {
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
	case s.cur != nil && s.cur.tap.track == target:
		s.drop(&s.next)
	case s.next != nil && s.next.tap.track == target:
	case s.failed != target:
		s.drop(&s.next)
		s.follow(target, now)
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
func (s *slot) follow(t *stream.Track, now int64) {
	tp, err := s.v.w.open(t)
	if err != nil {
		s.failed = t
		s.v.log.Warn("track cannot go out by WebRTC", "stream", s.src.name, "track", t.Label(), "err", err)
		return
	}
	f := &feed{slot: s, source: s.src.name, waits: true}
	f.join(tp)
	live := s.video && t.Info().Form == stream.Packets // and can be asked for a key frame
	if s.cur == nil || !live {
		limit := int64(0)
		if live {
			limit = joinAge
			if s.v.plain {
				limit = joinAgePlain
			}
		}
		if s.catchUp(f, limit, now) {
			return
		}
	}
	s.next = f
	if live {
		t.RequestKeyFrame()
		f.asked = now
	}
}

// catchUp shows a track from its newest sync point on, when there is one not older
// than limit (0: of any age).
func (s *slot) catchUp(f *feed, limit, now int64) bool {
	c, err := f.tap.track.FollowPackets(s.v.w.reader, stream.AtSync)
	if err != nil {
		return false // open would have said so
	}
	defer c.Close()
	p := c.Next()
	if p == nil || c.Position() > f.position() || (limit > 0 && now-p.Arrival > limit) {
		return false // not there, or about to be handed out anyway, or stale
	}
	s.drop(&s.cur)
	s.cur = f
	f.waits = false
	for ; p != nil && c.Position() <= f.position(); p = c.Next() {
		s.forward(p, now)
	}
	return true
}

// take gets what is new of a feed of this slot.
func (s *slot) take(f *feed, packets []*media.Packet, now int64) {
	if f.waits {
		i := slices.IndexFunc(packets, (*media.Packet).SyncPoint)
		if i < 0 {
			return
		}
		f.waits = false
		packets = packets[i:]
		if f == s.next {
			s.drop(&s.cur)
			s.cur, s.next = f, nil
		}
	}
	for _, p := range packets {
		s.forward(p, now)
	}
}

// askAgain asks for the key frame that a feed still waits for.
func (s *slot) askAgain(now int64) {
	if f := s.next; f != nil && s.video && now-f.asked > askAgain {
		f.tap.track.RequestKeyFrame()
		f.asked = now
	}
}

// ended is told that no more will come of a feed. The last picture stays on the
// viewer's screen.
func (s *slot) ended(f *feed, now int64) {
	if f == s.cur {
		s.drop(&s.cur)
	} else {
		s.drop(&s.next)
	}
	s.choose(now)
}

// forward sends one packet of the current feed.
func (s *slot) forward(p *media.Packet, now int64) {
	f := s.cur
	fresh := f.gap || !f.began
	f.gap = false
	o, ok := s.rw.rewrite(p, f.tap.track, f.source, fresh)
	if !ok {
		s.v.eng.drops.Add(stream.DropLate, 1)
		return
	}
	if !f.began {
		f.began = true
		s.report(f)
		if _, known := s.v.bases[f.source]; !known && len(s.v.bases) < maxBases {
			s.v.bases[f.source] = p.Arrival - int64(p.Time)
		}
	}
	marker := p.Marker
	if !s.video {
		marker = o.first // RFC 3551 section 4.1: the first packet after a silence
	}
	s.send(p, o.seg, o.sequence, o.timestamp, marker)
}

// send sends a packet as it is called in the slot.
func (s *slot) send(p *media.Packet, seg *segment, sequence int64, timestamp uint32, marker bool) {
	pt := s.out.types.of(p.Codec)
	if pt == 0 {
		s.v.eng.drops.Add(stream.DropUnplayable, 1)
		return
	}
	s.stamp(pt, marker, uint16(sequence), timestamp, s.out.ssrc)
	if s.numbers != nil {
		s.numbers[uint16(sequence)%keptNumbers] = sentAs{true, uint16(sequence), s.v.twcc}
	}
	payload := seg.payload(p, s.v.w.scratch[:])
	if !s.write(payload, wraps(sequence)) {
		return
	}
	s.packets++
	s.octets += uint32(len(payload))
	s.v.budget.earn(len(payload))
}

// wraps returns how often the slot's sequence numbers have wrapped.
func wraps(sequence int64) uint32 { return uint32(sequence>>16 - firstSequence>>16) }

// stamp fills the header, with the transport's next sequence number.
func (s *slot) stamp(pt uint8, marker bool, sequence uint16, timestamp, ssrc uint32) {
	h := &s.head
	h[1] = pt
	if marker {
		h[1] |= 0x80
	}
	binary.BigEndian.PutUint16(h[2:], sequence)
	binary.BigEndian.PutUint32(h[4:], timestamp)
	binary.BigEndian.PutUint32(h[8:], ssrc)
	if s.size > 12 {
		s.v.twcc++
		binary.BigEndian.PutUint16(h[17:], s.v.twcc)
	}
}

// write sends the header with a payload and counts it.
func (s *slot) write(payload []byte, roc uint32) bool {
	w := s.v.w
	if !w.out.Send(s.v.peer.Peer, s.head[:s.size], payload, roc) {
		// The connection is going down, or ICE-TCP's buffer is full.
		s.v.eng.drops.Add(stream.DropSocketFull, 1)
		return false
	}
	w.sent.packets++
	w.sent.bytes += uint64(len(payload))
	return true
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
		now = shownAs{f.source, f.tap.track.Label(), f.tap.track.Layer(), f.tap.track.Info().RID}
	}
	if now != s.shown {
		s.shown = now
		s.v.news()
	}
}

package sfu

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

const (
	viewerTick  = 500 * time.Millisecond
	reportEvery = 1000 * ms
	// maxBases bounds the sources whose clocks a viewer remembers; a room has about a hundred.
	maxBases = 512
	// maxFeedback is how much RTCP may wait for the viewer's goroutine.
	maxFeedback = 64
	// maxNacked bounds the packets that one NACK may ask for.
	maxNacked = 256
)

// viewer is one WHEP session. One goroutine, run, owns it: it follows the tracks
// of all slots with one reader and sends everything. One more for each m-line
// only reads RTCP and hands it over. step does the work and never blocks, so a
// worker could run many viewers as well.
type viewer struct {
	eng    *Engine
	log    *slog.Logger
	grant  Grant
	peer   *peer
	room   *Room  // nil for a plain viewer
	self   string // the participant, in a room
	plain  bool
	watch  stream.Name // of a plain viewer
	reader *stream.Reader

	wake     chan struct{}
	end      chan struct{}
	once     sync.Once
	done     chan struct{}
	feedback chan feedback
	changed  atomic.Bool // a source's tracks changed

	mu    sync.Mutex // guards inbox
	inbox inbox

	// owned by run
	slots        []*slot // in the order of the offer's m-lines
	video, audio []*slot
	hold         bool
	shownChanged bool
	speakers     []string // in each audio slot
	twcc         uint16
	budget       budget
	bases        map[stream.Name]int64 // Time to the process's clock, of each source
	nextReport   int64
	scratch      [maxPacket]byte
	repair       [maxPacket]byte

	// What the client reported of all slots together: Chromium sends each
	// transport-wide report to the slot that sent last.
	reported, received atomic.Uint64
}

// inbox is what others want of a viewer; the newest wish counts.
type inbox struct {
	video    []VideoSlot
	hasVideo bool
	speakers []string
	hasSpeak bool
	hold     bool
}

// feedback is RTCP about one slot.
type feedback struct {
	slot    *slot
	packets []rtcp.Packet
}

// newSender and slot for each m-line, before the peer exists.
func (v *viewer) addSlots(lines []mediaLine) []*sender {
	streamID := ""
	if v.plain {
		streamID = "media" // one group: the browser keeps sound and picture together
	}
	var out []*sender
	for _, l := range lines {
		s := &slot{v: v, video: l.kind == media.Video, out: newSender(l.kind == media.Video, streamID)}
		if s.video {
			s.index = len(v.video)
			v.video = append(v.video, s)
		} else {
			s.index = len(v.audio)
			v.audio = append(v.audio, s)
		}
		v.slots = append(v.slots, s)
		out = append(out, s.out)
	}
	return out
}

// sourceChanged implements watcher.
func (v *viewer) sourceChanged() {
	v.changed.Store(true)
	v.poke()
}

func (v *viewer) poke() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// assign sets what the video slots show. Any goroutine may call it.
func (v *viewer) assign(slots []VideoSlot) {
	v.mu.Lock()
	v.inbox.video, v.inbox.hasVideo = slots, true
	v.mu.Unlock()
	v.poke()
}

// speak sets who is to be heard, most important first. Any goroutine may call it.
func (v *viewer) speak(ids []string) {
	v.mu.Lock()
	v.inbox.speakers, v.inbox.hasSpeak = ids, true
	v.mu.Unlock()
	v.poke()
}

// pause stops and restarts the picture. Any goroutine may call it.
func (v *viewer) pause(hold bool) {
	v.mu.Lock()
	v.inbox.hold = hold
	v.mu.Unlock()
	v.changed.Store(true)
	v.poke()
}

// run owns the viewer until its connection ends.
func (v *viewer) run() {
	defer close(v.done)
	defer v.close()
	select {
	case <-v.peer.connected:
	case <-v.peer.gone:
		return
	case <-v.end:
		return
	case <-v.eng.done:
		return
	}
	for _, s := range v.slots {
		select {
		case <-s.out.bound:
			s.mid = v.peer.mid(s.out)
			v.peer.run(func() { v.readRTCP(s) })
		default:
			// The m-line was refused: none of its codecs is ours. It stays empty.
		}
	}
	v.start()
	timer := time.NewTicker(viewerTick)
	defer timer.Stop()
	tick := true
	for {
		v.step(v.eng.clock.Now(), tick)
		tick = false
		select {
		case <-v.reader.Wake():
		case <-v.wake:
		case f := <-v.feedback:
			v.handle(f)
		case <-timer.C:
			tick = true
		case <-v.peer.gone:
			return
		case <-v.end:
			return
		case <-v.eng.done:
			return
		}
	}
}

// start fills the slots of a plain viewer, and reports to the room.
func (v *viewer) start() {
	if v.room != nil {
		v.room.viewerUp(v)
		return
	}
	labels := []stream.Label{stream.LabelVideo, stream.LabelScreen}
	for i, s := range v.video {
		if i < len(labels) {
			s.assign(v.watch, labels[i], 0)
		}
	}
	for i, s := range v.audio {
		if i == 0 {
			s.assign(v.watch, stream.LabelAudio, 0)
		}
	}
}

// step does everything that can be done now. tick says that time passed.
func (v *viewer) step(now int64, tick bool) {
	choose := v.read() || v.changed.Swap(false) || tick
	for _, s := range v.slots {
		select {
		case <-s.out.bound:
		default:
			continue
		}
		if choose {
			s.choose(now)
		}
		s.drain(now)
		if s.cur == nil && s.src == nil {
			s.report(nil)
		}
	}
	if tick && now >= v.nextReport {
		v.nextReport = now + reportEvery
		v.sendReports(now)
	}
	if (v.shownChanged || choose) && v.room != nil {
		v.shownChanged = false
		v.room.viewerShows(v)
	}
}

// read takes the inbox over. It is true when slots changed.
func (v *viewer) read() bool {
	v.mu.Lock()
	in := v.inbox
	v.inbox.hasVideo, v.inbox.hasSpeak = false, false
	v.mu.Unlock()
	v.hold = in.hold
	if in.hasVideo {
		given := make([]VideoSlot, len(v.video))
		for _, a := range in.video {
			if a.Slot >= 0 && a.Slot < len(given) {
				given[a.Slot] = a
			}
		}
		for i, s := range v.video {
			label := given[i].Label
			if label == "" {
				label = stream.LabelVideo
			}
			s.assign(given[i].Source, label, given[i].MaxHeight)
		}
	}
	if in.hasSpeak {
		v.speakers = seat(v.speakers, in.speakers, min(len(v.audio), maxSpeakers))
		for i, s := range v.audio {
			name := stream.Name("")
			if i < len(v.speakers) && v.speakers[i] != "" {
				name = stream.Participant(v.room.id, v.speakers[i])
			}
			s.assign(name, stream.LabelAudio, 0)
		}
	}
	return in.hasVideo || in.hasSpeak
}

// sendReports sends a sender report for each slot that sent something.
func (v *viewer) sendReports(now int64) {
	var out []rtcp.Packet
	for _, s := range v.slots {
		if sr := s.senderReport(now); sr != nil {
			out = append(out, sr)
		}
	}
	if len(out) > 0 {
		v.peer.sendRTCP(out)
	}
}

// write sends one packet and counts it.
func (v *viewer) write(s *slot, h *rtp.Header, payload []byte) {
	if err := s.out.send(h, payload); err != nil {
		// The connection is going down, or ICE-TCP's buffer is full.
		v.eng.drops.Add(stream.DropSocketFull, 1)
		return
	}
	v.eng.out.packets.Add(1)
	v.eng.out.bytes.Add(uint64(len(payload)))
}

// readRTCP hands RTCP about one slot to run until the connection ends.
func (v *viewer) readRTCP(s *slot) {
	b := make([]byte, maxPacket)
	for {
		n, err := s.out.readRTCP(b)
		if err != nil {
			return
		}
		packets, err := rtcp.Unmarshal(b[:n])
		if err != nil {
			v.eng.drops.Add(stream.DropMalformed, 1)
			continue
		}
		if packets = relevant(packets); len(packets) == 0 {
			continue
		}
		select {
		case v.feedback <- feedback{s, packets}:
		default:
			v.eng.overFeedback.Add(1)
		}
	}
}

// relevant keeps what handle acts on.
func relevant(packets []rtcp.Packet) []rtcp.Packet {
	kept := packets[:0]
	for _, p := range packets {
		switch p.(type) {
		case *rtcp.TransportLayerNack, *rtcp.PictureLossIndication, *rtcp.FullIntraRequest, *rtcp.TransportLayerCC:
			kept = append(kept, p)
		}
	}
	return kept
}

// handle acts on RTCP. Wherever it came in, what it says of another slot's SSRC is
// that slot's.
func (v *viewer) handle(f feedback) {
	now := v.eng.clock.Now()
	for _, p := range f.packets {
		switch p := p.(type) {
		case *rtcp.TransportLayerNack:
			s, n := v.bySSRC(p.MediaSSRC), 0
			if s == nil {
				continue
			}
			for i := range p.Nacks {
				p.Nacks[i].Range(func(seq uint16) bool {
					s.retransmit(seq, now)
					n++
					return n < maxNacked
				})
				if n >= maxNacked {
					break
				}
			}
		case *rtcp.PictureLossIndication:
			v.keyFrame(v.bySSRC(p.MediaSSRC))
		case *rtcp.FullIntraRequest:
			for _, e := range p.FIR {
				v.keyFrame(v.bySSRC(e.SSRC))
			}
		case *rtcp.TransportLayerCC:
			v.reported.Add(uint64(p.PacketStatusCount))
			v.received.Add(uint64(len(p.RecvDeltas)))
		}
	}
}

func (v *viewer) keyFrame(s *slot) {
	if s != nil && s.video && s.cur != nil {
		s.cur.track.RequestKeyFrame()
	}
}

func (v *viewer) bySSRC(ssrc uint32) *slot {
	for _, s := range v.slots {
		select {
		case <-s.out.bound:
			if s.out.ssrc == ssrc {
				return s
			}
		default:
		}
	}
	return nil
}

// close ends the session. Only run calls it.
func (v *viewer) close() {
	for _, s := range v.slots {
		s.close()
	}
	if v.room != nil {
		v.room.viewerDown(v)
	}
	v.peer.close()
	v.eng.forget(v.peer.id)
	v.log.Info("viewer ended")
}

// quit asks run to end the session.
func (v *viewer) quit() { v.once.Do(func() { close(v.end) }) }

// stop asks run to end the session, and waits for it.
func (v *viewer) stop() {
	v.quit()
	<-v.done
}

// transport implements session.
func (v *viewer) transport() *peer { return v.peer }

// ntp returns a time as in sender reports: 32.32 seconds since 1900 (RFC 3550 section 4).
func ntp(t time.Time) uint64 {
	const since1900 = 2208988800
	return uint64(t.Unix()+since1900)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

package sfu

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

const (
	reportEvery = 1000 * ms
	// maxBases bounds the sources whose clocks a viewer remembers; a room has about a hundred.
	maxBases = 512
)

// viewer is one WHEP session. Its worker owns it; everybody else leaves word with
// post. It implements [transport.Handler].
type viewer struct {
	eng    *Engine
	w      *worker
	log    *slog.Logger
	grant  Grant
	peer   *peer
	room   *Room  // nil for a plain viewer
	self   string // the participant, in a room
	plain  bool
	watch  stream.Name // of a plain viewer
	done   chan struct{}
	posted atomic.Bool // waits in the worker's mail

	changed   atomic.Bool // a source's tracks changed
	connected atomic.Bool
	ending    atomic.Bool // gone, or told to end

	mu    sync.Mutex // guards inbox
	inbox inbox

	// owned by the worker
	placed       bool // among the worker's viewers
	started      bool
	closed       bool
	slots        []*slot // in the order of the offer's m-lines
	video, audio []*slot
	hold         bool
	untold       bool     // the room does not know yet what the slots show
	speakers     []string // in each audio slot
	twcc         uint16
	budget       budget
	bases        map[stream.Name]int64 // Time to the process's clock, of each source
	nextReport   int64
	heard        []rtcp.Packet // scratch

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
	feedback []rtcp.Packet
	tokens   bucket
	noted    int64 // when a flood was last logged
}

// addSlots makes a slot for each sender.
func (v *viewer) addSlots(lines []*mediaLine, senders []*sender) {
	for i, l := range lines {
		s := newSlot(v, l.kind == media.Video, senders[i])
		if s.video {
			s.index = len(v.video)
			v.video = append(v.video, s)
		} else {
			s.index = len(v.audio)
			v.audio = append(v.audio, s)
		}
		v.slots = append(v.slots, s)
	}
}

// post has the worker look. Any goroutine may call it.
func (v *viewer) post() {
	if v.posted.CompareAndSwap(false, true) {
		v.w.post(v)
	}
}

// sourceChanged implements watcher.
func (v *viewer) sourceChanged() {
	v.changed.Store(true)
	v.post()
}

// Up implements [transport.Handler].
func (v *viewer) Up() {
	v.connected.Store(true)
	v.post()
}

// Gone implements [transport.Handler].
func (v *viewer) Gone() { v.quit() }

// RTP implements [transport.Handler]: a viewer sends none.
func (v *viewer) RTP([]byte, int64) {}

// assign sets what the video slots show. Any goroutine may call it.
func (v *viewer) assign(slots []VideoSlot) {
	v.mu.Lock()
	v.inbox.video, v.inbox.hasVideo = slots, true
	v.mu.Unlock()
	v.post()
}

// speak sets who is to be heard, most important first. Any goroutine may call it.
func (v *viewer) speak(ids []string) {
	v.mu.Lock()
	v.inbox.speakers, v.inbox.hasSpeak = ids, true
	v.mu.Unlock()
	v.post()
}

// pause stops and restarts the picture. Any goroutine may call it.
func (v *viewer) pause(hold bool) {
	v.mu.Lock()
	v.inbox.hold = hold
	v.mu.Unlock()
	v.changed.Store(true)
	v.post()
}

// look does what others left word of. The worker calls it.
func (v *viewer) look(now int64) {
	if v.closed {
		return
	}
	if !v.placed {
		v.placed = true
		v.w.viewers = append(v.w.viewers, v)
	}
	if v.ending.Load() {
		v.w.remove(v)
		return
	}
	if !v.connected.Load() {
		return
	}
	begins := !v.started
	if begins {
		v.started = true
		v.start()
	}
	wishes := v.read()
	if v.changed.Swap(false) || wishes || begins {
		v.choose(now)
	}
	for _, p := range v.heard {
		v.handle(p, now)
	}
	clear(v.heard)
	v.heard = v.heard[:0]
}

// attend does what is due because time has passed. The worker calls it.
func (v *viewer) attend(now int64) {
	if !v.started {
		return
	}
	v.choose(now)
	for _, s := range v.slots {
		s.askAgain(now)
	}
	if now >= v.nextReport {
		v.nextReport = now + reportEvery
		v.sendReports(now)
	}
}

// choose looks at what all slots could show.
func (v *viewer) choose(now int64) {
	for _, s := range v.slots {
		if !s.accepted() {
			continue
		}
		s.choose(now)
		if s.cur == nil && s.src == nil {
			s.report(nil)
		}
	}
	v.news()
}

// news has the room told after this step.
func (v *viewer) news() {
	if !v.untold && v.room != nil {
		v.untold = true
		v.w.telling = append(v.w.telling, v)
	}
}

// tell says what the slots show.
func (v *viewer) tell() {
	v.untold = false
	if !v.closed {
		v.room.viewerShows(v)
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

// read takes the inbox over. It is true when slots changed.
func (v *viewer) read() bool {
	v.mu.Lock()
	in := v.inbox
	v.inbox.hasVideo, v.inbox.hasSpeak = false, false
	v.heard = append(v.heard, in.feedback...)
	clear(in.feedback)
	v.inbox.feedback = in.feedback[:0]
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
		v.peer.sendRTCP(out, v.log)
	}
}

// close ends the session. Only the worker calls it.
func (v *viewer) close() {
	v.closed = true
	for _, s := range v.slots {
		s.close()
	}
	if v.room != nil {
		v.room.viewerDown(v)
	}
	v.peer.Close()
	v.eng.forget(v.peer.id)
	v.log.Info("viewer ended")
	close(v.done)
}

// quit asks the worker to end the session.
func (v *viewer) quit() {
	v.ending.Store(true)
	v.post()
}

// stop asks the worker to end the session, and waits for it.
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

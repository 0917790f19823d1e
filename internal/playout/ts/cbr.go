package ts

import (
	"errors"
	"fmt"
	"time"

	"tongxiang/internal/media"
)

// Bit rates of an output, in bits a second.
const (
	MinRate = 100_000
	MaxRate = 1_000_000_000
)

// ErrRate: a bit rate outside of [MinRate] to [MaxRate].
var ErrRate = errors.New("bit rate is not possible")

const (
	// clockInterval is how far apart PCR may be: DVB wants 40 ms (TR 101 290 2.3a),
	// the standard 100.
	clockInterval = 38 * stcMilli
	// maxAhead is how long a byte may wait in a decoder (ISO/IEC 13818-1 2.4.2.6: one second).
	maxAhead = 980 * stcMilli
	// soundAhead is how long sound may wait there: its buffers are small, and PTS must
	// not lie far apart when the first packet goes early and the next one cannot.
	soundAhead = 250 * stcMilli
	// MinDelay, DefaultDelay and MaxDelay are what may lie between a frame's coming and
	// its decoding: within it a large picture is spread over the constant rate. More
	// would put PTS further apart than the 700 ms of TR 101 290 2.5.
	MinDelay     = 100 * time.Millisecond
	DefaultDelay = 600 * time.Millisecond
	MaxDelay     = 650 * time.Millisecond
	// farAhead and farBehind: a frame outside of them has another clock.
	farAhead  = 10 * stcRate
	farBehind = 3 * stcRate
	// strayAfter is how long a lane may bring nothing but impossible times before its
	// clock is believed.
	strayAfter = 2 * stcRate
	// maxQueued bounds the frames of a lane that wait, queueBytes their bytes.
	maxQueued  = 2048
	queueBytes = 32 << 20
	// spacing is what lies between packets of one table, as its transport buffer
	// leaks one megabit a second (13818-1 2.4.2.3).
	spacing = packetSize * 8 * 27
)

// Config says how a [CBR] multiplexes.
type Config struct {
	Service Service
	// Rate is the bit rate of the whole, in bits a second.
	Rate int64
	// Delay is how long before its decode time a frame comes, at most; 0: [DefaultDelay].
	Delay time.Duration
}

// CBR multiplexes one programme at a constant bit rate. Every packet has a time, its
// number times 1504 bits over the rate, kept without rounding: that is the system
// time clock, and a PCR says the time of its packet.
//
// Frames go in by [CBR.Push] as they come; [CBR.Next] makes the next packet of the
// time line, which is a null packet when nothing may be sent. Frames are sent in
// order of their decode times, each whole before its time, and not before its
// buffer at the receiver has room. A picture that cannot be there in time is dropped
// with those that need it, up to the next sync point.
//
// It starts no goroutine and knows no clock; it belongs to one goroutine. Nothing is
// allocated per packet.
type CBR struct {
	programme
	rate  int64
	delay stc

	now      stc   // of the next packet
	part     int64 // what now is beyond, in 1/rate ticks
	slot     stc   // whole ticks of a packet
	slotPart int64 // and the rest, in 1/rate ticks
	clockDue stc   // when the next PCR must be there at the latest
	tableDue stc   // when the next table is due
	anchored bool  // frames have set the clock
	clocked  bool  // a PCR was sent
	jumped   bool  // the next PCR follows a jump
	renewed  stc   // when the clock was last set anew because frames strayed
	hasWall  bool
	wall     time.Time // at wallAt
	wallAt   stc
	packets  uint64
	used     uint64 // of them not null
	window   stc    // when the present window began
	others   uint64 // packets of sound and tables in it
	slots    uint64 // packets in it
	share    int64  // of others in the last window, in 1/1024
	late     uint64 // access units that ended after their time
	jumps    uint64
}

// NewCBR returns a multiplexer without tracks; the error wraps [ErrRate].
func NewCBR(cfg Config) (*CBR, error) {
	if cfg.Rate < MinRate || cfg.Rate > MaxRate {
		return nil, fmt.Errorf("%d bits a second: %w", cfg.Rate, ErrRate)
	}
	if cfg.Delay == 0 {
		cfg.Delay = DefaultDelay
	}
	m := &CBR{
		programme: newProgramme(cfg.Service), delay: stcOf(min(max(cfg.Delay, MinDelay), MaxDelay)),
		now: stcRate, share: 64,
	}
	m.setRate(cfg.Rate)
	m.clockDue, m.tableDue, m.window = m.now, m.now, m.now
	for _, t := range m.tables {
		t.due = m.now
	}
	return m, nil
}

func (m *CBR) setRate(rate int64) {
	const packetBits = packetSize * 8
	m.rate, m.part = rate, 0
	m.slot, m.slotPart = stc(packetBits*stcRate/rate), packetBits*stcRate%rate
}

// Rate returns the bit rate.
func (m *CBR) Rate() int64 { return m.rate }

// SetRate changes the bit rate from the next packet on, which is a break in the
// relation of places and times and is marked as one.
func (m *CBR) SetRate(rate int64) error {
	if rate < MinRate || rate > MaxRate {
		return fmt.Errorf("%d bits a second: %w", rate, ErrRate)
	}
	m.setRate(rate)
	m.clockDue, m.jumped = m.now, true
	return nil
}

// SetTracks replaces the tracks. One that is coded as the former one at its place
// goes on undisturbed; frames of those that are gone are dropped. The clock and the
// continuity counters go on. The error wraps [ErrFormat], and then nothing was changed.
func (m *CBR) SetTracks(formats []media.Format) error {
	if err := m.setTracks(formats); err != nil {
		return err
	}
	m.pat.due, m.pmt.due = m.now, m.now
	m.tableDue = m.now
	m.clockDue = m.now // the PID may be another
	return nil
}

// SetEvents says what is on and what follows, for the EIT; nil: nothing.
func (m *CBR) SetEvents(present, following *Event) { m.setEvents(present, following) }

// SetWall says what the time is at the next packet, for TDT and TOT; its zone is
// the local one.
func (m *CBR) SetWall(t time.Time) { m.hasWall, m.wall, m.wallAt = true, t, m.now }

// Stats is what a multiplexer did.
type Stats struct {
	Packets uint64 // made
	Used    uint64 // of them not null
	Jumps   uint64 // how often the clock was set anew
	Late    uint64 // access units that were complete only after their time
	Drops   Drops
}

// Stats returns the counters.
func (m *CBR) Stats() Stats {
	return Stats{Packets: m.packets, Used: m.used, Jumps: m.jumps, Late: m.late, Drops: m.drops}
}

// Resume says that packets were not sent for a while: the clock goes on d later,
// and the receiver is told. What waited is dropped.
func (m *CBR) Resume(d time.Duration) {
	m.forget()
	m.jump(m.now + stcOf(d))
}

// Push takes the next frame of a track, by its index in the formats. Frames of a
// track come in decode order. lost says that frames before it are missing. It
// returns how long before its decode time the frame came, when that says something.
func (m *CBR) Push(track int, f *media.Frame, lost bool) (lead time.Duration, timed bool) {
	if track < 0 || track >= len(m.lanes) {
		m.drops[Malformed]++
		return 0, false
	}
	l := m.lanes[track]
	if lost {
		l.waiting = l.picture()
	}
	pts, dts := times(f)
	if pts-dts > int64(farAhead)/stcTick90 {
		m.drop(l, Malformed)
		return 0, false
	}
	at := stc(dts) * stcTick90
	if !m.anchored {
		m.anchored = true
		m.jump(at - m.delay)
	}
	if why, ok := m.admit(l, at, f.DTS.Ticks(stcRate/stcTick90)); !ok {
		m.drop(l, why)
		return 0, false
	}
	lead, timed = (at - m.now).duration(), true
	if l.waiting && !f.Sync {
		m.drops[NoKeyFrame]++
		return lead, timed
	}
	if len(l.queue) >= maxQueued || l.bytes > queueBytes {
		m.drop(l, QueueFull)
		return lead, timed
	}
	p := l.take()
	if err := l.fill(p, f, pts, dts); err != nil {
		l.give(p)
		m.drop(l, Malformed)
		return lead, timed
	}
	p.decode, p.sync = at, f.Sync
	l.waiting = false
	l.push(p)
	return lead, timed
}

// admit judges the decode time of a frame and sets the clock anew when it must be
// another's. dts is the time as the source has it.
func (m *CBR) admit(l *lane, at stc, dts int64) (Reason, bool) {
	lead := at - m.now
	backwards := l.timed && dts <= l.last
	far := lead > farAhead || lead < -farBehind
	switch {
	case far && l == m.lead, (far || lead <= 0) && m.strayed(l):
		m.renew(at)
	case far:
		return Discontinuity, false
	case lead <= 0:
		return Late, false
	case backwards:
		return OutOfOrder, false
	}
	l.strayed = false
	l.last, l.timed = dts, true
	return 0, true
}

// strayed reports whether a lane has brought nothing but impossible times for so
// long that they must be believed. Two lanes that contradict each other are not
// followed back and forth.
func (m *CBR) strayed(l *lane) bool {
	if !l.strayed {
		l.stray, l.strayed = m.now, true
		return false
	}
	return m.now-l.stray > strayAfter && (m.renewed == 0 || m.now-m.renewed > 5*strayAfter)
}

// renew begins a new time base in which a frame to be decoded at a moment has just
// come. What waits has times of the old one: what is under way is finished, the rest
// dropped.
func (m *CBR) renew(at stc) {
	m.forget()
	m.jump(at - m.delay)
	m.renewed = m.now
}

// forget drops what waits and is not under way.
func (m *CBR) forget() {
	for _, l := range m.lanes {
		keep := 0
		if l.begun {
			keep = 1
		}
		for len(l.queue) > keep {
			last := len(l.queue) - 1
			l.bytes -= l.queue[last].size
			l.give(l.queue[last])
			l.queue = l.queue[:last]
			m.drops[Discontinuity]++
		}
		l.timed, l.strayed, l.opens = false, false, always
		l.waiting = l.picture()
	}
}

// jump moves the clock.
func (m *CBR) jump(to stc) {
	by := to - m.now
	if by == 0 {
		return
	}
	m.now, m.part = to, 0
	m.jumped = m.jumped || m.clocked
	if m.clocked {
		m.jumps++
	}
	m.clockDue = to
	m.tableDue += by
	m.window += by
	m.wallAt += by
	m.renewed = 0
	for _, t := range m.tables {
		t.due += by
	}
	for _, l := range m.lanes {
		l.opens = always
		l.transport.empty += by
		l.decoder.clear()
		if l.begun {
			l.queue[0].decode = to
			l.decoder.leave(to, l.queue[0].left)
		}
		l.stray += by
	}
}

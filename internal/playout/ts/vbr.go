package ts

import "tongxiang/internal/media"

const (
	// clockLead is how far the PCR runs behind the decode times: what a player holds.
	clockLead = 300 * stcMilli
	// gapAhead is a pause that is bridged by PCR packets; a longer one is a break.
	gapAhead = 2 * stcRate
	// soundEntry is how often a reader may begin in a stream without pictures.
	soundEntry = stcRate / 2
)

// VBR multiplexes one programme at the rate of its frames, for HTTP and files: no
// null packets, tables before each sync point and whenever they are due, the PCR that
// of the frame. It belongs to one goroutine and starts none.
type VBR struct {
	programme
	now      stc // of the newest PCR
	clocked  bool
	tableDue stc
	extraDue stc // of SDT and EIT
	entryDue stc // of a stream without pictures
	begun    bool
}

// NewVBR returns a multiplexer without tracks.
func NewVBR(s Service) *VBR { return &VBR{programme: newProgramme(s)} }

// SetTracks replaces the tracks, as [CBR.SetTracks] does.
func (v *VBR) SetTracks(formats []media.Format) error {
	if err := v.setTracks(formats); err != nil {
		return err
	}
	v.tableDue = v.now
	return nil
}

// SetEvents says what is on and what follows, for the EIT; nil: nothing.
func (v *VBR) SetEvents(present, following *Event) { v.setEvents(present, following) }

// Drops returns how many frames were not sent, by reason.
func (v *VBR) Drops() Drops { return v.drops }

// Append appends the packets of the next frame of a track to b, with what the time
// asks for in front of it. Frames of all tracks come in decode order. lost says
// that frames of the track before it are missing. entry is set when a reader may
// begin with what was appended: it begins with the tables and a sync point.
func (v *VBR) Append(b []byte, track int, f *media.Frame, lost bool) (out []byte, entry bool) {
	if track < 0 || track >= len(v.lanes) {
		v.drops[Malformed]++
		return b, false
	}
	l := v.lanes[track]
	if lost {
		l.waiting = l.picture()
	}
	if l.waiting && !f.Sync {
		v.drops[NoKeyFrame]++
		return b, false
	}
	pts, dts := times(f)
	raw := f.DTS.Ticks(stcRate / stcTick90)
	if pts-dts > int64(farAhead)/stcTick90 {
		v.drop(l, Malformed)
		return b, false
	}
	at := stc(dts)*stcTick90 - clockLead
	broken := v.clocked && (at-v.now > gapAhead || at-v.now < -farBehind)
	if l.timed && raw <= l.last && !broken {
		v.drop(l, OutOfOrder)
		return b, false
	}
	p := l.take()
	if err := l.fill(p, f, pts, dts); err != nil {
		l.give(p)
		v.drop(l, Malformed)
		return b, false
	}
	p.sync = f.Sync
	l.last, l.timed, l.waiting = raw, true, false
	entry = v.entry(l, f, at)
	if b == nil {
		b = make([]byte, 0, (packetsOf(p.size)+6)*packetSize)
	}
	b = v.advance(b, at, broken, entry)
	var c *clock
	if l == v.lead && (v.now < at || !v.clocked || broken) {
		c = &clock{at: at, discontinuity: broken}
		v.now, v.clocked = at, true
	}
	l.push(p)
	for done := false; !done; {
		n := len(b)
		b = grow(b)
		done = l.packet(b[n:], c)
		c = nil
	}
	return b, entry
}

// entry reports whether a reader may begin with a frame.
func (v *VBR) entry(l *lane, f *media.Frame, at stc) bool {
	if !f.Sync || l != v.lead {
		return false
	}
	if !l.picture() {
		if v.clocked && at < v.entryDue && v.entryDue-at <= soundEntry {
			return false
		}
		v.entryDue = at + soundEntry
	}
	return true
}

// advance appends what must stand before a frame at a moment: PCR packets, so that
// none is missing where frames lie far apart, and tables.
func (v *VBR) advance(b []byte, at stc, broken, entry bool) []byte {
	if entry { // a reader begins with these
		from := at
		if v.clocked && !broken {
			from = v.now
		}
		b = v.tablesAt(b, from)
	}
	for v.clocked && !broken && at-v.now > clockInterval {
		v.now += clockInterval
		b = v.due(b)
		b = v.clockPacket(b, clock{at: v.now})
	}
	if broken {
		v.tableDue, v.extraDue = at, at
		for _, l := range v.lanes {
			l.timed = false
		}
	}
	if entry || v.begun && !broken && v.tableDue > at {
		return b
	}
	return v.tablesAt(b, at)
}

// due appends the tables when their time has come.
func (v *VBR) due(b []byte) []byte {
	if v.tableDue > v.now {
		return b
	}
	return v.tablesAt(b, v.now)
}

func (v *VBR) tablesAt(b []byte, at stc) []byte {
	b = v.whole(b, v.pat)
	b = v.whole(b, v.pmt)
	if !v.begun || v.extraDue <= at {
		b = v.whole(b, v.sdt)
		b = v.whole(b, v.eit)
		v.extraDue = at + everySDT
	}
	v.begun = true
	v.tableDue = at + stcOf(v.service.Tables)
	return b
}

// whole appends all packets of a table.
func (v *VBR) whole(b []byte, t *table) []byte {
	for last := len(t.packets) == 0; !last; {
		n := len(b)
		b = grow(b)
		last = t.packet(b[n:])
	}
	return b
}

func (v *VBR) clockPacket(b []byte, c clock) []byte {
	n := len(b)
	b = grow(b)
	clockPacket(b[n:], v.clockPID, v.clockCounter(), &c)
	return b
}

// grow makes room for one more packet.
func grow(b []byte) []byte {
	n := len(b)
	if cap(b)-n < packetSize {
		b = append(b, make([]byte, 8*packetSize)...)
	}
	return b[:n+packetSize]
}

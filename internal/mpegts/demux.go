package mpegts

import (
	"bytes"

	"tongxiang/internal/media"
)

// Demuxer reads a multiplex. Create it with [NewDemuxer]; it belongs to one goroutine.
type Demuxer struct {
	h        Handler
	split    splitter
	pid      [pids]*pid // nil: never seen
	services map[uint16]*Service
	order    []*Service // as they appeared
	names    map[uint16]description
	pat      patState
	sdt      [256]uint32 // CRC of the SDT sections in force, by number
	stats    Stats
	arrival  int64
	underWay int               // bytes taken for access units that are not complete
	onRun    func([]byte, int) // bound once: a method value per call would allocate
	monitor  *monitor          // TR 101 290
	tap      func([]byte)      // see Tap
}

// pid is what is known of one PID.
type pid struct {
	// What every packet needs stands in one cache line.
	packets   uint64
	print     uint64    // of the last packet with payload, to know a duplicate
	sections  *sections // set for PSI and SI
	pes       *pes      // set while the stream is parsed into frames
	id        uint16
	counter   byte // continuity counter of the last packet with payload
	seen      bool
	repeated  bool // the last packet was a duplicate: a third one is an error
	slipped   bool // the counter advanced without payload: something is missing before the next
	scrambled bool // packets came scrambled
	clear     bool // packets came in the clear
	ciphered  bool // the newest packet with payload came scrambled

	stream *Stream // set for elementary streams
	pmtOf  int     // how many services have their PMT here
	watch          // what the monitor keeps
}

// NewDemuxer returns a demuxer that calls h.
func NewDemuxer(h Handler) *Demuxer {
	d := &Demuxer{h: h, services: make(map[uint16]*Service), names: make(map[uint16]description)}
	d.onRun = d.run
	d.monitor = newMonitor(d)
	for _, id := range [...]uint16{pidPAT, pidCAT, pidNIT, pidSDT, pidEIT, pidTDT} {
		d.listen(id)
	}
	return d
}

// Feed takes the next bytes, in pieces of any length, that arrived at a moment of
// the process's clock. b may be reused afterwards.
func (d *Demuxer) Feed(b []byte, arrival int64) {
	d.arrival = arrival
	d.stats.Bytes += uint64(len(b))
	d.split.write(b, d.onRun)
}

// Write is Feed for an io.Copy, without time of arrival. It never fails.
func (d *Demuxer) Write(b []byte) (int, error) {
	d.Feed(b, 0)
	return len(b), nil
}

// Flush ends the input: access units under way are handed over as they are. The
// demuxer can be fed again, as after a gap.
func (d *Demuxer) Flush() {
	d.split.flush(d.onRun)
	d.Discontinuity()
	for _, p := range d.pid {
		if p == nil {
			continue
		}
		if p.sections != nil {
			p.sections.gap()
		}
		p.seen = false
		if p.clock != nil {
			p.clock.anew()
		}
	}
}

// Discontinuity says that the times of all services begin anew with the next access
// unit: those under way are handed over as they are. It may be called from Handler.PCR.
func (d *Demuxer) Discontinuity() {
	for _, s := range d.order {
		d.Discontinue(s)
	}
}

// Discontinue is Discontinuity for one service.
func (d *Demuxer) Discontinue(s *Service) {
	for _, st := range s.Streams {
		if st.pid.pes != nil {
			st.pid.pes.flush()
		}
	}
}

// Services returns the services of the PAT in force, in the order in which they
// appeared. The slice is the demuxer's.
func (d *Demuxer) Services() []*Service { return d.order }

// Stats returns the counters.
func (d *Demuxer) Stats() Stats {
	s := d.stats
	s.SyncErrors, s.SyncLosses = d.split.syncErrors, d.split.losses
	return s
}

// Reselect asks Handler.Want again for every service.
func (d *Demuxer) Reselect() {
	for _, s := range d.order {
		d.selectStreams(s)
	}
}

func (d *Demuxer) at(id uint16) *pid {
	p := d.pid[id]
	if p == nil {
		p = &pid{id: id}
		d.pid[id] = p
	}
	return p
}

// listen makes a PID one of sections.
func (d *Demuxer) listen(id uint16) *pid {
	p := d.at(id)
	if p.sections == nil {
		p.sections = &sections{emit: func(b []byte) { d.section(p, b) }}
	}
	return p
}

// run takes packets that stand stride bytes apart.
func (d *Demuxer) run(b []byte, stride int) {
	for {
		if p := (*[PacketSize]byte)(b); !d.plain(p) {
			d.packet(p)
			if d.tap != nil {
				d.tap(p[:])
			}
		}
		if len(b) <= stride {
			return
		}
		b = b[stride:]
	}
}

// packet is the packet path. p has a right sync byte.
func (d *Demuxer) packet(p *[PacketSize]byte) {
	d.stats.Packets++
	id := uint16(p[1]&0x1F)<<8 | uint16(p[2])
	if p[1]&0x80 != 0 { // transport_error_indicator: nothing in it can be believed
		d.stats.TransportErrors++
		if st := d.pid[id]; st != nil { // most likely it is the right PID all the same
			st.errors.TransportError++
		}
		return
	}
	if id == nullPID {
		d.stats.Nulls++
		return
	}
	st := d.pid[id]
	if st == nil {
		st = d.at(id)
	}
	st.packets++

	start := 4
	discontinuity := false
	if p[3]&0x20 != 0 {
		n := int(p[4])
		if n > PacketSize-5 {
			d.stats.BadAdaptation++
			return
		}
		start = 5 + n
		if n > 0 {
			discontinuity = p[5]&0x80 != 0
			if p[5]&0x10 != 0 && n >= 7 {
				d.clock(st, p[6:12], discontinuity)
			}
		}
	}
	if p[3]&0x10 == 0 || start >= PacketSize {
		if cc := p[3] & 0x0F; st.seen && cc != st.counter {
			d.slip(st, cc, discontinuity)
		}
		return
	}
	cc, print := p[3]&0x0F, printOf(p)
	gap, lost := false, 0
	if st.follows(cc) {
		st.counter, st.print = cc, print
	} else {
		if !discontinuity {
			lost = int(cc-st.counter-1) & 0x0F
		}
		duplicate := false
		if gap, duplicate = d.continuity(st, cc, print, discontinuity); duplicate {
			return
		}
	}
	payload := p[start:]
	if p[3]&0xC0 != 0 {
		d.stats.Scrambled++
		st.scrambled, st.ciphered = true, true
		d.monitor.scrambled(st)
		return
	}
	st.clear, st.ciphered = true, false
	unitStart := p[1]&0x40 != 0
	switch {
	case st.sections != nil:
		if gap {
			st.sections.gap()
		}
		if !st.sections.packet(payload, unitStart) {
			d.stats.BadSections++
		}
	case st.pes != nil:
		if gap {
			st.pes.gap(lost)
		}
		st.pes.packet(payload, unitStart)
	}
}

// continuity judges the continuity counter of a packet with payload. A repetition
// counts as one only when its bytes are the same too, of which print is some; sixteen
// lost packets have the same counter and another content.
func (d *Demuxer) continuity(st *pid, cc byte, print uint64, discontinuity bool) (gap, duplicate bool) {
	last, seen := st.counter, st.seen
	same := st.print == print
	st.counter, st.seen, st.print = cc, true, print
	switch {
	case !seen:
		return false, false
	case cc == (last+1)&0x0F:
		st.repeated = false
		if st.slipped {
			st.slipped = false
			return true, false
		}
		return false, false
	case cc == last && same && !st.repeated:
		st.repeated = true
		d.stats.Duplicates++
		return false, true
	case discontinuity:
		st.repeated = false
		return true, false
	}
	st.repeated = false
	d.stats.Continuity++
	st.errors.ContinuityCountError++
	return true, cc == last && same
}

// slip takes a counter that advanced in a packet without payload, which it must not
// (ISO/IEC 13818-1 2.4.3.3): most likely packets before it were lost.
func (d *Demuxer) slip(st *pid, cc byte, discontinuity bool) {
	st.counter, st.repeated, st.slipped = cc, false, true
	if !discontinuity {
		d.stats.Continuity++
		st.errors.ContinuityCountError++
	}
}

// clock reads a program_clock_reference (ISO/IEC 13818-1 2.4.3.5).
func (d *Demuxer) clock(st *pid, b []byte, discontinuity bool) {
	base := int64(b[0])<<25 | int64(b[1])<<17 | int64(b[2])<<9 | int64(b[3])<<1 | int64(b[4])>>7
	pcr := base*300 + int64(b[4]&1)<<8 + int64(b[5])
	d.monitor.pcr(st, d.stats.Packets, pcr, discontinuity)
	if d.h.PCR != nil {
		d.h.PCR(st.id, pcr, discontinuity)
	}
}

// section dispatches a whole section.
func (d *Demuxer) section(p *pid, b []byte) {
	ok, badCRC := checkSection(b)
	if !ok {
		if badCRC {
			d.stats.CRCErrors++
			p.errors.CRCError++
		} else {
			d.stats.BadSections++
		}
		return
	}
	d.monitor.section(p, b)
	if long(b) {
		h := parseHeader(b)
		switch {
		case p.id == pidPAT && h.table == tablePAT:
			d.readPAT(h)
		case p.pmtOf > 0 && h.table == tablePMT:
			d.readPMT(p, h)
		case p.id == pidSDT && h.table == tableSDTActual:
			d.readSDT(h)
		}
	}
	if d.h.Section != nil {
		d.h.Section(p.id, b)
	}
}

// format tells the handler that a stream's headers say something new.
func (d *Demuxer) format(s *Stream, f media.Format) {
	f.Language = s.Language
	f.Reordered = f.Reordered || s.Format.Reordered && s.Known
	f.NoIDR = s.instants.absent
	if s.Known && sameFormat(s.Format, f) {
		return
	}
	s.Format, s.Known = f, true
	if d.h.Format != nil {
		d.h.Format(s)
	}
}

// maxUnderWay bounds what the access units under way of all streams together may
// take: twenty times what seven programmes of high definition do.
const maxUnderWay = 128 << 20

// take asks for room for access units under way. It reports false, and counts, when
// there is none: a stream whose pictures never end would have all memory.
func (d *Demuxer) take(n int) bool {
	if n > 0 && d.underWay+n > maxUnderWay {
		d.stats.BadUnits++
		return false
	}
	d.underWay += n
	return true
}

// frame hands an access unit over.
func (d *Demuxer) frame(s *Stream, f *media.Frame, t Times, count int) {
	s.AccessUnits += uint64(count)
	f.Arrival = d.arrival
	if s.Codec.Kind() == media.Video && t.PTS != t.DTS && !s.Format.Reordered && s.Known {
		g := s.Format
		g.Reordered = true
		d.format(s, g)
	}
	if s.Codec == media.H264 && s.instants.picture(f.Sync, f.IDR, t.DTS) && s.Known {
		d.format(s, s.Format)
	}
	if d.h.Frame != nil {
		d.h.Frame(s, f, t)
	}
}

func sameFormat(a, b media.Format) bool {
	if len(a.Params) != len(b.Params) || !bytes.Equal(a.Config, b.Config) {
		return false
	}
	for i := range a.Params {
		if !bytes.Equal(a.Params[i], b.Params[i]) {
			return false
		}
	}
	a.Params, b.Params, a.Config, b.Config = nil, nil, nil, nil
	return a.Codec == b.Codec && a.ClockRate == b.ClockRate && a.Channels == b.Channels && a.Rate == b.Rate &&
		a.Width == b.Width && a.Height == b.Height && a.FPS == b.FPS && a.Profile == b.Profile &&
		a.Interlaced == b.Interlaced && a.Reordered == b.Reordered && a.NoIDR == b.NoIDR && a.Aspect == b.Aspect && a.Language == b.Language && a.Note == b.Note
}

package mpegts

// TR101290 counts the errors of ETSI TR 101 290 v1.4.1, 5.2.1 and 5.2.2: first and
// second priority. docs/quality.md says of each what exactly is counted.
type TR101290 struct {
	SyncLoss             uint64 `json:"sync_loss"`               // 1.1: two wrong sync bytes in a row
	SyncByteError        uint64 `json:"sync_byte_error"`         // 1.2
	PATError             uint64 `json:"pat_error"`               // 1.3: not within 0.5 s, scrambled, another table on its PID
	ContinuityCountError uint64 `json:"continuity_count_error"`  // 1.4
	PMTError             uint64 `json:"pmt_error"`               // 1.5: not within 0.5 s, scrambled
	PIDError             uint64 `json:"pid_error"`               // 1.6: a picture or sound of a PMT that does not come for 5 s
	TransportError       uint64 `json:"transport_error"`         // 2.1
	CRCError             uint64 `json:"crc_error"`               // 2.2: in PAT, CAT, PMT, NIT, SDT, BAT, EIT, TOT
	PCRRepetitionError   uint64 `json:"pcr_repetition_error"`    // 2.3a: more than 100 ms apart
	PCRDiscontinuity     uint64 `json:"pcr_discontinuity_error"` // 2.3b: a step outside 0 to 100 ms that is not indicated
	PCRAccuracyError     uint64 `json:"pcr_accuracy_error"`      // 2.4: more than 500 ns off a constant bit rate
	PTSError             uint64 `json:"pts_error"`               // 2.5: more than 700 ms without PTS
	CATError             uint64 `json:"cat_error"`               // 2.6: scrambled packets without CAT, another table on its PID
}

// Plus returns the sums of two counts.
func (e TR101290) Plus(o TR101290) TR101290 {
	e.each(o, func(a, b uint64) uint64 { return a + b })
	return e
}

// Since returns what was counted after o was read from the same source. A count that
// fell, because the source began anew, counts from zero.
func (e TR101290) Since(o TR101290) TR101290 {
	e.each(o, func(a, b uint64) uint64 {
		if a < b {
			return a
		}
		return a - b
	})
	return e
}

func (e *TR101290) each(o TR101290, f func(a, b uint64) uint64) {
	mine, theirs := e.fields(), o.fields()
	for i := range mine {
		*mine[i] = f(*mine[i], *theirs[i])
	}
}

func (e *TR101290) fields() [13]*uint64 {
	return [...]*uint64{
		&e.SyncLoss, &e.SyncByteError, &e.PATError, &e.ContinuityCountError, &e.PMTError, &e.PIDError, &e.TransportError,
		&e.CRCError, &e.PCRRepetitionError, &e.PCRDiscontinuity, &e.PCRAccuracyError, &e.PTSError, &e.CATError,
	}
}

// Each calls f with the name in JSON and the value of each count, in the order of
// the report.
func (e TR101290) Each(f func(name string, n uint64)) {
	names := [...]string{
		"sync_loss", "sync_byte_error", "pat_error", "continuity_count_error", "pmt_error", "pid_error", "transport_error",
		"crc_error", "pcr_repetition_error", "pcr_discontinuity_error", "pcr_accuracy_error", "pts_error", "cat_error",
	}
	for i, n := range e.fields() {
		f(names[i], *n)
	}
}

const (
	pcrRate       = 27_000_000
	pcrWrap       = wrap * 300
	pcrInterval   = pcrRate / 10     // 100 ms
	tableInterval = pcrRate / 2      // 500 ms
	ptsInterval   = pcrRate * 7 / 10 // 700 ms
	pidInterval   = pcrRate * 5      // 1.6 leaves the period to the user
	catInterval   = pcrRate * 10     // no standard says one; conditional access systems repeat it within seconds
	pcrAccuracy   = pcrRate * 500 / 1_000_000_000
	// pcrFar is a step that is a break in time; smaller ones are a clock that is sent
	// too seldom.
	pcrFar = 10 * pcrRate
	// checkEvery is how often what does not come is looked for, rateEvery how often
	// bit rates are measured.
	checkEvery = pcrRate / 10
	rateEvery  = pcrRate
	// mainSilent is how long the clock of all may say nothing before another takes over.
	mainSilent = 2 * pcrRate
)

// monitor measures what [TR101290] counts and what [Demuxer.Measure] tells. Times are
// those of the stream's own clock, its PCR, so that a file is judged as the broadcast
// was, and a source that comes in bursts as if it did not.
//
// It is called by its demuxer, for what is rare: clock references, sections, PES
// headers and errors. A packet in order costs it nothing.
type monitor struct {
	d       *Demuxer
	main    *clock // keeps the time for all; nil before the first PCR
	elapsed int64  // 27 MHz, without breaks
	packets uint64 // that elapsed covers
	checked int64
	rated   int64
	total   uint64 // packets when rates were measured last
	bitrate int64
	span    rate
	lastCAT int64
	seenCAT bool
	hidden  uint64 // scrambled packets when the CAT was asked for last
}

// clock is the PCR of one PID.
type clock struct {
	last       int64 // 27 MHz
	lastPacket uint64
	points     int   // how many in a row without a break
	at         int64 // the monitor's time of the last one
	jitter     jitter
}

// watch is what the monitor keeps of one PID.
type watch struct {
	errors   TR101290
	clock    *clock // nil: no PCR was seen
	table    int64  // time of the last PAT or PMT section
	pts      int64  // time of the last PTS
	timed    bool   // there was one
	hidden   uint64 // scrambled packets
	present  int64  // time when packets were last seen to come
	had      uint64 // packets then
	missed   int64  // time when it was last counted as missing
	rated    uint64 // packets when rates were measured last
	bitrate  int64  // bits a second
	wasShown uint64 // scrambled packets at the last check of PTS
}

func newMonitor(d *Demuxer) *monitor { return &monitor{d: d} }

// perPacket returns the ticks of a packet on average; 0 before that is known.
func (m *monitor) perPacket() float64 {
	if m.packets == 0 {
		return 0
	}
	return float64(m.elapsed) / float64(m.packets)
}

// now returns the time of the packet under way.
func (m *monitor) now() int64 {
	if m.main == nil {
		return 0
	}
	return m.elapsed + int64(float64(m.d.stats.Packets-m.main.lastPacket)*m.perPacket())
}

func (m *monitor) pcr(p *pid, packet uint64, pcr int64, discontinuity bool) {
	c := p.clock
	if c == nil {
		c = new(clock)
		p.clock = c
	}
	switch {
	case m.main == nil:
		m.main = c
	case c != m.main && m.stopped(packet, c):
		gone := c.lastPacket - min(c.lastPacket, m.main.lastPacket)
		m.elapsed += int64(float64(gone) * m.perPacket())
		m.packets += gone
		m.main = c
	}
	m.step(p, c, packet, pcr, discontinuity)
	c.last, c.lastPacket = pcr, packet
	c.points++
	c.at = m.elapsed
	if c != m.main {
		c.at = m.now()
	}
	c.jitter.add(m.d.arrival, pcr)
}

// stopped reports whether the main clock stands still while c goes on.
func (m *monitor) stopped(packet uint64, c *clock) bool {
	silent := float64(packet-m.main.lastPacket) * m.perPacket()
	if m.packets == 0 { // it never went
		return c.points > 50
	}
	return silent > mainSilent && c.points > 2
}

func (m *monitor) step(p *pid, c *clock, packet uint64, pcr int64, discontinuity bool) {
	if c.points == 0 {
		return
	}
	step := (pcr - c.last + pcrWrap) % pcrWrap
	switch {
	case discontinuity:
		c.anew()
		return
	case step > pcrFar:
		p.errors.PCRDiscontinuity++
		c.anew()
		return
	case step > pcrInterval:
		p.errors.PCRRepetitionError++
		p.errors.PCRDiscontinuity++
	}
	if c == m.main {
		m.elapsed += step
		m.packets += packet - c.lastPacket
		m.check(packet)
	}
	// At a constant bit rate the distance of two is that of their packets. At a
	// variable one the count says nothing.
	if m.span.off(step, packet-c.lastPacket, c == m.main) {
		p.errors.PCRAccuracyError++
	}
}

// rate is the constant bit rate of a multiplex, averaged over the last rateSpan to
// twice that. Distances that are off are left out, as one lost packet would spoil the
// average for all that follow; many in a row are another rate.
type rate struct {
	ticks, packets float64
	points         int
	strange        int // how many in a row were off
}

const (
	rateSpan = 10 * pcrRate
	// ratePoints is how many references must be averaged before one is judged by them:
	// their own errors of up to 500 ns must be small against the whole.
	ratePoints = 10
	// rateStrange is how many in a row that are off are taken for another rate.
	rateStrange = 8
)

// off reports whether the distance of two references is not that of their packets,
// by more than TR 101 290 allows. One that is to be learned from moves the average.
func (r *rate) off(ticks int64, packets uint64, learn bool) bool {
	off := false
	if r.points >= ratePoints && r.packets > 0 {
		d := float64(ticks) - float64(packets)*r.ticks/r.packets
		off = d > pcrAccuracy || d < -pcrAccuracy
	}
	switch {
	case !learn:
	case off:
		if r.strange++; r.strange >= rateStrange {
			*r = rate{}
		}
	default:
		if r.ticks > 2*rateSpan {
			r.ticks, r.packets = r.ticks/2, r.packets/2
		}
		r.ticks, r.packets = r.ticks+float64(ticks), r.packets+float64(packets)
		r.points++
		r.strange = 0
	}
	return off
}

func (c *clock) anew() {
	c.points = 0
	c.jitter.restart()
}

// check looks from time to time for what does not come. Each further interval
// without it counts once more.
func (m *monitor) check(packet uint64) {
	now := m.elapsed
	if now-m.checked >= checkEvery {
		m.checked = now
		if p := m.d.pid[pidPAT]; p != nil && now-p.table > tableInterval {
			p.errors.PATError++
			p.table = now
		}
		m.checkCAT(now)
		for _, s := range m.d.order {
			m.checkService(s, now)
		}
	}
	if d := now - m.rated; d >= rateEvery {
		m.rated = now
		m.bitrate = bitrate(packet-m.total, d)
		m.total = packet
		for _, p := range m.d.pid {
			if p != nil {
				p.bitrate = bitrate(p.packets-p.rated, d)
				p.rated = p.packets
			}
		}
	}
}

// bitrate returns bits a second.
func bitrate(packets uint64, ticks int64) int64 {
	return int64(float64(packets) * PacketSize * 8 * pcrRate / float64(ticks))
}

func (m *monitor) checkCAT(now int64) {
	if m.d.stats.Scrambled == m.hidden || now-m.lastCAT <= catInterval {
		return
	}
	m.hidden, m.lastCAT = m.d.stats.Scrambled, now
	m.d.at(pidCAT).errors.CATError++
}

func (m *monitor) checkService(s *Service, now int64) {
	if p := m.d.pid[s.PMTPID]; p != nil && now-p.table > tableInterval {
		p.errors.PMTError++
		p.table = now
	}
	if !s.Known {
		return
	}
	// A clock that stopped is missed every second; the one that keeps the time cannot be.
	if p := m.d.pid[s.PCRPID]; p != nil && p.clock != nil && p.clock != m.main && now-p.clock.at > pcrRate {
		p.errors.PCRRepetitionError++
		p.clock.at = now
	}
	for _, st := range s.Streams {
		if !st.Media {
			continue
		}
		p := st.pid
		switch {
		case p.packets != p.had || p.present == 0:
			p.had, p.present = p.packets, now
		case now-max(p.present, p.missed) > pidInterval:
			p.errors.PIDError++
			p.missed = now
		}
		// What is scrambled cannot be looked into, and what does not come at all is
		// another error.
		if p.timed && now-p.pts > ptsInterval {
			if p.hidden == p.wasShown && p.pes != nil {
				p.errors.PTSError++
			}
			p.pts, p.wasShown = now, p.hidden
		}
	}
}

// section takes every section with a right CRC.
func (m *monitor) section(p *pid, b []byte) {
	switch {
	case p.id == pidPAT && b[0] != tablePAT:
		p.errors.PATError++
	case p.id == pidPAT:
		if m.came(p) {
			p.errors.PATError++
		}
	case p.id == pidCAT && b[0] != tableCAT:
		p.errors.CATError++
	case p.id == pidCAT:
		m.lastCAT, m.seenCAT, m.hidden = m.now(), true, m.d.stats.Scrambled
	case p.pmtOf > 0 && b[0] == tablePMT:
		if m.came(p) {
			p.errors.PMTError++
		}
	}
}

// came notes the time of a table and reports whether it comes late.
func (m *monitor) came(p *pid) (late bool) {
	now := m.now()
	late = now-p.table > tableInterval
	p.table = now
	return late
}

// announced says that a PMT is to come on a PID from now on.
func (m *monitor) announced(p *pid) { p.table = m.now() }

// scrambled counts a packet that came scrambled.
func (m *monitor) scrambled(p *pid) {
	p.hidden++
	switch {
	case p.id == pidPAT:
		p.errors.PATError++
	case p.pmtOf > 0:
		p.errors.PMTError++
	}
}

// stamped notes a PES packet with a PTS.
func (m *monitor) stamped(p *pid) {
	now := m.now()
	if p.timed && now-p.pts > ptsInterval && p.hidden == p.wasShown {
		p.errors.PTSError++
	}
	p.pts, p.timed, p.wasShown = now, true, p.hidden
}

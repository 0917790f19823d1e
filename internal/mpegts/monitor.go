package mpegts

// TR101290 counts the errors of ETSI TR 101 290 5.2 that can be told from a
// transport stream alone. Times are measured by the stream's own clock, its PCR, so
// that a file is judged as the broadcast was.
type TR101290 struct {
	SyncLoss             uint64 `json:"sync_loss"`               // 1.1
	PATError             uint64 `json:"pat_error"`               // 1.3: not within 0.5 s, scrambled, another table on its PID
	PMTError             uint64 `json:"pmt_error"`               // 1.5: not within 0.5 s, scrambled
	ContinuityCountError uint64 `json:"continuity_count_error"`  // 1.4
	TransportError       uint64 `json:"transport_error"`         // 2.1
	CRCError             uint64 `json:"crc_error"`               // 2.2
	PCRRepetitionError   uint64 `json:"pcr_repetition_error"`    // 2.3a: more than 100 ms apart
	PCRDiscontinuity     uint64 `json:"pcr_discontinuity_error"` // 2.3b: a step outside 0 to 100 ms that is not indicated
	PCRAccuracyError     uint64 `json:"pcr_accuracy_error"`      // 2.4: more than 500 ns off a constant bit rate
	PTSError             uint64 `json:"pts_error"`               // 2.5: more than 700 ms without PTS
}

const (
	pcrRate       = 27_000_000
	pcrWrap       = wrap * 300
	pcrInterval   = pcrRate / 10     // 100 ms
	tableInterval = pcrRate / 2      // 500 ms
	ptsInterval   = pcrRate * 7 / 10 // 700 ms
	pcrAccuracy   = pcrRate * 500 / 1_000_000_000
	// pcrFar is a step that is a break in time; smaller ones are a clock that is sent
	// too seldom.
	pcrFar = 10 * pcrRate
)

// monitor measures what [TR101290] counts. It is called by its demuxer.
type monitor struct {
	d      *Demuxer
	errors TR101290
	clocks map[uint16]*clock
	main   *clock // the first PID with a PCR keeps the time for all
	tables map[uint16]int64
	pts    map[uint16]int64
}

// clock is the PCR of one PID.
type clock struct {
	last, before             int64 // 27 MHz
	lastPacket, beforePacket uint64
	points                   int   // how many in a row without a break
	elapsed                  int64 // 27 MHz, without breaks
	first                    uint64
	measured                 uint64 // packets that elapsed covers
}

func newMonitor(d *Demuxer) *monitor {
	return &monitor{
		d: d, clocks: make(map[uint16]*clock),
		tables: make(map[uint16]int64), pts: make(map[uint16]int64),
	}
}

// now returns the time by the main clock; ok is false before it has one.
func (m *monitor) now() (int64, bool) {
	if m.main == nil {
		return 0, false
	}
	return m.main.elapsed, m.main.points > 0
}

func (m *monitor) pcr(st *pid, packet uint64, pcr int64, discontinuity bool) {
	c := m.clocks[st.id]
	if c == nil {
		c = &clock{first: packet}
		m.clocks[st.id] = c
		if m.main == nil {
			m.main = c
		}
	}
	defer func() {
		c.before, c.beforePacket = c.last, c.lastPacket
		c.last, c.lastPacket = pcr, packet
		c.points++
	}()
	if c.points == 0 {
		return
	}
	step := (pcr - c.last + pcrWrap) % pcrWrap
	switch {
	case discontinuity:
		c.points = 0
		return
	case step > pcrFar:
		m.errors.PCRDiscontinuity++
		c.points = 0
		return
	case step > pcrInterval:
		m.errors.PCRRepetitionError++
		m.errors.PCRDiscontinuity++
	}
	c.elapsed += step
	c.measured += packet - c.lastPacket
	if c == m.main {
		m.late()
	}
	// At a constant bit rate the middle one of three lies on the line between its
	// neighbours. At a variable rate the count says nothing; there every PCR is off.
	if c.points >= 2 && packet > c.beforePacket {
		span := (pcr - c.before + pcrWrap) % pcrWrap
		ideal := float64(span) * float64(c.lastPacket-c.beforePacket) / float64(packet-c.beforePacket)
		off := float64((c.last-c.before+pcrWrap)%pcrWrap) - ideal
		if off > pcrAccuracy || off < -pcrAccuracy {
			m.errors.PCRAccuracyError++
		}
	}
}

// late counts the tables and times that did not come within their intervals. Each
// further interval without them counts once more.
func (m *monitor) late() {
	now := m.main.elapsed
	for id, last := range m.tables {
		if now-last <= tableInterval {
			continue
		}
		if id == pidPAT {
			m.errors.PATError++
		} else if p := m.d.pid[id]; p != nil && p.pmtOf > 0 {
			m.errors.PMTError++
		}
		m.tables[id] = now
	}
	for id, last := range m.pts {
		if now-last > ptsInterval {
			m.errors.PTSError++
			m.pts[id] = now
		}
	}
}

func (m *monitor) section(p *pid, b []byte) {
	switch {
	case p.id == pidPAT && b[0] != tablePAT:
		m.errors.PATError++
	case p.id == pidPAT, p.pmtOf > 0 && b[0] == tablePMT:
		now, _ := m.now()
		m.tables[p.id] = now
	}
}

// scrambledTable counts a packet of a table that came scrambled.
func (m *monitor) scrambledTable(p *pid) {
	switch {
	case p.id == pidPAT:
		m.errors.PATError++
	case p.pmtOf > 0:
		m.errors.PMTError++
	}
}

func (m *monitor) frame(s *Stream, t Times) {
	if now, ok := m.now(); ok && !t.Computed {
		m.pts[s.PID] = now
	}
}

// result returns the counts, with those that the demuxer keeps.
func (m *monitor) result(s Stats) TR101290 {
	e := m.errors
	e.SyncLoss, e.ContinuityCountError = s.SyncLosses, s.Continuity
	e.TransportError, e.CRCError = s.TransportErrors, s.CRCErrors
	return e
}

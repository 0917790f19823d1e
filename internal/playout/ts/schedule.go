package ts

// Next writes the next packet of the time line into b, 188 bytes.
func (m *CBR) Next(b []byte) {
	m.packets++
	m.slots++
	now := m.now
	switch {
	case now+m.slot >= m.clockDue: // the next packet would come too late
		m.clock(b, now)
	case now >= m.tableDue && m.table(b, now):
		m.others++
		m.used++
	default:
		l := m.pick(now)
		if l == nil {
			copy(b[:packetSize], nullPacket[:])
			break
		}
		if !l.picture() {
			m.others++
		}
		m.send(b, l, now, nil)
	}
	m.now += m.slot
	if m.part += m.slotPart; m.part >= m.rate {
		m.part -= m.rate
		m.now++
	}
	if m.now-m.window >= stcRate {
		m.share = int64(m.others * 1024 / m.slots)
		m.window, m.others, m.slots = m.now, 0, 0
	}
}

// nullPacket is ISO/IEC 13818-1 2.4.1's stuffing.
var nullPacket = makeNull()

func makeNull() (p [packetSize]byte) {
	for i := range p {
		p[i] = 0xFF
	}
	p[0], p[1], p[2], p[3] = 0x47, 0x1F, 0xFF, 0x10
	return p
}

// clock writes a packet with a PCR: the picture's next one where it may go now, else
// one of its own.
func (m *CBR) clock(b []byte, now stc) {
	c := clock{at: now, discontinuity: m.jumped}
	m.clockDue = now + clockInterval
	m.jumped, m.clocked = false, true
	l := m.lead
	if l != nil && m.open(l, now) && m.timely(l, now) {
		m.send(b, l, now, &c)
		return
	}
	m.used++
	clockPacket(b, m.clockPID, m.clockCounter(), &c)
}

// table writes a packet of a table that is due, if one is.
func (m *CBR) table(b []byte, now stc) bool {
	var due *table
	next := now + stcRate
	for _, t := range m.tables {
		if len(t.packets) == 0 && !(t == m.tdt && m.hasWall && m.service.Time != NoTime) {
			continue
		}
		if t.due <= now && due == nil {
			due = t
			continue
		}
		next = min(next, t.due)
	}
	if due == nil {
		m.tableDue = next
		return false
	}
	if due == m.tdt && due.at == 0 {
		m.tdt.set(timeTables(&m.service, m.wall.Add((now - m.wallAt).duration()))...)
	}
	if due.packet(b) {
		// Counted from when it was due, so that a moment's delay does not add up.
		due.due = max(due.due+due.every, now+due.every/2)
	} else {
		due.due = now + spacing
	}
	m.tableDue = min(next, due.due)
	return true
}

// pick returns the lane whose access unit is the most urgent of those that may be
// sent now, or nil.
func (m *CBR) pick(now stc) *lane {
	for {
		var best *lane
		for _, l := range m.lanes {
			if now < l.opens || len(l.queue) == 0 || best != nil && l.queue[0].decode >= best.queue[0].decode || !m.open(l, now) {
				continue
			}
			best = l
		}
		if best == nil || m.timely(best, now) {
			return best
		}
	}
}

// open reports whether a lane has something that its receiver can take now. Where it
// has not, it leaves in the lane when to look again.
func (m *CBR) open(l *lane, now stc) bool {
	if now < l.opens {
		return false
	}
	if len(l.queue) == 0 {
		l.opens = never
		return false
	}
	p := l.queue[0]
	bound := stc(maxAhead)
	if !l.picture() {
		bound = soundAhead
	}
	if l.opens = max(p.decode-bound, l.transport.opens()); l.opens > now {
		return false
	}
	// What is larger than the whole buffer goes when nothing else is there.
	if l.decoder.room(now, payloadSize) || p.size > l.decoder.size && (l.begun || l.decoder.n == 0) {
		return true
	}
	if l.decoder.n > 0 {
		l.opens = l.decoder.wait[l.decoder.head].at
	}
	return false
}

// timely reports whether the access unit at the head of a lane will be there in
// time. One that will not is dropped, and of pictures all up to the next sync point.
func (m *CBR) timely(l *lane, now stc) bool {
	if l.begun {
		return true
	}
	p := l.queue[0]
	need := stc(packetsOf(p.size)+1) * (m.slot + 1)
	if l.picture() { // it shares the rate with what goes on beside it
		need += need * stc(m.share) / 1024
	}
	if now+need <= p.decode {
		return true
	}
	m.drops[Overload]++
	l.shift()
	if l.picture() {
		for len(l.queue) > 0 && !l.queue[0].sync {
			m.drops[NoKeyFrame]++
			l.shift()
		}
		l.waiting = len(l.queue) == 0
	}
	return false
}

// send writes the next packet of a lane.
func (m *CBR) send(b []byte, l *lane, now stc, c *clock) {
	p := l.queue[0]
	left := p.left
	if !l.begun {
		m.arrive(l, p)
	}
	at := p.decode
	done := l.packet(b, c)
	sent := left
	if !done {
		sent -= p.left
	}
	l.decoder.enter(sent)
	l.transport.take(now)
	l.opens = always
	if done && now > at {
		m.late++
	}
	m.used++
}

// arrive tells the model of the receiver when an access unit will leave it: a picture
// at once, frames of sound one after the other.
func (m *CBR) arrive(l *lane, p *pes) {
	if l.picture() || p.units <= 1 {
		l.decoder.leave(p.decode, p.size)
		return
	}
	each := p.size / p.units
	for i := range p.units {
		n := each
		if i == 0 {
			n += p.size - each*p.units
		}
		l.decoder.leave(p.decode+stc(i)*l.unitTime, n)
	}
}

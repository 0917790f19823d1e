package sfu

import "time"

// What a receiver owes its sender, as pure state: times are nanoseconds passed in.
// publish.go sends what these decide.

const (
	ms = int64(time.Millisecond)

	// pliSpacing is the least time between two requests for a key frame of one
	// layer. Chromium ignores, without a word, one that comes less than 300 ms
	// after the last; the rest is for jitter on the way.
	pliSpacing = 320 * ms

	nackReorder = 8 * ms  // how late a packet may be before it counts as missing
	nackRetry   = 50 * ms // between two requests of one packet; doubled each time
	nackTries   = 4
	maxMissing  = 256 // more at once is an outage that only a key frame repairs
	maxGap      = 512

	twccEvery = 50 * ms
	rrEvery   = 1000 * ms
)

// keyFrames decides when to ask a publisher for a key frame: at once, but never
// twice within pliSpacing, and again and again until one was seen. Any number of
// viewers asking meanwhile is one request.
type keyFrames struct {
	wanted bool
	asked  int64 // when it was last asked; 0: never
}

// want notes that somebody needs a key frame.
func (k *keyFrames) want() { k.wanted = true }

// seen notes that a key frame began to arrive.
func (k *keyFrames) seen() { k.wanted = false }

// due reports whether to ask now, and notes that it was done.
func (k *keyFrames) due(now int64) bool {
	if !k.wanted || now < k.next() {
		return false
	}
	k.asked = now
	return true
}

// next returns when to ask next; 0: nothing is wanted, or at once.
func (k *keyFrames) next() int64 {
	if !k.wanted || k.asked == 0 {
		return 0
	}
	return k.asked + pliSpacing
}

// lossList knows which packets of one stream are missing and when to ask for them.
type lossList struct {
	begun   bool
	newest  int64
	seen    [16]uint64 // bits of the newest 1024 sequence numbers
	missing []missingPacket
	givenUp uint64
	dups    uint64
}

type missingPacket struct {
	seq   int64
	due   int64
	tries int
}

// arrived notes a packet. It is false for one that was here before, or is too old
// to know. outage says that so much is missing that it will not be asked for.
func (l *lossList) arrived(seq, now int64) (fresh, outage bool) {
	const window = int64(len(l.seen) * 64)
	if !l.begun {
		l.begun, l.newest = true, seq
		l.mark(seq)
		return true, false
	}
	if seq > l.newest {
		gap := seq - l.newest - 1
		outage = gap > maxGap || len(l.missing)+int(gap) > maxMissing
		if outage {
			l.givenUp += uint64(gap) + uint64(len(l.missing))
			l.missing = l.missing[:0]
		}
		for s := max(l.newest+1, seq-window); s < seq; s++ {
			l.unmark(s)
			if !outage {
				l.missing = append(l.missing, missingPacket{seq: s, due: now + nackReorder})
			}
		}
		l.newest = seq
		l.mark(seq)
		return true, outage
	}
	if l.newest-seq >= window || l.marked(seq) {
		l.dups++
		return false, false
	}
	l.mark(seq)
	for i := range l.missing {
		if l.missing[i].seq == seq {
			l.missing = append(l.missing[:i], l.missing[i+1:]...)
			break
		}
	}
	return true, false
}

func (l *lossList) mark(s int64)        { l.seen[s>>6&15] |= 1 << (s & 63) }
func (l *lossList) unmark(s int64)      { l.seen[s>>6&15] &^= 1 << (s & 63) }
func (l *lossList) marked(s int64) bool { return l.seen[s>>6&15]&(1<<(s&63)) != 0 }

// due appends to out the packets to ask for now. One that was asked for
// nackTries times is given up.
func (l *lossList) due(now int64, out []uint16) []uint16 {
	kept := l.missing[:0]
	for _, m := range l.missing {
		if now >= m.due {
			if m.tries == nackTries {
				l.givenUp++
				continue
			}
			out = append(out, uint16(m.seq))
			m.due = now + nackRetry<<m.tries
			m.tries++
		}
		kept = append(kept, m)
	}
	l.missing = kept
	return out
}

// next returns when a packet is due; 0: none is missing.
func (l *lossList) next() int64 {
	var at int64
	for _, m := range l.missing {
		if at == 0 || m.due < at {
			at = m.due
		}
	}
	return at
}

// reception keeps the figures of a receiver report (RFC 3550 section 6.4.1 and appendix A).
type reception struct {
	begun            bool
	first, highest   int64
	received         int64
	priorExpected    int64
	priorReceived    int64
	transit          int64 // of the newest packet in ticks
	jitter           float64
	lastSR           uint32 // middle 32 bits of its NTP time
	lastSRAt         int64
	reportedSequence int64
}

// arrived notes a packet that was not repaired; ts and arrival are in ticks.
func (r *reception) arrived(seq int64, ts uint32, arrival int64) {
	if !r.begun {
		r.begun, r.first, r.highest = true, seq, seq
		r.transit = int64(uint32(arrival) - ts)
		r.received = 1
		return
	}
	r.received++
	r.highest = max(r.highest, seq)
	transit := int64(uint32(arrival) - ts)
	d := int32(uint32(transit) - uint32(r.transit))
	r.transit = transit
	if d < 0 {
		d = -d
	}
	r.jitter += (float64(d) - r.jitter) / 16
}

// repaired notes a packet that came by retransmission, which is not lost any more.
func (r *reception) repaired() { r.received++ }

// report returns the loss since the last report in 1/256, and in all.
func (r *reception) report() (fraction uint8, lost uint32) {
	expected := r.highest - r.first + 1
	lostAll := max(0, expected-r.received)
	de, dr := expected-r.priorExpected, r.received-r.priorReceived
	r.priorExpected, r.priorReceived = expected, r.received
	if de > 0 && de > dr {
		fraction = uint8(min(255, (de-dr)*256/de))
	}
	return fraction, uint32(min(lostAll, 0x7fffff))
}

// compactor renumbers a stream without the packets that carry only padding, so
// that a viewer sees no gap where there is nothing to see.
type compactor struct {
	skipped int64
	recent  []int64 // sequence numbers of the newest padding packets, rising
}

// skip notes that seq carries nothing. Only the newest packet can be skipped:
// what follows an older one was numbered already.
func (c *compactor) skip(seq int64) {
	c.skipped++
	if len(c.recent) == 64 {
		copy(c.recent, c.recent[1:])
		c.recent = c.recent[:63]
	}
	c.recent = append(c.recent, seq)
}

// number returns what a packet is called without the skipped ones before it.
func (c *compactor) number(seq int64) int64 {
	n := seq - c.skipped
	for i := len(c.recent) - 1; i >= 0 && c.recent[i] > seq; i-- {
		n++
	}
	return n
}

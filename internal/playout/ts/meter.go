package ts

import "tongxiang/internal/media"

// meter tells what bit rate a stream needs: the least at which every frame, sent in
// order of the decode times and not sooner than its receiver takes it, is complete at
// its decode time. It is pure.
type meter struct {
	delay  stc
	frames []metered // of the last meterSpan, in order of decode time
}

type metered struct {
	at   stc
	from stc   // when it may be sent at the earliest
	bits int64 // of its packets
}

const (
	meterSpan = 10 * stcRate
	// meterFrames bounds the frames that are kept: 10 s of 50 pictures and 8 sounds.
	meterFrames = 5000
)

// add counts a frame of a picture or of a sound.
func (m *meter) add(f *media.Frame, picture bool) {
	_, dts := times(f)
	at := stc(dts) * stcTick90
	if n := len(m.frames); n > 0 {
		last := m.frames[n-1].at
		if at-last > meterSpan || last-at > stcRate {
			m.frames = m.frames[:0] // another clock
		}
		at = max(at, last)
	}
	// 24 bytes of PES header and delimiter, 5 for each start code or frame header.
	size := 24 + f.Size() + 5*len(f.Units)
	from := at - m.delay
	if !picture {
		from = max(from, at-soundAhead)
	}
	m.frames = append(m.frames, metered{at, from, int64(packetsOf(size)) * packetSize * 8})
	keep := 0
	for keep < len(m.frames) && (at-m.frames[keep].at > meterSpan || len(m.frames)-keep > meterFrames) {
		keep++
	}
	m.frames = m.frames[:copy(m.frames, m.frames[keep:])]
}

// span returns how much time the frames cover.
func (m *meter) span() stc {
	if len(m.frames) < 2 {
		return 0
	}
	return m.frames[len(m.frames)-1].at - m.frames[0].at
}

// used returns the mean bit rate of the frames.
func (m *meter) used() int64 {
	span := m.span()
	if span <= 0 {
		return 0
	}
	var bits int64
	for _, f := range m.frames[:len(m.frames)-1] {
		bits += f.bits
	}
	return bits * stcRate / int64(span)
}

// need returns the bit rate, tables and PCR included; 0 before anything is known.
func (m *meter) need(s Service) int64 {
	best := m.used()
	if best == 0 {
		return 0
	}
	// Whatever may not be sent before a moment and must be there at another one has the
	// time between them. The moments that count are where pictures may begin.
	for i := range m.frames {
		if i > 0 && m.frames[i].bits <= m.frames[i-1].bits {
			continue // covered by the larger one beside it
		}
		var bits int64
		from := m.frames[i].from
		for _, f := range m.frames {
			if f.from < from {
				continue
			}
			bits += f.bits
			if r := bits * stcRate / int64(f.at-from); r > best {
				best = r
			}
		}
	}
	return best + overhead(s)
}

// overhead returns the bit rate of tables and PCR of a service.
func overhead(s Service) int64 {
	s = s.withDefaults()
	tables := 2*int64(stcRate)/int64(stcOf(s.Tables)) + 4 // PAT, PMT; SDT, EIT, NIT, TDT
	clocks := int64(stcRate) / int64(clockInterval)
	return (tables + clocks + 1) * packetSize * 8
}

// automatic returns the rate of an output that takes it from its stream: what the
// stream needs and a tenth more, in whole kilobits.
func automatic(need int64) int64 {
	return min(max((need+need/10+999)/1000*1000, MinRate), MaxRate)
}

package multiplex

import (
	"fmt"
	"os"
)

// Loop plays a file of [Make] for ever. It keeps no position, so any number of
// goroutines can use it.
type Loop struct {
	data    []byte
	patches []patch
	first   []int32     // for each packet, its first patch; one more at the end
	count   [8192]uint8 // how far a round moves the continuity counter of each PID
}

// patch is a time in the file.
type patch struct {
	at   int // offset in the file
	pcr  bool
	time int64
}

// Open reads a file.
func Open(file string) (*Loop, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if len(data) != Packets*packetSize {
		return nil, fmt.Errorf("%s has %d bytes, a round has %d", file, len(data), Packets*packetSize)
	}
	l := &Loop{data: data}
	for n := range Packets {
		l.first = append(l.first, int32(len(l.patches)))
		l.note(n * packetSize)
	}
	l.first = append(l.first, int32(len(l.patches)))
	return l, nil
}

// note finds the times in the packet at an offset.
func (l *Loop) note(at int) {
	p := l.data[at : at+packetSize]
	start := 4
	if p[3]&0x20 != 0 {
		start = 5 + int(p[4])
		if p[4] >= 7 && p[5]&0x10 != 0 {
			l.patches = append(l.patches, patch{at + 6, true, getPCR(p[6:])})
		}
	}
	if p[3]&0x10 == 0 {
		return
	}
	l.count[pidOf(p)] = (l.count[pidOf(p)] + 1) & 0x0F
	if p[1]&0x40 == 0 || start+19 > packetSize {
		return
	}
	h := p[start:]
	if h[0] != 0 || h[1] != 0 || h[2] != 1 || h[3] < 0xBD || h[6]&0xC0 != 0x80 {
		return // a table
	}
	if h[7]&0x80 != 0 {
		l.patches = append(l.patches, patch{at + start + 9, false, getTime(h[9:])})
	}
	if h[7]&0xC0 == 0xC0 {
		l.patches = append(l.patches, patch{at + start + 14, false, getTime(h[14:])})
	}
}

// Fill writes the packets from the n-th on into b, which holds a whole number of
// them. The first round's are those of the file.
func (l *Loop) Fill(b []byte, n int64) {
	for len(b) > 0 {
		round, k := n/int64(Packets), int(n%int64(Packets))
		count := min(len(b)/packetSize, Packets-k)
		copy(b, l.data[k*packetSize:(k+count)*packetSize])
		if round > 0 {
			l.restamp(b[:count*packetSize], k, round)
		}
		b, n = b[count*packetSize:], n+int64(count)
	}
}

func (l *Loop) restamp(b []byte, k int, round int64) {
	for at := 0; at < len(b); at += packetSize {
		p := b[at:]
		p[3] = p[3]&0xF0 | (p[3]+byte(round)*l.count[pidOf(p)])&0x0F
	}
	ticks := round * int64(Duration) * 9 / 100_000
	from := k * packetSize
	for _, c := range l.patches[l.first[k]:l.first[k+len(b)/packetSize]] {
		if c.pcr {
			putPCR(b[c.at-from:], c.time+ticks*300)
		} else {
			putTime(b[c.at-from:], (c.time+ticks)%wrap)
		}
	}
}

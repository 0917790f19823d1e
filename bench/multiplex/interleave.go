package multiplex

import (
	"encoding/binary"
	"fmt"
)

// interleave makes one multiplex of programmes of the same constant rate. Their
// own PAT and SDT make room for those of the whole; clock references are written
// anew for where they come to stand.
func interleave(mux int, programmes [Services][]byte) ([]byte, error) {
	const round = Packets / cycle * 7 // packets of a programme
	for i, p := range programmes {
		p = fit(p, round)
		if n := len(p) / packetSize; n > round || len(p)%packetSize != 0 {
			return nil, fmt.Errorf("programme %d has %d packets, room is for %d", i+1, n, round)
		}
		programmes[i] = p
	}
	tables := newCarousel(mux)
	out := make([]byte, 0, Packets*packetSize)
	var at [Services]int // the next packet of each
	for n := range Packets {
		slot := n % cycle
		if slot == cycle-1 {
			out = append(out, tables.next(n)...)
			continue
		}
		p := &programmes[slot%Services]
		k := at[slot%Services]
		at[slot%Services]++
		if k*packetSize >= len(*p) {
			out = append(out, null()...)
			continue
		}
		packet := (*p)[k*packetSize : (k+1)*packetSize]
		if pid := pidOf(packet); pid < 0x20 { // its own tables
			out = append(out, tables.next(n)...)
			continue
		}
		out = append(out, packet...)
		stamp(out[len(out)-packetSize:], n)
	}
	number(out)
	return out, nil
}

// fit takes out null packets from the end on until n packets are left: what hangs
// over the end of the round comes a few milliseconds early.
func fit(data []byte, n int) []byte {
	for at := len(data) - packetSize; at >= 0 && len(data) > n*packetSize; at -= packetSize {
		if pidOf(data[at:]) == nullPID {
			data = append(data[:at], data[at+packetSize:]...)
		}
	}
	return data
}

// stamp writes the clock reference of a packet that has one for its place.
func stamp(p []byte, n int) {
	if p[3]&0x20 == 0 || p[4] < 7 || p[5]&0x10 == 0 {
		return
	}
	putPCR(p[6:12], int64(n)*perPacket)
}

// number writes the continuity counters.
func number(data []byte) {
	var counter [8192]byte
	for ; len(data) > 0; data = data[packetSize:] {
		pid := pidOf(data)
		if pid == nullPID {
			data[3] &= 0xF0
			continue
		}
		if data[3]&0x10 != 0 {
			data[3] = data[3]&0xF0 | counter[pid]
			counter[pid] = (counter[pid] + 1) & 0x0F
		} else {
			data[3] = data[3]&0xF0 | (counter[pid]-1)&0x0F
		}
	}
}

func pidOf(p []byte) int { return int(binary.BigEndian.Uint16(p[1:]) & 0x1FFF) }

func null() []byte {
	p := make([]byte, packetSize)
	for i := range p {
		p[i] = 0xFF
	}
	copy(p, []byte{0x47, 0x1F, 0xFF, 0x10})
	return p
}

func putPCR(b []byte, pcr int64) {
	base, ext := pcr/300%wrap, pcr%300
	binary.BigEndian.PutUint32(b, uint32(base>>1))
	b[4] = byte(base<<7) | 0x7E | byte(ext>>8)
	b[5] = byte(ext)
}

func getPCR(b []byte) int64 {
	base := int64(binary.BigEndian.Uint32(b))<<1 | int64(b[4]>>7)
	return base*300 + int64(b[4]&1)<<8 + int64(b[5])
}

// putTime and getTime are for the five bytes of a PTS or DTS.
func putTime(b []byte, t int64) {
	b[0] = b[0]&0xF0 | byte(t>>29)&0x0E | 1
	b[1] = byte(t >> 22)
	b[2] = byte(t>>14) | 1
	b[3] = byte(t >> 7)
	b[4] = byte(t<<1) | 1
}

func getTime(b []byte) int64 {
	return int64(b[0]&0x0E)<<29 | int64(b[1])<<22 | int64(b[2]&0xFE)<<14 | int64(b[3])<<7 | int64(b[4])>>1
}

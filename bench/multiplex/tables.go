package multiplex

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// carousel hands out the packets of the tables in turn: PAT every 80 ms, SDT twice
// a second, present/following every second and the schedule in what is left of
// 150 kbit/s; null packets otherwise.
type carousel struct {
	pat, sdt, present, schedule [][]byte // packets
	queue                       [][]byte
	last                        map[string]int // when a table was queued, in packets of the multiplex
	turn                        int            // of the schedule
}

func newCarousel(mux int) *carousel {
	c := &carousel{last: make(map[string]int)}
	var pat, sdt []byte
	sdt = append(sdt, 0, 1, 0xFF) // original_network_id
	day := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	for i := range Services {
		id := uint16(ServiceID(mux, i))
		pid := uint16(pmtPID(i))
		pat = append(pat, byte(id>>8), byte(id), 0xE0|byte(pid>>8), byte(pid))
		d := append([]byte{1}, counted(text("中国广电"))...)
		d = append(d, counted(text(Name(mux, i)))...)
		sdt = append(sdt, byte(id>>8), byte(id), 0xFF, 0x80, byte(len(d)+2), 0x48, byte(len(d)))
		sdt = append(sdt, d...)
		for number := range 2 {
			c.present = append(c.present, packets(0x12, eit(0x4E, mux, i, number, 1, day, number))...)
		}
		for number := range 8 {
			c.schedule = append(c.schedule, packets(0x12, eit(0x50, mux, i, number*8, 56, day, number*6, number*6+1, number*6+2, number*6+3, number*6+4, number*6+5))...)
		}
	}
	c.pat = packets(0, section(0x00, uint16(mux+1), 0, 0, pat))
	c.sdt = packets(0x11, section(0x42, uint16(mux+1), 0, 0, sdt))
	return c
}

// next returns the packet for the n-th place of the multiplex.
func (c *carousel) next(n int) []byte {
	due := func(table string, every time.Duration, packets [][]byte) {
		if last, ok := c.last[table]; !ok || n-last >= int(every*PacketRate/time.Second) {
			c.last[table] = n
			c.queue = append(c.queue, packets...)
		}
	}
	due("PAT", 80*time.Millisecond, c.pat)
	due("SDT", 500*time.Millisecond, c.sdt)
	due("present", time.Second, c.present)
	if len(c.queue) == 0 {
		if last := c.last["schedule"]; n-last < PacketRate/100 {
			return null()
		}
		c.last["schedule"] = n
		c.queue = append(c.queue, c.schedule[c.turn%len(c.schedule)])
		// A section of several packets goes out whole.
		for c.turn++; c.schedule[c.turn%len(c.schedule)][1]&0x40 == 0; c.turn++ {
			c.queue = append(c.queue, c.schedule[c.turn%len(c.schedule)])
		}
	}
	p := c.queue[0]
	c.queue = c.queue[1:]
	return p
}

// text is a DVB string in GB 2312 (ETSI EN 300 468 annex A, selector 0x13).
func text(s string) []byte {
	b, err := simplifiedchinese.GBK.NewEncoder().Bytes([]byte(s))
	if err != nil {
		panic(fmt.Sprintf("%q is not in GB 2312: %v", s, err)) // the strings are this file's
	}
	return append([]byte{0x13}, b...)
}

func counted(b []byte) []byte { return append([]byte{byte(len(b))}, b...) }

// eit makes a section of a service's events, half an hour each.
func eit(table byte, mux, service, number, last int, day time.Time, events ...int) []byte {
	tsid := uint16(mux + 1)
	body := []byte{byte(tsid >> 8), byte(tsid), 0, 1, byte(last), table}
	for _, e := range events {
		start := day.Add(time.Duration(e) * 30 * time.Minute)
		mjd := uint16(start.Unix()/86400 + 40587)
		short := append([]byte("chi"), counted(text(fmt.Sprintf("节目%02d", e+1)))...)
		short = append(short, counted(text(Name(mux, service)+"的第"+fmt.Sprint(e+1)+"个节目"))...)
		body = binary.BigEndian.AppendUint16(body, uint16(service*100+e))
		body = binary.BigEndian.AppendUint16(body, mjd)
		body = append(body, bcd(start.Hour()), bcd(start.Minute()), 0, 0, 0x30, 0, 0x80, byte(len(short)+2), 0x4D, byte(len(short)))
		body = append(body, short...)
	}
	return section(table, uint16(ServiceID(mux, service)), byte(number), byte(last), body)
}

func bcd(n int) byte { return byte(n/10<<4 | n%10) }

// section makes a long section with its CRC (ISO/IEC 13818-1 2.4.4.11, annex A).
func section(table byte, ext uint16, number, last byte, body []byte) []byte {
	n := len(body) + 9
	s := []byte{table, 0xB0 | byte(n>>8), byte(n), byte(ext >> 8), byte(ext), 0xC1, number, last}
	s = append(s, body...)
	crc := ^uint32(0)
	for _, b := range s {
		crc ^= uint32(b) << 24
		for range 8 {
			if crc&0x80000000 != 0 {
				crc = crc<<1 ^ 0x04C11DB7
			} else {
				crc <<= 1
			}
		}
	}
	return binary.BigEndian.AppendUint32(s, crc)
}

// packets cuts a section into packets.
func packets(pid uint16, s []byte) [][]byte {
	s = append([]byte{0}, s...) // pointer_field
	var out [][]byte
	for first := byte(0x40); len(s) > 0; first = 0 {
		p := null()
		p[1], p[2], p[3] = first|byte(pid>>8), byte(pid), 0x10
		s = s[copy(p[4:], s):]
		out = append(out, p)
	}
	return out
}

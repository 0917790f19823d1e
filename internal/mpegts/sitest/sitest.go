// Package sitest writes service information for tests: sections of the EIT and the
// TDT in transport packets (ETSI EN 300 468).
package sitest

import "time"

// Writer numbers packets. The zero value is ready.
type Writer struct{ counters map[uint16]byte }

// Event is an entry of the EIT.
type Event struct {
	ID       uint16
	Start    time.Time
	Duration time.Duration
	Running  byte
	Title    string // in UTF-8
}

// Table says what an EIT section is about.
type Table struct {
	ID                       byte // 0x4E, 0x4F: present/following; 0x50, 0x60: schedule
	Network, Stream, Service uint16
	Version, Number          byte
}

// Packets returns a section in packets of a PID.
func (w *Writer) Packets(pid uint16, section []byte) []byte {
	if w.counters == nil {
		w.counters = make(map[uint16]byte)
	}
	var out []byte
	data := append([]byte{0}, section...)
	for first := true; len(data) > 0; first = false {
		p := []byte{0x47, byte(pid >> 8), byte(pid), 0x10 | w.counters[pid]}
		w.counters[pid] = (w.counters[pid] + 1) & 15
		if first {
			p[1] |= 0x40
		}
		n := min(184, len(data))
		p = append(p, data[:n]...)
		for len(p) < 188 {
			p = append(p, 0xFF)
		}
		out, data = append(out, p...), data[n:]
	}
	return out
}

// EIT returns a section with events.
func (w *Writer) EIT(t Table, events ...Event) []byte {
	s := []byte{
		t.ID, 0, 0, byte(t.Service >> 8), byte(t.Service), 0xC1 | t.Version<<1, t.Number, 1,
		byte(t.Stream >> 8), byte(t.Stream), byte(t.Network >> 8), byte(t.Network), 1, t.ID,
	}
	for _, e := range events {
		title := append([]byte{0x15}, e.Title...) // UTF-8
		short := append([]byte{0x4D, byte(5 + len(title)), 'c', 'h', 'i', byte(len(title))}, title...)
		short = append(short, 0)
		s = append(s, byte(e.ID>>8), byte(e.ID))
		s = append(s, clock(e.Start)...)
		d := int(e.Duration / time.Second)
		s = append(s, bcd(d/3600), bcd(d/60%60), bcd(d%60), e.Running<<5, byte(len(short)))
		s = append(s, short...)
	}
	return w.Packets(0x12, withCRC(s))
}

// TDT returns the broadcaster's clock.
func (w *Writer) TDT(t time.Time) []byte {
	return w.Packets(0x14, append([]byte{0x70, 0x70, 5}, clock(t)...))
}

// clock is a modified Julian date and a time in BCD (annex C).
func clock(t time.Time) []byte {
	t = t.UTC()
	day := int(t.Sub(time.Date(1858, time.November, 17, 0, 0, 0, 0, time.UTC)) / (24 * time.Hour))
	return []byte{byte(day >> 8), byte(day), bcd(t.Hour()), bcd(t.Minute()), bcd(t.Second())}
}

func bcd(n int) byte { return byte(n/10<<4 | n%10) }

// withCRC completes a section (ISO/IEC 13818-1 annex A).
func withCRC(s []byte) []byte {
	n := len(s) - 3 + 4
	s[1], s[2] = 0xB0|byte(n>>8), byte(n)
	crc := ^uint32(0)
	for _, c := range s {
		crc ^= uint32(c) << 24
		for range 8 {
			if crc&0x80000000 != 0 {
				crc = crc<<1 ^ 0x04C11DB7
			} else {
				crc <<= 1
			}
		}
	}
	return append(s, byte(crc>>24), byte(crc>>16), byte(crc>>8), byte(crc))
}

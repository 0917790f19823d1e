package ts

import (
	"time"

	"tongxiang/internal/mpegts"
)

// PIDs and table ids (ISO/IEC 13818-1 table 2-3, ETSI EN 300 468 tables 1 and 2).
const (
	pidPAT = 0x0000
	pidNIT = 0x0010
	pidSDT = 0x0011
	pidEIT = 0x0012
	pidTDT = 0x0014

	tablePAT = 0x00
	tablePMT = 0x02
	tableNIT = 0x40
	tableSDT = 0x42
	tableEIT = 0x4E // present and following, of this stream
	tableTDT = 0x70
	tableTOT = 0x73
)

// Intervals of tables: ETSI TS 101 211 4.4 and TR 101 290 5.2 want less than 10 s, 2 s, 2 s and 30 s.
const (
	everyNIT = 5 * stcRate
	everySDT = stcRate
	everyEIT = stcRate
	everyTDT = 20 * stcRate
)

// table is one PID's sections as packets, sent again and again.
type table struct {
	pid     uint16
	counter byte
	packets []byte // whole packets; empty: not sent
	at      int    // of the next one, in bytes
	every   stc
	due     stc
}

// set replaces the sections; each begins in a packet of its own.
func (t *table) set(sections ...[]byte) {
	t.packets, t.at = t.packets[:0], 0
	for _, s := range sections {
		first := true
		for len(s) > 0 || first {
			p := [packetSize]byte{0x47, byte(t.pid >> 8), byte(t.pid), 0x10}
			body := p[4:]
			if first {
				p[1] |= 0x40
				body[0] = 0 // pointer_field
				body = body[1:]
			}
			first = false
			n := copy(body, s)
			s = s[n:]
			for i := n; i < len(body); i++ {
				body[i] = 0xFF
			}
			t.packets = append(t.packets, p[:]...)
		}
	}
}

// packet writes the next packet into b and reports whether it was the last one.
func (t *table) packet(b []byte) (last bool) {
	copy(b, t.packets[t.at:t.at+packetSize])
	b[3] |= t.counter
	t.counter = (t.counter + 1) & 15
	t.at += packetSize
	if t.at < len(t.packets) {
		return false
	}
	t.at = 0
	return true
}

// section makes a section with the long header (13818-1 2.4.4.11). private is the
// private_indicator, reserved_future_use in DVB's tables.
func section(id byte, ext uint16, version, number, last byte, dvb bool, body []byte) []byte {
	n := 5 + len(body) + 4
	flags := byte(0xB0)
	if dvb {
		flags = 0xF0
	}
	s := make([]byte, 0, 3+n)
	s = append(s, id, flags|byte(n>>8), byte(n), byte(ext>>8), byte(ext), 0xC1|version<<1&0x3E, number, last)
	s = append(s, body...)
	return appendCRC(s)
}

func appendCRC(s []byte) []byte {
	c := mpegts.CRC32(s)
	return append(s, byte(c>>24), byte(c>>16), byte(c>>8), byte(c))
}

func pat(o *Service, version byte) []byte {
	var body []byte
	if o.Network != "" {
		body = append(body, 0, 0, 0xE0|pidNIT>>8, pidNIT&0xFF)
	}
	body = append(body, byte(o.ID>>8), byte(o.ID), 0xE0|byte(o.PID>>8), byte(o.PID))
	return section(tablePAT, o.StreamID, version, 0, 0, false, body)
}

func pmt(o *Service, version byte, clock uint16, lanes []*lane) []byte {
	body := []byte{0xE0 | byte(clock>>8), byte(clock), 0xF0, 0}
	for _, l := range lanes {
		n := len(l.descriptors)
		body = append(body, l.streamType, 0xE0|byte(l.pid>>8), byte(l.pid), 0xF0|byte(n>>8), byte(n))
		body = append(body, l.descriptors...)
	}
	return section(tablePMT, o.ID, version, 0, 0, false, body)
}

// Service types (EN 300 468 table 89). HD and advanced codecs have types of their
// own, which older boxes do not list; every box lists these.
const (
	serviceTV    = 0x01
	serviceRadio = 0x02
)

func (o *Service) kind(lanes []*lane) byte {
	for _, l := range lanes {
		if l.picture() {
			return serviceTV
		}
	}
	if len(lanes) > 0 {
		return serviceRadio
	}
	return serviceTV
}

func sdt(o *Service, version, kind byte, guide bool) []byte {
	provider, name := text(o.Provider, o.Text, 100), text(o.Name, o.Text, 120)
	d := []byte{descService, byte(3 + len(provider) + len(name)), kind, byte(len(provider))}
	d = append(d, provider...)
	d = append(append(d, byte(len(name))), name...)
	flags := byte(0xFC)
	if guide {
		flags |= 1 // EIT_present_following_flag
	}
	body := []byte{byte(o.NetworkID >> 8), byte(o.NetworkID), 0xFF, byte(o.ID >> 8), byte(o.ID), flags, 0x80 | byte(len(d)>>8), byte(len(d))}
	return section(tableSDT, o.StreamID, version, 0, 0, true, append(body, d...))
}

func nit(o *Service, version, kind byte) []byte {
	name := text(o.Network, o.Text, 120)
	body := append([]byte{0xF0, byte(2 + len(name)), descNetworkName, byte(len(name))}, name...)
	body = append(body, 0xF0, 6+5, // transport_stream_loop_length
		byte(o.StreamID>>8), byte(o.StreamID), byte(o.NetworkID>>8), byte(o.NetworkID), 0xF0, 5,
		descServiceList, 3, byte(o.ID>>8), byte(o.ID), kind)
	return section(tableNIT, o.NetworkID, version, 0, 0, true, body)
}

// Event is an entry of the programme guide.
type Event struct {
	ID       uint16
	Start    time.Time
	Duration time.Duration
	Title    string
	Summary  string
	Language string // ISO 639-2; empty: zho
}

// eit makes the two sections of the present/following table; either event may be nil.
func eit(o *Service, version byte, present, following *Event) [][]byte {
	var out [][]byte
	for number, e := range []*Event{present, following} {
		body := []byte{
			byte(o.StreamID >> 8), byte(o.StreamID), byte(o.NetworkID >> 8), byte(o.NetworkID),
			1, tableEIT, // segment_last_section_number, last_table_id
		}
		if e != nil {
			running := byte(4)
			if number == 1 {
				running = 1
			}
			d := shortEvent(e, o.Text)
			body = append(body, byte(e.ID>>8), byte(e.ID))
			body = appendDate(body, e.Start.UTC())
			body = appendBCD(body, e.Duration)
			body = append(body, running<<5|byte(len(d)>>8), byte(len(d)))
			body = append(body, d...)
		}
		out = append(out, section(tableEIT, o.ID, version, byte(number), 1, true, body))
	}
	return out
}

func shortEvent(e *Event, c Charset) []byte {
	language := e.Language
	if len(language) != 3 {
		language = "zho"
	}
	title, summary := text(e.Title, c, 100), text(e.Summary, c, 145)
	d := []byte{descShortEvent, byte(5 + len(title) + len(summary))}
	d = append(d, language...)
	d = append(append(d, byte(len(title))), title...)
	return append(append(d, byte(len(summary))), summary...)
}

// appendDate writes a modified Julian date and a time in BCD (EN 300 468 annex C).
func appendDate(b []byte, t time.Time) []byte {
	const day0 = 40587 // 1 January 1970
	day := day0 + t.Unix()/86400
	b = append(b, byte(day>>8), byte(day))
	return appendBCD(b, time.Duration(t.Unix()%86400)*time.Second)
}

func appendBCD(b []byte, d time.Duration) []byte {
	s := int(min(max(d, 0), 100*time.Hour-time.Second) / time.Second)
	for _, v := range []int{s / 3600, s / 60 % 60, s % 60} {
		b = append(b, byte(v/10<<4|v%10))
	}
	return b
}

// Time says which time tables carry the clock.
type Time uint8

// The ways to send the time.
const (
	// NoTime: neither TDT nor TOT.
	NoTime Time = iota
	// UTC: by the book, with the local offset in the TOT.
	UTC
	// Local: local time in the TDT, as many Chinese networks send it, and no TOT.
	Local
)

// timeTables makes TDT and TOT for a moment.
func timeTables(o *Service, now time.Time) [][]byte {
	if o.Time == Local {
		_, offset := now.Zone()
		now = now.UTC().Add(time.Duration(offset) * time.Second)
		return [][]byte{appendDate([]byte{tableTDT, 0x70, 5}, now)}
	}
	_, offset := now.Zone()
	tdt := appendDate([]byte{tableTDT, 0x70, 5}, now.UTC())
	sign := byte(0)
	if offset < 0 {
		sign, offset = 1, -offset
	}
	// One region, and no change of the offset in sight: the next one is the same.
	hhmm := appendBCD(nil, time.Duration(offset)*time.Second)[:2]
	d := append([]byte{descTimeOffset, 13, 'C', 'H', 'N', 2 | sign}, hhmm...)
	d = append(appendDate(d, now.UTC().AddDate(1, 0, 0)), hhmm...)
	tot := appendDate([]byte{tableTOT, 0x70, byte(5 + 2 + len(d) + 4)}, now.UTC())
	tot = append(append(tot, 0xF0, byte(len(d))), d...)
	return [][]byte{tdt, appendCRC(tot)}
}

package mpegts

// Table ids (ISO/IEC 13818-1 table 2-31, ETSI EN 300 468 table 2).
const (
	tablePAT        = 0x00
	tableCAT        = 0x01
	tablePMT        = 0x02
	tableNITActual  = 0x40
	tableNITOther   = 0x41
	tableSDTActual  = 0x42
	tableSDTOther   = 0x46
	tableEITFirst   = 0x4E
	tableEITLast    = 0x6F
	tableTDT        = 0x70
	tableTOT        = 0x73
	maxServices     = 1024 // a PAT pointing everywhere stays bounded
	maxStreams      = 128  // of one service; a PMT section cannot hold many more
	maxDescriptions = 4096 // service names kept from SDT
)

// patEntry is a programme announced by the PAT.
type patEntry struct{ program, pid uint16 }

// parsePAT calls f for each programme; the network entry (programme 0) is left out.
func parsePAT(body []byte, f func(patEntry)) {
	for ; len(body) >= 4; body = body[4:] {
		e := patEntry{uint16(body[0])<<8 | uint16(body[1]), uint16(body[2]&0x1F)<<8 | uint16(body[3])}
		if e.program != 0 {
			f(e)
		}
	}
}

// pmtEntry is an elementary stream announced by a PMT.
type pmtEntry struct {
	typ         byte
	pid         uint16
	descriptors descriptors
}

// parsePMT returns the PID that carries the PCR, the programme's descriptors and its streams.
func parsePMT(body []byte) (pcr uint16, info descriptors, streams []pmtEntry, ok bool) {
	if len(body) < 4 {
		return 0, nil, nil, false
	}
	pcr = uint16(body[0]&0x1F)<<8 | uint16(body[1])
	n := int(body[2]&0x0F)<<8 | int(body[3])
	if 4+n > len(body) {
		return 0, nil, nil, false
	}
	info = body[4 : 4+n]
	for body = body[4+n:]; len(body) >= 5 && len(streams) < maxStreams; {
		n := int(body[3]&0x0F)<<8 | int(body[4])
		if 5+n > len(body) {
			return 0, nil, nil, false
		}
		streams = append(streams, pmtEntry{body[0], uint16(body[1]&0x1F)<<8 | uint16(body[2]), body[5 : 5+n]})
		body = body[5+n:]
	}
	return pcr, info, streams, true
}

// description is what the SDT says of a service.
type description struct {
	name, provider string
	kind           byte
	scrambled      bool
}

// parseSDT calls f for each service of a section's body (ETSI EN 300 468 5.2.3).
func parseSDT(body []byte, f func(service uint16, d description)) {
	if len(body) < 3 {
		return
	}
	for body = body[3:]; len(body) >= 5; {
		n := int(body[3]&0x0F)<<8 | int(body[4])
		if 5+n > len(body) {
			return
		}
		d := description{scrambled: body[3]&0x10 != 0}
		descriptors(body[5 : 5+n]).each(func(tag byte, b []byte) {
			if tag != descService || len(b) < 3 {
				return
			}
			d.kind = b[0]
			provider, rest, ok := counted(b[1:])
			if !ok {
				return
			}
			name, _, ok := counted(rest)
			if !ok {
				return
			}
			d.provider, d.name = Text(provider), Text(name)
		})
		f(uint16(body[0])<<8|uint16(body[1]), d)
		body = body[5+n:]
	}
}

// counted splits a length-prefixed piece off b.
func counted(b []byte) (piece, rest []byte, ok bool) {
	if len(b) == 0 || 1+int(b[0]) > len(b) {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], true
}

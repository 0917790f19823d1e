package mpegts

// Descriptors of the NIT (EN 300 468 table 12, IEC 62216 9.2, NorDig).
const (
	descNetworkName     = 0x40
	descPrivateSpec     = 0x5F
	descLogicalChannel  = 0x83 // EACEM and most operators; NorDig version 1
	descLogicalChannel2 = 0x87 // NorDig version 2
	descHDSimulcast     = 0x88 // numbers of HD services that take their SD service's place
	specNorDig          = 0x00000029
	maxNumbers          = 4096 // channel numbers kept from a NIT
)

// tableSections follows which sections of a table of one version were seen.
type tableSections struct {
	known   bool
	version byte
	last    byte
	seen    [4]uint64
}

// add takes a section's header. The sections of another version begin anew.
func (t *tableSections) add(h header) {
	if !h.current {
		return
	}
	if !t.known || t.version != h.version || t.last != h.last {
		*t = tableSections{known: true, version: h.version, last: h.last}
	}
	t.seen[h.number>>6] |= 1 << (h.number & 63)
}

func (t *tableSections) complete() bool {
	if !t.known {
		return false
	}
	for n := 0; n <= int(t.last); n++ {
		if t.seen[n>>6]&(1<<(n&63)) == 0 {
			return false
		}
	}
	return true
}

// network is what the tables say of the multiplex as a whole.
type network struct {
	name     string
	stream   uint16 // transport_stream_id
	original uint16 // original_network_id
	numbers  map[serviceKey]int
	nit, sdt tableSections
}

// section takes a section of the PAT, the SDT or the NIT of this multiplex.
func (n *network) section(id uint16, b []byte) {
	if !long(b) {
		return
	}
	h := parseHeader(b)
	switch {
	case id == pidPAT && h.table == tablePAT && h.current:
		n.stream = h.ext
	case id == pidSDT && h.table == tableSDTActual && h.current && len(h.body) >= 2:
		n.sdt.add(h)
		n.original = uint16(h.body[0])<<8 | uint16(h.body[1])
	case id == pidNIT && h.table == tableNITActual && h.current:
		n.nit.add(h)
		n.readNIT(h.body)
	}
}

// readNIT reads the network's name and its logical channel numbers (EN 300 468 5.2.1).
func (n *network) readNIT(body []byte) {
	if len(body) < 2 {
		return
	}
	size := int(body[0]&0x0F)<<8 | int(body[1])
	if 2+size+2 > len(body) {
		return
	}
	if name, ok := descriptors(body[2 : 2+size]).find(descNetworkName); ok {
		n.name = Text(name)
	}
	for body = body[2+size+2:]; len(body) >= 6; {
		size := int(body[4]&0x0F)<<8 | int(body[5])
		if 6+size > len(body) {
			return
		}
		key := serviceKey{stream: uint16(body[0])<<8 | uint16(body[1]), network: uint16(body[2])<<8 | uint16(body[3])}
		logicalChannels(body[6:6+size], func(service uint16, number int) {
			key.service = service
			if n.numbers == nil {
				n.numbers = make(map[serviceKey]int)
			}
			if _, known := n.numbers[key]; known || len(n.numbers) < maxNumbers {
				n.numbers[key] = number
			}
		})
		body = body[6+size:]
	}
}

// logicalChannels calls f for each service of a transport stream that has a channel
// number. Where a service has several, the HD one comes last.
func logicalChannels(ds descriptors, f func(service uint16, number int)) {
	spec := uint32(0)
	pairs := func(b []byte, mask int) {
		for ; len(b) >= 4; b = b[4:] {
			if number := (int(b[2])<<8 | int(b[3])) & mask; number > 0 {
				f(uint16(b[0])<<8|uint16(b[1]), number)
			}
		}
	}
	ds.each(func(tag byte, b []byte) {
		switch tag {
		case descPrivateSpec:
			if len(b) >= 4 {
				spec = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
			}
		case descLogicalChannel:
			mask := 0x3FF
			if spec == specNorDig {
				mask = 0x3FFF
			}
			pairs(b, mask)
		case descHDSimulcast:
			pairs(b, 0x3FF)
		case descLogicalChannel2:
			// Several lists, each: id, name, country, then pairs.
			for len(b) >= 2 {
				at := 2 + int(b[1]) + 3
				if at+1 > len(b) || at+1+int(b[at]) > len(b) {
					return
				}
				end := at + 1 + int(b[at])
				pairs(b[at+1:end], 0x3FF)
				b = b[end:]
			}
		}
	})
}

// number returns the logical channel number of a service of this multiplex; 0: none.
func (n *network) number(service uint16) int {
	if v, ok := n.numbers[serviceKey{n.original, n.stream, service}]; ok {
		return v
	}
	// A headend may have renumbered the stream and left its NIT as it was.
	found := 0
	for k, v := range n.numbers {
		if k.service == service {
			if found != 0 && found != v {
				return 0
			}
			found = v
		}
	}
	return found
}

// Network returns the network's name as the NIT says it, and the ids of the network
// and of this transport stream; zero when nothing said so yet.
func (p *Prober) Network() (name string, original, stream uint16) {
	return p.net.name, p.net.original, p.net.stream
}

// Complete returns how much of what the tables promise was seen, 0 to 1: the PMT of
// each service, SDT and NIT whole, and the headers of each stream that can be read.
func (p *Prober) Complete() float64 {
	if !p.d.pat.complete {
		return 0
	}
	want, have := 3, 1 // PAT, SDT, NIT
	count := func(ok bool) {
		want++
		if ok {
			have++
		}
	}
	for _, t := range []*tableSections{&p.net.sdt, &p.net.nit} {
		if t.complete() {
			have++
		}
	}
	for _, s := range p.d.order {
		count(s.Known)
		for _, st := range s.Streams {
			if st.Media && st.pid.pes != nil && !st.pid.scrambled {
				count(st.Known)
			}
		}
	}
	return float64(have) / float64(want)
}

// Events returns how many services have a present event, and how many services there are.
func (p *Prober) Events() (present, services int) {
	for _, s := range p.d.order {
		if p.now[s.ID].Present != nil {
			present++
		}
	}
	return present, len(p.d.order)
}

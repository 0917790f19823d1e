package mpegts

import "bytes"

// patState collects the sections of the PAT of one version.
type patState struct {
	version  byte
	valid    bool
	last     byte
	crc      map[byte]uint32 // by section number
	entries  map[byte][]patEntry
	complete bool
}

// readPAT takes a section of the PAT; once all of a version are there, services
// that are new are announced and those that are gone are dropped.
func (d *Demuxer) readPAT(h header) {
	if !h.current || h.number > h.last {
		return
	}
	p := &d.pat
	if crc, ok := p.crc[h.number]; ok && p.valid && p.version == h.version && crc == h.crc {
		return
	}
	if !p.valid || p.version != h.version || p.last != h.last || p.complete {
		*p = patState{version: h.version, valid: true, last: h.last, crc: make(map[byte]uint32), entries: make(map[byte][]patEntry)}
	}
	p.crc[h.number] = h.crc
	var list []patEntry
	parsePAT(h.body, func(e patEntry) { list = append(list, e) })
	p.entries[h.number] = list
	if len(p.crc) <= int(h.last) {
		return
	}
	p.complete = true
	announced := make(map[uint16]uint16)
	var order []uint16
	for n := 0; n <= int(h.last); n++ {
		for _, e := range p.entries[byte(n)] {
			if _, dup := announced[e.program]; !dup && len(announced) < maxServices && pmtAllowed(e.pid) {
				announced[e.program] = e.pid
				order = append(order, e.program)
			}
		}
	}
	p.entries = nil
	d.applyPAT(announced, order)
}

// pmtAllowed keeps a PAT from pointing at the tables themselves.
func pmtAllowed(id uint16) bool { return id >= pmtLowest && id != nullPID || id == 0x1F }

func (d *Demuxer) applyPAT(announced map[uint16]uint16, order []uint16) {
	kept := d.order[:0:0]
	for _, s := range d.order {
		if pmt, ok := announced[s.ID]; ok && pmt == s.PMTPID {
			kept = append(kept, s)
			continue
		}
		d.drop(s)
	}
	d.order = kept
	for _, id := range order {
		if d.services[id] != nil {
			continue
		}
		s := &Service{ID: id, PMTPID: announced[id]}
		d.services[id] = s
		d.order = append(d.order, s)
		if desc, ok := d.names[id]; ok {
			s.describe(desc)
		}
		p := d.at(s.PMTPID)
		if p.stream != nil { // the PAT moved a PMT to where a stream was
			d.release(p)
		}
		pmt := d.listen(s.PMTPID)
		pmt.pmtOf++
		d.monitor.announced(pmt)
		if d.h.Service != nil {
			d.h.Service(s)
		}
	}
}

// drop removes a service and what only it used.
func (d *Demuxer) drop(s *Service) {
	for _, st := range s.Streams {
		d.unuse(st)
	}
	delete(d.services, s.ID)
	p := d.at(s.PMTPID)
	if p.pmtOf--; p.pmtOf <= 0 {
		p.sections = nil
	}
	if d.h.Gone != nil {
		d.h.Gone(s)
	}
}

func (d *Demuxer) unuse(st *Stream) {
	if st.uses--; st.uses <= 0 && st.pid.stream == st {
		d.release(st.pid)
	}
}

func (d *Demuxer) release(p *pid) {
	if p.pes != nil {
		p.pes.flush()
		p.pes.parse.close()
	}
	p.stream, p.pes = nil, nil
}

// readPMT takes the PMT of a service and keeps the streams that did not change.
func (d *Demuxer) readPMT(p *pid, h header) {
	s := d.services[h.ext]
	if s == nil || s.PMTPID != p.id || !h.current || s.Known && s.crc == h.crc {
		return
	}
	pcr, info, entries, ok := parsePMT(h.body)
	if !ok {
		d.stats.BadSections++
		return
	}
	old := s.Streams
	s.Streams = nil
	s.crc, s.PCRPID, s.Known = h.crc, pcr, true
	s.version, s.pmt = h.version, bytes.Clone(h.body)
	s.pmtC = info.has(descCA)
	hdmv := info.registration() == "HDMV"
	for _, e := range entries {
		if d.taken(e.pid) || s.names(e.pid) {
			continue
		}
		s.pmtC = s.pmtC || e.descriptors.has(descCA)
		s.Streams = append(s.Streams, d.use(e, hdmv))
	}
	s.CA = s.pmtC || s.sdtC
	for _, st := range old {
		d.unuse(st)
	}
	d.selectStreams(s)
	if d.h.Service != nil {
		d.h.Service(s)
	}
}

// taken reports whether a PID cannot be one of an elementary stream.
func (d *Demuxer) taken(id uint16) bool {
	p := d.pid[id]
	return id == nullPID || id < 0x10 || p != nil && p.sections != nil
}

func (s *Service) names(id uint16) bool {
	for _, st := range s.Streams {
		if st.PID == id {
			return true
		}
	}
	return false
}

// use returns the stream of a PMT entry: the present one if it is the same.
func (d *Demuxer) use(e pmtEntry, hdmv bool) *Stream {
	p := d.at(e.pid)
	if st := p.stream; st != nil && st.Type == e.typ && bytes.Equal(st.raw, e.descriptors) {
		st.uses++
		return st
	}
	d.release(p)
	i := identify(e.typ, e.descriptors, hdmv)
	st := &Stream{
		PID: e.pid, Type: e.typ, Codec: i.codec, Note: i.note, Media: i.media,
		Language: e.descriptors.language(), pid: p, raw: bytes.Clone(e.descriptors), uses: 1,
	}
	st.Format = initialFormat(i)
	st.Format.Language = st.Language
	p.stream, p.scrambled, p.clear = st, false, false
	return st
}

// selectStreams begins or ends the parsing of a service's streams.
func (d *Demuxer) selectStreams(s *Service) {
	want := d.h.Want == nil || d.h.Want(s)
	for _, st := range s.Streams {
		switch {
		case want && st.pid.pes == nil:
			st.pid.pes = d.newPES(st)
		case !want && st.pid.pes != nil && !d.wantedElsewhere(s, st):
			st.pid.pes.parse.close()
			st.pid.pes = nil
		}
	}
}

func (d *Demuxer) wantedElsewhere(not *Service, st *Stream) bool {
	for _, s := range d.order {
		if s != not && s.names(st.PID) && (d.h.Want == nil || d.h.Want(s)) {
			return true
		}
	}
	return false
}

// readSDT takes the names of services, whether or not the PAT knows them yet.
func (d *Demuxer) readSDT(h header) {
	if !h.current || d.sdt[h.number] == h.crc {
		return
	}
	d.sdt[h.number] = h.crc
	parseSDT(h.body, func(id uint16, desc description) {
		if old, ok := d.names[id]; ok && old == desc || !ok && len(d.names) >= maxDescriptions {
			return
		}
		d.names[id] = desc
		if s := d.services[id]; s != nil {
			s.describe(desc)
			if d.h.Service != nil {
				d.h.Service(s)
			}
		}
	})
}

func (s *Service) describe(d description) {
	s.Name, s.Provider, s.Type, s.sdtC = d.name, d.provider, d.kind, d.scrambled
	s.CA = s.sdtC || s.pmtC
}

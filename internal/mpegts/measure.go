package mpegts

// Measure is what was measured of one service, or of a multiplex as a whole. Counts
// are since the demuxer began.
type Measure struct {
	// Errors of a service are those of its own PIDs; PAT, CAT, sync and the CRC of the
	// tables of all are the multiplex's.
	Errors TR101290
	PIDs   []PIDMeasure
	// Bitrate is the bits a second of all PIDs, over the last second of the stream's
	// clock; 0: not known.
	Bitrate int64
	Packets uint64
	// Scrambled counts packets of pictures and sounds that came scrambled.
	Scrambled uint64
	// Jitter is that of the service's clock by RFC 3550, DelayFactor by RFC 4445, in
	// microseconds; 0: not known.
	Jitter, DelayFactor int64
	// Missing is set when the first picture or the first sound of the service has not
	// come for five seconds though others do.
	Missing bool
}

// PIDMeasure is what was measured of one PID.
type PIDMeasure struct {
	PID        uint16 `json:"pid"`
	Codec      string `json:"codec"`   // or what else it is: "PMT", "PCR", "teletext"
	Bitrate    int64  `json:"bitrate"` // bits a second
	Packets    uint64 `json:"packets"`
	Continuity uint64 `json:"continuity_count_error"`
	Transport  uint64 `json:"transport_error"`
	Scrambled  uint64 `json:"scrambled"` // packets
}

// sync fills in what the splitter counts.
func (d *Demuxer) sync(e *TR101290) { e.SyncLoss, e.SyncByteError = d.split.losses, d.split.syncErrors }

// MeasureService returns what was measured of a service.
func (d *Demuxer) MeasureService(s *Service) Measure {
	r := Measure{PIDs: make([]PIDMeasure, 0, len(s.Streams)+2)}
	d.sync(&r.Errors)
	add := func(p *pid, what string) {
		r.Errors = r.Errors.Plus(p.errors)
		r.PIDs = append(r.PIDs, p.measure(what))
		r.Bitrate += p.bitrate
		r.Packets += p.packets
	}
	for id := range uint16(pmtLowest) {
		if p := d.pid[id]; p != nil {
			e := p.errors
			e.ContinuityCountError, e.TransportError = 0, 0 // a lost piece of the guide does no service harm
			r.Errors = r.Errors.Plus(e)
		}
	}
	if p := d.pid[s.PMTPID]; p != nil {
		add(p, "PMT")
	}
	kinds := 0
	for _, st := range s.Streams {
		add(st.pid, st.CodecName())
		if !st.Media {
			continue
		}
		r.Scrambled += st.pid.hidden
		if bit := 1 << st.Codec.Kind(); kinds&bit == 0 {
			kinds |= bit
			r.Missing = r.Missing || st.pid.present != 0 && d.monitor.elapsed-st.pid.present > pidInterval-checkEvery
		}
	}
	if p := d.pid[s.PCRPID]; p != nil && s.Known {
		if !s.names(s.PCRPID) && s.PCRPID != s.PMTPID {
			add(p, "PCR")
		}
		if c := p.clock; c != nil {
			r.Jitter, r.DelayFactor = int64(c.jitter.mean)/1000, c.jitter.factor/1000
		}
	}
	return r
}

// Measure returns what was measured of the multiplex. PIDs that never came are left out.
func (d *Demuxer) Measure() Measure {
	r := Measure{Bitrate: d.monitor.bitrate, Packets: d.stats.Packets, Scrambled: d.stats.Scrambled}
	d.sync(&r.Errors)
	for _, p := range d.pid {
		if p == nil {
			continue
		}
		r.Errors = r.Errors.Plus(p.errors)
		if p.packets > 0 {
			r.PIDs = append(r.PIDs, p.measure(d.usage(p)))
		}
	}
	r.Errors.ContinuityCountError = d.stats.Continuity
	r.Errors.TransportError = d.stats.TransportErrors
	if m := d.monitor; !m.seenCAT && d.stats.Scrambled > 0 && r.Errors.CATError == 0 {
		r.Errors.CATError = 1 // the stream ended before its time was up
	}
	if c := d.monitor.main; c != nil {
		r.Jitter, r.DelayFactor = int64(c.jitter.mean)/1000, c.jitter.factor/1000
	}
	return r
}

func (p *pid) measure(what string) PIDMeasure {
	return PIDMeasure{
		PID: p.id, Codec: what, Bitrate: p.bitrate, Packets: p.packets,
		Continuity: p.errors.ContinuityCountError, Transport: p.errors.TransportError, Scrambled: p.hidden,
	}
}

// usage says what a PID is used for.
func (d *Demuxer) usage(p *pid) string {
	switch {
	case p.stream != nil:
		return p.stream.CodecName()
	case p.pmtOf > 0:
		return "PMT"
	}
	switch p.id {
	case pidPAT:
		return "PAT"
	case pidCAT:
		return "CAT"
	case pidNIT:
		return "NIT"
	case pidSDT:
		return "SDT"
	case pidEIT:
		return "EIT"
	case pidTDT:
		return "TDT"
	}
	if p.clock != nil {
		return "PCR"
	}
	return ""
}

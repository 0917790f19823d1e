package ts

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"tongxiang/internal/media"
)

// Service says what the tables tell about the one programme of an output. The zero
// value is usable.
type Service struct {
	ID        uint16 // program_number, service_id; 0: 1
	StreamID  uint16 // transport_stream_id; 0: 1
	NetworkID uint16 // original_network_id; 0: 0xFF01, for private use
	Name      string
	Provider  string
	Network   string // the network's name; empty: no NIT
	Text      Charset
	Time      Time
	LATM      bool // AAC goes out as LOAS/LATM instead of ADTS
	// PID is that of the PMT; pictures and sounds follow it: the picture has PID+1,
	// sounds PID+16 and up. 0: 0x100.
	PID uint16
	// Tables is how often PAT and PMT come, between 25 and 400 ms; 0: 100 ms.
	Tables time.Duration
}

const (
	defaultPID     = 0x100
	minTables      = 25 * time.Millisecond
	maxTables      = 400 * time.Millisecond // TR 101 290 1.3 and 1.5 want 500
	usualTables    = 100 * time.Millisecond
	privateNetwork = 0xFF01
	maxLanes       = 16
)

func (s Service) withDefaults() Service {
	if s.ID == 0 {
		s.ID = 1
	}
	if s.StreamID == 0 {
		s.StreamID = 1
	}
	if s.NetworkID == 0 {
		s.NetworkID = privateNetwork
	}
	if s.PID < 0x20 || s.PID > 0x1FFE-2*maxLanes {
		s.PID = defaultPID
	}
	if s.Tables == 0 {
		s.Tables = usualTables
	}
	s.Tables = min(max(s.Tables, minTables), maxTables)
	return s
}

// programme is what both multiplexers have: the lanes and the tables.
type programme struct {
	service  Service
	lanes    []*lane
	lead     *lane // carries the PCR: the picture, else the first sound; nil: nobody
	clockPID uint16
	counters map[uint16]byte // of PIDs that have no lane now
	drops    Drops

	tables                       [6]*table
	pat, pmt, sdt, nit, eit, tdt *table
	pmtVersion, sdtVersion       byte
	eitVersion                   byte
	kind                         byte
	guide                        bool // there was an event
}

func newProgramme(s Service) programme {
	p := programme{service: s.withDefaults(), counters: make(map[uint16]byte)}
	every := stcOf(p.service.Tables)
	p.pat = &table{pid: pidPAT, every: every}
	p.pmt = &table{pid: p.service.PID, every: every}
	p.sdt = &table{pid: pidSDT, every: everySDT}
	p.nit = &table{pid: pidNIT, every: everyNIT}
	p.eit = &table{pid: pidEIT, every: everyEIT}
	p.tdt = &table{pid: pidTDT, every: everyTDT}
	p.tables = [...]*table{p.pat, p.pmt, p.sdt, p.nit, p.eit, p.tdt}
	p.pat.set(pat(&p.service, 0))
	p.clockPID = p.service.PID + 1
	p.kind = serviceTV
	p.describe()
	return p
}

// setTracks makes lanes of formats. A lane with the same PID goes on counting.
func (p *programme) setTracks(formats []media.Format) error {
	if len(formats) > maxLanes {
		return fmt.Errorf("%d tracks, at most %d: %w", len(formats), maxLanes, ErrFormat)
	}
	codings := make([]coding, len(formats))
	for i, f := range formats {
		var err error
		if codings[i], err = newCoding(f, p.service.LATM); err != nil {
			return fmt.Errorf("track %d: %w", i, err)
		}
	}
	lanes := make([]*lane, 0, len(formats))
	picture, sounds := false, uint16(0)
	for _, c := range codings {
		l := &lane{coding: c, pid: p.service.PID + 16 + sounds, waiting: c.picture()}
		if c.picture() && !picture {
			picture, l.pid = true, p.service.PID+1
		} else {
			sounds++
		}
		l = p.kept(l)
		lanes = append(lanes, l)
	}
	for _, l := range p.lanes {
		p.counters[l.pid] = l.counter
		if !slices.Contains(lanes, l) {
			p.drops[Discontinuity] += uint64(len(l.queue))
		}
	}
	p.lead = nil
	for _, l := range lanes {
		l.counter = p.counters[l.pid]
		if p.lead == nil || l.picture() && !p.lead.picture() {
			p.lead = l
		}
	}
	p.lanes = lanes
	p.clockPID = p.service.PID + 1
	if p.lead != nil {
		p.clockPID = p.lead.pid
	}
	p.pmtVersion = (p.pmtVersion + 1) & 31
	if kind := p.service.kind(lanes); kind != p.kind && len(lanes) > 0 {
		p.kind = kind
		p.sdtVersion = (p.sdtVersion + 1) & 31
	}
	p.describe()
	return nil
}

// kept returns the present lane that has the PID and the coding of l, with the
// parameters of l, else l itself.
func (p *programme) kept(l *lane) *lane {
	for _, old := range p.lanes {
		if old.pid == l.pid && old.streamType == l.streamType && bytes.Equal(old.descriptors, l.descriptors) {
			old.coding = l.coding
			l = old
		}
	}
	rate, size := limits(l.format)
	l.transport.set(rate)
	l.decoder.size = size
	return l
}

// describe writes PMT, SDT and NIT anew.
func (p *programme) describe() {
	p.pmt.set(pmt(&p.service, p.pmtVersion, p.clockPID, p.lanes))
	p.sdt.set(sdt(&p.service, p.sdtVersion, p.kind, p.guide))
	if p.service.Network != "" {
		p.nit.set(nit(&p.service, p.sdtVersion, p.kind))
	}
}

// setEvents replaces the present/following table; both nil: nothing is on.
func (p *programme) setEvents(present, following *Event) {
	if present == nil && following == nil && !p.guide {
		return
	}
	if !p.guide {
		p.guide = true
		p.sdtVersion = (p.sdtVersion + 1) & 31
		p.describe()
	}
	p.eitVersion = (p.eitVersion + 1) & 31
	p.eit.set(eit(&p.service, p.eitVersion, present, following)...)
}

// clockCounter returns the counter of the next packet with payload on the PCR's PID.
func (p *programme) clockCounter() byte {
	if p.lead != nil {
		return p.lead.counter
	}
	return p.counters[p.clockPID]
}

// drop counts a frame that is not sent. A picture that is missing spoils those after
// it, up to the next sync point.
func (p *programme) drop(l *lane, why Reason) {
	p.drops[why]++
	if l.picture() {
		l.waiting = true
	}
}

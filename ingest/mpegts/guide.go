package mpegts

import (
	"time"

	"tongxiang/ingest/source"
	core "tongxiang/internal/mpegts"
)

const (
	// guideAgain is how often a guide is read anew as a whole, so that what got lost
	// behind a full queue comes again.
	guideAgain = int64(5 * time.Minute)

	// PIDs and table ids (ETSI EN 300 468 tables 1 and 2).
	pidPAT, pidSDT, pidEIT, pidTDT = 0x00, 0x11, 0x12, 0x14
	tablePAT, tableSDT             = 0x00, 0x42
	tablePresent, tablePresentElse = 0x4E, 0x4F
	tableSchedule, tableElse       = 0x50, 0x60 // and the 15 behind each
)

// guideLanguages are those that titles are shown in where there are several.
var guideLanguages = []string{"chi", "zho"}

// information is the service information of a mux. It belongs to the mux.
type information struct {
	guide           *core.Guide
	since           int64 // when the guide began to be read
	stale           bool  // somebody is there who has not heard what was said before
	table           byte  // of the section being read
	network, stream uint16
}

// section takes a section with a right CRC: the programme guide goes to the channels
// that it is about.
func (x *mux) section(pid uint16, b []byte) {
	si := &x.si
	switch {
	case len(b) < 8:
	case pid == pidPAT && b[0] == tablePAT:
		if si.network == 0 { // the SDT and the EIT say it too, and may know better
			si.stream = u16(b[3:])
		}
	case pid == pidSDT && b[0] == tableSDT && len(b) >= 15:
		si.stream, si.network = u16(b[3:]), u16(b[8:])
	case pid == pidTDT:
		if t, ok := core.ParseTime(b); ok {
			for _, r := range x.receivers {
				if f := r.out.Guide.Time; f != nil {
					f(t)
				}
			}
		}
	case pid == pidEIT && len(b) >= 18 && b[0] >= tablePresent && b[0] < tableElse+0x10:
		x.eit(b)
	}
}

// eit reads a section of the EIT if it is about one of the channels.
func (x *mux) eit(b []byte) {
	si := &x.si
	si.table = b[0]
	key := core.EventKey{Service: u16(b[3:]), Stream: u16(b[8:]), Network: u16(b[10:])}
	if si.own() && si.network == 0 {
		si.network, si.stream = key.Network, key.Stream
	}
	if !x.about(key, func(source.Guide) {}) {
		return
	}
	if si.guide == nil || si.stale || x.now-si.since > guideAgain {
		si.guide, si.since, si.stale = core.NewGuide(core.GuideHandler{Event: x.event, Now: x.nowNext}, guideLanguages...), x.now, false
	}
	si.guide.Section(pidEIT, b)
}

// own reports whether the section being read is about this transport stream.
func (si *information) own() bool {
	return si.table == tablePresent || si.table >= tableSchedule && si.table < tableElse
}

func (x *mux) event(e core.Event) {
	schedule := x.si.table >= tableSchedule
	x.about(e.Key, func(g source.Guide) {
		if g.Event != nil {
			g.Event(e, schedule)
		}
	})
}

func (x *mux) nowNext(n core.NowNext) {
	x.about(core.EventKey{Network: n.Network, Stream: n.Stream, Service: n.Service}, func(g source.Guide) {
		if g.Now != nil {
			g.Now(n)
		}
	})
}

// about calls f for the channels that the section being read is about, and reports
// whether there are any. A section about this transport stream is about the channels
// that take a programme of it, whatever ids a headend left in it: two multiplexes
// may have the same.
func (x *mux) about(key core.EventKey, f func(source.Guide)) (any bool) {
	if x.si.own() {
		for _, r := range x.receivers {
			if r.chosen != nil && r.chosen.ID == key.Service {
				any = true
				f(r.out.Guide)
			}
		}
		return any
	}
	for _, r := range x.receivers {
		if r.out.Guide.Elsewhere == nil {
			continue
		}
		for _, g := range r.out.Guide.Elsewhere(key.Network, key.Stream, key.Service) {
			any = true
			f(g)
		}
		break // they all know the same channels
	}
	return any
}

func u16(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }

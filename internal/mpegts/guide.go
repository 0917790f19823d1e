package mpegts

import "time"

const (
	// maxGuide bounds the events that a guide knows: a week of 500 services is
	// 150,000.
	maxGuide = 1 << 18
	// maxGuideText bounds the bytes of their texts: 500 services say 50 MB in a week.
	maxGuideText = 64 << 20
	// maxGuideSections bounds the sections whose content it remembers.
	maxGuideSections = 1 << 16
)

// GuideHandler is told what changes. Fields may be nil.
type GuideHandler struct {
	// Event is an event that is new or says something else than before.
	Event func(Event)
	// Now is what runs on a service and what comes next. It is told from the
	// present/following table, which says it to the second.
	Now func(NowNext)
	// Time is what the broadcaster's clock says, from TDT and TOT.
	Time func(utc time.Time)
}

// NowNext is what runs on a service and what comes next; either may be nil.
type NowNext struct {
	Network, Stream, Service uint16
	Actual                   bool // a service of this transport stream
	Present, Following       *Event
}

// Guide reads the EIT, TDT and TOT of a multiplex. Sections that say what they said
// before cost nothing but their CRC. It belongs to one goroutine; make it with
// [NewGuide] and give it the sections of a [Demuxer].
type Guide struct {
	h         GuideHandler
	languages []string
	sections  map[sectionKey]uint32 // CRC of what was read last
	events    map[EventKey]Event
	now       map[serviceKey]*NowNext
	text      int // bytes of the texts of all events
	dropped   uint64
}

// sectionKey names a section of the EIT.
type sectionKey struct {
	table           byte
	number          byte
	service         uint16
	stream, network uint16
}

// serviceKey names a service.
type serviceKey struct{ network, stream, service uint16 }

// NewGuide returns a guide that knows nothing. Texts are chosen in one of languages
// (ISO 639-2, the most wanted first), else in the first there is.
func NewGuide(h GuideHandler, languages ...string) *Guide {
	return &Guide{
		h: h, languages: languages, sections: make(map[sectionKey]uint32),
		events: make(map[EventKey]Event), now: make(map[serviceKey]*NowNext),
	}
}

// Len returns how many events are known, and how many were left out for want of room.
func (g *Guide) Len() (events int, dropped uint64) { return len(g.events), g.dropped }

// Section takes a section as [Handler.Section] hands it over; others than those of
// EIT, TDT and TOT are left alone.
func (g *Guide) Section(pid uint16, b []byte) {
	switch {
	case pid == pidTDT:
		if t, ok := ParseTime(b); ok && g.h.Time != nil {
			g.h.Time(t)
		}
	case pid == pidEIT && long(b) && b[0] >= tableEITFirst && b[0] <= tableEITLast:
		g.eit(parseHeader(b))
	}
}

func (g *Guide) eit(h header) {
	if !h.current || len(h.body) < 6 {
		return
	}
	key := sectionKey{
		table: h.table, number: h.number, service: h.ext,
		stream: uint16(h.body[0])<<8 | uint16(h.body[1]), network: uint16(h.body[2])<<8 | uint16(h.body[3]),
	}
	old, known := g.sections[key]
	if known && old == h.crc {
		return
	}
	if !known && len(g.sections) >= maxGuideSections {
		g.dropped++
		return
	}
	g.sections[key] = h.crc
	var first *Event
	parseEvents(h, g.languages, func(e Event) {
		was, known := g.events[e.Key]
		more := e.size() - was.size()
		switch {
		case known && was == e:
		case !known && len(g.events) >= maxGuide, g.text+more > maxGuideText:
			g.dropped++
			return
		}
		if first == nil {
			first = &e
		}
		if known && was == e {
			return
		}
		g.events[e.Key] = e
		g.text += more
		if g.h.Event != nil {
			g.h.Event(e)
		}
	})
	if h.table == tableEITPresent || h.table == tableEITPresentOther {
		g.presentFollowing(key, first)
	}
}

// presentFollowing takes one section of the present/following table. An empty one
// says that nothing is on.
func (g *Guide) presentFollowing(key sectionKey, e *Event) {
	service := serviceKey{key.network, key.stream, key.service}
	n := g.now[service]
	if n == nil {
		n = &NowNext{Network: key.network, Stream: key.stream, Service: key.service, Actual: key.table == tableEITPresent}
		g.now[service] = n
	}
	switch key.number {
	case presentSection:
		n.Present = e
	case followingSection:
		n.Following = e
	default:
		return
	}
	if g.h.Now != nil {
		g.h.Now(*n)
	}
}

// Forget drops the events that ended before a moment, and what was remembered of
// the sections, which are then read anew.
func (g *Guide) Forget(before time.Time) {
	for k, e := range g.events {
		if end := e.End(); !end.IsZero() && end.Before(before) {
			delete(g.events, k)
			g.text -= e.size()
		}
	}
	clear(g.sections)
}

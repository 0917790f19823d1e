package mpegts

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tongxiang/ingest/source"
	core "tongxiang/internal/mpegts"
	"tongxiang/internal/mpegts/sitest"
)

// si writes the service information of the tests.
var si sitest.Writer

// eit is a section of one event that begins at 12:00 UTC of 21 November 2026 plus hours.
func eit(table byte, network, stream, service uint16, version, number byte, id uint16, hours int, running byte, title string) []byte {
	return si.EIT(sitest.Table{ID: table, Network: network, Stream: stream, Service: service, Version: version, Number: number}, sitest.Event{
		ID: id, Start: time.Date(2026, time.November, 21, 12+hours, 0, 0, 0, time.UTC), Duration: time.Hour, Running: running, Title: title,
	})
}

// said collects what a channel hears of its guide.
type said struct{ list []string }

func (s *said) guide() source.Guide {
	return source.Guide{
		Event: func(e core.Event, schedule bool) {
			s.list = append(s.list, fmt.Sprintf("%d %s %v", e.Key.ID, e.Title, schedule))
		},
		Now: func(n core.NowNext) {
			text := "now"
			for _, e := range []*core.Event{n.Present, n.Following} {
				if e != nil {
					text += " " + e.Title
				}
			}
			s.list = append(s.list, text)
		},
		Time: func(utc time.Time) { s.list = append(s.list, utc.Format(time.RFC3339)) },
	}
}

func (s *said) take() string {
	list := s.list
	s.list = nil
	return strings.Join(list, "; ")
}

func TestTheGuideReachesTheChannelsThatItIsAbout(t *testing.T) {
	b := newBench(t, 0)
	var own, away said
	b.out.Guide = own.guide()
	b.out.Guide.Elsewhere = func(network, stream, service uint16) []source.Guide {
		if network == 3 && stream == 9 && service == 1 {
			return []source.Guide{away.guide()}
		}
		return nil
	}
	b.feed(broadcast(t, 0, 2)) // service 1
	b.feed(slices.Concat(
		eit(0x4E, 3, 2, 1, 0, 0, 10, 0, 4, "A"), eit(0x4E, 3, 2, 1, 0, 1, 11, 1, 1, "B"),
		eit(0x50, 3, 2, 1, 0, 0, 12, 2, 0, "C"),
		eit(0x50, 3, 2, 2, 0, 0, 13, 2, 0, "of a service that nobody takes"),
		eit(0x60, 3, 9, 1, 0, 0, 14, 2, 0, "D"),
		eit(0x60, 3, 8, 1, 0, 0, 15, 2, 0, "of a service that nobody takes"),
	))
	if got := own.take(); got != "10 A false; now A; 11 B false; now A B; 12 C true" {
		t.Errorf("%s", got)
	}
	if got := away.take(); got != "14 D true" {
		t.Errorf("elsewhere: %s", got)
	}
	if b.rep.Network != 3 || b.rep.Stream != 2 {
		b.feed(broadcast(t, 0, 2))
		if b.rep.Network != 3 || b.rep.Stream != 2 {
			t.Errorf("identity %d %d", b.rep.Network, b.rep.Stream)
		}
	}
	// What was said before is not said again; what changed is.
	b.feed(slices.Concat(
		eit(0x4E, 3, 2, 1, 0, 0, 10, 0, 4, "A"), eit(0x50, 3, 2, 1, 0, 0, 12, 2, 0, "C"),
		eit(0x50, 3, 2, 1, 1, 0, 12, 3, 0, "C"),
	))
	if got := own.take(); got != "12 C true" {
		t.Errorf("again: %s", got)
	}
	// Whoever comes later hears it all, from the same multiplex.
	other := newBench(t, 1)
	var late said
	other.out.Guide = late.guide()
	b.x.add(other.out, 1)
	b.feed(slices.Concat(eit(0x4E, 3, 2, 1, 0, 0, 10, 0, 4, "A"), eit(0x50, 3, 2, 1, 1, 0, 12, 3, 0, "C")))
	if got := late.take(); got != "10 A false; now A; 12 C true" {
		t.Errorf("late: %s", got)
	}
	own.take()
	// The clock, as the bytes come.
	b.feed(si.TDT(time.Date(2026, time.November, 21, 12, 34, 56, 0, time.UTC)))
	if got := own.take(); got != "2026-11-21T12:34:56Z" {
		t.Errorf("time: %s", got)
	}
}

func TestTheGuideOfAnotherMultiplexWithTheSameIdsIsNotOurs(t *testing.T) {
	a, b := newBench(t, 0), newBench(t, 0)
	var heardA, heardB said
	a.out.Guide, b.out.Guide = heardA.guide(), heardB.guide()
	a.feed(broadcast(t, 0, 2))
	b.feed(broadcast(t, 0, 2))
	a.feed(eit(0x50, 1, 1, 1, 0, 0, 1, 0, 0, "of A"))
	b.feed(eit(0x50, 1, 1, 1, 0, 0, 1, 0, 0, "of B"))
	if heardA.take() != "1 of A true" || heardB.take() != "1 of B true" {
		t.Error("the guides were mixed")
	}
}

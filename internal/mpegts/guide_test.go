package mpegts

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// toBCD writes a number below 100.
func toBCD(n int) byte { return byte(n/10<<4 | n%10) }

// eitEvent writes one event. Descriptors follow its header.
func eitEvent(id uint16, start time.Time, length time.Duration, running byte, ds ...[]byte) []byte {
	day := int(start.Sub(time.Date(1858, 11, 17, 0, 0, 0, 0, time.UTC)).Hours() / 24)
	s := int(length.Seconds())
	all := bytes.Join(ds, nil)
	b := []byte{
		byte(id >> 8), byte(id), byte(day >> 8), byte(day), toBCD(start.Hour()), toBCD(start.Minute()), toBCD(start.Second()),
		toBCD(s / 3600), toBCD(s / 60 % 60), toBCD(s % 60), running<<5 | byte(len(all)>>8), byte(len(all)),
	}
	return append(b, all...)
}

func piece(b []byte) []byte { return append([]byte{byte(len(b))}, b...) }

func descriptorOf(tag byte, parts ...[]byte) []byte {
	return append([]byte{tag}, piece(bytes.Join(parts, nil))...)
}

func shortEvent(language, title, summary string) []byte {
	return descriptorOf(descShortEvent, []byte(language), piece([]byte(title)), piece([]byte(summary)))
}

// eit writes a section of network 3, stream 2.
func eit(table byte, service uint16, version, number byte, events ...[]byte) []byte {
	head := []byte{0, 2, 0, 3, 1, table}
	return longSection(table, service, version, number, 1, append(head, bytes.Join(events, nil)...))
}

// guided is a guide and what it told.
type guided struct {
	*Guide
	events []Event
	now    map[uint16][2]string
	times  []time.Time
}

func newGuided(languages ...string) *guided {
	g := &guided{now: map[uint16][2]string{}}
	title := func(e *Event) string {
		if e == nil {
			return ""
		}
		return e.Title
	}
	g.Guide = NewGuide(GuideHandler{
		Event: func(e Event) { g.events = append(g.events, e) },
		Now: func(n NowNext) {
			g.now[n.Service] = [2]string{title(n.Present), title(n.Following)}
		},
		Time: func(t time.Time) { g.times = append(g.times, t) },
	}, languages...)
	return g
}

func TestEventsSayWhatTheBroadcasterWrote(t *testing.T) {
	gb, err := simplifiedchinese.GB18030.NewEncoder().String("新闻联播")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		event []byte
		want  Event
	}{
		{"in Chinese before English", eitEvent(7, time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC), 30*time.Minute, 4,
			shortEvent("eng", "News", "Evening"), shortEvent("chi", "\x13"+gb, ""),
			descriptorOf(descContent, []byte{0x21, 0}), descriptorOf(descParentalRating, []byte("CHN\x09"))),
			Event{Start: time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC), Duration: 30 * time.Minute, Running: RunningNow,
				Language: "chi", Title: "新闻联播", Content: 0x21, Rating: 12}},
		{"on a leap day, over midnight", eitEvent(7, time.Date(2028, 2, 29, 23, 59, 59, 0, time.UTC), 25*time.Hour+time.Second, 1, shortEvent("ENG", "A", "B")),
			Event{Start: time.Date(2028, 2, 29, 23, 59, 59, 0, time.UTC), Duration: 25*time.Hour + time.Second, Running: NotRunning,
				Language: "eng", Title: "A", Summary: "B"}},
		{"with a long text over two descriptors", eitEvent(7, time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC), time.Minute, 0, shortEvent("eng", "A", ""),
			descriptorOf(descExtendedEvent, []byte{0x01}, []byte("eng"), piece(nil), piece([]byte("first, "))),
			descriptorOf(descExtendedEvent, []byte{0x01}, []byte("fra"), piece(nil), piece([]byte("autre"))),
			descriptorOf(descExtendedEvent, []byte{0x11}, []byte("eng"), piece([]byte("item")), piece([]byte("second")))),
			Event{Start: time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC), Duration: time.Minute, Language: "eng", Title: "A", Text: "first, second"}},
		{"without texts", eitEvent(7, time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC), 0, 7),
			Event{Start: time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC), Running: OffAir}},
		{"without a time", append([]byte{0, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0}, []byte{}...), Event{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuided("chi", "zho")
			g.Section(pidEIT, eit(0x50, 1, 0, 0, c.event))
			c.want.Key = EventKey{3, 2, 1, 7}
			if len(g.events) != 1 || g.events[0] != c.want {
				t.Errorf("got  %+v\nwant %+v", g.events, c.want)
			}
		})
	}
}

func TestGuideTellsWhatChangedAndNothingTwice(t *testing.T) {
	at := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
	g := newGuided()
	present := eit(tableEITPresent, 1, 0, presentSection, eitEvent(1, at, time.Hour, 4, shortEvent("chi", "A", "")))
	following := eit(tableEITPresent, 1, 0, followingSection, eitEvent(2, at.Add(time.Hour), time.Hour, 1, shortEvent("chi", "B", "")))
	for range 3 {
		g.Section(pidEIT, present)
		g.Section(pidEIT, following)
	}
	if len(g.events) != 2 || g.now[1] != [2]string{"A", "B"} {
		t.Fatalf("%d events, now %v", len(g.events), g.now)
	}
	// The first runs ten minutes over; the schedule says so under another version.
	g.Section(pidEIT, eit(0x50, 1, 9, 0,
		eitEvent(1, at, 70*time.Minute, 4, shortEvent("chi", "A", "")), eitEvent(2, at.Add(70*time.Minute), time.Hour, 1, shortEvent("chi", "B", ""))))
	if len(g.events) != 4 || g.events[2].Duration != 70*time.Minute || !g.events[3].Start.Equal(at.Add(70*time.Minute)) {
		t.Errorf("%+v", g.events[2:])
	}
	g.Section(pidEIT, eit(tableEITPresent, 1, 1, presentSection))
	if g.now[1] != [2]string{"", "B"} {
		t.Errorf("after an empty section: %v", g.now)
	}
	g.Section(pidEIT, eit(tableEITPresent, 2, 0, presentSection, eitEvent(1, at, time.Hour, 4, shortEvent("chi", "C", ""))))
	if g.now[2][0] != "C" || g.now[1][0] != "" {
		t.Errorf("services are mixed up: %v", g.now)
	}
	g.Forget(at.Add(2 * time.Hour))
	if n, _ := g.Len(); n != 1 { // B ends ten past
		t.Errorf("%d events are kept", n)
	}
}

func TestClockOfTheBroadcaster(t *testing.T) {
	g := newGuided()
	g.Section(pidTDT, []byte{tableTDT, 0x70, 5, 0xC0, 0x79, 0x12, 0x45, 0x00}) // EN 300 468 annex C's own example
	if len(g.times) != 1 || !g.times[0].Equal(time.Date(1993, 10, 13, 12, 45, 0, 0, time.UTC)) {
		t.Errorf("%v", g.times)
	}
	for _, bad := range [][]byte{{}, {tableTDT}, {tableTDT, 0x70, 5, 0xff, 0xff, 0xff, 0xff, 0xff}, {0x71, 0x70, 5, 0xC0, 0x79, 0x12, 0x45, 0}} {
		g.Section(pidTDT, bad)
	}
	if len(g.times) != 1 {
		t.Errorf("%v", g.times)
	}
}

func TestFloodOfEventsIsBounded(t *testing.T) {
	g := NewGuide(GuideHandler{})
	at := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for service := range 3000 {
		var events [][]byte
		for id := range uint16(100) {
			events = append(events, eitEvent(id, at, time.Minute, 0))
		}
		g.Section(pidEIT, eit(0x50, uint16(service), 0, 0, events...))
	}
	if n, dropped := g.Len(); n != maxGuide || dropped != 300_000-maxGuide {
		t.Errorf("%d events, %d left out", n, dropped)
	}
}

// TestGuideOfACapture: 49 services with fifty events each, in every way that a
// network may write Chinese.
func TestGuideOfACapture(t *testing.T) {
	for _, name := range []string{"si_gb2312_0x13.ts", "si_utf8_0x15.ts", "si_ucs2_0x11.ts", "si_gb18030_0x13_rare.ts"} {
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(captures(t), "synthetic", name))
			if err != nil {
				t.Fatal(err)
			}
			g := newGuided("chi")
			d := NewDemuxer(Handler{Section: g.Section})
			d.Feed(b, 1)
			d.Flush()
			n, dropped := g.Len()
			if n < 49*48 || dropped != 0 || len(g.now) != 49 || len(g.times) == 0 {
				t.Errorf("%d events, %d left out, %d services, %d times", n, dropped, len(g.now), len(g.times))
			}
			for _, e := range g.events {
				if e.Title == "" || strings.ContainsRune(e.Title, '\uFFFD') || e.Start.IsZero() || e.Duration <= 0 {
					t.Fatalf("%+v", e)
				}
			}
		})
	}
}

// FuzzGuide: whatever the sections say, nothing panics or grows past its bounds.
func FuzzGuide(f *testing.F) {
	at := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
	f.Add(eit(tableEITPresent, 1, 0, 0, eitEvent(1, at, time.Hour, 4, shortEvent("chi", "\x13\xd0\xc2", "")))[8:])
	f.Add(eit(0x50, 1, 0, 0, eitEvent(1, at, time.Hour, 4, descriptorOf(descExtendedEvent, []byte{1}, []byte("eng"), piece(nil), piece([]byte("x")))))[8:])
	f.Fuzz(func(t *testing.T, body []byte) {
		g := NewGuide(GuideHandler{Event: func(e Event) { _ = e.End() }})
		for _, table := range []byte{tableEITPresent, 0x50} {
			g.eit(header{table: table, current: true, body: body, crc: 1})
		}
		_, _ = ParseTime(body)
		if n, _ := g.Len(); n > len(body)/12+1 {
			t.Fatalf("%d events of %d bytes", n, len(body))
		}
	})
}

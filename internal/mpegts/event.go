package mpegts

import (
	"slices"
	"strings"
	"time"
)

// EventKey names an event wherever it is carried: ids are unique within a service,
// a service within its network's transport stream (EN 300 468 5.2.4).
type EventKey struct{ Network, Stream, Service, ID uint16 }

// Running is an event's running_status (EN 300 468 table 6).
type Running uint8

// The running states.
const (
	RunningUndefined Running = iota
	NotRunning
	StartsSoon // in a few seconds, for recorders
	Pausing
	RunningNow
	OffAir
)

// Event is one entry of the EIT.
type Event struct {
	Key EventKey
	// Start is in UTC; zero where the broadcaster does not say, as of a reference
	// event of NVOD. Duration is zero likewise.
	Start     time.Time
	Duration  time.Duration
	Running   Running
	Scrambled bool
	Language  string // ISO 639-2 of the texts that were chosen
	Title     string
	Summary   string // of the short event descriptor
	Text      string // of the extended event descriptors, in order
	Content   uint8  // content_nibble_level_1 and _2 (table 29); 0: not said
	Rating    uint8  // youngest age; 0: not said
}

// End returns when the event ends, zero when that is not known.
func (e *Event) End() time.Time {
	if e.Start.IsZero() || e.Duration == 0 {
		return time.Time{}
	}
	return e.Start.Add(e.Duration)
}

// size returns the bytes of an event's texts.
func (e *Event) size() int { return len(e.Title) + len(e.Summary) + len(e.Text) }

// Section numbers of the two events of a present/following table.
const (
	presentSection   = 0
	followingSection = 1
)

// Tables of the EIT: present/following and schedule, of this transport stream and
// of others.
const (
	tableEITPresent      = 0x4E
	tableEITPresentOther = 0x4F
)

// Descriptors of an event (EN 300 468 table 12).
const (
	descShortEvent     = 0x4D
	descExtendedEvent  = 0x4E
	descContent        = 0x54
	descParentalRating = 0x55
)

// utcOf reads the modified Julian date and BCD time of five bytes (EN 300 468
// annex C); ok is false when they are not set or no date.
func utcOf(b []byte) (t time.Time, ok bool) {
	if len(b) < 5 {
		return t, false
	}
	hour, ok1 := bcd(b[2])
	minute, ok2 := bcd(b[3])
	second, ok3 := bcd(b[4])
	if !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 60 {
		return t, false
	}
	// Day 0 is 17 November 1858; the calendar is the library's.
	day := int(b[0])<<8 | int(b[1])
	return time.Date(1858, time.November, 17+day, hour, minute, second, 0, time.UTC), true
}

// durationOf reads hours, minutes and seconds in BCD.
func durationOf(b []byte) time.Duration {
	hour, ok1 := bcd(b[0])
	minute, ok2 := bcd(b[1])
	second, ok3 := bcd(b[2])
	if !ok1 || !ok2 || !ok3 || minute > 59 || second > 59 {
		return 0
	}
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second
}

func bcd(b byte) (int, bool) {
	hi, lo := int(b>>4), int(b&0x0F)
	return hi*10 + lo, hi <= 9 && lo <= 9
}

// ParseTime reads a TDT or TOT section as [Handler.Section] hands it over (EN 300
// 468 5.2.5 and 5.2.6); ok is false for another table or a time that is none.
func ParseTime(section []byte) (t time.Time, ok bool) {
	if len(section) < 8 || section[0] != tableTDT && section[0] != tableTOT {
		return t, false
	}
	return utcOf(section[3:8])
}

// parseEvents calls f for each event of an EIT section's body, with texts in one
// of languages, the most wanted first, else in the first language there is.
func parseEvents(h header, languages []string, f func(Event)) {
	body := h.body
	if len(body) < 6 {
		return
	}
	key := EventKey{Stream: uint16(body[0])<<8 | uint16(body[1]), Network: uint16(body[2])<<8 | uint16(body[3]), Service: h.ext}
	for body = body[6:]; len(body) >= 12; {
		n := 12 + (int(body[10]&0x0F)<<8 | int(body[11]))
		if n > len(body) {
			return
		}
		key.ID = uint16(body[0])<<8 | uint16(body[1])
		e := Event{Key: key, Duration: durationOf(body[7:10]), Running: min(Running(body[10]>>5), OffAir), Scrambled: body[10]&0x10 != 0}
		e.Start, _ = utcOf(body[2:7])
		e.describe(descriptors(body[12:n]), languages)
		f(e)
		body = body[n:]
	}
}

// describe takes the texts of an event.
func (e *Event) describe(ds descriptors, languages []string) {
	best := len(languages) + 1
	rank := func(language string) int {
		if i := slices.Index(languages, language); i >= 0 {
			return i
		}
		return len(languages)
	}
	ds.each(func(tag byte, b []byte) {
		switch {
		case tag == descShortEvent && len(b) >= 5:
			language := strings.ToLower(string(b[:3]))
			title, rest, ok1 := counted(b[3:])
			summary, _, ok2 := counted(rest)
			if ok1 && ok2 && rank(language) < best {
				best = rank(language)
				e.Language, e.Title, e.Summary = language, Text(title), Text(summary)
			}
		case tag == descContent && len(b) >= 2 && e.Content == 0:
			e.Content = b[0]
		case tag == descParentalRating && len(b) >= 4 && e.Rating == 0 && b[3] >= 1 && b[3] <= 0x0F:
			e.Rating = b[3] + 3 // EN 300 468 table 83
		}
	})
	// The extended text is cut over descriptors that name the same language.
	var text []byte
	whole := ""
	ds.each(func(tag byte, b []byte) {
		if tag != descExtendedEvent || len(b) < 6 {
			return
		}
		language := strings.ToLower(string(b[1:4]))
		if e.Language != "" && language != e.Language {
			return
		}
		_, rest, ok := counted(b[4:]) // the items: pairs that few broadcasters fill
		if !ok {
			return
		}
		piece, _, ok := counted(rest)
		if !ok {
			return
		}
		// A piece with a selector is text of its own; one without goes on with the
		// bytes before it, and may begin in the middle of a character.
		if len(piece) > 0 && piece[0] < 0x20 {
			whole += Text(text)
			text = nil
		}
		text = append(text, piece...)
	})
	e.Text = whole + Text(text)
}

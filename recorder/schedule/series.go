package schedule

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"
)

// episode is how titles count: 第12集, (12), 12/40, 之三, E05, 上 and 下 in brackets.
func episode() *regexp.Regexp {
	return regexp.MustCompile(`第?[0-9〇一二三四五六七八九十百零]+[集期回讲辑章节]` +
		`|[(\[][0-9]+([/-][0-9]+)?[)\]]|[0-9]+/[0-9]+|[(\[][上中下][)\]]|\bs?[0-9]*e[0-9]+\b|[0-9]+$`)
}

// Titles compares titles; it holds what it has compiled. It belongs to one goroutine.
type titles struct {
	episode *regexp.Regexp
	base    map[string]string
}

func newTitles() *titles { return &titles{episode: episode(), base: make(map[string]string)} }

// of returns what is left of a title when widths, case, spaces, punctuation and the
// number of the episode are taken away.
func (t *titles) of(title string) string {
	if b, ok := t.base[title]; ok {
		return b
	}
	s := strings.ToLower(width.Narrow.String(strings.TrimSpace(title)))
	s = t.episode.ReplaceAllString(s, "")
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsPunct(r) || unicode.IsSymbol(r) {
			return -1
		}
		return r
	}, s)
	t.base[title] = s
	return s
}

func baseTitle(title string) string { return newTitles().of(title) }

// Series compares titles with those of series that are looked for, at a million a
// second or so. It belongs to one goroutine.
type Series struct {
	titles *titles
	wanted map[string]bool
	begins map[rune]bool // of those wanted
	other  bool          // one of them begins with what may be written in two ways
}

// NewSeries returns what finds the titles of these rules.
func NewSeries(rules []Rule) *Series {
	s := &Series{titles: newTitles(), wanted: make(map[string]bool), begins: make(map[rune]bool)}
	for _, r := range rules {
		if r.Match == nil {
			continue
		}
		base := s.titles.of(r.Match.Title)
		for _, c := range base {
			s.begins[c] = true
			s.other = s.other || !unicode.Is(unicode.Han, c)
			break
		}
		s.wanted[base] = true
	}
	return s
}

// Base returns what is left of a title without the number of the episode: titles of
// one series have the same.
func Base(title string) string { return baseTitle(title) }

// Bases returns those that are looked for.
func (s *Series) Bases() []string { return slices.Sorted(maps.Keys(s.wanted)) }

// Hints returns characters of which every title that is wanted has one; none: nothing
// can be said. A database can look for them.
func (s *Series) Hints() []string {
	if s.other {
		return nil
	}
	out := make([]string, 0, len(s.begins))
	for _, c := range slices.Sorted(maps.Keys(s.begins)) {
		out = append(out, string(c))
	}
	return out
}

// Wants reports whether a title is of one of the series.
func (s *Series) Wants(title string) bool {
	if len(s.wanted) == 0 {
		return false
	}
	if !s.other && !strings.ContainsFunc(title, func(c rune) bool { return s.begins[c] }) {
		return false // it has none of the characters: the common case, and cheap
	}
	if len(s.titles.base) > mostTitles {
		clear(s.titles.base)
	}
	return s.wanted[s.titles.of(title)]
}

// mostTitles bounds what is remembered of titles.
const mostTitles = 10_000

// SameTitle reports whether two titles are of one series: equal apart from the
// number of the episode, widths, case, spaces and punctuation.
func SameTitle(a, b string) bool {
	t := newTitles()
	return t.of(a) == t.of(b)
}

// Recorded is an episode that is in the library.
type Recorded struct {
	Title, Text string
	Start       time.Time
}

const (
	mostStreams = 500
	fullDay     = 24 * time.Hour
)

// check says what is wrong with a description.
func (m *Match) check() error {
	switch {
	case baseTitle(m.Title) == "":
		return fmt.Errorf("%w: there is nothing to look for in %q", ErrTitle, m.Title)
	case m.From < 0 || m.From > fullDay || m.To < 0 || m.To > fullDay:
		return fmt.Errorf("%w: times of day from %v to %v", ErrMatch, m.From, m.To)
	case len(m.Streams) > mostStreams:
		return fmt.Errorf("%w: %d channels, at most %d", ErrMatch, len(m.Streams), mostStreams)
	}
	for _, d := range m.Weekdays {
		if d < time.Sunday || d > time.Saturday {
			return fmt.Errorf("%w: weekday %d", ErrMatch, d)
		}
	}
	if !slices.Contains([]Duplicates{"", RecordAll, SkipRecorded, SkipTitleDay}, m.Duplicates) {
		return fmt.Errorf("%w: duplicates %q", ErrMatch, m.Duplicates)
	}
	return nil
}

// matches reports whether an event with the title of a series is one of it.
func (m *Match) matches(e Event, zone *time.Location) bool {
	if len(m.Streams) > 0 && !slices.Contains(m.Streams, e.Stream) {
		return false
	}
	w := wallOf(e.Start, zone)
	if len(m.Weekdays) > 0 && !slices.Contains(m.Weekdays, w.Weekday()) {
		return false
	}
	if m.From == 0 && m.To == 0 {
		return true
	}
	at := w.Sub(w.Truncate(fullDay))
	if m.From <= m.To {
		return at >= m.From && at <= m.To
	}
	return at >= m.From || at <= m.To
}

// episodes returns those of events, which have the title of the series and are in
// order of time, that are of it, with the reason why one is left out, if it is.
// counts says whether an event that is not left out stands for later ones like it:
// one that was missed does not.
func (m *Match) episodes(events []Event, done []Recorded, zone *time.Location, t *titles, counts func(Event) bool) []candidate {
	var out []candidate
	seen := make(map[string]bool)
	days := make(map[string]bool)
	day := func(at time.Time) string { return wallOf(at, zone).Format(time.DateOnly) }
	key := func(title, text string, start time.Time) string {
		n, text := numbers(title), t.of(text)
		if n == "" && text == "" { // nothing tells episodes apart: today's news is not yesterday's
			n = day(start)
		}
		return t.of(title) + "\x00" + n + "\x00" + text
	}
	for _, r := range done {
		if t.of(r.Title) == t.of(m.Title) {
			seen[key(r.Title, r.Text, r.Start)] = true
			days[day(r.Start)] = true
		}
	}
	for _, e := range events {
		if !m.matches(e, zone) {
			continue
		}
		c := candidate{event: e}
		k := key(e.Title, e.Text, e.Start)
		switch {
		case m.Duplicates == SkipRecorded && seen[k]:
			c.skip = ReasonRecordedAlready
		case m.Duplicates == SkipTitleDay && days[day(e.Start)]:
			c.skip = ReasonTitleToday
		}
		if c.skip == "" && counts(e) {
			seen[k], days[day(e.Start)] = true, true
		}
		out = append(out, c)
	}
	return out
}

type candidate struct {
	event Event
	skip  Reason
}

// numbers returns the digits of a title: they tell the episodes of a series apart
// where the guide has no text.
func numbers(title string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) || strings.ContainsRune("〇一二三四五六七八九十百零上中下", r) {
			return r
		}
		return -1
	}, width.Narrow.String(title))
}

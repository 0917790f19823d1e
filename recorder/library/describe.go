package library

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tongxiang/internal/store"
)

const (
	// shortestShot is how long somebody must be on air to be a chapter: who says "yes,
	// I hear you" is none.
	shortestShot = 10 * time.Second
	maxChapters  = 500
	maxBody      = 256 << 10
)

// sources are what a recording is described from.
type sources struct {
	from, to time.Time // of its media
	events   []store.MeetingEvent
	shots    []store.MeetingShot
	guide    []store.EPGEvent
	captions string
}

// description is what is known of a recording beyond what the recorder knows.
type description struct {
	people, units []string
	body          string
	chapters      []store.Chapter
}

// eventFields are those of a meeting's events that matter here; docs/protocol.md
// section 4 has them all.
type eventFields struct {
	Participant json.RawMessage `json:"participant"` // an object in "joined", an id elsewhere
	From        string          `json:"from"`
	Name        string          `json:"name"`
	Text        string          `json:"text"`
	On          bool            `json:"on"`
}

type seat struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Encoder bool   `json:"encoder"`
}

// describe is pure. Events that it does not know, or cannot read, are skipped.
func describe(s sources) description {
	var d description
	names := map[string]string{}
	seated := map[string]bool{}
	var body strings.Builder
	say := func(parts ...string) {
		for _, p := range parts {
			if p != "" && body.Len()+len(p) < maxBody {
				body.WriteString(p)
				body.WriteByte('\n')
			}
		}
	}
	met := func(x seat) {
		if x.Name == "" {
			return
		}
		list := &d.people
		if x.Encoder || isUnit(x.Name) {
			list = &d.units
		}
		if !slices.Contains(*list, x.Name) {
			*list = append(*list, x.Name)
		}
	}
	seats := map[string]seat{}
	began := false
	begin := func() { // who sits there when it begins
		began = true
		for _, id := range slices.Sorted(keys(seated)) {
			met(seats[id])
		}
	}
	var screens []store.MeetingShot
	for _, e := range s.events {
		if e.At.After(s.to) {
			break
		}
		if !began && !e.At.Before(s.from) {
			begin()
		}
		var f eventFields
		if json.Unmarshal(e.Data, &f) != nil {
			continue
		}
		var who string
		if e.Kind != "joined" && json.Unmarshal(f.Participant, &who) != nil {
			who = ""
		}
		switch e.Kind {
		case "joined":
			var x seat
			if json.Unmarshal(f.Participant, &x) != nil || x.ID == "" {
				continue
			}
			names[x.ID], seats[x.ID], seated[x.ID] = x.Name, x, true
			if began {
				met(x)
			}
		case "left":
			delete(seated, who)
		case "chat":
			if began {
				say(f.Name + "：" + f.Text)
			}
		case "screen":
			if f.On {
				screens = append(screens, store.MeetingShot{At: e.At, Participant: who, Screen: true})
			} else {
				screens = append(screens, store.MeetingShot{At: e.At})
			}
		}
	}
	if !began {
		begin()
	}
	shots := s.shots
	if len(shots) == 0 {
		shots = screens // nobody noted who was on air: the shared screens are known
	}
	for _, c := range cuts(shots, s.from, s.to) {
		name := cmp.Or(names[c.Participant], c.Participant)
		x := store.Chapter{AtMS: c.At.Sub(s.from).Milliseconds(), Kind: "speaker", Title: name, Who: c.Participant}
		if c.Screen {
			x.Kind = "screen"
			x.Title = name + " 共享屏幕"
		}
		d.chapters = append(d.chapters, x)
	}
	for _, e := range s.guide {
		if !e.Start.Before(s.to) || !e.End.After(s.from) {
			continue
		}
		say(e.Title, e.Summary, e.Text)
		if len(d.chapters) < maxChapters && e.Title != "" {
			d.chapters = append(d.chapters, store.Chapter{AtMS: max(0, e.Start.Sub(s.from).Milliseconds()), Kind: "programme", Title: e.Title})
		}
	}
	say(s.captions)
	d.body = strings.ToValidUTF8(body.String(), "")
	slices.SortStableFunc(d.chapters, func(a, b store.Chapter) int { return cmp.Compare(a.AtMS, b.AtMS) })
	return d
}

// cuts returns the shots within a recording that are chapters: what was on air when
// it began, and whatever stayed long enough and is not what was there before.
func cuts(shots []store.MeetingShot, from, to time.Time) []store.MeetingShot {
	var out []store.MeetingShot
	for i, x := range shots {
		end := to
		if i+1 < len(shots) && shots[i+1].At.Before(to) {
			end = shots[i+1].At
		}
		if x.At.Before(from) {
			x.At = from
		}
		same := len(out) > 0 && out[len(out)-1].Participant == x.Participant && out[len(out)-1].Screen == x.Screen
		if x.Participant == "" || same || end.Sub(x.At) < shortestShot || len(out) == maxChapters {
			continue
		}
		out = append(out, x)
	}
	return out
}

// unitEnds are how names of places and offices end.
var unitEnds = []string{
	"省", "市", "县", "区", "镇", "乡", "村", "街道", "社区", "局", "站", "所", "校", "学校", "院", "厅", "室", "队", "办", "社", "部", "科", "处",
	"中心", "会场", "政府", "委员会", "委", "公司", "大厅", "台", "分会场", "主会场",
}

// isUnit tells the name of a site from that of a person, by how it ends: seats have
// no other mark. People's names have two or three characters, rarely four.
func isUnit(name string) bool {
	if utf8.RuneCountInString(name) < 3 {
		return false
	}
	return slices.ContainsFunc(unitEnds, func(end string) bool { return strings.HasSuffix(name, end) })
}

func keys(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

package programme

import (
	"slices"

	"tongxiang/internal/stream"
)

// Input is what the director knows of a meeting. Ids are those of participants.
type Input struct {
	Screen   string   // who shares the screen, or empty
	Speakers []string // who is heard, loudest first
	Present  []string // who publishes, in joining order
}

// Shot is what is on air.
type Shot struct {
	Picture string       // whose picture; empty: none
	Label   stream.Label // which of his pictures
	Sound   string       // whose sound; empty: none
}

// How long things stay. A cough does not take the picture, and a conversation does
// not make it flicker; sound follows a speaker sooner, because what is missed of it
// is missed for good.
const (
	confirmPicture = 1000 * ms // of leading, before the picture follows
	shortestShot   = 3000 * ms
	shortestSound  = 400 * ms

	ms = int64(1_000_000)
)

// Director decides what is on air: a shared screen before everything else, else
// whoever speaks, else whoever spoke last, else whoever came first. It is pure but
// for what it remembers of its own decisions; times are nanoseconds of any one
// clock. The zero value is ready.
type Director struct {
	shot         Shot
	since        int64 // of the picture
	soundSince   int64
	leading      string // who would take the picture
	leadingSince int64
}

// Decide returns what is on air now, and when to ask again although nothing
// changed; 0: never.
func (d *Director) Decide(in Input, now int64) (shot Shot, again int64) {
	again = d.picture(in, now)
	if next := d.sound(in, now); next > 0 && (again == 0 || next < again) {
		again = next
	}
	return d.shot, again
}

func (d *Director) sound(in Input, now int64) (again int64) {
	want := d.shot.Sound
	switch {
	case len(in.Speakers) > 0:
		want = in.Speakers[0]
	case !slices.Contains(in.Present, want):
		want = d.shot.Picture // what is seen is heard, when nobody else is
		if !slices.Contains(in.Present, want) {
			want = ""
		}
	}
	heard := slices.Contains(in.Speakers, d.shot.Sound)
	switch {
	case want == d.shot.Sound:
		return 0
	case heard && now-d.soundSince < shortestSound:
		return d.soundSince + shortestSound
	}
	d.shot.Sound, d.soundSince = want, now
	return 0
}

func (d *Director) picture(in Input, now int64) (again int64) {
	if in.Screen != "" {
		d.cut(in.Screen, stream.LabelScreen, now)
		return 0
	}
	want := ""
	for _, id := range in.Speakers {
		if slices.Contains(in.Present, id) {
			want = id
			break
		}
	}
	here := d.shot.Label == stream.LabelVideo && slices.Contains(in.Present, d.shot.Picture)
	if want == "" {
		switch {
		case slices.Contains(in.Present, d.shot.Picture):
			want = d.shot.Picture // also whose screen it was
		case len(in.Present) > 0:
			want = in.Present[0]
		}
	}
	if !here || want == d.shot.Picture {
		d.cut(want, stream.LabelVideo, now)
		return 0
	}
	if want != d.leading {
		d.leading, d.leadingSince = want, now
	}
	due := max(d.leadingSince+confirmPicture, d.since+shortestShot)
	if now < due {
		return due
	}
	d.cut(want, stream.LabelVideo, now)
	return 0
}

func (d *Director) cut(to string, label stream.Label, now int64) {
	d.leading = ""
	if to == "" {
		label = ""
	}
	if d.shot.Picture != to || d.shot.Label != label {
		d.shot.Picture, d.shot.Label, d.since = to, label, now
	}
}

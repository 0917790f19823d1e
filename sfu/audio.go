package sfu

import (
	"cmp"
	"slices"
)

// Who is heard: pure decisions over audio levels (RFC 6464: 0 the loudest, 127
// silence, in -dBov).

const (
	// maxSpeakers is how many voices a viewer gets at once.
	maxSpeakers = 3

	// unknownLevel stands for a publisher that sends sound without saying how
	// loud: encoders often do not. It is heard before silence and after speech.
	unknownLevel = 60.0
	silence      = 127.0

	// How far the level follows each packet, to a louder one faster than to a
	// softer one, so that a pause between words is no silence.
	speakRise = 0.2
	speakFall = 0.03

	speakMargin = 8.0       // dB by which a newcomer must be louder to take a place
	speakHold   = 2000 * ms // that somebody keeps a place after falling silent
	speakGone   = 1000 * ms // without packets that somebody counts as silent
	audible     = 100.0     // softer than this is silence
	talking     = 55.0      // at least this loud is speech, for showing who speaks
)

// voice is one publisher's sound in a room.
type voice struct {
	id     string
	always bool // heard whatever the level: the chair

	level float64 // smoothed
	last  int64   // when a packet came
	loud  int64   // when it was last audible
}

// hear notes a packet.
func (v *voice) hear(level uint8, known bool, now int64) {
	in := unknownLevel
	if known {
		in = float64(level)
	}
	if v.last == 0 || now-v.last > speakGone {
		v.level = silence
	}
	rate := speakFall
	if in < v.level {
		rate = speakRise
	}
	v.level += (in - v.level) * rate
	v.last = now
	if v.level < audible {
		v.loud = now
	}
}

// at returns the level now.
func (v *voice) at(now int64) float64 {
	if now-v.last > speakGone {
		return silence
	}
	return v.level
}

// rank returns who is to be heard, most important first: those always heard, those
// who have a place and have not been silent for speakHold, then the loudest. A
// newcomer takes the place of a holder only when it is louder by speakMargin. held
// is the former result. The list is one longer than maxSpeakers, because a viewer
// does not hear itself.
func rank(voices []voice, held []string, now int64) []string {
	type scored struct {
		id    string
		score float64 // lower is more important
	}
	list := make([]scored, 0, len(voices))
	for i := range voices {
		v := &voices[i]
		if v.last == 0 {
			continue
		}
		score := v.at(now)
		if slices.Contains(held, v.id) {
			if now-v.loud < speakHold && v.loud > 0 {
				score = min(score, audible)
			}
			score -= speakMargin
		}
		if v.always {
			score -= 1000
		}
		list = append(list, scored{v.id, score})
	}
	slices.SortStableFunc(list, func(a, b scored) int {
		return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.id, b.id))
	})
	if len(list) > maxSpeakers+1 {
		list = list[:maxSpeakers+1]
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = s.id
	}
	return out
}

// speakersNow returns who speaks, loudest first, for people to see.
func speakersNow(voices []voice, now int64) []string {
	var loud []voice
	for _, v := range voices {
		if v.last > 0 && v.at(now) < talking {
			loud = append(loud, v)
		}
	}
	slices.SortStableFunc(loud, func(a, b voice) int {
		return cmp.Or(cmp.Compare(a.at(now), b.at(now)), cmp.Compare(a.id, b.id))
	})
	if len(loud) > maxSpeakers {
		loud = loud[:maxSpeakers]
	}
	out := make([]string, len(loud))
	for i, v := range loud {
		out[i] = v.id
	}
	return out
}

// seat puts speakers into n audio slots: who is in one keeps it, the others take
// the free ones in order. "" is an empty slot.
func seat(now, speakers []string, n int) []string {
	if len(speakers) > n {
		speakers = speakers[:n]
	}
	out := make([]string, n)
	for i := range out {
		if i < len(now) && slices.Contains(speakers, now[i]) {
			out[i] = now[i]
		}
	}
	for _, id := range speakers {
		if slices.Contains(out, id) {
			continue
		}
		if i := slices.Index(out, ""); i >= 0 {
			out[i] = id
		}
	}
	return out
}

package transcode

import (
	"fmt"
	"slices"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// Action is what happens to one track.
type Action uint8

// The actions.
const (
	Leave  Action = iota // nothing here can read it, or another track serves
	Copy                 // goes out untouched, with the times it came with
	Encode               // is decoded and encoded by the child
)

// maxSounds bounds the sounds of a stream that are looked at.
const maxSounds = 8

// Plan says what happens to the tracks of a stream. It depends on nothing else, and
// two plans that are equal do the same.
//
// Of the pictures, one that can go out untouched is preferred. Of the sounds, each
// language is wanted once: the same language in another coding is left out when a
// track of it goes out untouched, or when another comes first. A second language is
// encoded even beside sounds that are copied, because it is what somebody speaks;
// it costs 2 % of a core.
type Plan struct {
	target  Target
	picture Action
	sounds  [maxSounds]soundPlan // each kind of sound once; the rest is zero
}

// soundPlan is what happens to the sounds of one coding in one language.
type soundPlan struct {
	codec    media.Codec
	language string
	action   Action
}

// plan makes the plan for a target.
func plan(t Target, formats []media.Format) Plan {
	p := Plan{target: t}
	var sounds []soundPlan
	for _, f := range formats {
		a := p.possible(f)
		switch {
		case a == Leave:
		case f.Codec.Kind() == media.Video:
			if p.picture != Copy {
				p.picture = a
			}
		case len(sounds) < maxSounds:
			s := soundPlan{f.Codec, f.Language, a}
			if !slices.Contains(sounds, s) {
				sounds = append(sounds, s)
			}
		}
	}
	for i, s := range sounds {
		if s.action == Encode && served(sounds, i) {
			s.action = Leave
		}
		p.sounds[i] = s
	}
	return p
}

// served reports whether another track brings the language of sounds[i].
func served(sounds []soundPlan, i int) bool {
	for j, o := range sounds {
		if j != i && o.language == sounds[i].language && (o.action == Copy || j < i) {
			return true
		}
	}
	return false
}

// possible returns what can be done with a track by itself.
func (p Plan) possible(f media.Format) Action {
	if p.target.broadcast() {
		return p.receivers(f)
	}
	if p.target.onAir() {
		if f.Codec == media.VP8 {
			return Encode
		}
		return Leave
	}
	_, low := p.target.rung()
	switch f.Codec {
	case media.H264:
		if low || f.NoIDR || p.target.webrtc() && (f.Reordered || f.Interlaced) {
			return Encode
		}
		return Copy
	case media.VP8:
		if p.target == WebRTC {
			return Copy
		}
	case media.Opus:
		if low {
			return Encode
		}
		return Copy
	case media.AAC:
		if low || p.target.webrtc() {
			return Encode
		}
		return Copy
	case media.H265, media.MPEG2Video, media.MPEGAudio, media.AC3, media.EAC3:
		return Encode
	case media.MPEG4Video, media.AVS, media.PCMA, media.PCMU, media.Unknown:
		// No transport stream carries them to the child, or no decoder exists.
	}
	return Leave
}

// receivers returns what can be done with a track for receivers of transport streams.
func (p Plan) receivers(f media.Format) Action {
	switch f.Codec {
	case media.H264, media.H265, media.MPEG2Video, media.AAC, media.MPEGAudio, media.AC3, media.EAC3:
		return Copy
	case media.Opus:
		return Encode
	case media.VP8, media.MPEG4Video, media.AVS, media.PCMA, media.PCMU, media.Unknown:
	}
	return Leave
}

// Of returns what happens to a track.
func (p Plan) Of(f media.Format) Action {
	if f.Codec.Kind() == media.Video {
		if a := p.possible(f); a == p.picture {
			return a
		}
		return Leave
	}
	for _, s := range p.sounds {
		if s.codec == f.Codec && s.language == f.Language {
			return s.action
		}
	}
	return Leave
}

// from returns where to begin in what the rings of the source hold. A player by HLS
// begins with segments that are there; one by WebRTC would get what is old at once, and
// a browser that has got two seconds of sound keeps them, and the picture with them.
func (p Plan) from() stream.Start {
	if p.target.webrtc() {
		return stream.AtSync
	}
	return stream.AtOldest
}

// has reports whether anything is done in this way.
func (p Plan) has(a Action) bool {
	return p.picture == a || slices.ContainsFunc(p.sounds[:], func(s soundPlan) bool { return s.action == a })
}

// encodes reports whether a child is needed.
func (p Plan) encodes() bool { return p.has(Encode) }

// copies reports whether anything goes out untouched.
func (p Plan) copies() bool { return p.has(Copy) }

// fulfils reports whether the plan gives its target what it is for: a low rate that
// is only sound is not what was asked for when there is a picture.
func (p Plan) fulfils(formats []media.Format) bool {
	if _, low := p.target.rung(); low && p.picture == Leave {
		return !slices.ContainsFunc(formats, func(f media.Format) bool { return f.Codec.Kind() == media.Video })
	}
	return p.copies() || p.encodes()
}

// accept returns a reason against every format to which another action applies.
func (p Plan) accept(a Action) func(media.Format) error {
	return func(f media.Format) error {
		if p.Of(f) != a {
			return fmt.Errorf("%s is not for this part of the rendition", f.Codec)
		}
		return nil
	}
}

// hopeless returns the codecs that nothing can be done about.
func (p Plan) hopeless(formats []media.Format) []string {
	var names []string
	for _, f := range formats {
		if p.possible(f) == Leave && !slices.Contains(names, f.Codec.String()) {
			names = append(names, f.Codec.String())
		}
	}
	return names
}

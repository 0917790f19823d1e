package transcode

import (
	"fmt"
	"slices"
	"strings"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// Target is what a rendition is for. Its text is the last segment of the
// rendition's stream name.
type Target string

// The targets.
const (
	// HLS: H.264 as it is, with AAC or Opus, in fragmented MP4.
	HLS Target = "hls"
	// WebRTC: H.264 in progressive pictures without reordering, or VP8, with Opus.
	WebRTC Target = "webrtc"
	// TS: what receivers of transport streams know; Opus, which they do not, becomes AAC.
	TS Target = "ts"
	// TSMP2: likewise, and Opus becomes MPEG audio, which every receiver decodes.
	TSMP2 Target = "ts-mp2"
)

// broadcast reports whether the target is a transport stream.
func (t Target) broadcast() bool { return t == TS || t == TSMP2 }

// Rendition returns the name under which a stream is published for a target.
func Rendition(name stream.Name, t Target) stream.Name { return name + "/" + stream.Name(t) }

// parse is the inverse of [Rendition]. Channels and programmes of meetings have
// renditions, nothing else.
func parse(name stream.Name) (source stream.Name, t Target, ok bool) {
	segs := name.Segments()
	t = Target(segs[len(segs)-1])
	if t != HLS && t != WebRTC && !t.broadcast() {
		return "", "", false
	}
	channel := len(segs) == 3 && segs[0] == "channels"
	programme := len(segs) == 4 && segs[0] == "meetings" && segs[2] == stream.ProgrammeID
	return stream.Name(strings.Join(segs[:len(segs)-1], "/")), t, channel || programme
}

// Action is what happens to one track.
type Action uint8

// The actions.
const (
	Leave  Action = iota // nothing here can read it, or another track serves
	Copy                 // goes out untouched, with the times it came with
	Encode               // is decoded and encoded by the child
)

// Plan says what happens to the tracks of a stream. It depends on nothing else.
//
// A kind, picture or sound, of which any track can go out untouched is not
// encoded at all: a second sound in MP2 beside one in AAC costs nothing.
type Plan struct {
	target Target
	// picture and sound say what happens to those of their kind for which it is possible.
	picture, sound Action
}

// plan makes the plan for a target.
func plan(t Target, formats []media.Format) Plan {
	p := Plan{target: t}
	for _, f := range formats {
		a := p.possible(f)
		switch {
		case a == Leave:
		case f.Codec.Kind() == media.Video && p.picture != Copy:
			p.picture = a
		case f.Codec.Kind() == media.Audio && p.sound != Copy:
			p.sound = a
		}
	}
	return p
}

// possible returns what can be done with a track by itself.
func (p Plan) possible(f media.Format) Action {
	if p.target.broadcast() {
		switch f.Codec {
		case media.H264, media.H265, media.MPEG2Video, media.AAC, media.MPEGAudio, media.AC3, media.EAC3:
			return Copy
		case media.Opus:
			return Encode
		}
		return Leave
	}
	switch f.Codec {
	case media.H264:
		if p.target == WebRTC && (f.Reordered || f.Interlaced) {
			return Encode
		}
		return Copy
	case media.VP8:
		if p.target == WebRTC {
			return Copy
		}
	case media.Opus:
		return Copy
	case media.AAC:
		if p.target == WebRTC {
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

// Of returns what happens to a track.
func (p Plan) Of(f media.Format) Action {
	a, kind := p.possible(f), p.sound
	if f.Codec.Kind() == media.Video {
		kind = p.picture
	}
	if a != kind {
		return Leave
	}
	return a
}

// encodes reports whether a child is needed.
func (p Plan) encodes() bool { return p.picture == Encode || p.sound == Encode }

// copies reports whether anything goes out untouched.
func (p Plan) copies() bool { return p.picture == Copy || p.sound == Copy }

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

package transcode

import (
	"math"
	"strings"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// Target is what a rendition is for. Its text is the last segment of the
// rendition's stream name.
type Target string

// The targets. Those with a number have at most so many kilobits in each second,
// sound and container included, measured over two seconds: see [Ladder].
const (
	// HLS: H.264 as it is, with AAC or Opus, in fragmented MP4.
	HLS    Target = "hls"
	HLS800 Target = "hls-800"
	HLS350 Target = "hls-350"
	// WebRTC: H.264 in progressive pictures without reordering, or VP8, with Opus.
	WebRTC    Target = "webrtc"
	WebRTC800 Target = "webrtc-800"
	WebRTC350 Target = "webrtc-350"
	// TS: what receivers of transport streams know; Opus, which they do not, becomes AAC.
	TS Target = "ts"
	// TSMP2: likewise, and Opus becomes MPEG audio, which every receiver decodes.
	TSMP2 Target = "ts-mp2"
	// H264 and H264Screen: a participant's camera and his screen for the programme of
	// his meeting, see [Service.Picture].
	H264       Target = "h264"
	H264Screen Target = "h264-screen"
)

// onAir reports whether the target is the picture of a participant.
func (t Target) onAir() bool { return t == H264 || t == H264Screen }

// label returns which of a participant's pictures an onAir target is made of.
func (t Target) label() stream.Label {
	if t == H264Screen {
		return stream.LabelScreen
	}
	return stream.LabelVideo
}

// broadcast reports whether the target is a transport stream.
func (t Target) broadcast() bool { return t == TS || t == TSMP2 }

// Rung is a step of the ladder: what a low-rate rendition may cost and how it is made.
type Rung struct {
	// Rate is the most that goes out, in bits a second over any two seconds.
	Rate int
	// Height is the most lines of the picture; it is never enlarged.
	Height int
	// FPS is the most pictures a second; of a faster source only every second,
	// third and so on is taken.
	FPS float64

	// maxrate and buffer are the picture's (kbit/s, kbit). Over two seconds an
	// encoder that keeps its buffer spends 2·maxrate + buffer at most, which is
	// Rate less the sound and some 20 kbit/s of MP4 or RTP.
	maxrate, buffer int
	// sound and opus are the rates of AAC and Opus, kbit/s, and their channels.
	sound, opus, channels int
}

// Ladder returns the steps below the source, the highest first.
func Ladder() []Rung { return []Rung{standard, smooth} }

// The steps. A line of 2 Mbit/s carries the first beside a meeting, one of 1 Mbit/s
// the second beside everything else that a village has.
var (
	standard = Rung{Rate: 800_000, Height: 360, FPS: 30.5, maxrate: 590, buffer: 200, sound: 64, opus: 48, channels: 2}
	smooth   = Rung{Rate: 350_000, Height: 240, FPS: 15.5, maxrate: 235, buffer: 80, sound: 40, opus: 24, channels: 1}
)

// rung returns the step of a target; ok is false for the full rate.
func (t Target) rung() (r Rung, ok bool) {
	switch t {
	case HLS800, WebRTC800:
		return standard, true
	case HLS350, WebRTC350:
		return smooth, true
	}
	return Rung{}, false
}

// webrtc reports whether the target is played by WebRTC, else by HLS.
func (t Target) webrtc() bool { return strings.HasPrefix(string(t), string(WebRTC)) }

func (t Target) valid() bool {
	switch t {
	case HLS, HLS800, HLS350, WebRTC, WebRTC800, WebRTC350, TS, TSMP2, H264, H264Screen:
		return true
	}
	return false
}

// size returns the picture that a step makes of a source; zeros when the source's
// shape is not known.
func (r Rung) size(f media.Format) (width, height int) {
	if f.Aspect <= 0 || f.Height <= 0 {
		return 0, 0
	}
	height = min(r.Height, f.Height/2*2)
	return int(math.Round(float64(height)*f.Aspect/2)) * 2, height
}

// every returns of how many pictures one is taken.
func (r Rung) every(f media.Format) int {
	fps := f.FPS
	if fps <= 0 {
		fps = 25
	}
	return max(int(math.Ceil(fps/r.FPS)), 1)
}

// Rendition returns the name under which a stream is published for a target.
func Rendition(name stream.Name, t Target) stream.Name { return name.Rendition(string(t)) }

// parse is the inverse of [Rendition]. Channels and programmes of meetings have
// renditions, and participants their pictures; nothing else has.
func parse(name stream.Name) (source stream.Name, t Target, ok bool) {
	segs := name.Segments()
	t = Target(segs[len(segs)-1])
	if !t.valid() {
		return "", "", false
	}
	channel := len(segs) == 3 && segs[0] == "channels"
	programme := len(segs) == 4 && segs[0] == "meetings" && segs[2] == stream.ProgrammeID
	if t.onAir() {
		channel, programme = false, false
	}
	participant := t.onAir() && len(segs) == 4 && segs[0] == "meetings" && segs[2] != stream.ProgrammeID
	return stream.Name(strings.Join(segs[:len(segs)-1], "/")), t, channel || programme || participant
}

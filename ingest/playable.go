package ingest

import (
	"fmt"
	"strings"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
)

// Playable says what a browser can do with a channel.
type Playable string

// The answers.
const (
	// PlayableUnknown: what the source carries is not known yet.
	PlayableUnknown Playable = ""
	// PlayableDirect: as it comes.
	PlayableDirect Playable = "direct"
	// NeedsTranscoding: after the transcoder changed the picture, the sound or both.
	NeedsTranscoding Playable = "needs_transcoding"
	// Unplayable: not at all.
	Unplayable Playable = "unplayable"
)

// Judge says what a browser can do with these pictures and sounds, and why. It
// depends on nothing else.
func Judge(streams []source.Stream) (Playable, Reason) {
	if len(streams) == 0 {
		return PlayableUnknown, Reason{}
	}
	var change, hopeless []string // names of codecs
	usable, scrambled := 0, 0
	videos, videosUsable := 0, 0
	for _, s := range streams {
		f := s.Format
		if f.Codec.Kind() == media.Video {
			videos++
		}
		switch {
		case s.Scrambled:
			scrambled++
			continue
		case !transcodable(f.Codec) && !direct(f.Codec):
			hopeless = append(hopeless, codecName(f))
			continue
		case !direct(f.Codec):
			change = append(change, codecName(f))
		case f.NoIDR:
			change = append(change, codecName(f)+" (open GOP)")
		}
		usable++
		if f.Codec.Kind() == media.Video {
			videosUsable++
		}
	}
	names := func(list []string) string { return strings.Join(unique(list), ", ") }
	switch {
	case scrambled > 0 && videosUsable == 0 && (videos > 0 || usable == 0):
		return Unplayable, Reason{
			Code: "scrambled",
			EN:   "The programme is scrambled; it needs a receiver with a conditional-access card.",
			ZH:   "该节目已加扰，需要带授权卡的接收机。",
		}
	case usable == 0 || videos > 0 && videosUsable == 0:
		n := names(hopeless)
		return Unplayable, Reason{
			Code: "codec_unsupported",
			EN:   fmt.Sprintf("No browser can play %s, and the transcoder cannot change it.", n),
			ZH:   fmt.Sprintf("浏览器无法播放 %s，也无法转码。", n),
		}
	case len(change) > 0:
		n := names(change)
		return NeedsTranscoding, Reason{
			Code: "needs_transcoding",
			EN:   fmt.Sprintf("Needs transcoding: browsers do not play %s.", n),
			ZH:   fmt.Sprintf("需要转码：浏览器不支持 %s。", n),
		}
	case len(hopeless) > 0:
		n := names(hopeless)
		return PlayableDirect, Reason{
			Code: "partly_unsupported",
			EN:   fmt.Sprintf("Plays without %s, which browsers do not support.", n),
			ZH:   fmt.Sprintf("可以播放，但不含浏览器不支持的 %s。", n),
		}
	}
	return PlayableDirect, Reason{}
}

// direct reports whether a browser takes a codec as it comes, by HLS or WebRTC.
func direct(c media.Codec) bool {
	return c.Browser()
}

// transcodable reports whether frames of a codec reach the transcoder.
func transcodable(c media.Codec) bool {
	switch c {
	case media.H265, media.MPEG2Video, media.MPEGAudio, media.AC3, media.EAC3:
		return true
	}
	return false
}

// codecName returns what a person calls a format.
func codecName(f media.Format) string {
	switch {
	case f.Note != "":
		return f.Note
	case f.Codec == media.MPEGAudio && f.Profile == "Layer III":
		return "MP3"
	}
	return f.Codec.String()
}

func unique(list []string) []string {
	var out []string
	for _, s := range list {
		found := false
		for _, o := range out {
			found = found || o == s
		}
		if !found {
			out = append(out, s)
		}
	}
	return out
}

package transcode

import (
	"testing"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

func TestThePlanFollowsFromTheFormats(t *testing.T) {
	f := func(c media.Codec) media.Format { return media.Format{Codec: c} }
	reordered := media.Format{Codec: media.H264, Reordered: true}
	interlaced := media.Format{Codec: media.H264, Interlaced: true}
	for _, tc := range []struct {
		name    string
		target  Target
		formats []media.Format
		want    []Action // of each format
	}{
		{"satellite SD for HLS", HLS, []media.Format{f(media.MPEG2Video), f(media.MPEGAudio)}, []Action{Encode, Encode}},
		{"satellite HD for HLS", HLS, []media.Format{reordered, f(media.MPEGAudio)}, []Action{Copy, Encode}},
		{"fields for HLS", HLS, []media.Format{interlaced, f(media.AAC)}, []Action{Copy, Copy}},
		{"fields for WebRTC", WebRTC, []media.Format{interlaced, f(media.AAC)}, []Action{Encode, Encode}},
		{"camera for WebRTC", WebRTC, []media.Format{f(media.H264), f(media.AAC)}, []Action{Copy, Encode}},
		{"meeting for WebRTC", WebRTC, []media.Format{f(media.VP8), f(media.Opus)}, []Action{Copy, Copy}},
		{"a second sound that plays saves the work", HLS, []media.Format{f(media.H264), f(media.AC3), f(media.AAC)}, []Action{Copy, Leave, Copy}},
		{"radio", HLS, []media.Format{f(media.MPEGAudio)}, []Action{Encode}},
		{"AVS+ with sound", HLS, []media.Format{f(media.AVS), f(media.MPEGAudio)}, []Action{Leave, Encode}},
		{"nothing to be done", HLS, []media.Format{f(media.AVS), f(media.Unknown)}, []Action{Leave, Leave}},
		{"HEVC", HLS, []media.Format{f(media.H265), f(media.AAC)}, []Action{Encode, Copy}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := plan(tc.target, tc.formats)
			for i, f := range tc.formats {
				if got := p.Of(f); got != tc.want[i] {
					t.Errorf("track %d (%s): action %d, want %d", i, f.Codec, got, tc.want[i])
				}
			}
		})
	}
}

func TestOnlyChannelsAndProgrammesHaveRenditions(t *testing.T) {
	for name, want := range map[stream.Name]bool{
		"channels/cctv1/hls":            true,
		"channels/cctv1/webrtc":         true,
		"channels/cctv1":                false,
		"channels/hls":                  false,
		"meetings/m1/programme/hls":     true,
		"meetings/m1/hls":               false, // a participant may be called that
		"meetings/m1/participant/hls":   false,
		"channels/cctv1/programme/webm": false,
	} {
		source, target, ok := parse(name)
		if ok != want {
			t.Errorf("%s: rendition %v, want %v", name, ok, want)
		}
		if ok && Rendition(source, target) != name {
			t.Errorf("%s comes back as %s", name, Rendition(source, target))
		}
	}
}

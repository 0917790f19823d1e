package transcode

import (
	"testing"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

func TestThePlanFollowsFromTheFormats(t *testing.T) {
	f := func(c media.Codec) media.Format { return media.Format{Codec: c} }
	in := func(c media.Codec, language string) media.Format { return media.Format{Codec: c, Language: language} }
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
		{"a second language is somebody's", HLS, []media.Format{f(media.H264), in(media.AAC, "zho"), in(media.MPEGAudio, "bod")}, []Action{Copy, Copy, Encode}},
		{"the same language in another coding", HLS, []media.Format{f(media.H264), in(media.AC3, "zho"), in(media.AAC, "zho")}, []Action{Copy, Leave, Copy}},
		{"two codings, none of them plays", HLS, []media.Format{f(media.H264), in(media.MPEGAudio, "zho"), in(media.AC3, "zho"), in(media.AC3, "eng")}, []Action{Copy, Encode, Leave, Encode}},
		{"two sounds of one kind and no language", HLS, []media.Format{f(media.H264), f(media.MPEGAudio), f(media.MPEGAudio)}, []Action{Copy, Encode, Encode}},
		{"a low rate encodes what could be copied", HLS350, []media.Format{f(media.H264), f(media.AAC), in(media.MPEGAudio, "bod")}, []Action{Encode, Encode, Encode}},
		{"a low rate of a meeting in VP8 is not possible", HLS800, []media.Format{f(media.VP8), f(media.Opus)}, []Action{Leave, Encode}},
		{"recovery points only", HLS, []media.Format{{Codec: media.H264, NoIDR: true}, f(media.AAC)}, []Action{Encode, Copy}},
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
		"channels/cctv1/hls-800":        true,
		"channels/cctv1/webrtc-350":     true,
		"channels/cctv1/hls-8000":       false,
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

func TestPlansOfTheSameTracksAreEqual(t *testing.T) {
	formats := []media.Format{{Codec: media.H264, Width: 720}, {Codec: media.AAC, Language: "zho"}, {Codec: media.AC3, Language: "eng"}}
	a := plan(HLS, formats)
	formats[0].Width = 1920
	if a != plan(HLS, formats) {
		t.Error("a new size asks for a new plan")
	}
	formats[2].Language = "bod"
	if a == plan(HLS, formats) {
		t.Error("another language does not")
	}
}

func TestLowRatesKeepTheShapeAndHalveFastPictures(t *testing.T) {
	for _, tc := range []struct {
		f                    media.Format
		rung                 Rung
		width, height, every int
	}{
		{media.Format{Width: 720, Height: 576, Aspect: 16.0 / 9, FPS: 25}, standard, 640, 360, 1},
		{media.Format{Width: 720, Height: 576, Aspect: 4.0 / 3, FPS: 25}, standard, 480, 360, 1},
		{media.Format{Width: 1920, Height: 1080, Aspect: 16.0 / 9, FPS: 50}, standard, 640, 360, 2},
		{media.Format{Width: 1920, Height: 1080, Aspect: 16.0 / 9, FPS: 60}, smooth, 426, 240, 4},
		{media.Format{Width: 720, Height: 576, Aspect: 16.0 / 9, FPS: 25}, smooth, 426, 240, 2},
		{media.Format{Width: 320, Height: 180, Aspect: 16.0 / 9}, standard, 320, 180, 1},
		{media.Format{Width: 320, Height: 180}, smooth, 0, 0, 2},
	} {
		w, h := tc.rung.size(tc.f)
		if n := tc.rung.every(tc.f); w != tc.width || h != tc.height || n != tc.every {
			t.Errorf("%d×%d (%.2f) at %.0f: %d×%d, one of %d", tc.f.Width, tc.f.Height, tc.f.Aspect, tc.f.FPS, w, h, n)
		}
	}
}

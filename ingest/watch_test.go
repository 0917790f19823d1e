package ingest

import (
	"testing"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
)

func TestWatchJudgesByTimeAlone(t *testing.T) {
	const s = int64(time.Second)
	at := func(now, bytes, media float64) pulse {
		return pulse{now: int64(now * 1e9), began: 100 * s, bytes: int64(bytes * 1e9), media: int64(media * 1e9)}
	}
	unplayable := func(p pulse) pulse {
		p.unplayable = true
		return p
	}
	for name, tc := range map[string]struct {
		in   pulse
		want verdict
	}{
		"just begun":                             {at(101, 0, 0), verdict{}},
		"just begun, media of the source before": {at(101, 99, 99), verdict{}},
		"nothing for 3 s":                        {at(103, 0, 0), verdict{Lost, source.CauseNoPackets, false}},
		"bytes but no media for 3 s":             {at(103, 102.9, 0), verdict{Lost, source.CauseNoMedia, false}},
		"nothing for 10 s":                       {at(110, 0, 0), verdict{Lost, source.CauseNoPackets, true}},
		"media":                                  {at(105, 105, 104.9), verdict{state: Live}},
		"media 1.9 s ago":                        {at(106.9, 105, 105), verdict{state: Live}},
		"media 2 s ago, nothing arrives":         {at(107, 105, 105), verdict{Lost, source.CauseNoPackets, false}},
		"media 2 s ago, bytes arrive":            {at(107, 106.9, 105), verdict{Lost, source.CauseNoMedia, false}},
		"media 10 s ago":                         {at(115, 105, 105), verdict{Lost, source.CauseNoPackets, true}},
		"scrambled":                              {unplayable(at(101, 100.9, 0)), verdict{Refused, source.CauseUnplayable, false}},
		"scrambled for long":                     {unplayable(at(500, 499.9, 0)), verdict{Refused, source.CauseUnplayable, false}},
		"scrambled, then nothing":                {unplayable(at(110, 101, 0)), verdict{Lost, source.CauseNoPackets, true}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := watch(tc.in); got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestLostIsSaidWithinThreeSeconds(t *testing.T) {
	if silence+tick >= 3*time.Second || startup > 3*time.Second {
		t.Error("a channel would not say within 3 s that its source is gone")
	}
	if pausePlayed > 3*time.Second {
		t.Error("a channel that played would be tried again too late to play within 5 s")
	}
}

func TestPlayableFollowsFromTheFormatsAlone(t *testing.T) {
	of := func(codecs ...media.Codec) []source.Stream {
		var out []source.Stream
		for _, c := range codecs {
			out = append(out, source.Stream{Format: media.Format{Codec: c}, Known: true})
		}
		return out
	}
	scrambled := func(in []source.Stream, which ...int) []source.Stream {
		for _, i := range which {
			in[i].Scrambled = true
		}
		return in
	}
	avs2 := of(media.AVS)
	avs2[0].Format.Note = "AVS2"
	for name, tc := range map[string]struct {
		in   []source.Stream
		want Playable
		code string
	}{
		"nothing known":            {nil, PlayableUnknown, ""},
		"H.264 and AAC":            {of(media.H264, media.AAC), PlayableDirect, ""},
		"H.264 alone":              {of(media.H264), PlayableDirect, ""},
		"radio in AAC":             {of(media.AAC), PlayableDirect, ""},
		"H.264 and MP2":            {of(media.H264, media.MPEGAudio), NeedsTranscoding, "needs_transcoding"},
		"MPEG-2 and MP2":           {of(media.MPEG2Video, media.MPEGAudio), NeedsTranscoding, "needs_transcoding"},
		"HEVC":                     {of(media.H265, media.AAC), NeedsTranscoding, "needs_transcoding"},
		"radio in MP2":             {of(media.MPEGAudio), NeedsTranscoding, "needs_transcoding"},
		"AVS":                      {of(media.AVS, media.MPEGAudio), Unplayable, "codec_unsupported"},
		"AVS2":                     {avs2, Unplayable, "codec_unsupported"},
		"MPEG-4 video":             {of(media.MPEG4Video, media.AAC), Unplayable, "codec_unsupported"},
		"H.264 with sound unknown": {of(media.H264, media.Unknown), PlayableDirect, "partly_unsupported"},
		"all scrambled":            {scrambled(of(media.H264, media.AAC), 0, 1), Unplayable, "scrambled"},
		"picture scrambled":        {scrambled(of(media.H264, media.AAC), 0), Unplayable, "scrambled"},
		"second sound scrambled":   {scrambled(of(media.H264, media.AAC, media.AAC), 2), PlayableDirect, ""},
		"radio scrambled":          {scrambled(of(media.MPEGAudio), 0), Unplayable, "scrambled"},
	} {
		t.Run(name, func(t *testing.T) {
			got, why := Judge(tc.in)
			if got != tc.want || why.Code != tc.code {
				t.Errorf("%q %+v, want %q %q", got, why, tc.want, tc.code)
			}
			if why.Code != "" && (why.EN == "" || why.ZH == "") {
				t.Errorf("no sentence for %q", why.Code)
			}
		})
	}
}

func TestEveryCauseHasItsSentences(t *testing.T) {
	for _, c := range []source.Cause{
		source.CauseBadAddress, source.CauseUnreachable, source.CauseRefused, source.CauseCredentials, source.CauseNotFound,
		source.CauseNoPackets, source.CauseNoMedia, source.CauseEnded, source.CauseUnplayable, source.CauseFailed,
		source.CauseInUse, source.CauseNotTS,
	} {
		if r := reasonFor(c); r.Code != string(c) || r.EN == "" || r.ZH == "" {
			t.Errorf("%s: %+v", c, r)
		}
	}
}

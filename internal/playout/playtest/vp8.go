package playtest

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"tongxiang/internal/media"
)

// browserVP8 is how a browser sends VP8: no alternate references.
const browserVP8 = "-c:v libvpx -deadline realtime -cpu-used 8 -lag-in-frames 0 -auto-alt-ref 0 -b:v 600k -pix_fmt yuv420p"

// VP8 encodes a picture, and a sound in Opus, of lavfi sources of the same length: a
// participant whose browser has no H.264. There is a key frame a second.
func VP8(t testing.TB, picture, sound string) Clip {
	t.Helper()
	return vp8(t, picture, sound, "-g 25 -keyint_min 25")
}

// VP8OneKey is VP8 with one key frame, the first: browsers send another only when they
// are asked to.
func VP8OneKey(t testing.TB, picture, sound string) Clip {
	t.Helper()
	return vp8(t, picture, sound, "-g 9999")
}

func vp8(t testing.TB, picture, sound, keys string) Clip {
	t.Helper()
	Tools(t)
	ivf := Run(t, nil, "ffmpeg", append(append([]string{"-v", "error", "-f", "lavfi", "-i", picture}, strings.Fields(browserVP8+" "+keys)...), "-f", "ivf", "pipe:1")...)
	args := strings.Fields("-c:a libopus -b:a 32k -ar 48000 -f mpegts -muxdelay 0 -muxpreload 0 pipe:1")
	opus := Demux(t, Run(t, nil, "ffmpeg", append([]string{"-v", "error", "-f", "lavfi", "-i", sound}, args...)...))
	c := Clip{Formats: []media.Format{{Codec: media.VP8, ClockRate: 90000}, opus.Formats[0]}}
	if len(ivf) < 32 || string(ivf[:4]) != "DKIF" || string(ivf[8:12]) != "VP80" {
		t.Fatal("ffmpeg wrote no VP8")
	}
	rate := binary.LittleEndian.Uint32(ivf[16:]) / max(binary.LittleEndian.Uint32(ivf[20:]), 1)
	for b := ivf[32:]; len(b) >= 12; {
		n := int(binary.LittleEndian.Uint32(b))
		at := media.FromTicks(int64(binary.LittleEndian.Uint64(b[4:])), int(rate))
		if n > len(b)-12 {
			t.Fatal("the last picture is cut short")
		}
		u := bytes.Clone(b[12 : 12+n])
		b = b[12+n:]
		sync := media.VP8Key(u)
		if sync && c.Formats[0].Width == 0 {
			w, h, err := media.VP8Size(u)
			if err != nil {
				t.Fatal(err)
			}
			c.Formats[0].Width, c.Formats[0].Height = w, h
		}
		c.Frames = append(c.Frames, Frame{0, &media.Frame{PTS: at, DTS: at, Units: [][]byte{u}, Sync: sync, IDR: sync}})
	}
	for _, f := range opus.Frames {
		c.Frames = append(c.Frames, Frame{1, f.Frame})
	}
	slices.SortStableFunc(c.Frames, func(a, b Frame) int { return int(a.DTS - b.DTS) })
	return c
}

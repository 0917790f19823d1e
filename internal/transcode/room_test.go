package transcode

import (
	"testing"
	"time"

	"tongxiang/internal/media"
)

func TestChildrenAreAdmittedByNumberAndByLoad(t *testing.T) {
	picture := func(cores float64) load { return load{picture: true, cores: cores} }
	sound := load{cores: costSound}
	many := func(n int, l load) []load {
		out := make([]load, n)
		for i := range out {
			out[i] = l
		}
		return out
	}
	for _, tc := range []struct {
		name          string
		running       []load
		one           load
		max           int
		budget, spare float64
		ok            bool
	}{
		{"an empty room", nil, picture(0.4), 4, 1, 1.5, true},
		{"an empty room of a machine too small", nil, picture(3), 4, 1, 0.2, true},
		{"transcoding switched off", nil, sound, 0, 1, 2, false},
		{"within the budget", many(2, picture(0.3)), picture(0.3), 4, 1, 1.5, true},
		{"beyond the budget", many(3, picture(0.3)), picture(0.3), 4, 1, 1.5, false},
		{"by number", many(4, picture(0.1)), picture(0.1), 4, 1, 1.5, false},
		{"sounds do not take the places of pictures", many(10, sound), picture(0.3), 1, 1, 1.5, true},
		{"sixteen sounds to a picture", many(16, sound), sound, 1, 1, 1.5, false},
		{"the budget is free and the machine is not", many(1, picture(0.3)), picture(0.3), 4, 1, 0.4, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := admit(tc.running, tc.one, tc.max, tc.budget, tc.spare); (err == nil) != tc.ok {
				t.Errorf("admitted: %v, want %v", err == nil, tc.ok)
			}
		})
	}
}

func TestThePriceIsThatOfThePicture(t *testing.T) {
	sd := []media.Format{{Codec: media.MPEG2Video, Width: 720, Height: 576, FPS: 25, Aspect: 16.0 / 9}, {Codec: media.MPEGAudio}}
	full := estimate(plan(HLS, sd), sd)
	low, lowest := estimate(plan(HLS800, sd), sd), estimate(plan(HLS350, sd), sd)
	if !(full > low && low > lowest && lowest > 0.05 && full < 1) {
		t.Errorf("estimated %.2f, %.2f and %.2f cores", full, low, lowest)
	}
	sd[0].Codec = media.H264
	if c := estimate(plan(HLS, sd), sd); c != costSound {
		t.Errorf("sound alone is estimated at %.3f cores", c)
	}
}

func TestAMeterShowsTheRateBetweenReadings(t *testing.T) {
	var m meter
	t0 := time.Unix(1000, 0)
	for _, r := range []struct {
		after, spent time.Duration
		want         float64
	}{
		{0, 5 * time.Second, 0},
		{time.Second, 7 * time.Second, 0}, // too soon to tell
		{4 * time.Second, 7 * time.Second, 0.5},
		{5 * time.Second, 9 * time.Second, 0.5},
		{8 * time.Second, 7 * time.Second, 0},
	} {
		if got := m.rate(t0.Add(r.after), r.spent); got != r.want {
			t.Errorf("after %v: %.2f cores, want %.2f", r.after, got, r.want)
		}
	}
}

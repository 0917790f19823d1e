package quality

import (
	"bytes"
	"image/jpeg"
	"math"
	"slices"
	"testing"
	"time"

	"tongxiang/internal/mpegts"
)

var zero = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time {
	return zero.Add(time.Duration(seconds * float64(time.Second)))
}

// grey is a picture of one luma with a few brighter samples.
func grey(luma, spots int) picture {
	p := picture(bytes.Repeat([]byte{128}, frameSize))
	for i := range lumaSize {
		p[i] = byte(luma)
	}
	for i := range spots {
		p[i*37%lumaSize] = 235
	}
	return p
}

func TestAPictureIsBlackWhenNextToNothingInItIsBright(t *testing.T) {
	for _, c := range []struct {
		p    picture
		want bool
	}{
		{grey(16, 0), true}, {grey(16, 20), true}, {grey(30, 0), true},
		{grey(16, 600), false}, {grey(60, 0), false}, {grey(235, 0), false},
	} {
		if got := c.p.black(); got != c.want {
			t.Errorf("luma %.0f: black %v", c.p.mean(), got)
		}
	}
}

func TestAPictureIsTheSameUnlessSomethingSmallMovedOrAllOfItALittle(t *testing.T) {
	still := grey(100, 0)
	clock := slices.Clone(still)
	for i := range 40 {
		clock[20000+i] = 200
	}
	noise := slices.Clone(still)
	for i := range lumaSize {
		noise[i] += byte(i % 2)
	}
	again := slices.Clone(still)
	for i := range lumaSize / 20 {
		again[i*20]++
	}
	for name, c := range map[string]struct {
		p    picture
		want bool
	}{"itself": {still, true}, "coded again": {again, true}, "a clock's hand": {clock, false}, "noise": {noise, false}} {
		if still.same(c.p) != c.want {
			mean, changed := still.difference(c.p)
			t.Errorf("%s: mean %.2f, %d changed", name, mean, changed)
		}
	}
}

func TestFaultsLastBeforeTheyCount(t *testing.T) {
	type shot struct {
		at    float64
		p     picture
		quiet float64 // 0: pictures change
	}
	for _, c := range []struct {
		name  string
		shots []shot
		now   float64
		want  faults
	}{
		{"black for two samples", []shot{{0, grey(90, 0), 0}, {4, grey(16, 0), 0}, {8, grey(16, 0), 0}}, 8, faults{black: true}},
		{"a fade through black", []shot{{0, grey(90, 0), 0}, {4, grey(16, 0), 0}, {5, grey(90, 0), 0}}, 8, faults{}},
		{"black since pictures are empty", []shot{{0, grey(90, 0), 0}, {3, grey(16, 0), 1}, {5, grey(16, 0), 1}}, 5, faults{black: true}},
		{"frozen, not black", []shot{{0, grey(90, 9), 0}, {4, grey(90, 0), 0}, {9, grey(90, 0), 0}}, 9, faults{frozen: true}},
		{"frozen since pictures are empty", []shot{{0, grey(80, 0), 0}, {3, grey(90, 0), 1}, {6, grey(90, 0), 1}}, 6, faults{frozen: true}},
		{"the same again after something else", []shot{{0, grey(90, 0), 0}, {4, grey(80, 0), 0}, {8, grey(90, 0), 0}}, 8, faults{}},
		{"a test card whose clock moves once a minute", []shot{{0, grey(90, 0), 0.1}, {60, grey(90, 99), 0.1}, {64, grey(90, 99), 0.1}}, 64, faults{frozen: true}},
		{"samples that stopped say nothing", []shot{{0, grey(16, 0), 0}, {8, grey(16, 0), 0}}, 200, faults{}},
	} {
		j := judge{limit: -14}
		for _, s := range c.shots {
			quiet := time.Time{}
			if s.quiet > 0 {
				quiet = at(s.quiet)
			}
			j.picture(s.p, at(s.at), quiet)
		}
		if got := j.now(at(c.now)); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestSilenceAndLoudnessLastBeforeTheyCount(t *testing.T) {
	level := func(db float64) soundLevel {
		p := math.Pow(10, db/10)
		return soundLevel{rms: db, loudness: loudness(p), power: p}
	}
	for _, c := range []struct {
		name   string
		levels []float64 // one a second
		want   faults
		doubt  bool
	}{
		{"silence", []float64{-20, -80, -80, -80, -80, -80, -80}, faults{silent: true}, true},
		{"a pause", []float64{-20, -80, -80, -80, -20, -80, -80}, faults{}, true},
		{"speech", []float64{-20, -30, -25, -40, -20, -25, -22}, faults{}, false},
		{"too loud", []float64{-20, -5, -5, -5, -5, -5, -5}, faults{loud: true}, true},
		{"a bang", []float64{-20, -20, -5, -40, -40, -40, -40, -40, -40}, faults{}, false},
		{"loud again and again", []float64{-5, -30, -5, -5, -30, -5, -5, -5}, faults{loud: true}, true},
		{"loud, then in order", []float64{-5, -5, -5, -5, -5, -5, -25, -25, -25, -25}, faults{}, false},
	} {
		j := judge{limit: -14}
		for i, l := range c.levels {
			j.sound(level(l), at(float64(i)), time.Second)
		}
		if got := j.now(at(float64(len(c.levels)))); got != c.want || j.undecided() != c.doubt {
			t.Errorf("%s: %+v, in doubt %v", c.name, got, j.undecided())
		}
	}
	j := judge{limit: -14}
	for i := range 8 {
		if i == 5 {
			j.audible() // between two samples
		}
		j.sound(level(-80), at(float64(i)), 400*time.Millisecond)
	}
	if j.now(at(8)).silent {
		t.Error("silent though something was heard between the samples")
	}
}

func TestAlarmsBeginQuicklyAndEndAfterAQuietTime(t *testing.T) {
	lost := func(n uint64) second { return second{Continuity: n} }
	for _, c := range []struct {
		name    string
		seconds map[int]second
		want    []int // seconds at which the alarm began and ended in turn
		alarm   Alarm
	}{
		{"one lost packet", map[int]second{5: lost(1)}, nil, Continuity},
		{"three in one second", map[int]second{5: lost(3)}, []int{5, 35}, Continuity},
		{"three in ten", map[int]second{5: lost(1), 9: lost(1), 14: lost(1)}, []int{14, 44}, Continuity},
		{"three in twenty", map[int]second{5: lost(1), 15: lost(1), 25: lost(1)}, nil, Continuity},
		{"a row of faults is one alarm", map[int]second{5: lost(9), 20: lost(1), 40: lost(9), 65: lost(1)}, []int{5, 95}, Continuity},
		{"signal away for a moment", map[int]second{5: {NoSignal: 1}, 6: {NoSignal: 1}}, nil, NoSignal},
		{"signal away", map[int]second{5: {NoSignal: 1}, 6: {NoSignal: 1}, 7: {NoSignal: 1}, 8: {NoSignal: 1}}, []int{7, 10}, NoSignal},
		{"black as long as it is", map[int]second{5: {Black: 1}, 6: {Black: 1}}, []int{5, 7}, Black},
	} {
		var a alarms
		var got []int
		for i := range 120 {
			for _, ch := range a.step(c.seconds[i], at(float64(i))) {
				if ch.Alarm != c.alarm || ch.Raised != (len(got)%2 == 0) {
					t.Errorf("%s: %+v", c.name, ch)
				}
				got = append(got, i)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: changed at %v, want %v", c.name, got, c.want)
		}
	}
}

func TestEveryAlarmHasARule(t *testing.T) {
	for _, a := range Alarms() {
		r, ok := rules[a]
		if !ok || r.errors == 0 || r.window == 0 || r.window > maxHistory {
			t.Errorf("%s: %+v", a, r)
		}
	}
	if len(rules) != len(Alarms()) {
		t.Errorf("%d rules for %d alarms", len(rules), len(Alarms()))
	}
}

func TestErrorsAreSummedOverSources(t *testing.T) {
	c := &channel{}
	out := second{}
	c.measured(&mpegts.Measure{Errors: mpegts.TR101290{ContinuityCountError: 5}}, out)
	c.measured(&mpegts.Measure{Errors: mpegts.TR101290{ContinuityCountError: 7, PATError: 1}}, out)
	c.measured(&mpegts.Measure{Errors: mpegts.TR101290{ContinuityCountError: 2}}, out) // another source
	want := mpegts.TR101290{ContinuityCountError: 9, PATError: 1}
	if c.totals != want || out[Continuity] != 9 || out[Tables] != 1 {
		t.Errorf("%+v %v", c.totals, out)
	}
}

func TestSamplesComeLessOftenWhenTheyCostTooMuch(t *testing.T) {
	b := budget{share: 0.1, factor: 1}
	period := 5 * time.Second
	steps := []struct {
		cost time.Duration
		want float64
	}{
		{200 * time.Millisecond, 1}, // 4 %
		{time.Second, 2},            // 20 %
		{time.Second, 4},            // the same cost at half the rate: four times as dear
		{5 * time.Second, 8},        // no more than twice at once
		{450 * time.Millisecond, 8}, // 9 %: enough
		{100 * time.Millisecond, 7.2},
	}
	for i, s := range steps {
		if b.account(s.cost, period); math.Abs(b.factor-s.want) > 1e-9 {
			t.Errorf("step %d: stretched by %v, want %v", i, b.factor, s.want)
		}
	}
	for range 100 {
		b.account(0, period)
	}
	if b.factor != 1 {
		t.Errorf("never back: %v", b.factor)
	}
	for range 100 {
		b.account(time.Minute, period)
	}
	if b.factor != maxStretch {
		t.Errorf("stretched by %v", b.factor)
	}
}

func TestAThumbnailIsAPictureInFullRange(t *testing.T) {
	for luma, want := range map[int]uint32{16: 0, 235: 0xFFFF} {
		b, err := grey(luma, 0).encode()
		if err != nil {
			t.Fatal(err)
		}
		img, err := jpeg.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if img.Bounds().Dx() != frameWidth || img.Bounds().Dy() != frameHeight {
			t.Errorf("%v", img.Bounds())
		}
		if r, g, bl, _ := img.At(100, 100).RGBA(); max(r, want)-min(r, want) > 0x300 || r != g || g != bl {
			t.Errorf("luma %d became %x %x %x", luma, r, g, bl)
		}
	}
}

package quality

import "time"

// How long a fault of picture or sound must last before it is one. Shorter ones belong
// to programmes: a fade to black, a title card, a speaker who breathes in.
const (
	blackAfter  = 4 * time.Second
	frozenAfter = 5 * time.Second
	silentAfter = 5 * time.Second
	loudAfter   = 5 * time.Second
	// silentBelow is the level of the loudest channel, in dBFS, under which nobody
	// hears anything.
	silentBelow = -60
	// mp2SilentBelow is the same for a band of layer II, whose scale factor is that of a
	// peak and an upper bound of it.
	mp2SilentBelow = -55
	// loudHysteresis is how far below the limit sound must fall to be in order again, in LU.
	loudHysteresis = 2
	// loudOver is how long windows are averaged over: about the three seconds of
	// short-term loudness (EBU Tech 3341).
	loudOver = 4 * time.Second
	// loudnessOver is what the loudness that is shown is averaged over.
	loudnessOver = time.Minute
	// maxWindows bounds the windows that are kept.
	maxWindows = 64
	// stale is how old a judgement may become before nothing is said any more.
	stale = 90 * time.Second
)

// run is a condition that lasts: since when, and until when it was seen.
type run struct{ since, last time.Time }

// see takes one observation: at is when, from since when it can be told to hold.
func (r *run) see(holds bool, from, at time.Time) {
	switch {
	case !holds:
		*r = run{}
	case r.since.IsZero() || from.Before(r.since):
		r.since, r.last = from, at
	default:
		r.last = at
	}
}

// lasts reports whether the condition was seen to hold for so long.
func (r run) lasts(d time.Duration) bool { return !r.since.IsZero() && r.last.Sub(r.since) >= d }

// judge decides from samples whether a channel's picture is black or frozen, its sound
// silent or too loud. It is a pure function of what it is given: every call has the time.
type judge struct {
	limit float64 // LUFS

	still   picture // the picture that others are compared with
	stillAt time.Time
	frozen  run
	black   run
	sampled time.Time // of the newest picture

	silent  run
	loud    run
	windows []window
	heard   time.Time // of the newest window
	loudNow bool
	level   float64
	short   float64 // loudness of the last seconds
}

type window struct {
	at    time.Time
	power float64
}

// picture takes a decoded key picture that arrived at a moment. quiet is since when
// pictures between key pictures had next to nothing in them; zero: they have something.
func (j *judge) picture(p picture, at, quiet time.Time) {
	before := j.sampled
	j.sampled = at
	// What is seen now was there since nothing moved any more, but not when the sample
	// before was taken and showed something else.
	from := at
	if !quiet.IsZero() && !before.IsZero() {
		from = quiet
		if from.Before(before) {
			from = before
		}
	}
	black := p.black()
	j.black.see(black, from, at)
	switch {
	case black:
		j.frozen, j.still = run{}, nil
	case j.still == nil || !p.same(j.still):
		j.still, j.stillAt = p, from
		j.frozen = run{}
	default:
		j.frozen.see(true, j.stillAt, at)
	}
}

// sound takes the level of a piece of sound that ended at a moment and is so long.
func (j *judge) sound(l soundLevel, at time.Time, length time.Duration) {
	j.heard, j.level = at, l.rms
	j.silent.see(l.rms < silentBelow, at.Add(-length), at)
	if len(j.windows) == maxWindows {
		j.windows = append(j.windows[:0], j.windows[1:]...)
	}
	j.windows = append(j.windows, window{at, l.power})
	j.short = j.average(at, loudOver)
	limit := j.limit
	if j.loudNow {
		limit -= loudHysteresis
	}
	j.loud.see(j.short > limit, at.Add(-length), at)
	j.loudNow = j.loud.lasts(loudAfter)
}

// audible says that sound was heard without a sample of it.
func (j *judge) audible() { j.silent = run{} }

// average returns the loudness of the windows of the last d; -120 when there are none.
// Those below the absolute gate of BS.1770 are left out.
func (j *judge) average(now time.Time, d time.Duration) float64 {
	sum, n := 0.0, 0
	for _, w := range j.windows {
		if now.Sub(w.at) < d && loudness(w.power) > -70 {
			sum += w.power
			n++
		}
	}
	if n == 0 {
		return silence
	}
	return loudness(sum / float64(n))
}

// faults is what is wrong now.
type faults struct{ black, frozen, silent, loud bool }

// now returns what is wrong at a moment. A judgement does not outlive its samples.
func (j *judge) now(now time.Time) faults {
	seen, heard := now.Sub(j.sampled) < stale, now.Sub(j.heard) < stale
	return faults{
		black: seen && j.black.lasts(blackAfter), frozen: seen && j.frozen.lasts(frozenAfter),
		silent: heard && j.silent.lasts(silentAfter), loud: heard && j.loudNow,
	}
}

// undecided reports whether the next sample should come soon: something is wrong, or
// may be.
func (j *judge) undecided() bool {
	return !j.black.since.IsZero() || !j.frozen.since.IsZero() || !j.silent.since.IsZero() || !j.loud.since.IsZero()
}

// reset forgets everything, when the channel was gone.
func (j *judge) reset() { *j = judge{limit: j.limit} }

package mpegts

// jitter compares when clock references arrive with what they say.
//
// The mean is the estimator of RFC 3550 6.4.1: the distance in time from one PCR to
// the next against the distance of their values, averaged with a gain of 1/16. The
// delay factor is that of RFC 4445 3.1 for a stream that is drained at its own clock:
// the range, over a second, of arrival time minus clock.
type jitter struct {
	begun   bool
	transit int64 // ns: arrival minus clock, over whatever lies between the two epochs
	last    int64 // the clock in 27 MHz, unwrapped
	mean    float64
	from    int64 // ns: when the window began
	low     int64
	high    int64
	factor  int64 // ns, of the last whole window
}

const jitterWindow = int64(1e9)

// add takes a clock reference that arrived at a moment in ns; 0: not known.
func (j *jitter) add(arrival, pcr int64) {
	if arrival == 0 {
		return
	}
	if !j.begun {
		*j = jitter{begun: true, last: pcr, transit: arrival - pcr*1000/27, from: arrival, mean: j.mean, factor: j.factor}
		j.low, j.high = j.transit, j.transit
		return
	}
	j.last += (pcr - j.last%pcrWrap + pcrWrap) % pcrWrap
	transit := arrival - j.last/27*1000 - j.last%27*1000/27
	d := transit - j.transit
	j.transit = transit
	j.mean += (float64(max(d, -d)) - j.mean) / 16
	j.low, j.high = min(j.low, transit), max(j.high, transit)
	if arrival-j.from >= jitterWindow {
		j.factor = j.high - j.low
		j.from, j.low, j.high = arrival, transit, transit
	}
}

// restart says that the next reference does not continue the last.
func (j *jitter) restart() { j.begun = false }

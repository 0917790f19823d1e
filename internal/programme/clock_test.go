package programme

import (
	"math/rand/v2"
	"testing"
	"time"

	"tongxiang/internal/media"
)

func TestASourcesClockIsFollowedForHours(t *testing.T) {
	for _, ppm := range []int64{-100, 0, 100} {
		r := rand.New(rand.NewPCG(7, 7))
		var c sourceClock
		const path = int64(30 * time.Millisecond)
		worst := time.Duration(0)
		for at := int64(0); at < int64(3*time.Hour); at += int64(20 * time.Millisecond) {
			sent := at + at*ppm/1_000_000 // as the source's clock shows it
			p := &media.Packet{Time: media.Time(sent), Arrival: at + path + r.Int64N(int64(60*time.Millisecond))}
			c.follow(p)
			if at > int64(time.Minute) {
				worst = max(worst, (time.Duration(c.at(p.Time)) - time.Duration(at+path)).Abs())
			}
		}
		if worst > 8*time.Millisecond {
			t.Errorf("%d ppm: %v off", ppm, worst)
		}
	}
}

func TestAClockThatBeginsAnewIsBelieved(t *testing.T) {
	var c sourceClock
	c.follow(&media.Packet{Time: 5e9, Arrival: 1e9})
	if got := c.at(5e9); got != 1e9 {
		t.Errorf("%v", got)
	}
	c.follow(&media.Packet{Time: 9000e9, Arrival: 2e9}) // ahead of what can be: at once
	if got := c.at(9000e9); got != 2e9 {
		t.Errorf("%v after a jump forward", got)
	}
	for at := int64(3e9); at < 20e9; at += 20e6 { // behind: when it has lasted
		c.follow(&media.Packet{Time: media.Time(at), Arrival: at})
	}
	if got := c.at(20e9); got != 20e9 {
		t.Errorf("%v after a jump back", got)
	}
	c.follow(&media.Packet{Time: 0, Arrival: 20e9, Repair: true})
	if got := c.at(20e9); got != 20e9 {
		t.Errorf("%v after a packet that was repaired", got)
	}
}

// A line that fills up, or another way, makes every packet late for good: within the
// window the source is heard again, and when it is over nothing is cut off.
func TestAWayThatBecomesLongerDoesNotSilenceASource(t *testing.T) {
	for _, more := range []int64{160, 400, 990, 3000} {
		var c sourceClock
		silent := int64(0)
		for at := int64(1e9); at < 60e9; at += 20e6 {
			late := int64(0)
			if at > 20e9 && at < 40e9 {
				late = more * ms
			}
			p := &media.Packet{Time: media.Time(at), Arrival: at + late}
			c.follow(p)
			if p.Arrival-int64(c.at(p.Time)) > behind {
				silent += 20 * ms
			}
		}
		if most := int64(clockParts+1) * clockWindow; silent > most {
			t.Errorf("%d ms later: nothing is heard for %v", more, time.Duration(silent))
		}
	}
}

func TestAStallDoesNotMoveASourcesClock(t *testing.T) {
	var c sourceClock
	for at := int64(1e9); at < 10e9; at += 20e6 {
		c.follow(&media.Packet{Time: media.Time(at), Arrival: at})
	}
	for sent := int64(10e9); sent < 12e9; sent += 20e6 { // two seconds come in one moment
		c.follow(&media.Packet{Time: media.Time(sent), Arrival: 12e9})
	}
	if got := c.at(12e9); got != 12e9 {
		t.Errorf("%v", got)
	}
}

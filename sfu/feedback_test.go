package sfu

import (
	"slices"
	"testing"
)

func TestKeyFramesAreAskedForAtOnceAndRepeatedUntilOneIsSeen(t *testing.T) {
	var k keyFrames
	now := 1000 * ms
	if k.due(now) {
		t.Fatal("asked without need")
	}
	k.want()
	if !k.due(now) {
		t.Fatal("did not ask at once")
	}
	var asked []int64
	for d := 10 * ms; d <= 1000*ms; d += 10 * ms {
		k.want() // a burst of viewers is one request
		if k.due(now + d) {
			asked = append(asked, d/ms)
		}
	}
	if want := []int64{320, 640, 960}; !slices.Equal(asked, want) {
		t.Errorf("asked again after %v ms, want %v", asked, want)
	}
	k.seen()
	if k.due(now+5000*ms) || k.next() != 0 {
		t.Error("asked after the key frame had come")
	}
	k.want()
	if at := now + 960*ms + 100*ms; k.due(at) {
		t.Error("a new request came less than 300 ms after the last: Chromium would ignore it in silence")
	}
	if k.next() != now+960*ms+pliSpacing {
		t.Errorf("next is %d", k.next())
	}
}

func TestMissingPacketsAreAskedForAFewTimesAndThenGivenUp(t *testing.T) {
	var l lossList
	for _, s := range []int64{10, 11, 14} {
		if fresh, outage := l.arrived(s, 0); !fresh || outage {
			t.Fatalf("packet %d: fresh %v, outage %v", s, fresh, outage)
		}
	}
	if got := l.due(0, nil); len(got) != 0 {
		t.Errorf("asked at once for %v, which may only be reordered", got)
	}
	if fresh, _ := l.arrived(13, 2*ms); !fresh {
		t.Error("a late packet was called a duplicate")
	}
	var asks []int64
	for now := int64(0); now < 2000*ms; now += ms {
		if got := l.due(now, nil); len(got) > 0 {
			if !slices.Equal(got, []uint16{12}) {
				t.Fatalf("asked for %v", got)
			}
			asks = append(asks, now/ms)
		}
	}
	if want := []int64{8, 58, 158, 358}; !slices.Equal(asks, want) {
		t.Errorf("asked at %v, want %v", asks, want)
	}
	if l.givenUp != 1 || l.next() != 0 {
		t.Errorf("given up %d, next %d", l.givenUp, l.next())
	}
}

func TestRepairedAndRepeatedPacketsAreToldApart(t *testing.T) {
	var l lossList
	for s := int64(0); s < 100; s++ {
		if s != 50 {
			l.arrived(s, 0)
		}
	}
	if fresh, _ := l.arrived(50, 0); !fresh {
		t.Error("the repaired packet counts as seen")
	}
	for _, s := range []int64{50, 99, 3} {
		if fresh, _ := l.arrived(s, 0); fresh {
			t.Errorf("packet %d was taken twice", s)
		}
	}
	if l.dups != 3 {
		t.Errorf("%d duplicates", l.dups)
	}
	l.arrived(5000, 0)
	if fresh, _ := l.arrived(3900, 0); fresh {
		t.Error("a packet from before the window was taken")
	}
}

func TestAnOutageAsksForAKeyFrameInsteadOfThousandsOfPackets(t *testing.T) {
	var l lossList
	l.arrived(0, 0)
	if _, outage := l.arrived(20000, 0); !outage {
		t.Error("20,000 missing packets are no outage")
	}
	if got := l.due(1e12, nil); len(got) != 0 {
		t.Errorf("asked for %d packets", len(got))
	}
	for s := int64(20002); s < 30000; s += 2 { // every second packet is lost for long
		l.arrived(s, 0)
		if len(l.missing) > maxMissing {
			t.Fatalf("%d packets are remembered as missing", len(l.missing))
		}
	}
}

func TestReceiverReportCountsLossAndRepair(t *testing.T) {
	var r reception
	for s := int64(0); s < 100; s++ {
		if s%10 != 5 {
			r.arrived(s, uint32(s*3000), s*3000)
		}
	}
	fraction, lost := r.report()
	if lost != 10 || fraction < 24 || fraction > 26 {
		t.Errorf("lost %d, fraction %d/256; want 10 and about 25", lost, fraction)
	}
	if r.jitter != 0 {
		t.Errorf("jitter %v of an even stream", r.jitter)
	}
	for range 10 {
		r.repaired()
	}
	if fraction, lost = r.report(); lost != 0 || fraction != 0 {
		t.Errorf("after repair: lost %d, fraction %d", lost, fraction)
	}
}

func TestPaddingLeavesNoGapInTheNumbers(t *testing.T) {
	var c compactor
	if got := c.number(100); got != 100 {
		t.Fatalf("100 became %d", got)
	}
	c.skip(101)
	c.skip(102)
	if got := c.number(103); got != 101 {
		t.Errorf("103 became %d, want 101", got)
	}
	c.skip(105)
	for in, want := range map[int64]int64{100: 100, 103: 101, 104: 102, 106: 103} {
		if got := c.number(in); got != want {
			t.Errorf("%d became %d, want %d", in, got, want)
		}
	}
	for s := int64(200); s < 400; s++ {
		c.skip(s)
	}
	if len(c.recent) > 64 {
		t.Errorf("%d skips are remembered", len(c.recent))
	}
}

func TestRetransmissionsStayBelowAFifthOfTheMedia(t *testing.T) {
	b := newBudget()
	sent, again := 0, 0
	for range 10000 {
		b.earn(1000)
		sent += 1000
		for range 10 { // a viewer that asks for ten times what it gets
			if b.spend(1000) {
				again += 1000
			}
		}
	}
	if limit := sent/budgetShare + budgetStart; again > limit {
		t.Errorf("%d bytes sent again for %d of media", again, sent)
	}
	if again < sent/budgetShare/2 {
		t.Errorf("only %d bytes sent again: the budget does not refill", again)
	}
}

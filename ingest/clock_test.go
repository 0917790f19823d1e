package ingest

import (
	"testing"
	"time"
)

func TestTheBroadcastersClockIsSmoothedAndFollowsAJump(t *testing.T) {
	var b broadcastClock
	if _, ok := b.read(); ok {
		t.Error("known before it was heard")
	}
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	hear := func(offset time.Duration) time.Duration {
		at = at.Add(30 * time.Second)
		b.heard(at.Add(-offset), at)
		d, _ := b.read()
		return d
	}
	if d := hear(3 * time.Second); d != 3*time.Second {
		t.Errorf("the first: %v", d)
	}
	if d := hear(4 * time.Second); d != 3*time.Second+time.Second/clockSmooth {
		t.Errorf("a late one: %v", d)
	}
	for range 100 {
		hear(4 * time.Second)
	}
	if d := hear(4 * time.Second); (d - 4*time.Second).Abs() > time.Millisecond {
		t.Errorf("in the end: %v", d)
	}
	if d := hear(-time.Hour); d != -time.Hour {
		t.Errorf("a jump: %v", d)
	}
	if r := clockReason(-time.Hour); r.Code != "clock_offset" || r.EN == "" || r.ZH == "" {
		t.Errorf("%+v", r)
	}
}

package ingest

import (
	"sync"
	"time"
)

const (
	// clockWarn is the difference to the broadcaster's clock that is worth a word:
	// recordings by the guide would begin late or early.
	clockWarn = 5 * time.Second
	// clockJump is a difference that is no jitter: the smoothing begins anew.
	clockJump = 10 * time.Second
	// clockSmooth is the weight of a new value, a part of so many: TDT says whole
	// seconds and comes at most every 30 s (ETSI TS 101 211 4.4).
	clockSmooth = 8
)

// broadcastClock compares the server's clock with the broadcaster's.
type broadcastClock struct {
	mu     sync.Mutex
	known  bool
	offset time.Duration // the server's clock minus the broadcaster's
}

// heard takes what the broadcaster's clock says at a moment of ours.
func (b *broadcastClock) heard(utc, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := now.Sub(utc)
	if !b.known || (d-b.offset).Abs() > clockJump {
		b.known, b.offset = true, d
		return
	}
	b.offset += (d - b.offset) / clockSmooth
}

// read returns the smoothed difference; ok is false when nothing was heard.
func (b *broadcastClock) read() (offset time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.offset, b.known
}

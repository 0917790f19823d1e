// Package retry says how long to wait before trying again: doubling from a first
// pause up to a limit, with jitter, so that a hundred channels that lost the same
// link do not all come back in the same instant.
package retry

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff yields pauses. The zero value is not useful; it belongs to one goroutine.
type Backoff struct {
	// First is the pause after the first failure, Max the longest.
	First, Max time.Duration
	// Random returns a number in [0, 1); nil: math/rand.
	Random func() float64

	failures int
}

// Next returns the pause after one more failure: between half and all of First,
// twice First, four times First … up to Max.
func (b *Backoff) Next() time.Duration {
	d := b.Max
	if b.failures < 32 && b.First<<b.failures < b.Max && b.First<<b.failures > 0 {
		d = b.First << b.failures
	}
	b.failures++
	random := b.Random
	if random == nil {
		random = rand.Float64
	}
	return d/2 + time.Duration(random()*float64(d/2))
}

// Reset is for when it worked: the next pause is the first again.
func (b *Backoff) Reset() { b.failures = 0 }

// Failures returns how many failures there were in a row.
func (b *Backoff) Failures() int { return b.failures }

// Sleep waits for d or until ctx ends, and reports which: false when ctx ended.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

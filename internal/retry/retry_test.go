package retry

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestPausesDoubleUpToTheLimitAndStartAnewAfterSuccess(t *testing.T) {
	for _, tc := range []struct {
		name   string
		random float64
		want   []time.Duration
	}{
		{"no jitter", 0, []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 7500 * time.Millisecond, 7500 * time.Millisecond}},
		{"half jitter", 0.5, []time.Duration{750 * time.Millisecond, 1500 * time.Millisecond, 3 * time.Second, 6 * time.Second, 11250 * time.Millisecond, 11250 * time.Millisecond}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := Backoff{First: time.Second, Max: 15 * time.Second, Random: func() float64 { return tc.random }}
			for i, want := range tc.want {
				if got := b.Next(); got != want {
					t.Errorf("pause %d is %v, want %v", i, got, want)
				}
			}
			b.Reset()
			if got := b.Next(); got != tc.want[0] {
				t.Errorf("pause after success is %v, want %v", got, tc.want[0])
			}
		})
	}
}

func TestPausesStayBelowTheLimitForEver(t *testing.T) {
	b := Backoff{First: time.Second, Max: 3 * time.Second}
	for range 200 {
		if d := b.Next(); d <= 0 || d > 3*time.Second {
			t.Fatalf("pause of %v", d)
		}
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if !Sleep(t.Context(), time.Hour) {
			t.Error("an undisturbed sleep reported an ended context")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if Sleep(ctx, time.Hour) {
			t.Error("a cut sleep reported that it was not")
		}
	})
}

package quality

import "time"

// budget keeps the processor time of the samples within a share of one core: when they
// cost more, each channel is sampled less often.
type budget struct {
	share  float64 // of one core that may be used
	factor float64 // by which intervals are stretched, 1 and more
	used   float64 // share used in the last period
}

const (
	budgetPeriod = 5 * time.Second
	maxStretch   = 16
)

// account takes what one period cost and sets the stretch for the next. It follows
// quickly upward and slowly down, so that it does not swing.
func (b *budget) account(cost, period time.Duration) {
	if period <= 0 {
		return
	}
	b.used = float64(cost) / float64(period)
	switch want := b.factor * b.used / b.share; {
	case want > b.factor:
		b.factor = min(want, 2*b.factor, maxStretch)
	case b.used < 0.8*b.share:
		b.factor = max(1, b.factor*0.9)
	}
}

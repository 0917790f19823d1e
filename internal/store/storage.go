package store

import (
	"context"
	"fmt"
	"time"
)

// Recorded is how much was recorded.
type Recorded struct {
	Bytes int64      // of all recordings
	Since int64      // of those that began at or after the moment asked about
	First *time.Time // when the oldest began; nil: there is none
}

// Recorded sums up the library.
func (s *Store) Recorded(ctx context.Context, since time.Time) (Recorded, error) {
	// PostgreSQL sums up bigint to numeric.
	x, err := one(ctx, s.read, func(r scanner, x *Recorded) error { return r.Scan(&x.Bytes, &x.Since, maybe{&x.First}) },
		`SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT), CAST(COALESCE(SUM(CASE WHEN started >= $1 THEN bytes ELSE 0 END), 0) AS BIGINT), MIN(started)
		FROM recordings`, micros(since))
	if err != nil {
		return Recorded{}, fmt.Errorf("sum up the recordings: %w", err)
	}
	return x, nil
}

package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Recorded is how much was recorded.
type Recorded struct {
	Bytes  int64      // of all recordings, with everything in their folders
	Beside int64      // of Bytes, what is neither a main media file nor made by jobs
	Made   int64      // of Bytes, what jobs made
	Since  int64      // of those that began at or after the moment asked about
	First  *time.Time // when the oldest began; nil: there is none
}

// Recorded sums up the library.
func (s *Store) Recorded(ctx context.Context, since time.Time) (Recorded, error) {
	// PostgreSQL sums up bigint to numeric.
	x, err := one(ctx, s.read, func(r scanner, x *Recorded) error {
		return r.Scan(&x.Bytes, &x.Beside, &x.Made, &x.Since, maybe{&x.First})
	}, `SELECT CAST(COALESCE(SUM(bytes + beside + made), 0) AS BIGINT), CAST(COALESCE(SUM(beside), 0) AS BIGINT), CAST(COALESCE(SUM(made), 0) AS BIGINT),
		CAST(COALESCE(SUM(CASE WHEN started >= $1 THEN bytes + beside + made ELSE 0 END), 0) AS BIGINT), MIN(started) FROM recordings`, micros(since))
	if err != nil {
		return Recorded{}, fmt.Errorf("sum up the recordings: %w", err)
	}
	return x, nil
}

// Usage is how much lies in a recording's folder beside its main media file.
type Usage struct {
	Recording    string
	Beside, Made int64 // as of [Recording]
}

// PutUsage notes what lies in the folders of recordings. Those that are gone are passed over.
func (s *Store) PutUsage(ctx context.Context, l ...Usage) error {
	err := s.tx(ctx, func(tx *sql.Tx) error {
		for _, u := range l {
			if _, err := tx.ExecContext(ctx, "UPDATE recordings SET beside = $1, made = $2 WHERE id = $3", u.Beside, u.Made, u.Recording); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note what lies in folders of recordings: %w", err)
	}
	return nil
}

// Holding is what the library holds of recordings that go on the same day.
type Holding struct {
	Class, Retention string
	Ended            time.Time  // the day, at its end
	Expires, Deleted *time.Time // likewise
	Active, Hold     bool
	Bytes            int64 // with everything in their folders
	Since            int64 // of those that began at or after the moment asked about
}

// Holdings sums up the library by class and days: what a forecast needs, which would
// take too long recording by recording.
func (s *Store) Holdings(ctx context.Context, since time.Time) ([]Holding, error) {
	const day = int64(24 * time.Hour / time.Microsecond)
	endOf := func(n int64) time.Time { return time.UnixMicro((n + 1) * day).UTC() }
	maybeEnd := func(n sql.NullInt64) *time.Time {
		if !n.Valid {
			return nil
		}
		t := endOf(n.Int64)
		return &t
	}
	l, err := many(ctx, s.read, func(r scanner, h *Holding) error {
		var ended int64
		var expires, deleted sql.NullInt64
		err := r.Scan(&h.Class, &h.Retention, &ended, &expires, &deleted, &h.Active, &h.Hold, &h.Bytes, &h.Since)
		h.Ended, h.Expires, h.Deleted = endOf(ended), maybeEnd(expires), maybeEnd(deleted)
		return err
	}, fmt.Sprintf(`SELECT class, retention, COALESCE(ended, started + duration) / %[1]d, expires / %[1]d, deleted / %[1]d,
		CASE WHEN state IN ('recording', 'waiting') THEN TRUE ELSE FALSE END, hold, CAST(SUM(bytes + beside + made) AS BIGINT),
		CAST(SUM(CASE WHEN started >= $1 THEN bytes + beside + made ELSE 0 END) AS BIGINT)
		FROM recordings GROUP BY 1, 2, 3, 4, 5, 6, 7`, day), micros(since))
	if err != nil {
		return nil, fmt.Errorf("sum up the library: %w", err)
	}
	return l, nil
}

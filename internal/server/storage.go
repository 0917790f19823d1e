package server

import (
	"context"
	"time"

	"tongxiang/internal/api"
	"tongxiang/internal/store"
	"tongxiang/recorder/retention"
)

const (
	// rateWindow is over how much the rate of recording is measured: a week has all
	// that comes back weekly.
	rateWindow = 7 * 24 * time.Hour
	// leastWindow bounds what is made of the first hours of a library: a day has its
	// quiet hours.
	leastWindow = 24 * time.Hour
	// farthest is how far a forecast goes; later is never.
	farthest = 100 * 365 * 24 * time.Hour
)

// storage is what the API sees of the recordings' disk.
type storage struct{ server *Server }

// Storage implements api.Storage.
func (x storage) Storage(ctx context.Context) (api.StorageState, error) {
	s, now := x.server, time.Now()
	free, err := freeBytes(existing(s.cfg.RecordingsDir()))
	if err != nil {
		return api.StorageState{}, err
	}
	sum, err := s.store.Recorded(ctx, now.Add(-rateWindow))
	if err != nil {
		return api.StorageState{}, err
	}
	held, err := s.store.Holdings(ctx, now.Add(-rateWindow))
	if err != nil {
		return api.StorageState{}, err
	}
	// What runs is in the library as it was when it was last written there.
	if s.recorder != nil {
		for _, rec := range s.recorder.Running() {
			old, err := s.store.Recording(ctx, rec.ID)
			if err != nil {
				continue // it ended, and was deleted, a moment ago
			}
			more := rec.Size() - old.Size()
			h := store.Holding{Class: rec.Class, Retention: rec.Retention, Expires: rec.Expires, Ended: now, Hold: rec.Hold, Bytes: more}
			sum.Bytes += more
			if !rec.Started.Before(now.Add(-rateWindow)) {
				sum.Since += more
				h.Since = more
			}
			held = append(held, h)
		}
	}
	out := forecast(sum.Bytes, sum.Since, sum.First, max(int64(free)-minFree, 0), now)
	out.Beside, out.Derived = sum.Beside, sum.Made
	out.Ruled = ruled(s.rules(), held, out, now)
	return out, nil
}

// ruled says when the disk of a forecast will be full with what the rules remove.
func ruled(rules retention.Rules, held []store.Holding, x api.StorageState, now time.Time) *time.Time {
	if x.FullAt == nil {
		return nil
	}
	rows := make([]retention.Row, len(held))
	rate := map[string]int64{}
	for i, h := range held {
		rows[i] = retention.Row{
			Class: h.Class, Retention: h.Retention, Expires: h.Expires, Ended: h.Ended, Bytes: h.Bytes, Hold: h.Hold, Deleted: h.Deleted,
		}
		rate[h.Class] += h.Since
	}
	for class := range rate {
		rate[class] = int64(float64(rate[class]) / x.Measured)
	}
	at, full := rules.Forecast(now, rows, rate, x.Free)
	if !full {
		return nil
	}
	at = at.UTC().Truncate(time.Second)
	return &at
}

// forecast says when the free bytes will be used up, if as much is recorded as was
// since a week before now and nothing is deleted.
func forecast(used, since int64, first *time.Time, free int64, now time.Time) api.StorageState {
	x := api.StorageState{Used: used, Free: free}
	if first == nil {
		return x
	}
	window := min(max(now.Sub(*first), leastWindow), rateWindow)
	x.Measured = window.Hours() / 24
	x.PerDay = int64(float64(since) / x.Measured)
	if x.PerDay <= 0 {
		x.PerDay = 0
		return x
	}
	if days := float64(free) / float64(x.PerDay); days < farthest.Hours()/24 {
		at := now.Add(time.Duration(days * 24 * float64(time.Hour))).UTC().Truncate(time.Second)
		x.FullAt = &at
	}
	return x
}

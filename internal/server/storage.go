package server

import (
	"context"
	"time"

	"tongxiang/internal/api"
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
	// What runs is in the library as it was when it was last written there.
	if s.recorder != nil {
		for _, rec := range s.recorder.Running() {
			old, err := s.store.Recording(ctx, rec.ID)
			if err != nil {
				continue // it ended, and was deleted, a moment ago
			}
			sum.Bytes += rec.Bytes - old.Bytes
			if !rec.Started.Before(now.Add(-rateWindow)) {
				sum.Since += rec.Bytes - old.Bytes
			}
		}
	}
	return forecast(sum.Bytes, sum.Since, sum.First, max(int64(free)-minFree, 0), now), nil
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

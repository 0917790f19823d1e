package store_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"
)

// A page that is closed while its list is read must leave nothing behind: a statement
// that is not finished keeps its connection, and whoever reads by it from then on, in
// the past, and lets no write-ahead log be shortened.
func TestReadsThatAreCutOffLeaveNobodyInThePast(t *testing.T) {
	both(t, testReadsThatAreCutOffLeaveNobodyInThePast)
}

func testReadsThatAreCutOffLeaveNobodyInThePast(t *testing.T, db database) {
	const readers, rounds = 16, 60
	s := db.open(t)
	each := func(f func(i int)) {
		var w sync.WaitGroup
		for i := range readers {
			w.Go(func() { f(i) })
		}
		w.Wait()
	}
	for n := range rounds {
		now := strconv.Itoa(n)
		check(t, s.SetSetting(t.Context(), "n", now))
		each(func(i int) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i*n)*2*time.Microsecond)
			defer cancel()
			_, _ = s.Setting(ctx, "n") // it comes or it does not
		})
		each(func(int) {
			if got, err := s.Setting(t.Context(), "n"); got != now || err != nil {
				t.Errorf("%q, %v; %q was written before", got, err, now)
			}
		})
		if t.Failed() {
			return
		}
	}
}

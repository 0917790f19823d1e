package scheduler

import (
	"errors"
	"testing"
	"time"

	"tongxiang/internal/store"
	"tongxiang/recorder/schedule"
)

func daily(x *store.Schedule) { x.RRule = "FREQ=DAILY" }

func TestOneOccurrenceIsLeftOutAndTheNextIsNot(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("课", clockTime(10, 0), clockTime(11, 0), daily)
		i, err := r.s.Skip(r.t.Context(), "课", clockTime(10, 0), true)
		if err != nil || i.State != schedule.Skipped || i.Reason != schedule.ReasonSkipped {
			t.Fatalf("%+v, %v", i, err)
		}
		r.kill() // the server is started again meanwhile
		r.start()
		r.until(11, 1)
		r.saw("09:50:00 killed")
		items, err := r.s.Plan(r.t.Context(), clockTime(9, 0), clockTime(24+12, 0))
		if err != nil || len(items) != 2 || items[0].State != schedule.Skipped || items[0].Reason != schedule.ReasonSkipped || items[1].State != schedule.Planned {
			t.Fatalf("%+v, %v", items, err)
		}
		r.s.Close() // so that the day passes quickly
		<-time.After(22 * time.Hour)
		r.start()
		r.until(24+11, 1)
		r.saw("10:00:00 r1 begin 课", "11:00:00 r1 end")
		r.became("10:00 课 skipped(skipped)", "10:00 课 done r1")
	})
}

func TestWhatWasLeftOutIsTakenInAgain(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("课", clockTime(10, 0), clockTime(11, 0), daily)
		for _, out := range []bool{true, true, false, false} {
			if _, err := r.s.Skip(r.t.Context(), "课", clockTime(10, 0), out); err != nil {
				t.Fatalf("%v: %v", out, err)
			}
		}
		r.until(10, 20)
		r.saw("10:00:00 r1 begin 课")
		if _, err := r.s.Skip(r.t.Context(), "课", clockTime(10, 0), true); !errors.Is(err, errOccurrenceRuns) {
			t.Errorf("one that runs: %v", err)
		}
		r.until(11, 1)
		r.saw("11:00:00 r1 end")
		for _, out := range []bool{true, false} {
			if _, err := r.s.Skip(r.t.Context(), "课", clockTime(10, 0), out); !errors.Is(err, errOccurrenceOver) {
				t.Errorf("one that is over: %v", err)
			}
		}
		for _, at := range []time.Time{clockTime(10, 1), clockTime(9, 0), clockTime(24+9, 59)} {
			if _, err := r.s.Skip(r.t.Context(), "课", at, true); !errors.Is(err, errNoOccurrence) {
				t.Errorf("nothing is planned at %v: %v", at, err)
			}
		}
		if _, err := r.s.Skip(r.t.Context(), "other", clockTime(24+10, 0), true); !errors.Is(err, errNoOccurrence) {
			t.Errorf("no such schedule: %v", err)
		}
	})
}

func TestWhatIsDueAndWaitsCanBeLeftOut(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.with(func() { r.gone["channels/a"] = true })
		r.start()
		r.rule("课", clockTime(10, 0), clockTime(11, 0), nil)
		r.until(10, 5)
		if _, err := r.s.Skip(r.t.Context(), "课", clockTime(10, 0), true); err != nil {
			t.Fatal(err)
		}
		r.with(func() { r.gone["channels/a"] = false })
		r.until(11, 1)
		r.saw()
		r.became("10:00 课 skipped(skipped)")
	})
}

package api

import (
	"testing"
	"time"
)

func TestTheOutlookIsWhatComesFirstAndWhatWasOverLast(t *testing.T) {
	now := time.Date(2026, 12, 2, 12, 0, 0, 0, time.UTC)
	at := func(schedule string, hours int, state, reason string) Occurrence {
		start := now.Add(time.Duration(hours) * time.Hour)
		o := Occurrence{Schedule: schedule, Start: start, RecordFrom: start, RecordTo: start.Add(90 * time.Minute), State: state}
		if reason != "" {
			o.Reason = &Reason{Code: reason}
		}
		return o
	}
	next, last := nextAndLast([]Occurrence{
		at("daily", -48, "done", ""), at("off", -48, "done", ""), at("daily", -24, "missed", "source_gone"), at("off", -24, "skipped", "disabled"),
		at("due", -1, "conflict", "no_input"), at("daily", 0, "recording", ""), at("off", 24, "skipped", "disabled"),
		at("left out", 24, "skipped", "skipped"), at("daily", 24, "planned", ""), at("left out", 48, "planned", ""), at("daily", 48, "conflict", "no_disk_space"),
	}, now)
	for _, c := range []struct {
		schedule string
		next     int // hours; 0: none
		last     int
	}{{"daily", 24, -24}, {"off", 0, -48}, {"due", -1, 0}, {"left out", 48, 0}} {
		for what, got := range map[string]*Occurrence{"next": next[c.schedule], "last": last[c.schedule]} {
			want := map[string]int{"next": c.next, "last": c.last}[what]
			if (got == nil) != (want == 0) || got != nil && !got.Start.Equal(now.Add(time.Duration(want)*time.Hour)) {
				t.Errorf("%s of %q: %+v, want %d h", what, c.schedule, got, want)
			}
		}
	}
}

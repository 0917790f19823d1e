package ingest

import (
	"testing"
	"time"
)

func TestFaultsAreJudgedByTimeAlone(t *testing.T) {
	const s = int64(time.Second)
	sec := func(f float64) int64 { return int64(f * 1e9) }
	// A source that was opened at 100 s and plays well at 200 s.
	plays := func(change func(*health)) health {
		h := health{now: 200 * s, began: 100 * s, onAir: 101 * s, bytes: 200 * s, media: 200 * s, clock: 200 * s}
		change(&h)
		return h
	}
	all := Rule{On: []Fault{FaultNoPackets, FaultNoMedia, FaultNoPCR, FaultScrambled, FaultBlack, FaultFrozen, FaultSilent}}
	for name, tc := range map[string]struct {
		rule    Rule
		h       health
		fault   Fault
		suspect bool
	}{
		"well":                              {all, plays(func(h *health) {}), "", false},
		"nothing for 0.2 s":                 {all, plays(func(h *health) { h.bytes, h.media = sec(199.8), sec(199.8) }), "", false},
		"nothing for 0.4 s":                 {all, plays(func(h *health) { h.bytes, h.media, h.clock = sec(199.6), sec(199.6), sec(199.6) }), "", true},
		"nothing for 1 s":                   {all, plays(func(h *health) { h.bytes, h.media = 199*s, 199*s }), FaultNoPackets, true},
		"nothing for 1 s, borne for 5":      {Rule{After: map[Fault]time.Duration{FaultNoPackets: 5 * time.Second, FaultNoMedia: 9 * time.Second}}, plays(func(h *health) { h.bytes, h.media = 199*s, 199*s }), "", false},
		"nothing for 9 s, no reason at all": {Rule{On: []Fault{}}, plays(func(h *health) { h.bytes, h.media = 191*s, 191*s }), "", false},
		"packets, no media for 2 s":         {all, plays(func(h *health) { h.media = 198 * s }), FaultNoMedia, true},
		"no PCR for 1 s":                    {all, plays(func(h *health) { h.clock = 199 * s }), "", true},
		"no PCR for 2 s":                    {all, plays(func(h *health) { h.clock = 198 * s }), FaultNoPCR, true},
		"never a PCR":                       {all, plays(func(h *health) { h.clock = 0 }), "", false},
		"scrambled for 1 s":                 {all, plays(func(h *health) { h.media, h.scrambled = 199*s, true }), FaultScrambled, true},
		"said to be scrambled, yet plays":   {all, plays(func(h *health) { h.scrambled = true }), "", false},
		"black for 7 s":                     {all, plays(func(h *health) { h.seen.black = 193 * s }), "", false},
		"black for 9 s":                     {all, plays(func(h *health) { h.seen.black = 191 * s }), "", true},
		"black for 10 s":                    {all, plays(func(h *health) { h.seen.black = 190 * s }), FaultBlack, true},
		"black for 10 s, on air for 3":      {all, plays(func(h *health) { h.seen.black, h.onAir = 190*s, 197*s }), "", false},
		"black for 10 s, and nobody cares":  {Rule{}, plays(func(h *health) { h.seen.black = 190 * s }), "", false},
		"frozen for 10 s":                   {all, plays(func(h *health) { h.seen.frozen = 190 * s }), FaultFrozen, true},
		"silent for 30 s":                   {all, plays(func(h *health) { h.seen.silent = 170 * s }), FaultSilent, true},
		"just opened":                       {all, health{now: 102 * s, began: 100 * s}, "", false},
		"opened, and nothing comes":         {all, health{now: 104 * s, began: 100 * s}, FaultNoPackets, true},
		"opened, and no media comes":        {all, health{now: 105 * s, began: 100 * s, bytes: 105 * s}, FaultNoMedia, true},
		"opened a file that is scrambled":   {all, health{now: 101 * s, began: 100 * s, bytes: 101 * s, scrambled: true}, FaultScrambled, true},
		"ended":                             {all, health{now: 200 * s, began: 100 * s, ended: true}, FaultNoPackets, true},
	} {
		t.Run(name, func(t *testing.T) {
			if f, sus := tc.rule.filled().fault(tc.h); f != tc.fault || sus != tc.suspect {
				t.Errorf("%q, suspect %v; want %q, %v", f, sus, tc.fault, tc.suspect)
			}
		})
	}
}

func TestFindingsLastFromTheFirstOne(t *testing.T) {
	var s seen
	s.observe(Observation{Black: true}, 5)
	s.observe(Observation{Black: true, Silent: true}, 7)
	if s != (seen{black: 5, silent: 7}) {
		t.Errorf("%+v", s)
	}
	s.observe(Observation{Silent: true}, 9)
	s.observe(Observation{Black: true, Silent: true}, 11)
	if s != (seen{black: 11, silent: 7}) {
		t.Errorf("%+v", s)
	}
}

func TestRulesThatMakeNoSenseAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		rule Rule
		ok   bool
	}{
		"nothing said":     {Rule{}, true},
		"everything said":  {DefaultRule(), true},
		"unknown fault":    {Rule{On: []Fault{"ugly"}}, false},
		"unknown patience": {Rule{After: map[Fault]time.Duration{"ugly": time.Second}}, false},
		"no patience":      {Rule{After: map[Fault]time.Duration{FaultBlack: time.Millisecond}}, false},
		"years":            {Rule{After: map[Fault]time.Duration{FaultBlack: 24 * time.Hour}}, false},
		"unknown way back": {Rule{Back: "perhaps"}, false},
		"negative hold":    {Rule{BackAfter: -1}, false},
		"a reason of ours": {Rule{On: []Fault{faultManual}}, false},
	} {
		if err := tc.rule.Check(); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

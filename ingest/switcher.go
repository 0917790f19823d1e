package ingest

import "time"

const (
	// stagger is how long a source that is opened in place of another one may take
	// before the next one is opened beside it (RFC 8305 does so with addresses).
	stagger = 2500 * time.Millisecond
	// linger keeps a source open after the suspicion that opened it passed, so that
	// a line that stutters does not open it again and again.
	linger = 5 * time.Second
	// manualPatience is how long a source that somebody asked for may take.
	manualPatience = 15 * time.Second
	// A primary that fails soon after its return is held longer before the next one.
	soon    = 10 * time.Minute
	maxHold = time.Hour
)

// view is what the switcher sees of one source. Times are nanoseconds of the clock.
type view struct {
	ready  bool  // it holds a place to begin: it can go on air now
	onAir  bool  // it writes the channel
	well   int64 // since when it has been without fault; 0: it is not
	failed bool  // its newest attempt ended without media
	gone   bool  // no longer one of the channel's

	fault     Fault // of the source on air, that counts for the rule
	suspected bool
}

// decision is what the switcher wants.
type decision struct {
	open []bool // the sources to run
	take int    // the source to put on air as soon as it can begin; -1: leave it
	why  Fault
}

// switcher decides which source of a channel is on air and which are open. It is
// pure but for what it remembers; its owner calls step from time to time and
// switched when a source has gone on air.
type switcher struct {
	rule Rule

	current  int   // the source on air, or to be on air
	trouble  int64 // since when the current one is suspect or at fault; 0: it is not
	calm     int64 // when the last trouble ended
	opened   int   // how many others were opened in this trouble
	manual   int   // what somebody asked for; -1: nothing
	asked    int64
	pinned   bool // somebody chose the current one: no return by itself
	hold     time.Duration
	returned int64         // when the primary went on air by its return
	left     map[int]int64 // when a source was left for what was seen of it
}

func newSwitcher(rule Rule) *switcher {
	rule = rule.filled()
	return &switcher{rule: rule, manual: -1, hold: rule.BackAfter, left: make(map[int]int64)}
}

// setRule changes the rule without forgetting what is on air.
func (s *switcher) setRule(rule Rule) {
	s.rule = rule.filled()
	s.hold = s.rule.BackAfter
}

// renumber says that the sources are others now, and which one is on air.
func (s *switcher) renumber(current int) {
	s.current, s.manual = current, -1
	clear(s.left)
}

// ask wants a source on air because somebody said so.
func (s *switcher) ask(n int, now int64) { s.manual, s.asked = n, now }

// step decides at a moment. There is a view for each source, in order.
func (s *switcher) step(now int64, v []view) decision {
	d := decision{open: make([]bool, len(v)), take: -1}
	cur := v[s.current]
	d.open[s.current] = true
	if !cur.onAir && cur.ready && !cur.gone {
		d.take, d.why = s.current, FaultNone // it began, or begins anew
	}
	s.notice(now, cur)
	others := s.others(v)
	switch {
	case s.manual >= 0:
		s.byHand(now, v, &d)
	case s.trouble > 0:
		s.leave(now, v, others, &d)
	case s.current > 0 && s.rule.Back == BackAuto && !s.pinned:
		d.open[0] = true
		if v[0].ready && v[0].well > 0 && now-v[0].well >= int64(s.hold) {
			d.take, d.why = 0, faultBack
		}
	}
	if s.manual < 0 && s.trouble == 0 && s.calm > 0 && now-s.calm < int64(linger) {
		for i := range min(s.opened, len(others)) {
			d.open[others[i]] = true
		}
	}
	if s.rule.Standby && len(others) > 0 {
		d.open[others[0]] = true
	}
	return d
}

// notice follows the troubles of the source on air.
func (s *switcher) notice(now int64, cur view) {
	bad := cur.suspected || cur.fault != FaultNone || cur.gone
	switch {
	case bad && s.trouble == 0:
		s.trouble, s.opened = now, 0
	case !bad && s.trouble > 0:
		s.trouble, s.calm = 0, now
	}
}

// others are the sources but the current one, in the order in which they are tried:
// the primary first.
func (s *switcher) others(v []view) []int {
	var list []int
	for i := range v {
		if i != s.current && !v[i].gone {
			list = append(list, i)
		}
	}
	return list
}

// leave opens other sources, one after the other while none of them can begin, and
// takes the first that can once the fault is certain.
func (s *switcher) leave(now int64, v []view, others []int, d *decision) {
	cur := v[s.current]
	want := 1 + int((now-s.trouble)/int64(stagger))
	for i, o := range others {
		if i < want {
			d.open[o] = true
			s.opened = max(s.opened, i+1)
			if v[o].failed { // no use waiting for it
				want++
			}
		}
	}
	if cur.fault == FaultNone && !cur.gone {
		return
	}
	for _, o := range others {
		if !v[o].ready || v[o].well == 0 {
			continue
		}
		if cur.fault.content() {
			// A source that was left for its own black picture is no better, as long
			// as nobody looked again.
			if at, ok := s.left[o]; ok && now-at < int64(max(s.rule.BackAfter, time.Minute)) {
				continue
			}
		}
		d.take, d.why = o, cur.fault
		if cur.gone {
			d.why = faultRemoved
		}
		return
	}
}

// byHand does what somebody asked for.
func (s *switcher) byHand(now int64, v []view, d *decision) {
	if s.manual >= len(v) || v[s.manual].gone || s.manual == s.current || now-s.asked > int64(manualPatience) {
		s.manual = -1
		return
	}
	d.open[s.manual] = true
	if v[s.manual].ready {
		d.take, d.why = s.manual, faultManual
	}
}

// switched notes that a source went on air, and why.
func (s *switcher) switched(now int64, to int, why Fault) {
	if to == s.current {
		return
	}
	if why.content() {
		s.left[s.current] = now
	}
	if s.current == 0 && why != faultManual {
		if s.returned > 0 && now-s.returned < int64(soon) {
			s.hold = min(2*max(s.hold, time.Second), maxHold)
		} else {
			s.hold = s.rule.BackAfter
		}
	}
	s.returned = 0
	if to == 0 && why == faultBack {
		s.returned = now
	}
	if why == faultManual {
		s.manual = -1
	}
	s.pinned = why == faultManual && to != 0
	s.current, s.trouble, s.calm, s.opened = to, 0, 0, 0
}

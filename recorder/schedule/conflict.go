package schedule

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Capacity is what there is. Zero values do not bound.
type Capacity struct {
	// BytesPerSecond is how fast the disk writes, FreeBytes what may be filled.
	BytesPerSecond, FreeBytes int64
	// Transcoders is how many streams may be changed at once.
	Transcoders int
	// Inputs is how many different sources of one group, such as the programmes of a
	// tuner, can be received at once; groups that are not listed are not bounded.
	Inputs map[string]int
}

// Need is what recording a stream takes.
type Need struct {
	BytesPerSecond int64
	Transcodes     bool
	InputGroup     string // empty: an input of its own
	Input          string // within the group: two recordings of one input need it once
}

// Conflicts marks the occurrences for which there is no room: those of lower
// priority give way, among equals those that begin later. need says what a stream
// takes. The occurrences keep their order; what is over, skipped or missed takes nothing.
func Conflicts(plan []Occurrence, have Capacity, need func(stream string) Need) []Occurrence {
	out := slices.Clone(plan)
	order := make([]int, 0, len(out))
	for i, o := range out {
		if o.State == Planned || o.State == Recording {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := out[a], out[b]
		running := func(o Occurrence) int {
			if o.State == Recording {
				return 1
			}
			return 0
		}
		return cmp.Or(-cmp.Compare(running(x), running(y)), -cmp.Compare(x.Priority, y.Priority), x.RecordFrom.Compare(y.RecordFrom), cmp.Compare(x.Key, y.Key))
	})
	c := crowd{all: out, have: have, need: remembered(need), hours: make(map[int64][]int), seen: make([]int, len(out))}
	first, bytes := -1, int64(0)
	for _, i := range order {
		o := out[i]
		size := c.need(o.Stream).BytesPerSecond * int64(o.RecordTo.Sub(o.RecordFrom)/time.Second)
		why, lostTo := ReasonNone, -1
		if have.FreeBytes > 0 && bytes+size > have.FreeBytes {
			why, lostTo = ReasonNoRoom, first
		} else {
			why, lostTo = c.full(i)
		}
		if why != ReasonNone && o.State == Planned {
			out[i].State, out[i].Reason = Conflict, why
			if lostTo >= 0 {
				out[i].LostTo = out[lostTo].Key
			}
			continue
		}
		bytes += size
		if first < 0 {
			first = i
		}
		c.keep(i)
	}
	return out
}

// remembered asks once for each stream.
func remembered(need func(string) Need) func(string) Need {
	known := make(map[string]Need)
	return func(name string) Need {
		n, ok := known[name]
		if !ok {
			n = need(name)
			known[name] = n
		}
		return n
	}
}

// crowd is what is kept, by the hours that it touches: a plan of months is not
// compared each with each.
type crowd struct {
	all   []Occurrence
	have  Capacity
	need  func(string) Need
	hours map[int64][]int
	seen  []int // by occurrence: the last that it was compared with, and 1
}

// span returns the hours that an occurrence touches.
func (c *crowd) span(i int) (from, to int64) {
	return c.all[i].RecordFrom.Unix() / 3600, c.all[i].RecordTo.Unix() / 3600
}

func (c *crowd) keep(i int) {
	for h, to := c.span(i); h <= to; h++ {
		c.hours[h] = append(c.hours[h], i)
	}
}

// full says what is exceeded at any moment of occurrence i beside those kept, and
// which of them has the room; -1: none.
func (c *crowd) full(i int) (Reason, int) {
	o := &c.all[i]
	var beside []int
	// The load is highest where one of them begins.
	moments := map[int64]bool{o.RecordFrom.UnixNano(): true}
	for h, to := c.span(i); h <= to; h++ {
		for _, k := range c.hours[h] {
			x := &c.all[k]
			if c.seen[k] == i+1 || !x.RecordFrom.Before(o.RecordTo) || !o.RecordFrom.Before(x.RecordTo) {
				continue
			}
			c.seen[k] = i + 1
			beside = append(beside, k)
			if x.RecordFrom.After(o.RecordFrom) {
				moments[x.RecordFrom.UnixNano()] = true
			}
		}
	}
	slices.Sort(beside) // whatever the hours, the answer is the same
	now := make([]Occurrence, 0, len(beside)+1)
	for _, at := range slices.Sorted(maps.Keys(moments)) {
		now = now[:0]
		winner := -1
		for _, k := range beside {
			if x := &c.all[k]; x.RecordFrom.UnixNano() <= at && x.RecordTo.UnixNano() > at {
				now = append(now, *x)
				if winner < 0 || x.Priority > c.all[winner].Priority {
					winner = k
				}
			}
		}
		if why := exceeded(append(now, *o), c.have, c.need); why != ReasonNone {
			return why, winner
		}
	}
	return ReasonNone, -1
}

func exceeded(at []Occurrence, have Capacity, need func(string) Need) Reason {
	var speed int64
	transcoded := make(map[string]bool)
	inputs := make(map[string]map[string]bool)
	streams := make(map[string]bool)
	for _, o := range at {
		n := need(o.Stream)
		speed += n.BytesPerSecond
		if n.Transcodes {
			transcoded[o.Stream] = true
		}
		if streams[o.Stream] {
			continue
		}
		streams[o.Stream] = true
		if n.InputGroup != "" {
			if inputs[n.InputGroup] == nil {
				inputs[n.InputGroup] = make(map[string]bool)
			}
			inputs[n.InputGroup][n.Input] = true
		}
	}
	switch {
	case have.BytesPerSecond > 0 && speed > have.BytesPerSecond:
		return ReasonNoSpeed
	case have.Transcoders > 0 && len(transcoded) > have.Transcoders:
		return ReasonNoTranscoder
	}
	for group, used := range inputs {
		if most, bounded := have.Inputs[group]; bounded && len(used) > most {
			return ReasonNoInput
		}
	}
	return ReasonNone
}

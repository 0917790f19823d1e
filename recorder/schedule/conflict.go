package schedule

import (
	"cmp"
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
	var kept []int
	var bytes int64
	for _, i := range order {
		o := out[i]
		size := need(o.Stream).BytesPerSecond * int64(o.RecordTo.Sub(o.RecordFrom)/time.Second)
		why, lostTo := ReasonNone, ""
		if have.FreeBytes > 0 && bytes+size > have.FreeBytes {
			why = ReasonNoRoom
			if len(kept) > 0 {
				lostTo = out[kept[0]].Key
			}
		} else {
			why, lostTo = crowded(out, kept, i, have, need)
		}
		if why != ReasonNone && o.State == Planned {
			out[i].State, out[i].Reason, out[i].LostTo = Conflict, why, lostTo
			continue
		}
		bytes += size
		kept = append(kept, i)
	}
	return out
}

// crowded says what is exceeded at any moment of occurrence i beside those kept, and
// which of them has the room.
func crowded(all []Occurrence, kept []int, i int, have Capacity, need func(string) Need) (Reason, string) {
	o := all[i]
	// The load is highest where one of them begins.
	moments := []time.Time{o.RecordFrom}
	var beside []Occurrence
	for _, k := range kept {
		if x := all[k]; x.RecordFrom.Before(o.RecordTo) && o.RecordFrom.Before(x.RecordTo) {
			beside = append(beside, x)
			if x.RecordFrom.After(o.RecordFrom) {
				moments = append(moments, x.RecordFrom)
			}
		}
	}
	for _, at := range moments {
		now := active(beside, at)
		if why := exceeded(append(now, o), have, need); why != ReasonNone {
			if len(now) == 0 {
				return why, ""
			}
			return why, now[0].Key
		}
	}
	return ReasonNone, ""
}

func active(list []Occurrence, at time.Time) []Occurrence {
	var out []Occurrence
	for _, o := range list {
		if !o.RecordFrom.After(at) && o.RecordTo.After(at) {
			out = append(out, o)
		}
	}
	return out
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

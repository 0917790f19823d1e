package schedule

import (
	"cmp"
	"slices"
	"time"
)

// soon is how much room what is to begin, or to go on, must have at least.
const soon = time.Minute

// Admit decides what of list, which runs or is due now, is to run: the others become
// Conflict with the reason, in a copy in the same order. It looks at what is now where
// [Conflicts] looks ahead, and so it lets a recording run into a disk that will be
// full unless one of higher priority needs the room.
//
// What runs gives way only to higher priority and only where the disk cannot: what
// is left free would be taken from the higher one's, or together they are faster than
// it writes. Inputs and transcoders are not taken from what runs.
func Admit(list []Occurrence, now time.Time, have Capacity, need func(stream string) Need) []Occurrence {
	out := slices.Clone(list)
	order := make([]int, len(out))
	for i := range order {
		order[i] = i
	}
	runs := func(o Occurrence) int {
		if o.State == Recording {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := out[a], out[b]
		return cmp.Or(-cmp.Compare(x.Priority, y.Priority), -cmp.Compare(runs(x), runs(y)), x.RecordFrom.Compare(y.RecordFrom), cmp.Compare(x.Key, y.Key))
	})
	var kept []Occurrence
	for n, i := range order {
		o := out[i]
		why, lostTo := noRoom(o, kept, now, have, need)
		if why == ReasonNone && o.State != Recording {
			beside := slices.Clone(kept)
			for _, k := range order[n+1:] {
				if out[k].State == Recording { // it keeps its input, whatever its priority
					beside = append(beside, out[k])
				}
			}
			if len(beside) > 0 {
				why, lostTo = exceeded(append(beside, o), Capacity{Transcoders: have.Transcoders, Inputs: have.Inputs}, need), beside[0].Key
			}
		}
		if why != ReasonNone {
			out[i].State, out[i].Reason, out[i].LostTo = Conflict, why, lostTo
			continue
		}
		kept = append(kept, o)
	}
	return out
}

// noRoom says why the disk cannot take an occurrence beside those kept, which have
// the same priority or a higher one.
func noRoom(o Occurrence, kept []Occurrence, now time.Time, have Capacity, need func(string) Need) (Reason, string) {
	mine := need(o.Stream).BytesPerSecond
	var reserved, speed int64
	higher := ""
	for _, k := range kept {
		rate := need(k.Stream).BytesPerSecond
		speed += rate
		if k.Priority > o.Priority {
			reserved += rate * int64(max(k.RecordTo.Sub(now), 0)/time.Second)
			if higher == "" {
				higher = k.Key
			}
		}
	}
	if higher == "" && (o.State == Recording || len(kept) == 0) {
		return ReasonNone, ""
	}
	switch {
	case higher != "" && have.FreeBytes > 0 && have.FreeBytes-reserved < mine*int64(soon/time.Second):
		return ReasonNoRoom, higher
	case have.BytesPerSecond > 0 && speed+mine > have.BytesPerSecond:
		return ReasonNoSpeed, cmp.Or(higher, kept[0].Key)
	}
	return ReasonNone, ""
}

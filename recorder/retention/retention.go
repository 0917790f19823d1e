// Package retention decides which recordings leave the library, and why. It is pure:
// rows, rules and the time go in, removals come out; recorder/library carries them out.
//
// A recording is kept as long as its class says, or as it was given. Then it goes to
// the recycle bin, and after the bin's time its files are removed. A class that has
// more than its quota, and a disk that has less than its floor, lose first what is in
// the bin, then what would expire next. What is held, what runs, and what is kept for
// ever is never removed.
package retention

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Period is how long something is kept. The zero value is for ever.
type Period struct{ years, days int }

// Forever is the text of a period without an end.
const Forever = "forever"

// longest bounds a period, in years.
const longest = 100

// ErrPeriod: the text is no period.
var ErrPeriod = errors.New("not a period: want days (30d), years (10y) or forever")

// Parse reads "30d", "10y" or "forever".
func Parse(text string) (Period, error) {
	if text == Forever {
		return Period{}, nil
	}
	if len(text) < 2 {
		return Period{}, fmt.Errorf("%q: %w", text, ErrPeriod)
	}
	n, err := strconv.Atoi(text[:len(text)-1])
	if err != nil || n < 1 {
		return Period{}, fmt.Errorf("%q: %w", text, ErrPeriod)
	}
	switch unit := text[len(text)-1]; {
	case unit == 'd' && n <= longest*366:
		return Period{days: n}, nil
	case unit == 'y' && n <= longest:
		return Period{years: n}, nil
	}
	return Period{}, fmt.Errorf("%q: %w", text, ErrPeriod)
}

// End returns when a period that begins at a moment is over; false: never.
func (p Period) End(from time.Time) (time.Time, bool) {
	if p == (Period{}) {
		return time.Time{}, false
	}
	return from.AddDate(p.years, 0, p.days), true
}

// Class is how recordings of one class are kept.
type Class struct {
	Keep  Period
	Quota int64 // bytes of all of them, those in the bin and what was made of them too; 0: no bound
}

// Rules are the operator's.
type Rules struct {
	Classes map[string]Class // by the class's name; one that is missing is kept for ever
	Bin     time.Duration    // how long the recycle bin keeps
	Floor   int64            // bytes that are to stay free on the disk; 0: none
}

// Row is a recording.
type Row struct {
	ID        string
	Class     string
	Retention string     // see [store.Recording]
	Expires   *time.Time // with Retention "date"
	Ended     time.Time
	Bytes     int64 // with everything in its folder
	Active    bool
	Hold      bool
	Deleted   *time.Time
}

// Expires returns when a recording is to go to the bin; false: never. A retention
// that cannot be read is for ever.
func (r Rules) Expires(x Row) (time.Time, bool) {
	switch x.Retention {
	case "":
		return r.Classes[x.Class].Keep.End(x.Ended)
	case "date":
		if x.Expires == nil {
			return time.Time{}, false
		}
		return *x.Expires, true
	}
	p, err := Parse(x.Retention)
	if err != nil {
		return time.Time{}, false
	}
	return p.End(x.Ended)
}

// Purges returns when the files of a recording in the bin are to be removed; false:
// not by its time there. What is held stays.
func (r Rules) Purges(x Row) (time.Time, bool) {
	if x.Deleted == nil || x.Hold {
		return time.Time{}, false
	}
	return x.Deleted.Add(r.Bin), true
}

// Action is what is done with a recording.
type Action string

// The actions.
const (
	ToBin Action = "bin"   // into the recycle bin
	Purge Action = "purge" // its files are removed
)

// Reason is why, a stable code.
type Reason string

// The reasons.
const (
	Expired  Reason = "expired"  // its time is over
	BinTime  Reason = "bin_time" // it was in the bin long enough
	OverFull Reason = "quota"    // its class has more than its quota
	NoSpace  Reason = "no_space" // the disk has less than its floor
)

// Removal is one decision.
type Removal struct {
	ID     string
	Action Action
	Reason Reason
	Bytes  int64
}

// Decision is all that is to be done now.
type Decision struct {
	Removals []Removal
	// Short is how many bytes each class has beyond its quota, though nothing more of
	// it may be removed; "" is the disk below its floor.
	Short map[string]int64
}

// Decide returns what is to be done now, in the order in which to do it. free is what
// the disk has; negative: not known.
func (r Rules) Decide(now time.Time, rows []Row, free int64) Decision {
	d := Decision{Short: map[string]int64{}}
	purged := map[string]bool{}
	binned := map[string]bool{}
	purge := func(x Row, why Reason) {
		purged[x.ID] = true
		d.Removals = append(d.Removals, Removal{x.ID, Purge, why, x.Bytes})
		if free >= 0 {
			free += x.Bytes
		}
	}
	for _, x := range rows {
		expires, ends := r.Expires(x)
		gone, leaves := r.Purges(x)
		switch {
		case x.Active || x.Hold:
		case leaves && !now.Before(gone):
			purge(x, BinTime)
		case x.Deleted == nil && ends && !now.Before(expires):
			binned[x.ID] = true
		}
	}
	used := map[string]int64{}
	for _, x := range rows {
		if !purged[x.ID] {
			used[x.Class] += x.Bytes
		}
	}
	queue := r.queue(rows, purged)
	for _, x := range queue {
		if quota := r.Classes[x.Class].Quota; quota > 0 && used[x.Class] > quota {
			purge(x, OverFull)
			used[x.Class] -= x.Bytes
		}
	}
	for _, x := range queue {
		if r.Floor == 0 || free < 0 || free >= r.Floor {
			break
		}
		if !purged[x.ID] {
			purge(x, NoSpace)
		}
	}
	for class, n := range used {
		if quota := r.Classes[class].Quota; quota > 0 && n > quota {
			d.Short[class] = n - quota
		}
	}
	if r.Floor > 0 && free >= 0 && free < r.Floor {
		d.Short[""] = r.Floor - free
	}
	for _, x := range rows {
		if binned[x.ID] && !purged[x.ID] {
			d.Removals = append(d.Removals, Removal{x.ID, ToBin, Expired, x.Bytes})
		}
	}
	return d
}

// queue returns what may be removed for want of room, first what goes first: what is
// in the bin, longest there first; then what expires, soonest first.
func (r Rules) queue(rows []Row, purged map[string]bool) []Row {
	type entry struct {
		Row
		when time.Time
	}
	var out []entry
	for _, x := range rows {
		if x.Active || x.Hold || purged[x.ID] || x.Bytes == 0 {
			continue
		}
		if x.Deleted != nil {
			out = append(out, entry{x, *x.Deleted})
		} else if expires, ends := r.Expires(x); ends {
			out = append(out, entry{x, expires})
		}
	}
	slices.SortStableFunc(out, func(a, b entry) int {
		if (a.Deleted != nil) != (b.Deleted != nil) {
			if a.Deleted != nil {
				return -1
			}
			return 1
		}
		return cmp.Or(a.when.Compare(b.when), cmp.Compare(a.ID, b.ID))
	})
	l := make([]Row, len(out))
	for i, e := range out {
		l[i] = e.Row
	}
	return l
}

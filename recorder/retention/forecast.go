package retention

import "time"

// horizon is how far a forecast goes; later is never.
const horizon = 100 * 365

// Forecast returns when free bytes of the disk will be used up if each class gains
// perDay and loses what the rules remove: what stayed in the recycle bin long enough
// after its time was over, and what its quota does not hold. Each row may stand for
// many recordings. false: never. What the floor removes is not counted: it is there so
// that the disk is never full, and takes what was to be kept longer.
//
// It goes by days, and new recordings are kept as their class says.
func (r Rules) Forecast(now time.Time, rows []Row, perDay map[string]int64, free int64) (time.Time, bool) {
	const day = 24 * time.Hour
	classes := make(map[string]*ahead)
	of := func(name string) *ahead {
		if classes[name] == nil {
			a := &ahead{rules: r.Classes[name], goes: make(map[int]int64), perDay: perDay[name], stays: -1}
			if end, ends := a.rules.Keep.End(now); ends {
				a.stays = int((end.Sub(now) + r.Bin + day - 1) / day)
			}
			classes[name] = a
		}
		return classes[name]
	}
	for name := range perDay {
		of(name)
	}
	for _, x := range rows {
		a := of(x.Class)
		a.used += x.Bytes
		gone, goes := x.Deleted, x.Deleted != nil
		if !goes {
			var end time.Time
			if end, goes = r.Expires(x); goes {
				gone = &end
				if end.Before(now) {
					gone = &now // it goes to the bin now
				}
			}
		}
		if !goes || x.Hold {
			continue
		}
		a.goes[max(int((gone.Add(r.Bin).Sub(now)+day-1)/day), 1)] += x.Bytes
		a.may += x.Bytes
	}
	if free <= 0 {
		return now, true
	}
	for d := 1; d <= horizon; d++ {
		gained := int64(0)
		for _, a := range classes {
			gained += a.step(d)
		}
		if gained >= free {
			return now.Add(time.Duration((float64(d-1) + float64(free)/float64(gained)) * float64(day))), true
		}
		free -= gained
	}
	return time.Time{}, false
}

// ahead is a class in the days to come.
type ahead struct {
	rules  Class
	perDay int64
	stays  int           // days that a new recording is on the disk; negative: for ever
	goes   map[int]int64 // bytes that go on a day by their time, of what is there now
	used   int64
	may    int64 // of used, what goes some day, and for want of room before it
	before int64 // bytes that went before their time
}

// step goes on to day d and returns how much the class has gained, or lost when negative.
func (a *ahead) step(d int) int64 {
	due := a.goes[d]
	if a.stays >= 0 && d > a.stays {
		due += a.perDay
	}
	early := min(a.before, due) // what went for want of room goes no more
	a.before -= early
	out := due - early
	if a.stays >= 0 {
		a.may += a.perDay
	}
	a.may -= out
	a.used += a.perDay - out
	if q := a.rules.Quota; q > 0 && a.used > q {
		over := min(a.used-q, a.may)
		a.used -= over
		a.may -= over
		a.before += over
		out += over
	}
	return a.perDay - out
}

package feed

// Poll returns the next event if there is one now, in the order of [Feed.Next]. It
// never blocks: it is for an owner that wakes by its own clock.
func (f *Feed) Poll() (Event, bool) {
	for {
		if !f.told && len(f.tracks) > 0 {
			f.told = true
			return Event{}, true
		}
		f.drain()
		if i := f.ready(false); i >= 0 {
			return f.take(i), true
		}
		select {
		case <-f.changed:
			f.noticed()
		case <-f.settle:
			if e, ok := f.settled(); ok {
				return e, true
			}
		default:
			return Event{}, false
		}
	}
}

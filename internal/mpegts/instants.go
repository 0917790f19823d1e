package mpegts

// instants watches whether a stream of H.264 has instantaneous refreshes (IDR), or
// only recovery points, at which decoding may start too but not every decoder does.
// The zero value is ready.
type instants struct {
	absent bool  // no picture is an IDR
	count  int   // of IDRs
	last   int64 // DTS of the newest
	syncs  int   // sync points since then, without it
}

// instantsWithin is how far apart IDRs lie in a stream that is said to have them: as
// long as a player can be asked to wait. One that came by chance, because the encoder
// or the file began, does not count.
const instantsWithin = 10 * Ticks

// picture takes the next picture and reports whether absent changed.
func (w *instants) picture(sync, idr bool, dts int64) (changed bool) {
	was := w.absent
	switch {
	case idr:
		if w.count > 0 && forward(w.last, dts) <= instantsWithin {
			w.absent = false
		}
		w.count, w.last, w.syncs = w.count+1, dts, 0
	case sync:
		w.syncs++
		if w.syncs >= 2 && (w.count == 0 || forward(w.last, dts) > instantsWithin) {
			w.absent = true
		}
	}
	return was != w.absent
}

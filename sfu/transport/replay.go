package transport

// replayWindow is how many packets back one may still arrive. Firefox probes for
// bandwidth by sending old packets again; a window this wide takes them as what
// they are, duplicates, instead of as too old to know.
const replayWindow = 512

// window knows which of the newest indices were seen (RFC 3711 section 3.3.2).
type window struct {
	begun bool
	top   int64
	seen  [replayWindow / 64]uint64
}

// fresh reports whether an index was not seen yet.
func (w *window) fresh(i int64) bool {
	switch {
	case !w.begun || i > w.top:
		return true
	case w.top-i >= replayWindow:
		return false
	}
	return w.seen[i>>6&(replayWindow/64-1)]&(1<<(i&63)) == 0
}

// mark notes an index that is authentic.
func (w *window) mark(i int64) {
	switch {
	case !w.begun:
		w.begun, w.top = true, i
	case i > w.top:
		for s := max(w.top+1, i-replayWindow+1); s <= i; s++ {
			w.seen[s>>6&(replayWindow/64-1)] &^= 1 << (s & 63)
		}
		w.top = i
	}
	w.seen[i>>6&(replayWindow/64-1)] |= 1 << (i & 63)
}

// Inbound is what opening the packets of one SSRC needs to remember: where its
// sequence numbers are (RFC 3711 section 3.3.1) and which were seen. It belongs to
// the goroutine that opens them; the zero value is ready.
type Inbound struct{ seen window }

// index guesses the 48-bit index of a sequence number: the one nearest to the newest.
func (in *Inbound) index(seq uint16) int64 {
	if !in.seen.begun {
		return int64(seq)
	}
	i := in.seen.top + int64(int16(seq-uint16(in.seen.top)))
	if i < 0 {
		i += 1 << 16
	}
	return i
}

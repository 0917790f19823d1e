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

// maxReporters is how many senders of RTCP one connection may have: a page that
// publishes has one for each track and layer, one that watches one or two.
const maxReporters = 64

// windows are those of the RTCP of one connection, by SSRC: each sender counts its
// own packets (RFC 3711 sections 3.2.3 and 3.4.1), so two reports with one index are no
// replay when two tracks sent them. The zero value is ready.
type windows struct {
	of   map[uint32]*reporter
	turn uint64
}

type reporter struct {
	window
	used uint64 // turn of its newest packet
}

// fresh reports whether an index of a sender was not seen yet.
func (w *windows) fresh(ssrc uint32, i int64) bool {
	r := w.of[ssrc]
	return r == nil || r.fresh(i)
}

// mark notes an index that is authentic. Who makes up more senders than any page
// has is forgotten in the order of silence.
func (w *windows) mark(ssrc uint32, i int64) {
	r := w.of[ssrc]
	if r == nil {
		if w.of == nil {
			w.of = make(map[uint32]*reporter)
		}
		if len(w.of) >= maxReporters {
			w.forget()
		}
		r = new(reporter)
		w.of[ssrc] = r
	}
	w.turn++
	r.used = w.turn
	r.mark(i)
}

// forget lets go of the sender that was silent longest.
func (w *windows) forget() {
	oldest, at := uint32(0), w.turn+1
	for ssrc, r := range w.of {
		if r.used < at {
			oldest, at = ssrc, r.used
		}
	}
	delete(w.of, oldest)
}

package mpegts

import (
	"context"
	"slices"
	"sync"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	core "tongxiang/internal/mpegts"
)

// Muxes reads each multiplex once, whatever the number of channels that take a
// programme of it: they are one source when their addresses are the same. The zero
// value is ready. It is safe for concurrent use.
type Muxes struct {
	// Programs are the tuner programs that exec: addresses may name, each with its
	// arguments. FFmpeg makes transport streams of other files; empty: such files
	// are not played. Set before use.
	Programs map[string][]string
	FFmpeg   string

	mu   sync.Mutex // guards open, and who is in a mux
	open map[string]*mux
}

// mux is one multiplex being read. Its goroutine reads, demuxes and writes the
// tracks of all its receivers; it ends with the source, or with the last receiver.
type mux struct {
	key    string
	clock  media.Clock
	cancel context.CancelFunc
	done   chan struct{} // closed when the reader has ended
	err    error         // why; set before done is closed
	users  int           // guarded by Muxes.mu

	mu        sync.Mutex // held while bytes are fed; guards what follows
	demux     *core.Demuxer
	receivers []*receiver
	taps      []*tap
	si        information
	now       int64
	pcrOf     uint16 // whose clock is the pace of a file: the first that was seen
	pcr       int64
	clocked   bool
	way       source.Link // what the transport said last
	raws      *raws       // nil: nobody takes packets raw
	stale     bool        // a service that is tapped changed
}

// run brings a programme in until ctx or the source ends.
func (m *Muxes) run(ctx context.Context, s *Source, out *source.Output) error {
	var r *receiver
	x := m.enter(s, out.Clock, func(x *mux) { r = x.add(out, s.program) })
	defer m.leave(x, func() { x.remove(r) })
	return x.wait(ctx)
}

// wait returns when ctx or the mux ends.
func (x *mux) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-x.done:
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return x.err
}

// enter joins the mux of an address, which begins with the first who does.
func (m *Muxes) enter(s *Source, clock media.Clock, join func(*mux)) *mux {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := s.url.String()
	x := m.open[key]
	if x != nil {
		x.users++
		join(x)
		return x
	}
	if m.open == nil {
		m.open = make(map[string]*mux)
	}
	x = newMux(key, clock)
	m.open[key] = x
	ctx, cancel := context.WithCancel(context.Background())
	x.cancel = cancel
	x.users++
	// The receiver is there before the reader: a source that is faster than its
	// clock would have passed by before anybody took it.
	join(x)
	go m.read(ctx, x, s)
	return x
}

// read is a mux's goroutine.
func (m *Muxes) read(ctx context.Context, x *mux, s *Source) {
	err := s.open(ctx, s, &source.Output{Clock: x.clock}, x)
	x.finish()
	m.mu.Lock()
	if m.open[x.key] == x {
		delete(m.open, x.key) // who comes now begins another
	}
	m.mu.Unlock()
	x.err = err
	close(x.done)
}

// leave undoes enter. The last one ends the reader and waits for it.
func (m *Muxes) leave(x *mux, part func()) {
	part()
	m.mu.Lock()
	x.users--
	last := x.users == 0
	if last && m.open[x.key] == x {
		delete(m.open, x.key)
	}
	m.mu.Unlock()
	if last {
		x.cancel()
		<-x.done
	}
}

func newMux(key string, clock media.Clock) *mux {
	x := &mux{key: key, clock: clock, done: make(chan struct{})}
	x.demux = core.NewDemuxer(core.Handler{
		Service: func(s *core.Service) { x.stale = x.raws != nil; x.each(func(r *receiver) { r.service(s) }) },
		Gone:    func(s *core.Service) { x.stale = x.raws != nil; x.each(func(r *receiver) { r.gone(s) }) },
		Format:  func(st *core.Stream) { x.each(func(r *receiver) { r.format(st) }) },
		Frame:   x.frame,
		PCR:     x.reference,
		Section: x.section,
		Want: func(s *core.Service) bool {
			return slices.ContainsFunc(x.receivers, func(r *receiver) bool { return r.chosen == s })
		},
	})
	return x
}

// each calls f for all receivers. A receiver may change what it has chosen meanwhile.
func (x *mux) each(f func(*receiver)) {
	for _, r := range x.receivers {
		f(r)
	}
}

// add begins to bring a programme in, from what is known of the multiplex already.
func (x *mux) add(out *source.Output, program int) *receiver {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := newReceiver(out, program, x.demux, &x.way)
	r.now, r.si = x.now, &x.si
	x.receivers = append(x.receivers, r)
	for _, s := range slices.Clone(x.demux.Services()) {
		r.service(s)
	}
	if x.way.Waiting {
		r.report()
	}
	return r
}

func (x *mux) remove(r *receiver) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r.raw != nil {
		r.raw.flush()
		x.stale = true
	}
	x.receivers = slices.DeleteFunc(x.receivers, func(o *receiver) bool { return o == r })
	x.rewire()
	x.demux.Reselect()
}

// feed implements feeder.
func (x *mux) feed(b []byte, arrival int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.now > 0 && arrival-x.now > silence {
		x.anew() // it may be another sender, with another clock
	}
	x.now = arrival
	for _, r := range x.receivers {
		r.now = arrival
	}
	x.rewire()
	x.demux.Feed(b, arrival)
	if x.raws != nil {
		for _, t := range x.raws.list {
			t.late(arrival)
		}
	}
	for _, t := range x.taps {
		t.f(b)
	}
	for _, r := range x.receivers {
		r.received(len(b))
		if arrival >= r.next {
			r.next = arrival + reportEvery
			r.report()
		}
	}
}

// restart implements feeder.
func (x *mux) restart() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.anew()
}

// anew says that what follows does not continue what came before.
func (x *mux) anew() {
	x.demux.Flush()
	x.clocked = false
	for _, r := range x.receivers {
		r.anew()
		r.clocked = false
	}
}

// finish hands out what is under way.
func (x *mux) finish() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.demux.Flush()
	for _, r := range x.receivers {
		if r.raw != nil {
			r.raw.flush()
		}
		r.report()
	}
}

// pace implements feeder.
func (x *mux) pace() (int64, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.pcr, x.clocked
}

// link implements feeder.
func (x *mux) link(l source.Link) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.way = l
	for _, r := range x.receivers {
		r.report()
	}
}

func (x *mux) reference(pid uint16, pcr int64, discontinuity bool) {
	if x.pcrOf == 0 || !x.clocked {
		x.pcrOf = pid
	}
	if x.pcrOf == pid {
		x.pcr, x.clocked = pcr, true
	}
	for _, r := range x.receivers {
		r.pcr(pid, pcr, discontinuity)
	}
}

// frame gives an access unit to the receivers that have its stream. Each has times
// of its own, so each but one gets a frame of its own; the bytes are shared.
func (x *mux) frame(st *core.Stream, f *media.Frame, t core.Times) {
	var last *receiver
	for _, r := range x.receivers {
		if !r.takes(st) {
			continue
		}
		if last != nil {
			own := *f
			last.frame(st, &own, t)
		}
		last = r
	}
	if last != nil {
		last.frame(st, f, t)
	}
}

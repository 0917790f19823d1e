package sfu

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
	"tongxiang/sfu/transport"
)

const (
	workerTick = 100 * time.Millisecond
	// attendEvery is how many ticks pass between two looks at a viewer.
	attendEvery = 5
	// passPackets is how much of one track is handed out before the next one has
	// its turn: a key frame to a thousand viewers must not hold up everybody's sound.
	passPackets = 16
)

// worker serves a share of the viewers: one goroutine, run, follows each track
// that any of them watches once, and sends every packet to all of them in one go.
// There is one worker for each processor.
type worker struct {
	eng    *Engine
	reader *stream.Reader
	out    *transport.Batch
	wake   chan struct{}

	size atomic.Int32 // viewers, for whoever places the next one

	mu   sync.Mutex // guards mail
	mail []*viewer  // have something for run

	// owned by run
	viewers  []*viewer
	taps     map[*stream.Track]*tap
	order    []*tap // sound first
	sweeping []*tap
	telling  []*viewer
	spare    []*viewer
	turn     int
	fresh    [passPackets]*media.Packet
	scratch  [maxPacket]byte
	repair   [maxPacket]byte
	sent     struct{ packets, bytes uint64 } // since the last flush
}

func newWorker(e *Engine, out *transport.Batch) *worker {
	return &worker{
		eng: e, reader: stream.NewReader(&e.drops), out: out,
		wake: make(chan struct{}, 1), taps: make(map[*stream.Track]*tap),
	}
}

// post hands a viewer to run. Any goroutine may call it; once until run looks.
func (w *worker) post(v *viewer) {
	w.mu.Lock()
	w.mail = append(w.mail, v)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run serves until the engine closes.
func (w *worker) run() {
	tick := time.NewTicker(workerTick)
	defer tick.Stop()
	for {
		w.step(w.eng.clock.Now())
		select {
		case <-w.reader.Wake():
		case <-w.wake:
		case <-tick.C:
			w.attend(w.eng.clock.Now())
		case <-w.eng.done:
			w.deliver(w.eng.clock.Now())
			for len(w.viewers) > 0 {
				w.remove(w.viewers[0])
			}
			w.sweep(0)
			return
		}
	}
}

// step does everything that can be done now.
func (w *worker) step(now int64) {
	w.deliver(now)
	for _, t := range w.order {
		t.pass(now)
	}
	w.sweep(now)
	w.out.Flush()
	w.count()
	for _, v := range w.telling {
		v.tell()
	}
	clear(w.telling)
	w.telling = w.telling[:0]
}

// deliver looks at the viewers that have news.
func (w *worker) deliver(now int64) {
	w.mu.Lock()
	w.mail, w.spare = w.spare[:0], w.mail
	w.mu.Unlock()
	for _, v := range w.spare {
		v.posted.Store(false) // before looking: what comes now is posted again
		v.look(now)
	}
	clear(w.spare)
}

// attend looks at a part of the viewers because time has passed.
func (w *worker) attend(now int64) {
	w.turn = (w.turn + 1) % attendEvery
	for i := w.turn; i < len(w.viewers); i += attendEvery {
		w.viewers[i].attend(now)
	}
}

// remove ends a viewer.
func (w *worker) remove(v *viewer) {
	if i := slices.Index(w.viewers, v); i >= 0 {
		w.viewers = slices.Delete(w.viewers, i, i+1)
		w.size.Add(-1)
	}
	v.close()
}

// count adds what was sent to the engine's counters, once for many packets.
func (w *worker) count() {
	if w.sent.packets > 0 {
		w.eng.out.packets.Add(w.sent.packets)
		w.eng.out.bytes.Add(w.sent.bytes)
		w.sent.packets, w.sent.bytes = 0, 0
	}
}

// tap is one track as all viewers of a worker follow it.
type tap struct {
	w       *worker
	track   *stream.Track
	cursor  *stream.Cursor[media.Packet]
	feeds   []*feed
	held    *media.Packet   // read already; packets before it were lost
	history []*media.Packet // of a derived track, which has no Lookup
}

// historySize is how many packets of a derived track are kept for retransmission:
// a quarter of a second at 1.2 Mbit/s is about 32.
const historySize = 256

// open returns the worker's tap of a track.
func (w *worker) open(track *stream.Track) (*tap, error) {
	if t := w.taps[track]; t != nil {
		return t, nil
	}
	t := &tap{w: w, track: track}
	from := stream.AtNext
	if track.Info().Form == stream.Frames {
		// The packets are derived from here on, and must begin with a picture.
		from = stream.AtSync
		t.history = make([]*media.Packet, historySize)
	}
	var err error
	if t.cursor, err = track.FollowPackets(w.reader, from); err != nil {
		return nil, err
	}
	w.taps[track] = t
	if track.Kind() == media.Audio {
		w.order = slices.Insert(w.order, 0, t)
	} else {
		w.order = append(w.order, t)
	}
	return t, nil
}

// pass hands out what is new.
func (t *tap) pass(now int64) {
	for {
		n := 0
		if t.held != nil {
			for _, f := range t.feeds {
				f.gap, f.waits = true, true
			}
			t.w.fresh[0], t.held, n = t.held, nil, 1
		}
		for n < passPackets {
			p := t.cursor.Next()
			if p == nil {
				break
			}
			if t.cursor.Gap() {
				t.held = p
				break
			}
			t.w.fresh[n] = p
			n++
		}
		t.give(t.w.fresh[:n], now)
		if t.held == nil {
			// What is left when n is passPackets comes after the other tracks' turn.
			if n == passPackets {
				t.w.again()
			}
			return
		}
	}
}

// again makes run pass once more before it sleeps.
func (w *worker) again() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (t *tap) give(packets []*media.Packet, now int64) {
	if len(packets) == 0 {
		return
	}
	if t.history != nil {
		for _, p := range packets {
			t.history[uint64(p.Sequence)%historySize] = p
		}
	}
	for _, f := range t.feeds {
		f.slot.take(f, packets, now)
	}
	clear(packets)
}

// lookup returns a packet of a track that is still kept, or nil.
func (w *worker) lookup(track *stream.Track, sequence int64) *media.Packet {
	if p := track.Lookup(sequence); p != nil {
		return p
	}
	if t := w.taps[track]; t != nil && t.history != nil {
		if p := t.history[uint64(sequence)%historySize]; p != nil && p.Sequence == sequence {
			return p
		}
	}
	return nil
}

// sweep closes what nobody watches any more and lets go of tracks that ended.
func (w *worker) sweep(now int64) {
	w.sweeping = append(w.sweeping[:0], w.order...) // what ends may open others
	for _, t := range w.sweeping {
		select {
		case <-t.track.Done():
			if t.held == nil && t.cursor.Behind() == 0 {
				for len(t.feeds) > 0 {
					t.feeds[0].slot.ended(t.feeds[0], now)
				}
			}
		default:
		}
		if len(t.feeds) == 0 {
			t.cursor.Close()
			delete(w.taps, t.track)
			w.order = slices.DeleteFunc(w.order, func(o *tap) bool { return o == t })
		}
	}
}

// feed is a track being followed for a slot.
type feed struct {
	slot   *slot
	tap    *tap
	at     int // in tap.feeds
	source stream.Name
	waits  bool  // for a sync point
	gap    bool  // packets were lost before the next one
	began  bool  // something of it was sent
	asked  int64 // when a key frame was last asked for
}

// join begins to follow.
func (f *feed) join(t *tap) {
	f.tap, f.at = t, len(t.feeds)
	t.feeds = append(t.feeds, f)
}

// leave ends following. The tap is closed by sweep.
func (f *feed) leave() {
	t := f.tap
	last := t.feeds[len(t.feeds)-1]
	t.feeds[f.at], last.at = last, f.at
	t.feeds[len(t.feeds)-1] = nil
	t.feeds = t.feeds[:len(t.feeds)-1]
}

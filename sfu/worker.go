package sfu

import (
	"fmt"
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
	gather   *alarm // rings when a tap has waited long enough for a picture
	due      int64  // when that is; 0: it does not
	scratch  [maxPacket]byte
	repair   [maxPacket]byte
	sent     struct{ packets, bytes uint64 } // since the last flush
}

func newWorker(e *Engine, out *transport.Batch) (*worker, error) {
	gather, err := newAlarm()
	if err != nil {
		return nil, fmt.Errorf("make a worker of the SFU: %w", err)
	}
	return &worker{
		eng: e, reader: stream.NewReader(&e.drops), out: out, gather: gather,
		wake: make(chan struct{}, 1), taps: make(map[*stream.Track]*tap),
	}, nil
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
	w.gather.start()
	defer w.gather.close()
	for {
		w.step(w.eng.clock.Now())
		select {
		case <-w.reader.Wake():
		case <-w.wake:
		case <-w.gather.rung:
			w.due = 0
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
	w.schedule(now)
	w.count()
	for _, v := range w.telling {
		v.tell()
	}
	clear(w.telling)
	w.telling = w.telling[:0]
}

// schedule has run come back for the tap that may not wait longest.
func (w *worker) schedule(now int64) {
	due := int64(0)
	for _, t := range w.order {
		if at := t.due(); at != 0 && (due == 0 || at < due) {
			due = at
		}
	}
	switch {
	case due == w.due:
	case due == 0:
		w.gather.stop()
	default:
		w.gather.set(time.Duration(due - now))
	}
	w.due = due
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

// again makes run pass once more before it sleeps.
func (w *worker) again() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
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
			if t.held == nil && len(t.fresh) == 0 && t.cursor.Behind() == 0 {
				for f := t.first(); f != nil; f = t.first() {
					f.slot.ended(f, now)
				}
			}
		default:
		}
		if t.first() == nil {
			t.cursor.Close()
			delete(w.taps, t.track)
			w.order = slices.DeleteFunc(w.order, func(o *tap) bool { return o == t })
		}
	}
}

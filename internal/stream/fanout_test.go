package stream

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"tongxiang/internal/media"
)

// BenchmarkFanOut compares ways to hand one publisher's packets to N readers. A
// reader does the least that any viewer must: it looks at the packet and counts
// its bytes. One operation is one packet handed to all N, so ns/op over N is the
// cost of one delivery; "ns/delivery" prints it. Every strategy is held to the
// same rules: the publisher writes bursts and stays within window packets of the
// readers' average, as a socket at line rate would, and the benchmark ends when
// each reader has had, or has knowingly lost, everything; "lost%" says how much.
// Decision: docs/adr/0002-ring-with-cursors.md.
func BenchmarkFanOut(b *testing.B) {
	strategies := []struct {
		name string
		run  func(readers int, packets []*media.Packet) (lost uint64)
	}{
		{"ring", fanOutRing},
		{"ring-sharded", fanOutSharded},
		{"channel", fanOutChannels},
		{"direct", fanOutDirect},
		{"cond", fanOutCond},
	}
	for _, n := range []int{1, 10, 100, 300} {
		for _, s := range strategies {
			b.Run(fmt.Sprintf("%d/%s", n, s.name), func(b *testing.B) {
				packets := make([]*media.Packet, b.N)
				payload := make([]byte, 1150)
				for i := range packets {
					packets[i] = &media.Packet{Sequence: int64(i), Payload: payload, Sync: i%120 == 0}
				}
				b.ReportAllocs()
				b.ResetTimer()
				lost := s.run(n, packets)
				b.StopTimer()
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/delivery")
				b.ReportMetric(100*float64(lost)/float64(b.N)/float64(n), "lost%")
			})
		}
	}
}

const (
	burst  = 30                   // packets that a publisher writes at a time: a large picture
	window = keepVideoPackets / 4 // how far it may be ahead of the readers' average
)

// pace is what readers have taken together, so that the publisher can wait for them.
type pace struct {
	taken   atomic.Int64
	readers int64
}

func (p *pace) write(packets []*media.Packet, f func(*media.Packet)) {
	for i, pkt := range packets {
		f(pkt)
		if i%burst == burst-1 {
			for p.taken.Load() < int64(i-window)*p.readers {
				runtime.Gosched()
			}
		}
	}
}

// fanOutRing: a goroutine and a cursor for each reader.
func fanOutRing(readers int, packets []*media.Packet) uint64 {
	return fanOutCursors(readers, 1, packets)
}

// fanOutSharded: a goroutine for each core, with the cursors of its share.
func fanOutSharded(readers int, packets []*media.Packet) uint64 {
	per := (readers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0)
	return fanOutCursors(readers, per, packets)
}

func fanOutCursors(readers, perGoroutine int, packets []*media.Packet) uint64 {
	ring := NewRing[media.Packet](keepVideoPackets)
	pc := &pace{readers: int64(readers)}
	var lost atomic.Uint64
	var wg sync.WaitGroup
	done := make(chan struct{})
	for first := 0; first < readers; first += perGoroutine {
		rd := NewReader(nil)
		cursors := make([]*Cursor[media.Packet], min(perGoroutine, readers-first))
		for i := range cursors {
			cursors[i] = newCursor(ring, rd, AtLive)
		}
		wg.Go(func() {
			var bytes int
			drain := func() {
				n := 0
				for _, c := range cursors {
					for p := c.Next(); p != nil; p = c.Next() {
						bytes += len(p.Payload)
						n++
					}
				}
				pc.taken.Add(int64(n))
			}
			for {
				select {
				case <-rd.Wake():
					drain()
				case <-done:
					drain()
					for _, c := range cursors {
						lost.Add(c.Lost())
						c.Close()
					}
					return
				}
			}
		})
	}
	pc.write(packets, func(p *media.Packet) { ring.Write(p, p.Sync) })
	close(done)
	wg.Wait()
	return lost.Load()
}

// fanOutChannels: a buffered channel for each reader; the newest is dropped when it is full.
func fanOutChannels(readers int, packets []*media.Packet) uint64 {
	pc := &pace{readers: int64(readers)}
	var lost uint64
	var wg sync.WaitGroup
	chans := make([]chan *media.Packet, readers)
	for i := range chans {
		chans[i] = make(chan *media.Packet, keepVideoPackets)
		wg.Go(func() {
			var bytes int
			for p := range chans[i] {
				bytes += len(p.Payload)
				pc.taken.Add(1)
			}
		})
	}
	pc.write(packets, func(p *media.Packet) {
		for _, c := range chans {
			select {
			case c <- p:
			default:
				lost++
			}
		}
	})
	for _, c := range chans {
		close(c)
	}
	wg.Wait()
	return lost
}

// fanOutDirect: the publisher's goroutine calls each reader. The cheapest, and
// the one in which a reader that blocks stops all others.
func fanOutDirect(readers int, packets []*media.Packet) uint64 {
	counts := make([]int, readers)
	sinks := make([]func(*media.Packet), readers)
	for i := range sinks {
		sinks[i] = func(p *media.Packet) { counts[i] += len(p.Payload) }
	}
	var mu sync.RWMutex         // membership
	for _, p := range packets { // in step with its readers by nature
		mu.RLock()
		for _, f := range sinks {
			f(p)
		}
		mu.RUnlock()
	}
	return 0
}

// fanOutCond: one queue under a mutex; a condition variable wakes all readers.
func fanOutCond(readers int, packets []*media.Packet) uint64 {
	pc := &pace{readers: int64(readers)}
	var mu sync.RWMutex
	cond := sync.NewCond(mu.RLocker())
	slots := make([]*media.Packet, keepVideoPackets)
	var head int
	var closed bool
	var lost atomic.Uint64
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			var bytes, pos int
			for {
				mu.RLock()
				for pos >= head && !closed {
					cond.Wait()
				}
				if pos >= head {
					mu.RUnlock()
					return
				}
				if oldest := head - len(slots); pos < oldest {
					lost.Add(uint64(oldest - pos))
					pos = oldest
				}
				p := slots[pos%len(slots)]
				pos++
				mu.RUnlock()
				bytes += len(p.Payload)
				pc.taken.Add(1)
			}
		})
	}
	pc.write(packets, func(p *media.Packet) {
		mu.Lock()
		slots[head%len(slots)] = p
		head++
		mu.Unlock()
		cond.Broadcast()
	})
	mu.Lock()
	closed = true
	mu.Unlock()
	cond.Broadcast()
	wg.Wait()
	return lost.Load()
}

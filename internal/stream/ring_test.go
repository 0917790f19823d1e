package stream

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

type item struct{ n int }

func TestReadersGetEveryItemInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const readers, items = 50, 5000
		ring := NewRing[item](8192)
		var wg sync.WaitGroup
		for range readers {
			rd := NewReader(nil)
			c := newCursor(ring, rd, AtLive)
			wg.Go(func() {
				defer c.Close()
				for want := 0; want < items; {
					<-rd.Wake()
					for it := c.Next(); it != nil; it = c.Next() {
						if it.n != want {
							t.Errorf("item %d, want %d", it.n, want)
							return
						}
						want++
					}
				}
			})
		}
		for i := range items {
			ring.Write(&item{i}, i%50 == 0)
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		wg.Wait()
	})
}

func TestSlowReaderResumesAtSyncPoint(t *testing.T) {
	ring := NewRing[item](64)
	rd := NewReader(nil)
	c := newCursor(ring, rd, AtLive)
	defer c.Close()
	ring.Write(&item{0}, true)
	if it := c.Next(); it == nil || it.n != 0 {
		t.Fatalf("first item %v, want 0", it)
	}
	for i := 1; i <= 1000; i++ {
		ring.Write(&item{i}, i%50 == 0)
	}
	it := c.Next()
	if it == nil || it.n != 1000 {
		t.Fatalf("after falling off: %v, want the newest sync point 1000", it)
	}
	if !c.Gap() || c.Gap() {
		t.Error("Gap must report the loss exactly once")
	}
	if c.Lost() != 999 {
		t.Errorf("lost %d items, want 999", c.Lost())
	}
	if n := rd.Drops().Snapshot()["reader_lagged"]; n != 999 {
		t.Errorf("counted %d under reader_lagged, want 999", n)
	}
}

func TestSlowReaderWithoutSyncPointWaitsForOne(t *testing.T) {
	ring := NewRing[item](16)
	rd := NewReader(nil)
	c := newCursor(ring, rd, AtLive)
	defer c.Close()
	ring.Write(&item{0}, true)
	c.Next()
	for i := 1; i < 200; i++ {
		ring.Write(&item{i}, false)
	}
	if it := c.Next(); it != nil {
		t.Fatalf("got item %d without a sync point", it.n)
	}
	ring.Write(&item{200}, true)
	if it := c.Next(); it == nil || it.n != 200 {
		t.Fatalf("got %v, want the sync point 200", it)
	}
}

func TestWhereACursorStarts(t *testing.T) {
	ring := NewRing[item](32)
	for i := range 25 {
		ring.Write(&item{i}, i%10 == 3)
	}
	for _, tc := range []struct {
		from Start
		want int
	}{{AtSync, 23}, {AtOldest, 3}, {AtLive, 33}} {
		c := newCursor(ring, NewReader(nil), tc.from)
		if tc.from == AtLive {
			if it := c.Next(); it != nil {
				t.Errorf("live cursor returned old item %d", it.n)
			}
			for i := 25; i < 34; i++ {
				ring.Write(&item{i}, i%10 == 3)
			}
		}
		if it := c.Next(); it == nil || it.n != tc.want {
			t.Errorf("start %d: got %v, want %d", tc.from, it, tc.want)
		}
		c.Close()
	}
}

func TestClosingOneOfTwoCursorsKeepsTheOtherAwake(t *testing.T) {
	ring := NewRing[item](8)
	rd := NewReader(nil)
	a, b := newCursor(ring, rd, AtLive), newCursor(ring, rd, AtLive)
	a.Close()
	a.Close()
	for b.Next() != nil {
	}
	<-rd.Wake()
	ring.Write(&item{1}, true)
	<-rd.Wake() // blocks for ever when Close took both entries off
	if b.Next() == nil {
		t.Fatal("woken without an item")
	}
}

func TestWhatIsBeyondTheBoundsIsLetGo(t *testing.T) {
	second := int64(time.Second)
	ring := NewBoundedRing[item](64, Bounds{Span: 4 * time.Second, Bytes: 1000})
	left := func() (n, bytes int) {
		for i := range ring.slots {
			if ring.slots[i].item.Load() != nil {
				n++
				bytes += int(ring.slots[i].bytes)
			}
		}
		return n, bytes
	}
	n := 0
	write := func(count int, sync bool, bytes int, at int64) {
		for range count {
			ring.Append(&item{n}, sync, bytes, at)
			n++
		}
	}
	rd := NewReader(nil)
	c := newCursor(ring, rd, AtLive)
	defer c.Close()
	for i := range int64(8) { // a sync point each two seconds
		write(1, i%2 == 0, 10, i*second)
	}
	if n, bytes := left(); n != 5 || bytes != 50 {
		t.Errorf("%d items of %d bytes are held, want those of 4 s: 5 of 50", n, bytes)
	}
	if it := c.Next(); it == nil || it.n != 6 || c.Lost() != 0 {
		t.Errorf("who was asleep begins with %v and lost %d, want the newest sync point 6", it, c.Lost())
	}
	old := newCursor(ring, NewReader(nil), AtOldest)
	if it := old.Next(); it == nil || it.n != 4 {
		t.Errorf("the oldest that a joiner can begin with is %v, want 4", it)
	}
	old.Close()
	if it := c.Next(); it == nil || it.n != 7 || c.Next() != nil {
		t.Errorf("%v, want 7 and nothing more", it)
	}

	// A GOP without an end: what is behind its beginning stays though it is old.
	write(1, true, 10, 8*second)
	write(20, false, 10, 30*second)
	if n, _ := left(); n != 21 {
		t.Errorf("%d items are held, want the GOP of 21", n)
	}
	joiner := newCursor(ring, NewReader(nil), AtSync)
	if it := joiner.Next(); it == nil || it.n != 8 {
		t.Errorf("a joiner begins with %v, want the newest sync point 8", it)
	}
	joiner.Close()
	for range 21 {
		if it := c.Next(); it == nil || c.Gap() {
			t.Fatalf("the reader lost something before %v", it)
		}
	}

	// Too many bytes: the sync point goes as well, and readers wait for the next.
	write(3, false, 490, 31*second)
	if n, bytes := left(); n != 2 || bytes != 980 {
		t.Errorf("%d items of %d bytes are held, want 2 of 980", n, bytes)
	}
	write(1, false, 5000, 32*second)
	if n, bytes := left(); n != 1 || bytes != 5000 {
		t.Errorf("%d items of %d bytes are held, want the newest alone", n, bytes)
	}
	if it := c.Next(); it != nil {
		t.Errorf("got item %d without a sync point", it.n)
	}
	write(1, true, 10, 33*second)
	if it := c.Next(); it == nil || it.n != n-1 || !c.Gap() || c.Lost() != 4 {
		t.Errorf("got %v, %d lost, want the sync point %d and 4", it, c.Lost(), n-1)
	}

	// More items than slots: as without bounds.
	write(1000, true, 1, 33*second)
	if n, bytes := left(); n != 64 || bytes != 64 || ring.held != 64 {
		t.Errorf("%d items of %d bytes are held (%d are counted), want 64", n, bytes, ring.held)
	}
}

// TestRingUnderRace lets writers run free against readers of all speeds. Run
// with -race it checks the order of publication and wake-up; without, that
// nothing is returned twice, out of order, or lost without being counted.
func TestRingUnderRace(t *testing.T) { testRingUnderRace(t, NewRing[item](256)) }

// TestBoundedRingUnderRace has a ring that lets items go long before they are
// overwritten.
func TestBoundedRingUnderRace(t *testing.T) {
	testRingUnderRace(t, NewBoundedRing[item](256, Bounds{Span: 40, Bytes: 100}))
}

func testRingUnderRace(t *testing.T, ring *Ring[item]) {
	const items = 200_000
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 8 {
		rd := NewReader(nil)
		c := newCursor(ring, rd, AtLive)
		wg.Go(func() {
			defer c.Close()
			first, last, got := -1, -1, uint64(0)
			for last < items-1 {
				select {
				case <-ctx.Done():
					t.Errorf("reader %d sleeps at item %d: a wake-up was lost", i, last)
					return
				case <-rd.Wake():
				}
				for it := c.Next(); it != nil; it = c.Next() {
					gap := c.Gap()
					if it.n != last+1 && !gap && last >= 0 {
						t.Errorf("item %d after %d without a gap", it.n, last)
						return
					}
					if first < 0 {
						first = it.n // what passed before a reader's first look is not lost to it
					}
					last = it.n
					if got++; i%2 == 1 && got%64 == 0 {
						runtime.Gosched()
					}
				}
			}
			if want := uint64(items - first); got+c.Lost() != want {
				t.Errorf("got %d and lost %d, want %d together", got, c.Lost(), want)
			}
		})
	}
	for i := range items {
		ring.Append(&item{i}, i%16 == 0 || i == items-1, 1+i%3, int64(i))
		if i%512 == 0 {
			runtime.Gosched()
		}
	}
	wg.Wait()
}

func TestWriteDoesNotAllocate(t *testing.T) {
	ring := NewBoundedRing[item](256, Bounds{Span: 10, Bytes: 1000})
	for range 300 {
		newCursor(ring, NewReader(nil), AtLive)
	}
	it := &item{}
	at := int64(0)
	if n := testing.AllocsPerRun(1000, func() { at++; ring.Append(it, true, 50, at) }); n != 0 {
		t.Errorf("a write for 300 readers allocates %.1f times", n)
	}
}

func ExampleName_Segments() {
	n, err := ParseName("meetings/42/li")
	fmt.Println(n.Segments(), err)
	// Output: [meetings 42 li] <nil>
}

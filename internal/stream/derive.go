package stream

import (
	"context"
	"fmt"

	"tongxiang/internal/media"
)

// The missing form of a track is derived once, by one goroutine that the track
// owns, while at least one cursor asks for it. Each run has a new ring, so a
// reader never meets what an earlier run left behind. The run begins where its
// first reader begins: what is older is derived only for a reader that wants it.

// FollowPackets returns a cursor over the track's packets, deriving them when the
// publisher writes frames. The error says that the codec cannot be packetized.
func (t *Track) FollowPackets(rd *Reader, from Start) (*Cursor[media.Packet], error) {
	if t.info.Form == Packets {
		return newCursor(t.packets.Load(), rd, from), nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users == 0 {
		z, err := media.NewPacketizer(t.Format())
		if err != nil {
			return nil, fmt.Errorf("derive packets of %s: %w", t.info.Label, err)
		}
		ring := NewRing[media.Packet](t.keep(Packets))
		t.packets.Store(ring)
		startDerive(t, t.frames.Load(), from, func(f *media.Frame) {
			for _, p := range z.Push(f) {
				ring.Write(p, p.SyncPoint())
			}
		})
	}
	return derived(t, newCursor(t.packets.Load(), rd, from)), nil
}

// FollowFrames returns a cursor over the track's frames, deriving them when the
// publisher writes packets. The error says that the codec cannot be depacketized.
func (t *Track) FollowFrames(rd *Reader, from Start) (*Cursor[media.Frame], error) {
	if t.info.Form == Frames {
		return newCursor(t.frames.Load(), rd, from), nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users == 0 {
		d, err := media.NewDepacketizer(t.Format())
		if err != nil {
			return nil, fmt.Errorf("derive frames of %s: %w", t.info.Label, err)
		}
		ring := newFrames(t.keep(Frames))
		t.frames.Store(ring)
		startDerive(t, t.packets.Load(), from, func(p *media.Packet) {
			for _, f := range d.Push(p) {
				ring.Append(f, f.Sync, f.Size(), f.Arrival)
			}
		})
		if t.Kind() == media.Video {
			t.RequestKeyFrame()
		}
	}
	return derived(t, newCursor(t.frames.Load(), rd, from)), nil
}

// derived counts a cursor of the derived form; the last to close ends the run. The caller holds t.mu.
func derived[T any](t *Track, c *Cursor[T]) *Cursor[T] {
	t.users++
	c.close = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.users--; t.users == 0 && t.stop != nil {
			t.stop()
			t.stop = nil
		}
	}
	return c
}

// startDerive moves the native items to f in the track's deriving goroutine, from
// the place that exists now. Of a track that has ended nothing more comes, and nobody
// would wait for a goroutine: what there is is moved at once. The caller holds t.mu.
func startDerive[T any](t *Track, native *Ring[T], from Start, f func(*T)) {
	rd := NewReader(nil)
	in := newCursor(native, rd, from)
	move := func() {
		for item := in.Next(); item != nil; item = in.Next() {
			f(item)
		}
	}
	if t.ended {
		defer in.Close()
		move()
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.stop = cancel
	t.derive.Go(func() {
		defer cancel()
		defer in.Close()
		for {
			move()
			select {
			case <-ctx.Done():
				return
			case <-t.done:
				return
			case <-rd.Wake():
			}
		}
	})
}

// end marks the track as no longer published and waits for its goroutine.
func (t *Track) end() {
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return
	}
	t.ended = true
	close(t.done)
	if t.stop != nil {
		t.stop()
		t.stop = nil
	}
	t.mu.Unlock()
	t.derive.Wait()
}

package stream

import (
	"context"
	"fmt"

	"tongxiang/internal/media"
)

// The missing form of a track is derived once, by one goroutine that the track
// owns, while at least one cursor asks for it. Each run has a new ring, so a
// reader never meets what an earlier run left behind.

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
		t.startDerive(func(ctx context.Context, src *Reader) {
			in := newCursor(t.frames.Load(), src, AtSync)
			pump(ctx, t.done, src, in, func(f *media.Frame) {
				for _, p := range z.Push(f) {
					ring.Write(p, p.SyncPoint())
				}
			})
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
		ring := NewRing[media.Frame](t.keep(Frames))
		t.frames.Store(ring)
		t.startDerive(func(ctx context.Context, src *Reader) {
			in := newCursor(t.packets.Load(), src, AtSync)
			pump(ctx, t.done, src, in, func(p *media.Packet) {
				for _, f := range d.Push(p) {
					ring.Write(f, f.Sync)
				}
			})
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

// startDerive runs f in the track's deriving goroutine. The caller holds t.mu.
func (t *Track) startDerive(f func(context.Context, *Reader)) {
	ctx, cancel := context.WithCancel(context.Background())
	t.stop = cancel
	if t.ended {
		cancel()
	}
	t.derive.Go(func() {
		defer cancel()
		f(ctx, NewReader(nil))
	})
}

// pump moves what a cursor returns to f until ctx or the track ends.
func pump[T any](ctx context.Context, done <-chan struct{}, rd *Reader, in *Cursor[T], f func(*T)) {
	defer in.Close()
	for {
		for item := in.Next(); item != nil; item = in.Next() {
			f(item)
		}
		select {
		case <-ctx.Done():
			return
		case <-done:
			return
		case <-rd.Wake():
		}
	}
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

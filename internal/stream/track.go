package stream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/media"
)

// Form says which of the two forms a publisher writes.
type Form uint8

// The forms.
const (
	Packets Form = iota + 1
	Frames
)

// Label says what a track is to its stream.
type Label string

// The labels. A channel's further sound tracks are "audio2", "audio3" and so on.
const (
	LabelVideo  Label = "video" // a camera or a channel's picture
	LabelScreen Label = "screen"
	LabelAudio  Label = "audio"

	LabelTransport Label = "ts" // the only track of a [Name.Transport]
)

// TrackInfo describes a track to be published.
type TrackInfo struct {
	Label  Label
	Layer  int    // simulcast layer, 0 the smallest
	RID    string // the layer's RTP stream id (RFC 8851), when it has one
	Form   Form
	Format media.Format
	// Keep is how many items the ring keeps; 0: a default by kind and form. Frames are
	// bounded by time and bytes as well.
	Keep int
}

// Track is one sound, one picture or one simulcast layer of a stream. One
// goroutine of the publisher writes it; any number of readers follow it.
type Track struct {
	info   TrackInfo // set once, Format excepted
	format atomic.Pointer[media.Format]
	onEdit func() // tells the stream that the format changed; set once
	sink   Sink   // takes the items instead of the rings; set once, nil in a hub
	asks   atomic.Pointer[Track]

	packets atomic.Pointer[Ring[media.Packet]] // native, or derived while somebody asks
	frames  atomic.Pointer[Ring[media.Frame]]  // likewise
	cache   []atomic.Pointer[media.Packet]     // by sequence number modulo its length; nil for frames

	keyFrame chan struct{}
	done     chan struct{}

	items, bytes, syncs atomic.Uint64
	last                atomic.Int64 // arrival of the newest item

	mu     sync.Mutex // guards what follows
	users  int        // cursors of the derived form
	stop   context.CancelFunc
	ended  bool
	derive sync.WaitGroup
}

// Default ring sizes: about 8 s of a 1.2 Mbit/s picture in packets, 20 s of
// pictures at 25 a second (so that an encoder's usual longest GOP of 250 fits),
// 10 s of sound in 20 ms items.
const (
	keepVideoPackets = 1024
	keepVideoFrames  = 512
	keepAudio        = 512
)

// Frames are as large as their source likes, and a channel of 8 Mbit/s has a megabyte
// of them a second: what is older than keepSpan goes, but for the GOP that a joiner
// begins with. That is what those who look back want: HLS begins with 8 s, recordings
// with a pre-roll of a few. A reader that falls back further has lost its line anyway.
// keepBytes bounds a source whatever it sends: 10 s of 50 Mbit/s.
const (
	keepSpan  = 10 * time.Second
	keepBytes = 64 << 20
)

func newFrames(size int) *Ring[media.Frame] {
	return NewBoundedRing[media.Frame](size, Bounds{Span: keepSpan, Bytes: keepBytes})
}

func newTrack(info TrackInfo, p *Publisher) *Track {
	t := &Track{info: info, onEdit: p.stream.edited, sink: p.sink, keyFrame: make(chan struct{}, 1), done: make(chan struct{})}
	f := info.Format
	t.format.Store(&f)
	if t.sink != nil {
		t.onEdit = p.tell
		return t
	}
	if info.Form == Packets {
		t.packets.Store(NewRing[media.Packet](t.keep(Packets)))
		t.cache = make([]atomic.Pointer[media.Packet], t.keep(Packets))
	} else {
		t.frames.Store(newFrames(t.keep(Frames)))
	}
	return t
}

func (t *Track) keep(form Form) int {
	switch {
	case t.info.Keep > 0 && form == t.info.Form:
		return t.info.Keep
	case t.Kind() == media.Audio:
		return keepAudio
	case form == Packets:
		return keepVideoPackets
	}
	return keepVideoFrames
}

// Info returns what the track was published as, with its format as known now.
func (t *Track) Info() TrackInfo {
	i := t.info
	i.Format = t.Format()
	return i
}

// Label returns what the track is to its stream.
func (t *Track) Label() Label { return t.info.Label }

// Layer returns the simulcast layer, 0 the smallest.
func (t *Track) Layer() int { return t.info.Layer }

// Kind returns whether this is a picture or a sound.
func (t *Track) Kind() media.Kind {
	if k := t.format.Load().Codec.Kind(); k != 0 {
		return k
	}
	if t.info.Label == LabelVideo || t.info.Label == LabelScreen {
		return media.Video
	}
	return media.Audio
}

// Format returns how the track is coded, as known now.
func (t *Track) Format() media.Format { return *t.format.Load() }

// SetFormat is for the publisher, when it learns more or the source changes. The
// stream's readers are told by [Subscription.Changed].
func (t *Track) SetFormat(f media.Format) {
	t.format.Store(&f)
	t.onEdit()
}

// Done is closed when the track is no longer published. What is in its rings can
// still be read.
func (t *Track) Done() <-chan struct{} { return t.done }

// WritePacket appends a packet. Only the publisher of a track of packets may call
// it, from one goroutine; p must not change afterwards.
func (t *Track) WritePacket(p *media.Packet) {
	t.count(p.SyncPoint(), len(p.Payload), p.Arrival)
	if t.sink != nil {
		t.sink.Packet(t, p)
		return
	}
	t.cache[uint64(p.Sequence)%uint64(len(t.cache))].Store(p)
	t.packets.Load().Write(p, p.SyncPoint())
}

// WriteFrame appends a frame. Only the publisher of a track of frames may call
// it, from one goroutine; f must not change afterwards.
func (t *Track) WriteFrame(f *media.Frame) {
	size := f.Size()
	t.count(f.Sync, size, f.Arrival)
	if t.sink != nil {
		t.sink.Frame(t, f)
		return
	}
	t.frames.Load().Append(f, f.Sync, size, f.Arrival)
}

func (t *Track) count(sync bool, size int, arrival int64) {
	t.items.Add(1)
	t.bytes.Add(uint64(size))
	if sync {
		t.syncs.Add(1)
	}
	t.last.Store(arrival)
}

// Lookup returns the packet with an unwrapped sequence number if it is still
// kept, for retransmission; else nil. Any goroutine may call it. It knows native
// packets only.
func (t *Track) Lookup(sequence int64) *media.Packet {
	if len(t.cache) == 0 {
		return nil
	}
	p := t.cache[uint64(sequence)%uint64(len(t.cache))].Load()
	if p == nil || p.Sequence != sequence {
		return nil
	}
	return p
}

// RequestKeyFrame asks the publisher for a sync point. It never blocks; requests
// that nobody has fetched yet become one. Throttling is the publisher's.
func (t *Track) RequestKeyFrame() {
	if to := t.asks.Load(); to != nil {
		to.RequestKeyFrame()
		return
	}
	select {
	case t.keyFrame <- struct{}{}:
	default:
	}
}

// KeyFrameRequests is for the publisher: it receives once for any number of requests.
func (t *Track) KeyFrameRequests() <-chan struct{} { return t.keyFrame }

// Stats is what a track has carried.
type Stats struct {
	Items, Bytes, Syncs uint64
	// Last is the arrival of the newest item in nanoseconds of the process's clock; 0: none yet.
	Last int64
}

// Stats returns the counters. Any goroutine may call it.
func (t *Track) Stats() Stats {
	return Stats{Items: t.items.Load(), Bytes: t.bytes.Load(), Syncs: t.syncs.Load(), Last: t.last.Load()}
}

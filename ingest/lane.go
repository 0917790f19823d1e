package ingest

import (
	"slices"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

const (
	// What a lane that is not on air holds at most: more than the longest usual GOP
	// of a channel. Beyond it waits for the next sync point.
	maxHeld      = 4096
	maxHeldBytes = 24 << 20
)

// item is a frame or a packet of one track of a source.
type item struct {
	track  *stream.Track
	frame  *media.Frame
	packet *media.Packet
}

func (i item) time() media.Time {
	if i.frame != nil {
		return i.frame.DTS
	}
	return i.packet.Time
}

func (i item) sync() bool {
	if i.frame != nil {
		return i.frame.Sync
	}
	return i.packet.SyncPoint()
}

func (i item) size() int {
	if i.frame != nil {
		return i.frame.Size()
	}
	return len(i.packet.Payload)
}

// lane is one attempt of a source: it takes what the source writes, and passes it on
// while it is on air. It implements [stream.Sink]; its fields are guarded by air.mu.
type lane struct {
	air     *air
	out     *source.Output
	started func() // called when it goes on air, with air.mu held; set once

	tracks    []*stream.Track
	held      []item // from the newest sync point of the leading track on, while not on air
	heldBytes int
	since     int64 // when it first held something
	// On air:
	shift  media.Time // added to its times
	joined map[*stream.Track]*join
}

// newLane returns a lane with the output that its source writes to.
func (a *air) newLane(out *source.Output) *lane {
	l := &lane{air: a, out: out}
	out.Publisher = stream.Divert(a.pub.Name(), l)
	return l
}

// Tracks implements [stream.Sink].
func (l *lane) Tracks(list []*stream.Track) {
	a := l.air
	a.mu.Lock()
	defer a.mu.Unlock()
	l.tracks = list
	if a.on == l {
		a.publish(l)
	}
}

// Frame implements [stream.Sink].
func (l *lane) Frame(t *stream.Track, f *media.Frame) { l.take(item{track: t, frame: f}) }

// Packet implements [stream.Sink].
func (l *lane) Packet(t *stream.Track, p *media.Packet) { l.take(item{track: t, packet: p}) }

func (l *lane) take(i item) {
	a := l.air
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.on == l {
		a.write(l, i)
		return
	}
	fresh := l.hold(i)
	if a.next == l {
		a.change(fresh)
	}
}

// hold keeps an item for the moment at which the lane goes on air, and reports
// whether it can begin with this one.
func (l *lane) hold(i item) (fresh bool) {
	if i.track.Label() == l.lead() && i.sync() {
		l.forget()
		if l.since == 0 {
			l.since = l.air.clock.Now()
		}
		fresh = true
	}
	if len(l.held) == 0 && !fresh {
		return false
	}
	if len(l.held) >= maxHeld || l.heldBytes > maxHeldBytes {
		l.forget()
		return false
	}
	l.held = append(l.held, i)
	l.heldBytes += i.size()
	return fresh
}

// forget drops what is held. The memory is kept.
func (l *lane) forget() {
	clear(l.held)
	l.held, l.heldBytes = l.held[:0], 0
}

// lead is the track whose sync points are places to begin: the picture, else the
// first sound.
func (l *lane) lead() stream.Label {
	for _, t := range l.tracks {
		if t.Kind() == media.Video {
			return t.Label()
		}
	}
	if len(l.tracks) > 0 {
		return l.tracks[0].Label()
	}
	return ""
}

// track returns the lane's track with a label, or nil.
func (l *lane) track(label stream.Label) *stream.Track {
	if i := slices.IndexFunc(l.tracks, func(t *stream.Track) bool { return t.Label() == label }); i >= 0 {
		return l.tracks[i]
	}
	return nil
}

// ask wants a sync point of the source, if it can be asked.
func (l *lane) ask() {
	if t := l.track(l.lead()); t != nil && len(l.held) == 0 {
		t.RequestKeyFrame()
	}
}

// ready reports whether the lane holds a place to begin, or is on air.
func (l *lane) ready() bool {
	l.air.mu.Lock()
	defer l.air.mu.Unlock()
	return l.air.on == l || len(l.held) > 0
}

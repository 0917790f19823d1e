package ingest

import (
	"sync"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

const (
	// airStep is the least that time advances from one source to the next: a picture.
	airStep = 40 * time.Millisecond
	// airQuiet is how long nothing of the source on air makes it one that is gone:
	// the next one begins with what it holds, without waiting for a new sync point.
	airQuiet = 300 * time.Millisecond
	// coverPatience is how long a source that takes over may lack a track that the
	// channel has, because it is not known yet.
	coverPatience = 3 * time.Second
	// sequenceGap separates the packets of one source from those of the next, so
	// that a picture that was cut off is seen to be.
	sequenceGap = 16
)

// air is what a channel publishes. Any number of sources are open, each with a
// [lane]; one of them is on air. Times go on over a change, and so do tracks:
//
//	source ─> lane ──(on air)──> rebase ─> tracks of channels/{id}
//	source ─> lane ──(waiting)─> what it wrote since its last sync point
//
// Lanes write from their sources' goroutines; mu makes them one writer.
type air struct {
	pub   *stream.Publisher
	clock media.Clock

	mu      sync.Mutex // guards what follows, and the lanes
	on      *lane      // writes the channel; nil: nobody
	next    *lane      // takes over as soon as it can begin; nil: nobody
	since   int64      // when the lane on air began
	outlets map[stream.Label]*outlet
	latest  media.Time          // highest time written
	arrival int64               // when something was last written
	changes int                 // how often a lane began
	raw     func(*media.Packet) // takes the transport packets of the lane on air; nil: nobody wants them
}

// outlet is one track of the channel.
type outlet struct {
	track    *stream.Track
	begun    bool
	last     media.Time // DTS or time written
	sequence int64      // highest sequence written
}

func newAir(pub *stream.Publisher, clock media.Clock) *air {
	return &air{pub: pub, clock: clock, outlets: make(map[stream.Label]*outlet)}
}

// take makes l the lane that goes on air as soon as it can begin; nil: none does.
func (a *air) take(l *lane) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.on == l {
		l = nil
	}
	a.next = l
	if l == nil {
		return
	}
	l.ask()
	a.change(false)
}

// tap has f called with the transport packets of whatever is on air; nil ends it.
func (a *air) tap(f func(*media.Packet)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.raw = f
	if a.on != nil {
		a.on.out.Raw.Set(f)
	}
}

// leave ends a lane's part in the channel. The tracks stay for who comes next.
func (a *air) leave(l *lane) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l.out.Raw.Set(nil)
	if a.on == l {
		a.on = nil
		for _, o := range a.outlets {
			o.track.PassRequests(nil)
		}
	}
	if a.next == l {
		a.next = nil
	}
	l.held, l.heldBytes = nil, 0
}

// current returns the lane on air and since when, nil when there is none.
func (a *air) current() (l *lane, since int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.on, a.since
}

// change puts the next lane on air if it can begin now; fresh says that its newest
// item is a sync point. The caller holds a.mu.
func (a *air) change(fresh bool) {
	l := a.next
	now := a.clock.Now()
	playing := a.on != nil && now-a.arrival < int64(airQuiet)
	switch {
	case l == nil || len(l.held) == 0:
		return
	case playing && !fresh:
		return // nobody is in a hurry: at its next sync point
	case !a.covered(l) && now-l.since < int64(coverPatience):
		return
	}
	old := a.on
	if old != nil {
		old.forget()
		old.out.Raw.Set(nil)
	}
	l.out.Raw.Set(a.raw)
	a.on, a.next, a.since = l, nil, now
	a.changes++
	a.shift(l, now)
	held := l.held
	l.held, l.heldBytes = nil, 0
	l.joined = nil
	a.publish(l)
	for _, i := range held {
		a.write(l, i)
	}
	if l.started != nil {
		l.started()
	}
}

// covered reports whether a lane has what the channel has. The caller holds a.mu.
func (a *air) covered(l *lane) bool {
	for label := range a.outlets {
		if l.track(label) == nil {
			return false
		}
	}
	return true
}

// shift decides what is added to the times of a lane that begins: its newest item is
// now, and its first one does not lie before what was written. The caller holds a.mu.
func (a *air) shift(l *lane, now int64) {
	l.shift = 0
	if a.arrival == 0 {
		return
	}
	first, newest := l.held[0].time(), l.held[0].time()
	for _, i := range l.held {
		newest = max(newest, i.time())
	}
	l.shift = max(a.latest.Add(time.Duration(now-a.arrival))-newest, a.latest.Add(airStep)-first)
}

// publish makes a lane's tracks those of the channel. A track that is there keeps
// its readers, and its form: items of the other form are converted. A lane that has
// nothing changes nothing. The caller holds a.mu.
func (a *air) publish(l *lane) {
	if len(l.tracks) == 0 {
		return
	}
	infos := make([]stream.TrackInfo, len(l.tracks))
	for i, t := range l.tracks {
		infos[i] = t.Info()
		if o := a.outlets[t.Label()]; o != nil && o.track.Info().Format.Codec == infos[i].Format.Codec {
			form := o.track.Info().Form
			if form == infos[i].Form || convertible(infos[i].Format, form) {
				infos[i].Form = form
			}
		}
	}
	old, joined := a.outlets, l.joined
	a.outlets = make(map[stream.Label]*outlet, len(infos))
	l.joined = make(map[*stream.Track]*join, len(infos))
	for i, t := range a.pub.SetTracks(infos) {
		o := old[t.Label()]
		if o == nil || o.track != t {
			o = &outlet{track: t}
		}
		a.outlets[t.Label()] = o
		t.PassRequests(l.tracks[i])
		if j := joined[l.tracks[i]]; j != nil && j.out == o {
			l.joined[l.tracks[i]] = j
			continue
		}
		l.joined[l.tracks[i]] = newJoin(l.tracks[i].Info(), o)
	}
}

// write passes an item of the lane on air on. The caller holds a.mu.
func (a *air) write(l *lane, i item) {
	j := l.joined[i.track]
	if j == nil {
		return
	}
	if t, ok := j.write(i, l.shift); ok {
		a.latest = max(a.latest, t)
		a.arrival = a.clock.Now()
	}
}

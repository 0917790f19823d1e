// Package feed follows one stream of the hub for an output that wants frames: it
// chooses the tracks, notices when they change, and returns the frames of all of
// them in order of decode time.
//
// A [Feed] starts no goroutine: it belongs to the goroutine that calls
// [Feed.Next], and that goroutine closes it.
package feed

import (
	"cmp"
	"context"
	"slices"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// Options say what to follow. The zero value follows any picture and any sound.
type Options struct {
	// Accept says why a track's format is of no use here, or nil. Nil: all are.
	Accept func(media.Format) error
	// Labels says which tracks to consider by their label; nil: all.
	Labels func(stream.Label) bool
	// Sounds is how many sound tracks to follow at most; 0: one.
	Sounds int
	// Eager returns frames as they come, without waiting for those of other tracks
	// that might be decoded before them: for readers who hand them on to others. Of
	// each track they are in order. Multiplexes send sound up to half a second after
	// the picture that belongs to it.
	Eager bool
	// From is where to begin in the tracks that are there already.
	From stream.Start
	// Drops counts what the feed loses by being slow; nil: a counter of its own.
	Drops *stream.Drops
}

// Track is one of the tracks that a feed follows.
type Track struct {
	Label  stream.Label
	Format media.Format
	track  *stream.Track
}

// Same reports whether what an output writes about b holds for a as well, apart
// from parameter sets, which sync frames carry in band.
func Same(a, b media.Format) bool {
	if a.Codec != b.Codec {
		return false
	}
	if a.Codec.Kind() == media.Video {
		return a.NoIDR == b.NoIDR // another rendition may be wanted
	}
	return a.Language == b.Language && a.Rate == b.Rate && a.Channels == b.Channels && slices.Equal(a.Config, b.Config)
}

// Refused is a track that [Options.Accept] refused, with its reason.
type Refused struct {
	Format media.Format
	Err    error
}

// Event is what [Feed.Next] returns: a change of tracks when Frame is nil, else a frame.
type Event struct {
	// Frame is the next frame in order of decode time, of Tracks()[Track].
	Frame *media.Frame
	Track int
	// Lost is set on a frame before which others were lost because the reader was slow.
	Lost bool
}

const (
	// hold is how far one track may run ahead, in media time, before a silent
	// one is no longer waited for. Broadcast multiplexes send the picture up
	// to a second before its sound (ISO/IEC 13818-1 2.4.2.6, buffer delay).
	hold = 1500 * time.Millisecond
	// settle is how long to wait after tracks changed, because a publisher
	// adds them one by one.
	settle = 150 * time.Millisecond
	// maxQueue bounds what is held of one track.
	maxQueue = 2048
)

// Feed follows a stream. Create it with [Open].
type Feed struct {
	opt Options
	sub *stream.Subscription
	rd  *stream.Reader

	changed <-chan struct{}
	settle  <-chan time.Time // when to choose again; nil: no change is waiting
	lanes   []*lane
	tracks  []Track
	refused []Refused
	told    bool // the choice was returned by Next
	early   bool // nothing was published when the feed was opened
}

// lane is one followed track.
type lane struct {
	Track
	cursor *stream.Cursor[media.Frame]
	queue  []queued
	silent bool // not waited for
}

type queued struct {
	frame *media.Frame
	lost  bool
}

// Open follows name, whether or not it is published yet. The caller closes the feed.
func Open(hub *stream.Hub, name stream.Name, opt Options) *Feed {
	if opt.Sounds == 0 {
		opt.Sounds = 1
	}
	f := &Feed{opt: opt, sub: hub.Open(name), rd: stream.NewReader(opt.Drops)}
	f.changed = f.sub.Changed()
	f.early = len(f.sub.Tracks()) == 0
	if !f.early {
		f.choose()
	}
	return f
}

// Tracks returns what is followed now; empty when nothing of use is published.
// The slice is replaced, never changed in place.
func (f *Feed) Tracks() []Track { return f.tracks }

// Refused returns the published tracks that are of no use here, with the reasons.
func (f *Feed) Refused() []Refused { return f.refused }

// Published reports whether anybody publishes the stream now.
func (f *Feed) Published() bool { return f.sub.Published() }

// RequestKeyFrame asks the publishers of the pictures for a sync point.
func (f *Feed) RequestKeyFrame() {
	for _, l := range f.lanes {
		if l.track.Kind() == media.Video {
			l.track.RequestKeyFrame()
		}
	}
}

// Close gives everything up.
func (f *Feed) Close() {
	for _, l := range f.lanes {
		l.cursor.Close()
	}
	f.lanes = nil
	f.sub.Close()
}

// Next returns the next event, or the cause of ctx's end. The first event is
// about tracks, as soon as there are any.
func (f *Feed) Next(ctx context.Context) (Event, error) {
	for {
		if !f.told && len(f.tracks) > 0 {
			f.told = true
			return Event{}, nil
		}
		f.drain()
		if i := f.ready(false); i >= 0 {
			return f.take(i), nil
		}
		select {
		case <-ctx.Done():
			return Event{}, context.Cause(ctx)
		case <-f.rd.Wake():
		case <-f.changed:
			f.noticed()
		case <-f.settle:
			if e, ok := f.settled(); ok {
				return e, nil
			}
		}
	}
}

// noticed takes note that tracks or formats changed.
func (f *Feed) noticed() {
	f.changed = f.sub.Changed()
	if f.settle == nil {
		f.settle = time.After(settle)
	}
}

// settled chooses again, after what the former tracks still hold.
func (f *Feed) settled() (Event, bool) {
	f.drain()
	if i := f.ready(true); i >= 0 {
		f.settle = closedTimer()
		return f.take(i), true
	}
	f.settle = nil
	if f.choose() {
		f.told = true
		return Event{}, true
	}
	return Event{}, false
}

// Held returns a frame that is here already, in order of decode time, without
// waiting for other tracks whose frames might come before it: for the end, and for
// when nothing has come for a while. It never blocks.
func (f *Feed) Held() (Event, bool) {
	f.drain()
	if i := f.ready(true); f.told && i >= 0 {
		return f.take(i), true
	}
	return Event{}, false
}

// closedTimer returns a timer that has run out, so that the loop comes back at once.
func closedTimer() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}

func (f *Feed) take(i int) Event {
	l := f.lanes[i]
	q := l.queue[0]
	l.queue = l.queue[1:]
	return Event{Frame: q.frame, Track: i, Lost: q.lost}
}

// drain moves what the cursors have into the queues.
func (f *Feed) drain() {
	for _, l := range f.lanes {
		for len(l.queue) < maxQueue {
			fr := l.cursor.Next()
			if fr == nil {
				break
			}
			l.queue = append(l.queue, queued{fr, l.cursor.Gap()})
			l.silent = false
		}
	}
}

// ready returns the lane whose frame is next, or -1 when another may still come
// before it. With all set nobody is waited for.
func (f *Feed) ready(all bool) int {
	best := -1
	for i, l := range f.lanes {
		if len(l.queue) > 0 && (best < 0 || l.queue[0].frame.DTS < f.lanes[best].queue[0].frame.DTS) {
			best = i
		}
	}
	if best < 0 || all || f.opt.Eager {
		return best
	}
	q := f.lanes[best].queue
	ahead := q[len(q)-1].frame.DTS.Sub(q[0].frame.DTS) > hold || len(q) >= maxQueue
	for _, l := range f.lanes {
		if len(l.queue) > 0 || l.silent {
			continue
		}
		if !ahead {
			return -1
		}
		l.silent = true
	}
	return best
}

// choose picks the tracks to follow and reports whether the choice, or what is
// known of a format, differs from before.
func (f *Feed) choose() bool {
	want, refused := pick(f.sub.Tracks(), f.opt)
	f.refused = refused
	lanes := make([]*lane, 0, len(want))
	tracks := make([]Track, 0, len(want))
	differs := false
	for _, t := range want {
		format := t.Format()
		i := slices.IndexFunc(f.lanes, func(l *lane) bool { return l.track == t })
		var l *lane
		if i >= 0 {
			l = f.lanes[i]
			differs = differs || i != len(lanes) || !Same(l.Format, format)
			l.Format = format
		} else {
			from := f.opt.From
			if f.told || f.early {
				from = stream.AtOldest // a new track: nothing of it was seen
			}
			cursor, err := t.FollowFrames(f.rd, from)
			if err != nil {
				f.refused = append(f.refused, Refused{format, err})
				continue
			}
			l = &lane{Track: Track{t.Label(), format, t}, cursor: cursor}
			differs = true
		}
		lanes = append(lanes, l)
		tracks = append(tracks, l.Track)
	}
	for _, l := range f.lanes {
		if !slices.Contains(lanes, l) {
			l.cursor.Close()
			differs = true
		}
	}
	f.lanes, f.tracks = lanes, tracks
	return differs
}

// pick chooses one picture, the largest layer of the first label, and up to
// opt.Sounds sounds. Of a sound that is there in two codings, as layers of one
// label, it takes the first that is of use. It is pure but for reading formats.
func pick(tracks []*stream.Track, opt Options) (want []*stream.Track, refused []Refused) {
	var picture *stream.Track
	var sounds []*stream.Track
	for _, t := range tracks {
		if opt.Labels != nil && !opt.Labels(t.Label()) {
			continue
		}
		if opt.Accept != nil {
			if err := opt.Accept(t.Format()); err != nil {
				refused = append(refused, Refused{t.Format(), err})
				continue
			}
		}
		switch {
		case t.Kind() == media.Audio:
			coded := func(o *stream.Track) bool { return o.Label() == t.Label() }
			if !slices.ContainsFunc(sounds, coded) {
				sounds = append(sounds, t)
			}
		case picture == nil, picture.Label() == t.Label() && t.Layer() > picture.Layer():
			picture = t
		}
	}
	if picture != nil {
		want = append(want, picture)
	}
	// By label, which is the order in which the source names them: a track may be
	// published later than one that stands behind it.
	slices.SortStableFunc(sounds, func(a, b *stream.Track) int {
		la, lb := a.Label(), b.Label()
		return cmp.Or(cmp.Compare(len(la), len(lb)), cmp.Compare(la, lb))
	})
	return append(want, sounds[:min(len(sounds), opt.Sounds)]...), refused
}

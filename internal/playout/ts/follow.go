package ts

import (
	"context"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/stream"
)

// take moves the frames that have come to the multiplexer.
func (o *output) take(ctx context.Context, now int64) {
	if o.feed == nil {
		return
	}
	const atMost = 1000 // a burst must not hold up the pacing
	for range atMost {
		e, ok := o.feed.Poll()
		switch {
		case !ok:
			o.caughtUp = true
			return
		case e.Frame == nil:
			o.look(ctx)
			if o.feed == nil {
				return
			}
			o.tracks()
		default:
			o.frame(e, now)
		}
	}
}

func (o *output) frame(e feed.Event, now int64) {
	tracks := o.feed.Tracks()
	o.meter.add(e.Frame, tracks[e.Track].Format.Codec.Kind() == media.Video)
	if !o.caughtUp {
		return // from the past: it only says what the stream is like
	}
	o.heard = now
	if o.mux == nil || o.silentAt != 0 {
		return
	}
	jumps := o.mux.jumps
	lead, timed := o.mux.Push(e.Track, e.Frame, e.Lost)
	if o.mux.jumps != jumps {
		o.follow.anew()
	}
	if timed && (tracks[e.Track].Format.Codec.Kind() == media.Video || len(tracks) == 1) {
		o.follow.saw(now, lead)
		o.pace.ppb = o.follow.pace(now)
	}
}

// look asks which stream to send, and follows another one when that has changed.
func (o *output) look(ctx context.Context) {
	name, err := o.cfg.Stream, error(nil)
	if o.env.resolve != nil {
		name, err = o.env.resolve(ctx, o.cfg.Stream, o.addr.Audio)
	}
	o.refusal = err
	if err != nil {
		name = o.cfg.Stream // what can be carried of it may be something
	}
	if o.feed != nil && name == o.following {
		return
	}
	if o.feed != nil {
		o.feed.Close()
	}
	// What the rings hold tells at once what the stream is like.
	o.feed = feed.Open(o.env.hub, name, feed.Options{Accept: Carriable, Sounds: maxSounds, From: stream.AtOldest, Drops: &o.lost})
	o.following, o.caughtUp = name, false
	if o.mux != nil {
		o.tracks()
	}
}

// tracks gives the feed's tracks to the multiplexer.
func (o *output) tracks() {
	tracks := o.feed.Tracks()
	if o.mux == nil || len(tracks) == 0 {
		return // the tables go on saying what was there
	}
	formats := make([]media.Format, len(tracks))
	for i, t := range tracks {
		formats[i] = t.Format
	}
	if err := o.mux.SetTracks(formats); err != nil {
		o.log.Error("output's tracks refused", "err", err) // Carriable let them through
	}
}

// open makes the multiplexer as soon as its bit rate is known.
func (o *output) open(now int64) bool {
	rate := o.cfg.Bitrate
	if rate == 0 {
		if !o.caughtUp || o.meter.span() < measureFor {
			return false
		}
		rate = automatic(o.meter.need(o.addr.Service))
	}
	mux, err := NewCBR(Config{Service: o.addr.Service, Rate: rate, Delay: o.addr.Delay})
	if err != nil {
		o.log.Error("output's multiplexer", "err", err) // the rate was checked
		return false
	}
	o.mux = mux
	if o.feed != nil {
		o.tracks()
	}
	o.pace.start(now, rate)
	o.log.Info("output began", "to", o.addr.To, "rate", rate)
	return true
}

// weigh works out what the stream needs, and gives it more where the rate is ours to choose.
func (o *output) weigh(now int64) {
	if o.mux == nil || o.meter.span() < stcRate {
		return
	}
	drops := o.mux.Stats().Drops[Overload]
	more := drops > o.overloads
	o.overloads = drops
	if more {
		o.strained = now
	}
	if !more && now-o.weighed < int64(weighEvery) {
		return
	}
	o.weighed = now
	o.needed = o.meter.need(o.addr.Service)
	if rate := automatic(o.needed); more && o.cfg.Bitrate == 0 && rate > o.mux.Rate() {
		if err := o.mux.SetRate(rate); err == nil {
			o.pace.rate, o.pace.credit = rate, 0
			o.strained = 0
			o.log.Info("output's rate raised", "rate", rate)
		}
	}
}

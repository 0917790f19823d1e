// Package push takes what an encoder sends to a channel. The encoder publishes
// push/{id} by RTSP, RTMP or WHIP; the source relays it into the channel, so that
// backups, switching and the channel's state are those of every other source.
//
// Run is the only goroutine: it copies packets and frames as they are, with their
// times moved behind what the channel played before.
package push

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// reportEvery is how often counts are reported.
const reportEvery = time.Second

// Source is what is pushed to one channel.
type Source struct {
	hub  *stream.Hub
	name stream.Name
}

// New returns the source of an address "push:{id}", where id is the channel's. The
// error is a [source.Error].
func New(hub *stream.Hub, u *url.URL) (*Source, error) {
	if err := stream.CheckID(u.Opaque); err != nil {
		return nil, source.Because(source.CauseBadAddress, fmt.Errorf("push address: %w", err))
	}
	return &Source{hub: hub, name: stream.Push(u.Opaque)}, nil
}

// Run implements [source.Source]. It waits for an encoder as long as it takes, and
// for the next one when that has gone.
func (s *Source) Run(ctx context.Context, out *source.Output) error {
	r := &relay{out: out, sub: s.hub.Open(s.name), rd: stream.NewReader(nil)}
	defer r.sub.Close()
	defer r.release()
	reports := time.NewTicker(reportEvery)
	defer reports.Stop()
	changed := r.sub.Changed()
	r.follow()
	for {
		r.drain()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.rd.Wake():
		case <-changed:
			r.drain() // what the former tracks still hold comes first
			changed = r.sub.Changed()
			r.follow()
		case <-reports.C:
			r.report()
		}
	}
}

// relay is one run.
type relay struct {
	out   *source.Output
	sub   *stream.Subscription
	rd    *stream.Reader
	lanes []*lane

	begun bool
	base  media.Time // added to times, so that they go on behind what came before
}

// lane is one track. packets or frames is set, as the encoder writes.
type lane struct {
	in, out *stream.Track
	label   stream.Label
	packets *stream.Cursor[media.Packet]
	frames  *stream.Cursor[media.Frame]

	begun    bool
	sequence int64 // added to sequence numbers
	ticks    int64 // added to timestamps
	highest  int64
}

// follow makes the encoder's tracks those of the channel: the largest layer of each
// label. When the encoder has gone the channel's tracks stay, for the next one.
func (r *relay) follow() {
	tracks := largest(r.sub.Tracks())
	if len(tracks) == 0 {
		r.release()
		r.begun = false
		return
	}
	infos := make([]stream.TrackInfo, len(tracks))
	for i, t := range tracks {
		infos[i] = stream.TrackInfo{Label: t.Label(), Form: t.Info().Form, Format: t.Format()}
	}
	outs := r.out.Publisher.SetTracks(infos)
	old := r.lanes
	r.lanes = nil
	for i, t := range tracks {
		if l := find(old, t); l != nil && l.out == outs[i] {
			r.lanes = append(r.lanes, l)
			continue
		}
		r.lanes = append(r.lanes, r.open(t, outs[i]))
	}
	for _, l := range old {
		if find(r.lanes, l.in) != l {
			r.close(l)
		}
	}
	r.report()
}

func largest(tracks []*stream.Track) []*stream.Track {
	var out []*stream.Track
	for _, t := range tracks {
		better := false
		for i, o := range out {
			if o.Label() == t.Label() {
				better = true
				if t.Layer() > o.Layer() {
					out[i] = t
				}
			}
		}
		if !better {
			out = append(out, t)
		}
	}
	return out
}

func find(lanes []*lane, in *stream.Track) *lane {
	for _, l := range lanes {
		if l.in == in {
			return l
		}
	}
	return nil
}

func (r *relay) open(in, out *stream.Track) *lane {
	l := &lane{in: in, out: out, label: out.Label(), sequence: r.out.Sequence(out.Label())}
	// The forms are native, so following them cannot fail.
	var err error
	if in.Info().Form == stream.Packets {
		l.packets, err = in.FollowPackets(r.rd, stream.AtSync)
	} else {
		l.frames, err = in.FollowFrames(r.rd, stream.AtSync)
	}
	if err != nil {
		panic("push: " + err.Error())
	}
	if in.Kind() == media.Video {
		in.RequestKeyFrame()
	}
	return l
}

func (r *relay) close(l *lane) {
	if l.packets != nil {
		l.packets.Close()
		if l.begun {
			r.out.SetSequence(l.label, l.highest)
		}
		return
	}
	l.frames.Close()
}

func (r *relay) release() {
	for _, l := range r.lanes {
		r.close(l)
	}
	r.lanes = nil
}

// drain passes on what there is, and hands the wishes for key frames back.
func (r *relay) drain() {
	for _, l := range r.lanes {
		select {
		case <-l.out.KeyFrameRequests():
			l.in.RequestKeyFrame()
		default:
		}
		if l.packets != nil {
			for p := l.packets.Next(); p != nil; p = l.packets.Next() {
				r.packet(l, p)
			}
			continue
		}
		for f := l.frames.Next(); f != nil; f = l.frames.Next() {
			r.frame(l, f)
		}
	}
}

// start fixes the base with the first item of all: the encoder's clock is ours, but
// an earlier source's times may lie ahead of it.
func (r *relay) start(at media.Time) {
	if r.begun {
		return
	}
	r.begun, r.base = true, 0
	if ahead := r.out.Latest() - at; ahead >= 0 && r.out.Latest() > 0 {
		r.base = ahead + media.Time(time.Millisecond)
	}
}

func (r *relay) packet(l *lane, p *media.Packet) {
	now := r.out.Clock.Now()
	r.start(p.Time)
	r.out.Received(len(p.Payload), now)
	q := *p
	q.Time += r.base
	if !l.begun {
		l.begun = true
		l.sequence -= p.Sequence
		l.ticks = q.Time.Ticks(l.in.Format().ClockRate) - p.Timestamp
	}
	q.Sequence += l.sequence
	q.Timestamp += l.ticks
	l.highest = max(l.highest, q.Sequence)
	r.out.Written(q.Time, now)
	l.out.WritePacket(&q)
}

func (r *relay) frame(l *lane, f *media.Frame) {
	now := r.out.Clock.Now()
	r.start(f.DTS)
	r.out.Received(f.Size(), now)
	g := *f
	g.PTS += r.base
	g.DTS += r.base
	g.Gap = g.Gap || !l.begun
	l.begun = true
	r.out.Written(g.DTS, now)
	l.out.WriteFrame(&g)
}

func (r *relay) report() {
	rep := source.Report{Waiting: true, Errors: make(map[string]uint64)} // an encoder comes when it comes
	for _, l := range r.lanes {
		rep.Streams = append(rep.Streams, source.Stream{Format: l.in.Format(), Known: true, Published: true})
		var lost uint64
		if l.packets != nil {
			lost = l.packets.Lost()
		} else {
			lost = l.frames.Lost()
		}
		if lost > 0 {
			rep.Errors["relay_lagged"] += lost
		}
	}
	r.out.Report(rep)
}

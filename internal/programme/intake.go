package programme

import (
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// source is a subscription to a participant's stream.
type source struct {
	name stream.Name
	sub  *stream.Subscription
}

// intake is a track of a participant being read.
type intake struct {
	source stream.Name
	track  *stream.Track
	cursor *stream.Cursor[media.Packet]
	asked  int64 // when a key frame was last asked for
	began  bool
}

func (w *switcher) open(s *source, participant string) {
	var name stream.Name
	if participant != "" {
		name = stream.Participant(w.id, participant)
	}
	w.subscribe(s, name)
}

// subscribe makes a source that of a name; empty: none.
func (w *switcher) subscribe(s *source, name stream.Name) {
	if s.name == name {
		return
	}
	old := s.sub
	s.name, s.sub = name, nil
	if name != "" {
		s.sub = w.s.hub.Open(name)
	}
	if old != nil {
		old.Close()
	}
}

// best returns the largest layer of a label that carries something now.
func best(sub *stream.Subscription, label stream.Label) *stream.Track {
	if sub == nil {
		return nil
	}
	return stream.Flowing(sub.Tracks(), label)
}

// follow begins to read a picture at its next key frame, and asks for one: browsers
// make it within a few tens of milliseconds.
func (w *switcher) follow(t *stream.Track, name stream.Name, now int64) *intake {
	from := stream.AtLive
	if w.made.fresh(t) {
		from = stream.AtSync // it began with a key frame a moment ago
	}
	c, err := t.FollowPackets(w.rd, from)
	if err != nil {
		w.s.log.Warn("picture cannot go on air", "stream", name, "err", err)
		return nil
	}
	f := &intake{source: name, track: t, cursor: c, asked: now}
	t.RequestKeyFrame()
	return f
}

func (w *switcher) drop(f **intake) {
	if *f != nil {
		(*f).cursor.Close()
		*f = nil
	}
}

package stream

import "tongxiang/internal/media"

// Sink takes what is written to the tracks of a diverted publisher, in the
// goroutine that writes: one for each track.
type Sink interface {
	// Tracks is told the tracks whenever one was added, removed or changed its
	// format. The slice is shared and must not be changed.
	Tracks([]*Track)
	// Frame and Packet take an item of a track, which may be shared with others and
	// must not be changed.
	Frame(*Track, *media.Frame)
	Packet(*Track, *media.Packet)
}

// Divert returns a publisher that is in no hub: what is written to its tracks goes
// to sink instead of a ring. Whoever writes need not know that somebody decides
// about it: a channel whose sources take turns gives each one of these.
func Divert(name Name, sink Sink) *Publisher {
	p := &Publisher{stream: newStream(name), done: make(chan struct{}), sink: sink}
	p.stream.pub = p
	return p
}

// tell lets the sink of a diverted publisher know its tracks.
func (p *Publisher) tell() {
	if p.sink != nil {
		p.sink.Tracks(p.stream.tracks())
	}
}

// PassRequests makes key frames that are asked of t be asked of another track: the
// one whose items are written to t now. Nil ends it.
func (t *Track) PassRequests(to *Track) { t.asks.Store(to) }

package epg

import "tongxiang/internal/store"

// ChangeKind says what became of an event.
type ChangeKind uint8

// The kinds of change.
const (
	Added   ChangeKind = iota + 1
	Changed            // moved, renamed, or another running status
	Removed            // another event took its place
	// Resync says that changes were lost, because the subscriber was slow or the
	// channel's guide was dropped: what is wanted is to be read from the store anew.
	Resync
)

// Change is one change of a channel's guide.
type Change struct {
	Kind   ChangeKind
	Event  store.EPGEvent // as it is now; of Removed: as it was
	Before store.EPGEvent // of Changed
}

// feedLength is how many changes may wait for a subscriber.
const feedLength = 256

type subscription struct {
	c chan Change
}

// Subscribe returns the changes of a channel's guide from now on, in order, and what
// ends the subscription. The channel of changes is never closed. A subscriber that
// lets feedLength changes wait loses them and receives a [Resync] in their place. A
// change may come a second before it is in the store; what a subscriber needs of the
// past it reads from the store first, and takes an event that it knows already for
// what it is. Recordings that follow an event watch for Changed (moved: Before.Start
// differs from Event.Start; running: Event.Running) and Removed.
func (s *Service) Subscribe(channel string) (<-chan Change, func()) {
	sub := &subscription{c: make(chan Change, feedLength)}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guide(channel)
	g.subs[sub] = struct{}{}
	return sub.c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(g.subs, sub)
	}
}

// tell passes a change to the subscribers and never blocks.
func (g *guide) tell(c Change) {
	for sub := range g.subs {
		sub.send(c)
	}
}

func (s *subscription) send(c Change) {
	select {
	case s.c <- c:
		return
	default:
	}
	// Full: what waits is worth nothing without what follows.
	for len(s.c) > 0 {
		select {
		case <-s.c:
		default:
		}
	}
	s.c <- Change{Kind: Resync} // only this goroutine sends, under the service's lock: there is room
}

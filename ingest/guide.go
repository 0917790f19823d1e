package ingest

import (
	"slices"
	"sync"
	"time"

	"tongxiang/ingest/source"
	core "tongxiang/internal/mpegts"
)

// Guide takes what broadcasters say about programmes. Its methods are called from
// the sources' goroutines and do not block.
type Guide interface {
	// Event is an entry of a channel's guide, new or changed. schedule says that its
	// running status is not known.
	Event(channel string, e core.Event, schedule bool)
	// Now is what is on now and what comes next on a channel.
	Now(channel string, n core.NowNext)
}

const (
	// heldNews is how much of the guide a source holds that is not on air.
	heldNews = 2048
	// ownGuide is how long what a channel's own multiplex says counts more than what
	// another one says of it.
	ownGuide = 10 * time.Minute
)

// news is one thing that a source said of its programme.
type news struct {
	event    core.Event
	now      *core.NowNext
	schedule bool
}

// guided is the guide of one attempt: what is on air speaks, others hold their news
// until they are.
type guided struct {
	c *channel
	l *lane

	mu   sync.Mutex
	held []news
}

func (g *guided) guide() source.Guide {
	if g.c.guide == nil {
		return source.Guide{Elsewhere: g.c.elsewhere}
	}
	return source.Guide{
		Event:     func(e core.Event, schedule bool) { g.take(news{event: e, schedule: schedule}) },
		Now:       func(n core.NowNext) { g.take(news{now: &n}) },
		Elsewhere: g.c.elsewhere,
	}
}

func (g *guided) take(n news) {
	on, _ := g.c.air.current()
	g.mu.Lock()
	g.held = append(g.held, n)
	if len(g.held) > heldNews {
		g.held = slices.Delete(g.held, 0, heldNews/2) // the guide is read anew from time to time
	}
	g.mu.Unlock()
	if on == g.l {
		g.flush()
	}
}

// flush hands on what is held. It is called when the lane is on air.
func (g *guided) flush() {
	g.mu.Lock()
	held := g.held
	g.held = nil
	g.mu.Unlock()
	for _, n := range held {
		g.c.hear(n, true)
	}
}

// hear passes news of the guide on. own says that they come from the channel's own
// multiplex.
func (c *channel) hear(n news, own bool) {
	stamp := &c.ownNow
	if n.now == nil && n.schedule {
		stamp = &c.ownSchedule
	}
	now := c.clock.Now()
	if own {
		stamp.Store(now)
	} else if at := stamp.Load(); at > 0 && now-at < int64(ownGuide) {
		return
	}
	if n.now != nil {
		c.guide.Now(c.id, *n.now)
		return
	}
	c.guide.Event(c.id, n.event, n.schedule)
}

// identity names a service wherever it is spoken of.
type identity struct{ network, stream, service uint16 }

// identities are the services that the channels are. It is safe for concurrent use.
type identities struct {
	mu sync.RWMutex
	of map[identity][]*channel
}

// set makes a channel the service of an identity; the zero one: of none.
func (t *identities) set(c *channel, id identity) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, list := range t.of {
		if i := slices.Index(list, c); i >= 0 {
			if k == id {
				return
			}
			if list = slices.Delete(slices.Clone(list), i, i+1); len(list) == 0 {
				delete(t.of, k)
			} else {
				t.of[k] = list
			}
		}
	}
	if id == (identity{}) {
		return
	}
	if t.of == nil {
		t.of = make(map[identity][]*channel)
	}
	t.of[id] = append(slices.Clone(t.of[id]), c)
}

// guides returns those of the channels that are a service, for what other
// multiplexes say of it.
func (t *identities) guides(network, stream, service uint16) []source.Guide {
	t.mu.RLock()
	list := t.of[identity{network, stream, service}]
	t.mu.RUnlock()
	if len(list) == 0 {
		return nil
	}
	out := make([]source.Guide, 0, len(list))
	for _, c := range list {
		if c.guide != nil {
			out = append(out, source.Guide{
				Event: func(e core.Event, schedule bool) { c.hear(news{event: e, schedule: schedule}, false) },
				Now:   func(n core.NowNext) { c.hear(news{now: &n}, false) },
			})
		}
	}
	return out
}

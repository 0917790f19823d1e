package server

import (
	"context"
	"time"

	"tongxiang/internal/stream"
)

// lookAround is how often it is looked which channels there are.
const lookAround = 2 * time.Second

// holdPackets keeps the transport packets of every channel flowing into their rings
// until ctx ends, so that a recording as received has a pre-roll. Nobody else reads
// them most of the time, and a source does nothing for packets that nobody reads.
func (s *Server) holdPackets(ctx context.Context) {
	held := make(map[string]*stream.Subscription)
	defer func() {
		for _, sub := range held {
			sub.Close()
		}
	}()
	tick := time.NewTicker(lookAround)
	defer tick.Stop()
	for {
		there := make(map[string]bool)
		for _, c := range s.channels.List() {
			there[c.ID] = true
			if held[c.ID] == nil {
				held[c.ID] = s.hub.Open(stream.Channel(c.ID).Transport())
			}
		}
		for id, sub := range held {
			if !there[id] {
				sub.Close()
				delete(held, id)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

package ingest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// keepRuns is how many runs of transport packets a ring holds: about six seconds.
const keepRuns = 64

// TransportNote is the note of the format of a track of transport packets.
const TransportNote = "MPEG-TS"

// provideTransport publishes channels/{id}/raw while somebody reads it: the packets
// of the channel's programme as they were received. A channel whose source is no
// transport stream has one without items.
func (c *Channels) provideTransport() {
	c.hub.Provide(stream.Provider{
		Match: func(n stream.Name) bool {
			of, ok := n.IsTransport()
			return ok && strings.HasPrefix(of.String(), stream.Channel("").String())
		},
		Run: func(ctx context.Context, n stream.Name) error {
			of, _ := n.IsTransport()
			ch := c.byName(of)
			if ch == nil {
				return fmt.Errorf("packets of %s: %w", of, ErrNotFound)
			}
			return ch.transport(ctx, c.hub, n)
		},
	})
}

func (c *Channels) byName(n stream.Name) *channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range c.list {
		if ch.air.pub.Name() == n {
			return ch
		}
	}
	return nil
}

// transport publishes the packets of the channel until ctx or the channel ends.
func (c *channel) transport(ctx context.Context, hub *stream.Hub, n stream.Name) error {
	pub, err := hub.Publish(n, true)
	if err != nil {
		return fmt.Errorf("publish %s: %w", n, err)
	}
	defer pub.Close()
	track := pub.AddTrack(stream.TrackInfo{
		Label: stream.LabelTransport, Form: stream.Packets, Keep: keepRuns,
		Format: media.Format{Codec: media.Unknown, ClockRate: 90000, Note: TransportNote},
	})
	var mu sync.Mutex // two sources may meet here while they take turns
	sequence := int64(0)
	c.air.tap(func(p *media.Packet) {
		mu.Lock()
		defer mu.Unlock()
		sequence++
		p.Sequence = sequence
		track.WritePacket(p)
	})
	defer c.air.tap(nil)
	select {
	case <-ctx.Done():
	case <-c.done:
	}
	return nil
}

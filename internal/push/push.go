// Package push is the desk where encoders that send to a channel (RTSP, RTMP, WHIP)
// get its stream. It holds the one rule that all protocols share: who comes first
// keeps the channel as long as media come, and who comes later gets it once the
// first has been silent for [Silence]. An encoder whose line was cut therefore comes
// back at once, and nobody is thrown off the air by a second one.
//
// The desk starts no goroutine. It is safe for concurrent use.
package push

import (
	"net/http"
	"sort"
	"sync"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// Silence is how long an encoder may send nothing before another may take its place.
const Silence = 5 * time.Second

// ErrBusy: another encoder sends to the channel.
var ErrBusy = apierr.New(http.StatusConflict, "push_busy",
	"Another encoder is sending to this channel. It can be replaced after 5 seconds without media.",
	"已有编码器正在向该频道推流；对方停止发送 5 秒后才能接替。")

// Encoder says who sends.
type Encoder struct {
	Protocol string // "rtsp", "rtmp" or "whip"
	Subject  string // of its token
	Remote   string // address
}

// Push is one encoder that sends now.
type Push struct {
	Encoder
	Name  stream.Name
	Since time.Time
}

// entry is one encoder at the desk.
type entry struct {
	Push
	pub   *stream.Publisher
	began int64 // on the clock
}

// Desk gives out the streams of channels. Create it with [NewDesk].
type Desk struct {
	hub   *stream.Hub
	clock media.Clock

	mu      sync.Mutex
	entries map[stream.Name]*entry
	counts  map[string]uint64 // by protocol and what became of it
}

// NewDesk returns a desk for the streams of hub, whose packets arrive on clock.
func NewDesk(hub *stream.Hub, clock media.Clock) *Desk {
	return &Desk{hub: hub, clock: clock, entries: make(map[stream.Name]*entry), counts: make(map[string]uint64)}
}

// Open makes an encoder the publisher of name. The error is [ErrBusy], or the hub's.
// The publisher's Done says when a newer encoder took over.
func (d *Desk) Open(name stream.Name, who Encoder) (*stream.Publisher, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.clock.Now()
	if d.busyLocked(name, now) {
		d.counts[who.Protocol+" refused"]++
		return nil, ErrBusy
	}
	took := d.hub.Published(name)
	pub, err := d.hub.Publish(name, true)
	if err != nil {
		return nil, err
	}
	if took {
		d.counts[who.Protocol+" took over"]++
	}
	d.counts[who.Protocol+" began"]++
	d.entries[name] = &entry{Push: Push{Encoder: who, Name: name, Since: time.Now()}, pub: pub, began: now}
	return pub, nil
}

// Free returns nil when an encoder would get name now, else [ErrBusy]: for protocols
// that can refuse before media are described.
func (d *Desk) Free(name stream.Name, protocol string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busyLocked(name, d.clock.Now()) {
		d.counts[protocol+" refused"]++
		return ErrBusy
	}
	return nil
}

func (d *Desk) busyLocked(name stream.Name, now int64) bool {
	e := d.entries[name]
	if e == nil {
		return false
	}
	select {
	case <-e.pub.Done():
		delete(d.entries, name)
		return false
	default:
	}
	return !silent(now, e.began, d.newest(name))
}

// newest returns when media last came for name; 0: never.
func (d *Desk) newest(name stream.Name) (last int64) {
	sub := d.hub.Open(name)
	defer sub.Close()
	for _, t := range sub.Tracks() {
		last = max(last, t.Stats().Last)
	}
	return last
}

// silent is the rule: nothing came for [Silence], counted from the beginning when
// nothing came at all. Times are nanoseconds of the clock.
func silent(now, began, last int64) bool {
	return now-max(began, last) >= int64(Silence)
}

// List returns the encoders that send now, by name.
func (d *Desk) List() []Push {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Push
	for name, e := range d.entries {
		select {
		case <-e.pub.Done():
			delete(d.entries, name)
		default:
			out = append(out, e.Push)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// Count is how often something happened to the encoders of a protocol.
type Count struct {
	Protocol string
	Event    string // "began", "took over" or "refused"
	N        uint64
}

// Counts returns what happened so far, in a fixed order.
func (d *Desk) Counts() []Count {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Count
	for _, p := range []string{"rtsp", "rtmp", "whip"} {
		for _, e := range []string{"began", "took over", "refused"} {
			if n := d.counts[p+" "+e]; n > 0 {
				out = append(out, Count{p, e, n})
			}
		}
	}
	return out
}

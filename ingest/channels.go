// Package ingest brings channels in: satellite programmes, encoders, cameras. Each
// channel is one goroutine that runs its source, watches it, and starts it again
// for ever; one folder for each protocol makes the sources.
//
//	Channels ─> channel ─┬─> source (mpegts/, rtsp/) ─> tracks of channels/{id}
//	                     └─> watch: live, lost, refused
//
// A channel publishes once and keeps its publisher over restarts of its source, so
// that nobody who watches has to begin anew. Channels do not touch one another.
package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"

	"tongxiang/ingest/mpegts"
	"tongxiang/ingest/rtsp"
	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// Errors that callers decide on.
var (
	// ErrExists: there is a channel with this id.
	ErrExists = errors.New("channel exists")
	// ErrNotFound: there is no channel with this id.
	ErrNotFound = errors.New("channel not found")
	// ErrBadChannel is wrapped by every error about a channel's own settings.
	ErrBadChannel = errors.New("bad channel")
	// ErrClosed: the channels are closed.
	ErrClosed = errors.New("channels are closed")
)

// ChannelConfig is one channel.
type ChannelConfig struct {
	ID   string
	Name string
	// Source is an address; see docs/sources.md and [Schemes].
	Source string
	// Program is the program_number in a transport stream; 0: the first that can be played.
	Program int
	// Backup lists further addresses, tried in turn when the one before fails.
	Backup []string
}

// Opener makes the source of an address.
type Opener func(u *url.URL, program int) (source.Source, error)

// Schemes returns the protocols that are built in, by URL scheme.
func Schemes(o Options) map[string]Opener {
	// What several channels take from is read once.
	muxes := &mpegts.Muxes{Programs: o.Programs, FFmpeg: o.FFmpeg}
	ts := func(u *url.URL, program int) (source.Source, error) { return muxes.New(u, program) }
	camera := func(u *url.URL, _ int) (source.Source, error) { return rtsp.New(u) }
	return map[string]Opener{
		"udp": ts, "rtp": ts, "srt": ts, "http": ts, "https": ts, "file": ts, "folder": ts, "exec": ts, "stdin": ts,
		"rtsp": camera, "rtsps": camera,
	}
}

// Options are what [NewChannels] may be told.
type Options struct {
	// Schemes replaces the built-in protocols; nil: [Schemes].
	Schemes map[string]Opener
	// Programs are the tuner programs that exec: addresses may name, with their arguments.
	Programs map[string][]string
	// FFmpeg plays files that are no transport streams; empty: they are not played.
	FFmpeg string
}

// Channels runs the channels. It is safe for concurrent use.
type Channels struct {
	hub     *stream.Hub
	clock   media.Clock
	log     *slog.Logger
	schemes map[string]Opener

	mu     sync.Mutex
	list   []*channel // in the order in which they were added
	closed bool
}

// NewChannels returns an empty set of channels that publish to hub.
func NewChannels(hub *stream.Hub, clock media.Clock, log *slog.Logger, o Options) *Channels {
	if o.Schemes == nil {
		o.Schemes = Schemes(o)
	}
	c := &Channels{hub: hub, clock: clock, log: log, schemes: o.Schemes}
	c.provideTransport()
	return c
}

// open makes the source of an address.
func (c *Channels) open(address string, program int) (source.Source, error) {
	u, err := url.Parse(address)
	if err != nil {
		// The error of net/url quotes the address, which may hold a password.
		return nil, source.Because(source.CauseBadAddress, errors.New("not a URL"))
	}
	f := c.schemes[u.Scheme]
	if f == nil {
		return nil, source.Because(source.CauseBadAddress, fmt.Errorf("no protocol for %q", source.Redact(u)))
	}
	return f(u, program)
}

// Check says what is wrong with a channel's settings. The error wraps [ErrBadChannel].
func (c *Channels) Check(cfg ChannelConfig) error {
	if err := stream.CheckID(cfg.ID); err != nil {
		return fmt.Errorf("%w: id: %w", ErrBadChannel, err)
	}
	for i, address := range append([]string{cfg.Source}, cfg.Backup...) {
		if _, err := c.open(address, cfg.Program); err != nil {
			return fmt.Errorf("%w: source %d: %w", ErrBadChannel, i+1, err)
		}
	}
	return nil
}

// Add starts a channel. The errors are [ErrExists], [ErrClosed], [ErrBadChannel]
// and those of the hub when somebody else publishes under the channel's name.
func (c *Channels) Add(cfg ChannelConfig) error {
	if err := c.Check(cfg); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if c.find(cfg.ID) >= 0 {
		return fmt.Errorf("add channel %q: %w", cfg.ID, ErrExists)
	}
	pub, err := c.hub.Publish(stream.Channel(cfg.ID), false)
	if err != nil {
		return fmt.Errorf("add channel %q: %w", cfg.ID, err)
	}
	ch := newChannel(cfg, pub, c.clock, c.log.With("channel", cfg.ID), c.open)
	c.list = append(c.list, ch)
	ch.start()
	return nil
}

// Remove stops a channel and waits until it has ended. Others are not disturbed.
func (c *Channels) Remove(id string) error {
	c.mu.Lock()
	i := c.find(id)
	if i < 0 {
		c.mu.Unlock()
		return fmt.Errorf("remove channel %q: %w", id, ErrNotFound)
	}
	ch := c.list[i]
	c.list = append(c.list[:i:i], c.list[i+1:]...)
	c.mu.Unlock()
	ch.stop()
	return nil
}

// find returns the place of a channel, or -1. The caller holds c.mu.
func (c *Channels) find(id string) int {
	for i, ch := range c.list {
		if ch.cfg.ID == id {
			return i
		}
	}
	return -1
}

// List returns how every channel is, in the order in which they were added.
func (c *Channels) List() []Status {
	c.mu.Lock()
	list := c.list
	c.mu.Unlock()
	out := make([]Status, len(list))
	for i, ch := range list {
		out[i] = ch.status()
	}
	return out
}

// Get returns how one channel is; ok is false when there is none with this id.
func (c *Channels) Get(id string) (s Status, ok bool) {
	c.mu.Lock()
	i := c.find(id)
	if i < 0 {
		c.mu.Unlock()
		return Status{}, false
	}
	ch := c.list[i]
	c.mu.Unlock()
	return ch.status(), true
}

// Close stops all channels and waits for them.
func (c *Channels) Close() {
	c.mu.Lock()
	list := c.list
	c.list, c.closed = nil, true
	c.mu.Unlock()
	for _, ch := range list {
		ch.cancel()
	}
	for _, ch := range list {
		ch.stop()
	}
}

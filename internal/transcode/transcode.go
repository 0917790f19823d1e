// Package transcode makes playable what a browser cannot play: an ordinary reader
// of one stream and publisher of another, with an ffmpeg child between them for
// the tracks that need it and nothing between them for the others.
//
//	channels/x ──┬─ copied tracks ───────────────────────────┬─> channels/x/hls
//	             └─ encoded tracks ─> TS ─> ffmpeg ─> TS ─────┘
//
// A rendition exists while somebody reads it (stream.Provider) and is made once
// however many read it. Times are those of the source, on both ways.
//
// Goroutines: the hub runs one per rendition; that one owns the copier, the feeder
// and the reader of the child, and waits for them.
package transcode

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// Errors of [Service.Resolve], for the player.
var (
	errAbsent = apierr.New(http.StatusNotAcceptable, "needs_transcoding",
		"This channel needs transcoding, and ffmpeg is not installed on the server.", "该频道需要转码，而服务器上没有安装 ffmpeg。")
	errBusy = apierr.New(http.StatusServiceUnavailable, "transcode_busy",
		"The server is transcoding as many channels as it may; try again later.", "服务器的转码路数已满，请稍后重试。")
	errHopeless = apierr.New(http.StatusNotAcceptable, "codec_unsupported",
		"No browser can play this channel, and it cannot be transcoded.", "浏览器无法播放该频道，也无法转码。")
)

// errFull ends a rendition for which there is no room.
var errFull = errors.New("as many transcoders run as may")

// Config bounds the children.
type Config struct {
	// FFmpeg is the program's name or path.
	FFmpeg string
	// Max is how many children run at once; 0: none.
	Max int
}

// Service makes renditions. Create it with [New]; it is safe for concurrent use.
type Service struct {
	cfg   Config
	hub   *stream.Hub
	clock media.Clock
	log   *slog.Logger
	room  chan struct{} // holds one item per child

	starts, failures atomic.Uint64
	drops            stream.Drops
}

// New returns the service and registers it with the hub, which runs and ends it.
// Call it before anything of the hub is opened.
func New(cfg Config, hub *stream.Hub, clock media.Clock, log *slog.Logger) *Service {
	s := &Service{cfg: cfg, hub: hub, clock: clock, log: log, room: make(chan struct{}, max(cfg.Max, 0))}
	hub.Provide(stream.Provider{
		Match: func(n stream.Name) bool { _, _, ok := parse(n); return ok },
		Run:   s.run,
	})
	return s
}

// Stats are counters since the start.
type Stats struct {
	Running  int    // children now
	Max      int    // children at most
	Starts   uint64 // children started
	Failures uint64 // children that ended by themselves
	Drops    map[string]uint64
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	return Stats{
		Running: len(s.room), Max: cap(s.room),
		Starts: s.starts.Load(), Failures: s.failures.Load(), Drops: s.drops.Snapshot(),
	}
}

// Available reports whether the program is there.
func (s *Service) Available() bool {
	_, err := exec.LookPath(s.cfg.FFmpeg)
	return err == nil && s.cfg.Max > 0
}

// Resolve returns the stream to play for name: itself when the target takes it as
// it is or nothing is known of it yet, else its rendition. The error is an
// [apierr.Error] when there is nothing to play.
func (s *Service) Resolve(_ context.Context, name stream.Name, t Target) (stream.Name, error) {
	rendition := Rendition(name, t)
	if _, _, ok := parse(rendition); !ok {
		return name, nil
	}
	formats := formatsOf(s.hub, name)
	p := plan(t, formats)
	switch {
	case len(formats) == 0:
		return name, nil
	case !p.copies() && !p.encodes():
		return "", errHopeless.Because(errors.New(strings.Join(p.hopeless(formats), ", ")))
	case !p.encodes():
		return name, nil
	case s.Available() && (s.hub.Published(rendition) || len(s.room) < cap(s.room)):
		return rendition, nil
	case p.picture == Copy && t == HLS:
		return name, nil // a picture without sound is more than nothing
	case !s.Available():
		return "", errAbsent
	}
	return "", errBusy
}

// ResolveFor returns Resolve for one target.
func (s *Service) ResolveFor(t Target) func(context.Context, stream.Name) (stream.Name, error) {
	return func(ctx context.Context, n stream.Name) (stream.Name, error) { return s.Resolve(ctx, n, t) }
}

// formatsOf returns what is known of a stream's tracks now.
func formatsOf(hub *stream.Hub, name stream.Name) []media.Format {
	sub := hub.Open(name)
	defer sub.Close()
	return formats(sub.Tracks())
}

func formats(tracks []*stream.Track) []media.Format {
	out := make([]media.Format, len(tracks))
	for i, t := range tracks {
		out[i] = t.Format()
	}
	return out
}

// settle is how long the tracks of a source must have been the same before a
// child is started for them: a publisher adds them one by one.
const settle = 100 * time.Millisecond

// Package transcode makes playable what a browser cannot play, and small what a thin
// line cannot carry: an ordinary reader of one stream and publisher of another, with
// an ffmpeg child between them for the tracks that need it and nothing between them
// for the others.
//
//	channels/x ──┬─ copied tracks ───────────────────────────┬─> channels/x/hls
//	             ├─ encoded tracks ─> TS ─> ffmpeg ─> TS ─────┘
//	             └─ all tracks ─────> TS ─> ffmpeg ─> TS ───────> channels/x/hls-350
//
// A rendition exists while somebody reads it (stream.Provider) and is made once
// however many read it. Times are those of the source, on both ways.
//
// What the children may use is bounded by their number and by their share of the
// processor, estimated before and measured after they start ([Config]); they run
// with a low priority, and new work is refused with a reason rather than taken from
// what comes in.
//
// Goroutines: the hub runs one per rendition; that one owns the copier, the feeder
// and the reader of the child, and waits for them.
package transcode

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os/exec"
	"slices"
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

// Config bounds the children.
type Config struct {
	// FFmpeg is the program's name or path.
	FFmpeg string
	// Max is how many children for pictures run at once; 0: none of any kind. Of
	// those for sound alone, which cost little, sixteen times as many may run.
	Max int
	// CPU is the share of the whole machine that children may use together, above 0
	// and at most 1; 0: a half.
	CPU float64
}

// Service makes renditions. Create it with [New]; it is safe for concurrent use.
type Service struct {
	cfg   Config
	hub   *stream.Hub
	clock media.Clock
	log   *slog.Logger
	room  *room

	starts, failures, refusals atomic.Uint64
	drops                      stream.Drops
}

// New returns the service and registers it with the hub, which runs and ends it.
// Call it before anything of the hub is opened.
func New(cfg Config, hub *stream.Hub, clock media.Clock, log *slog.Logger) *Service {
	if cfg.CPU == 0 {
		cfg.CPU = 0.5
	}
	s := &Service{cfg: cfg, hub: hub, clock: clock, log: log, room: newRoom(cfg.Max, cfg.CPU)}
	hub.Provide(stream.Provider{
		Match: func(n stream.Name) bool { _, _, ok := parse(n); return ok },
		Run:   s.run,
	})
	return s
}

// Stats are counters since the start.
type Stats struct {
	Running  int     // children now
	Max      int     // children for pictures at most
	Cores    float64 // what they use, measured or, of young ones, estimated
	Budget   float64 // what they may use
	Starts   uint64  // children started
	Failures uint64  // children that ended by themselves or were ended because they hung
	Refusals uint64  // renditions for which there was no room
	Drops    map[string]uint64
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	n, cores := s.room.totals()
	return Stats{
		Running: n, Max: s.cfg.Max, Cores: cores, Budget: s.room.budget,
		Starts: s.starts.Load(), Failures: s.failures.Load(), Refusals: s.refusals.Load(), Drops: s.drops.Snapshot(),
	}
}

// Available reports whether the program is there.
func (s *Service) Available() bool {
	_, err := exec.LookPath(s.cfg.FFmpeg)
	return err == nil && s.cfg.Max > 0
}

// Resolve returns the stream to play for name: itself when the target takes it as
// it is or nothing is known of it yet, else its rendition. A name that is a rendition
// already is returned if it can be made. The error is an [apierr.Error] when there is
// nothing to play.
func (s *Service) Resolve(_ context.Context, name stream.Name, t Target) (stream.Name, error) {
	source, rendition := name, Rendition(name, t)
	if of, own, ok := parse(name); ok {
		source, rendition, t = of, name, own
	} else if _, _, ok := parse(rendition); !ok {
		return name, nil
	}
	formats := formatsOf(s.hub, source)
	p := plan(t, formats)
	switch {
	case len(formats) == 0:
		return name, nil
	case !p.fulfils(formats):
		return "", errHopeless.Because(errors.New(strings.Join(p.hopeless(formats), ", ")))
	case !p.encodes() && rendition != name:
		return name, nil
	case !p.encodes(), s.Available() && (s.hub.Published(rendition) || s.room.fits(p.picture == Encode, estimate(p, formats))):
		return rendition, nil
	case p.picture == Copy && t == HLS && rendition != name:
		return name, nil // a picture without sound is more than nothing
	case !s.Available():
		return "", errAbsent
	}
	s.refusals.Add(1)
	return "", errBusy
}

// ResolveFor returns Resolve for one target.
func (s *Service) ResolveFor(t Target) func(context.Context, stream.Name) (stream.Name, error) {
	return func(ctx context.Context, n stream.Name) (stream.Name, error) { return s.Resolve(ctx, n, t) }
}

// Offer is a low-rate rendition that can be asked for.
type Offer struct {
	// Name is the stream's.
	Name stream.Name
	// Rate is the most that goes out, in bits a second over any two seconds.
	Rate int
	// Video is the picture's name in a playlist (RFC 6381); empty when there is only sound.
	Video string
	// Width, Height and FPS are the picture's; 0 when not known.
	Width, Height int
	FPS           float64
	// Sounds are those that it has.
	Sounds []stream.TrackInfo
}

// Offers returns the low-rate renditions of a stream for HLS, the highest first:
// those that can be made of its tracks. Whether there is room is seen when one is asked for.
func (s *Service) Offers(name stream.Name) []Offer {
	if _, _, ok := parse(Rendition(name, HLS)); !ok || !s.Available() {
		return nil
	}
	var out []Offer
	sub := s.hub.Open(name)
	defer sub.Close()
	tracks := sub.Tracks()
	formats := formats(tracks)
	for _, t := range []Target{HLS800, HLS350} {
		p := plan(t, formats)
		if p.picture != Encode {
			continue // of sound alone there is nothing to save
		}
		r, _ := t.rung()
		o := Offer{Name: Rendition(name, t), Rate: r.Rate, Video: lowCodec}
		for i, f := range formats {
			switch {
			case p.Of(f) != Encode:
			case f.Codec.Kind() == media.Audio:
				o.Sounds = append(o.Sounds, tracks[i].Info())
			case o.FPS == 0:
				o.Width, o.Height = r.size(f)
				o.FPS = f.FPS / float64(r.every(f))
			}
		}
		slices.SortFunc(o.Sounds, func(a, b stream.TrackInfo) int {
			return cmp.Or(cmp.Compare(len(a.Label), len(b.Label)), cmp.Compare(a.Label, b.Label))
		})
		out = append(out, o)
	}
	return out
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

package quality

import (
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/stream"
)

// player publishes a file's frames by a clock that the test winds on.
type player struct {
	id     string
	pub    *stream.Publisher
	frames []played
	tracks map[*mpegts.Stream]*stream.Track
}

type played struct {
	at     time.Duration
	stream *mpegts.Stream
	frame  *media.Frame
}

func newPlayer(t *testing.T, hub *stream.Hub, id, file string) *player {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &player{id: id, tracks: map[*mpegts.Stream]*stream.Track{}}
	if p.pub, err = hub.Publish(stream.Channel(id), false); err != nil {
		t.Fatal(err)
	}
	first := mpegts.NoTime
	d := mpegts.NewDemuxer(mpegts.Handler{Frame: func(s *mpegts.Stream, f *media.Frame, at mpegts.Times) {
		if first == mpegts.NoTime {
			first = at.DTS
		}
		f.DTS = media.FromTicks(mpegts.Forward(first, at.DTS), mpegts.Ticks)
		f.PTS = media.FromTicks(mpegts.Forward(first, at.PTS), mpegts.Ticks)
		f.Arrival = int64(f.DTS) + int64(time.Second)
		p.frames = append(p.frames, played{time.Duration(f.Arrival), s, f})
	}})
	d.Feed(data, 0)
	d.Flush()
	for _, s := range d.Services()[0].Streams {
		label := stream.LabelVideo
		if s.Codec.Kind() == media.Audio {
			label = stream.LabelAudio
		}
		p.tracks[s] = p.pub.AddTrack(stream.TrackInfo{Label: label, Form: stream.Frames, Format: s.Format})
	}
	return p
}

// play writes all frames up to a moment.
func (p *player) play(now time.Duration) {
	// Streams of a file are each in order, not all together.
	rest := p.frames[:0:0]
	for _, f := range p.frames {
		if f.at <= now {
			p.tracks[f.stream].WriteFrame(f.frame)
		} else {
			rest = append(rest, f)
		}
	}
	p.frames = rest
}

func watchFiles(t *testing.T, cfg Config, files ...string) []ran {
	t.Helper()
	hub := stream.NewHub(slog.New(slog.DiscardHandler))
	defer hub.Close()
	clock := media.NewClock()
	zero := clock.Wall(0)
	s := newService(cfg, hub, clock, slog.New(slog.NewTextHandler(io.Discard, nil)), Outlets{})
	defer func() {
		for _, c := range s.channels {
			s.follows(c, false)
		}
	}()
	z := newSampler(s)
	defer z.close()
	var players []*player
	var list []Channel
	for i, file := range files {
		p := newPlayer(t, hub, string(rune('a'+i)), file)
		players = append(players, p)
		list = append(list, Channel{ID: p.id, Live: true})
	}
	out := make([]ran, len(files))
	last := time.Duration(0)
	for now := time.Second; now < streamLength+2*time.Second; now += followEvery {
		for _, p := range players {
			p.play(now)
		}
		s.look(list, now-last >= judgeEvery, int64(now))
		if now-last >= judgeEvery {
			last = now
		}
		for s.decodes {
			o, _ := s.pick(int64(now))
			if o == nil {
				break
			}
			z.take(t.Context(), o)
		}
		for len(s.records) > 0 {
			r := <-s.records
			r.change.At = time.Unix(0, int64(r.change.At.Sub(zero)-time.Second))
			i := int(r.channel[0] - 'a')
			out[i].changes = append(out[i].changes, r.change)
		}
	}
	for i := range out {
		out[i].report = s.report(s.channels[players[i].id])
		out[i].stats = s.Stats()
	}
	return out
}

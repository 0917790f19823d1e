// Package quality watches over channels: whether their transport stream is in order,
// whether the picture is black or frozen, the sound silent or too loud. It raises
// alarms, keeps a thumbnail of each channel, and says what it measured.
//
//	ingest ── counts of TR 101 290 ──────────────────────────┐
//	hub ──┬─ every coded picture and sound: sizes, layer II ─┼─> judge ─> alarms ─> log, OnChange
//	      └─ now and then one ─> ffmpeg ─> picture, levels ──┘
//
// Decoding all would cost more than everything else together. So each channel is
// sampled: every few seconds its newest key picture and half a second of its sound are
// decoded, by a few ffmpeg children that live long, one for each codec. What costs
// nothing to look at, the sizes of coded pictures, says when to look sooner. The
// samples have a budget of processor time; when it is used up they come less often.
// Without ffmpeg there is only what the coded stream says, and no thumbnail.
//
// Goroutines: the [Service] owns one that follows and judges, one that samples, one
// that tells, one that writes the log. docs/quality.md says what each number means.
package quality

import (
	"context"
	"log/slog"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/stream"
)

// Config says how much is looked at.
type Config struct {
	// FFmpeg is the program's name or path; where there is none, nothing is decoded.
	FFmpeg string
	// Interval is how often each channel is sampled while nothing is wrong.
	Interval time.Duration
	// CPU is the share of one core that samples may use.
	CPU float64
	// Loud is the loudness in LUFS above which sound is too loud.
	Loud float64
}

// DefaultConfig is for a machine of two cores with fifty channels in standard definition.
func DefaultConfig() Config {
	return Config{FFmpeg: "ffmpeg", Interval: 4 * time.Second, CPU: 0.15, Loud: -14}
}

// Channel is what the service is told of a channel.
type Channel struct {
	ID   string
	Live bool
	// Transport is what was measured of its transport stream; nil when it has none.
	Transport *mpegts.Measure
}

// Outlets are where the service gets from and gives to. Channels is needed.
type Outlets struct {
	// Channels returns all channels as they are. It is called every second.
	Channels func() []Channel
	// OnChange is called when findings of a channel change, from one goroutine.
	OnChange func(stream.Name, Findings)
	// Record writes a change of an alarm to the log, from one goroutine.
	Record func(ctx context.Context, channel string, c Change) error
}

// Service watches over channels. Create it with [New]; it is safe for concurrent use.
type Service struct {
	cfg     Config
	hub     *stream.Hub
	clock   media.Clock
	log     *slog.Logger
	outlets Outlets
	decodes bool

	end     context.CancelFunc
	running sync.WaitGroup
	told    chan string // channels whose findings changed
	records chan record

	starts, failures, samples, unrecorded atomic.Uint64

	mu       sync.Mutex // guards what follows
	channels map[string]*channel
	budget   budget
	decoders int
	slowest  time.Duration
}

// channel is what is known of one channel.
type channel struct {
	id       string
	live     bool
	follower *follower // nil while it is not live
	judge    judge
	alarms   alarms
	since    time.Time

	measure  *mpegts.Measure // the newest
	totals   mpegts.TR101290 // over all sources so far
	packets  uint64          // of the service and scrambled ones, counted last
	hidden   uint64
	judgedBy string

	sampledAt    time.Time
	sampledKey   *media.Frame
	sampledSound int64
	doubted      time.Time
	failures     int

	picture   picture
	pictureAt time.Time
	thumbnail []byte // of picture, once asked for
	luma      float64
}

type record struct {
	channel string
	change  Change
}

const (
	followEvery = 250 * time.Millisecond
	judgeEvery  = time.Second
	// maxRecords bounds the changes that wait to be written; more are dropped and counted.
	maxRecords = 1024
)

// New starts the service. The caller closes it.
func New(cfg Config, hub *stream.Hub, clock media.Clock, log *slog.Logger, o Outlets) *Service {
	s := newService(cfg, hub, clock, log, o)
	ctx, cancel := context.WithCancel(context.Background())
	s.end = cancel
	s.running.Go(func() { s.watch(ctx) })
	s.running.Go(func() { s.tell(ctx) })
	s.running.Go(func() { s.write(ctx) })
	if s.decodes {
		s.running.Go(func() { s.sample(ctx) })
	}
	return s
}

// newService returns a service that does nothing by itself.
func newService(cfg Config, hub *stream.Hub, clock media.Clock, log *slog.Logger, o Outlets) *Service {
	s := &Service{
		cfg: cfg, hub: hub, clock: clock, log: log, outlets: o,
		told: make(chan string, 1024), records: make(chan record, maxRecords),
		channels: make(map[string]*channel), budget: budget{share: cfg.CPU, factor: 1},
	}
	if cfg.FFmpeg != "" && cfg.CPU > 0 {
		_, err := exec.LookPath(cfg.FFmpeg)
		s.decodes = err == nil
	}
	if !s.decodes {
		log.Warn("pictures and sounds are judged by their coded form only: there is no ffmpeg, so no thumbnails")
	}
	return s
}

// Close ends the service and waits for it.
func (s *Service) Close() {
	s.end()
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.channels {
		s.follows(c, false)
	}
}

// watch follows the streams, and judges every second.
func (s *Service) watch(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	last := int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := s.clock.Now()
		judge := now-last >= int64(judgeEvery)
		var list []Channel
		if judge {
			last = now
			list = s.outlets.Channels()
		}
		s.look(list, judge, now)
	}
}

// look follows all streams up to now, and judges when it is time to.
func (s *Service) look(list []Channel, judge bool, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.channels {
		if c.follower != nil && c.follower.drain() {
			c.judge.audible()
		}
	}
	if judge {
		s.judge(list, now)
	}
}

// judge steps the alarms of all channels. The caller holds s.mu.
func (s *Service) judge(list []Channel, now int64) {
	wall := s.clock.Wall(now)
	seen := make(map[string]bool, len(list))
	for _, in := range list {
		seen[in.ID] = true
		c := s.channels[in.ID]
		if c == nil {
			c = &channel{id: in.ID, since: wall, judge: judge{limit: s.cfg.Loud}}
			s.channels[in.ID] = c
		}
		s.changed(c, c.alarms.step(c.second(s, in, now), wall))
	}
	for id, c := range s.channels {
		if seen[id] {
			continue
		}
		s.follows(c, false)
		for name := range c.alarms.raised() {
			s.record(c.id, Change{name, wall, false})
		}
		delete(s.channels, id)
	}
}

// second returns what the last second of a channel was like.
func (c *channel) second(s *Service, in Channel, now int64) second {
	out := second{}
	if c.live != in.Live {
		c.live = in.Live
		c.judge.reset()
		s.follows(c, in.Live)
	}
	if m := in.Transport; m != nil && m != c.measure {
		c.measured(m, out)
	}
	out.is(NoSignal, !in.Live)
	if !in.Live {
		return out
	}
	f := c.faults(s, now)
	out.is(Black, f.black)
	out.is(Frozen, f.frozen)
	out.is(Silent, f.silent)
	out.is(Loud, f.loud)
	return out
}

// measured takes a new measurement of the transport stream.
func (c *channel) measured(m *mpegts.Measure, out second) {
	var before mpegts.TR101290
	if c.measure != nil {
		before = c.measure.Errors
	}
	fresh := m.Errors.Since(before)
	c.totals = c.totals.Plus(fresh)
	out.transport(fresh)
	out.is(Missing, m.Missing)
	packets, hidden := m.Packets-min(m.Packets, c.packets), m.Scrambled-min(m.Scrambled, c.hidden)
	out.is(Scrambled, hidden*2 > packets && packets > 0)
	c.packets, c.hidden, c.measure = m.Packets, m.Scrambled, m
}

// Ways in which a channel's picture and sound are judged.
const (
	byDecoding = "decoded"
	byCoded    = "coded"
)

// faults returns what is wrong with picture and sound.
func (c *channel) faults(s *Service, now int64) faults {
	wall := s.clock.Wall(now)
	f := c.judge.now(wall)
	if s.decodes && (!c.judge.sampled.IsZero() || !c.judge.heard.IsZero()) {
		c.judgedBy = byDecoding
		if c.judge.heard.IsZero() { // a sound that cannot be decoded may still be looked at
			f.silent = c.follower.coded(now).silent
		}
		return f
	}
	c.judgedBy = byCoded
	return c.follower.coded(now)
}

// sawPicture takes a decoded picture of a sample.
func (s *Service) sawPicture(o *sample, p picture) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := o.c
	if c.follower != o.follow { // the channel went and came meanwhile
		return
	}
	var quiet time.Time
	if o.quiet != 0 {
		quiet = s.clock.Wall(o.quiet)
	}
	at := s.clock.Wall(o.key.Arrival)
	c.judge.picture(p, at, quiet)
	c.picture, c.pictureAt, c.thumbnail, c.luma = p, at, nil, p.mean()
}

// heardSound takes the level of a sample's sound.
func (s *Service) heardSound(o *sample, l soundLevel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.c.follower == o.follow {
		o.c.judge.sound(l, s.clock.Wall(o.arrived), o.length-settle*time.Second/soundRate)
	}
}

// sampled notes how a sample went.
func (s *Service) sampled(o *sample, failed bool, took time.Duration) {
	s.samples.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slowest = max(took, s.slowest*15/16)
	if failed {
		o.c.failures++
	} else {
		o.c.failures = 0
	}
}

// changed tells of alarms that began or ended. The caller holds s.mu.
func (s *Service) changed(c *channel, list []Change) {
	if len(list) == 0 {
		return
	}
	c.since = list[len(list)-1].At
	for _, ch := range list {
		if ch.Raised {
			s.log.Warn("alarm", "channel", c.id, "alarm", ch.Alarm)
		} else {
			s.log.Info("alarm over", "channel", c.id, "alarm", ch.Alarm)
		}
		s.record(c.id, ch)
	}
	select {
	case s.told <- c.id:
	default: // it is told with the next change; a thousand wait already
	}
}

func (s *Service) record(channel string, c Change) {
	select {
	case s.records <- record{channel, c}:
	default:
		s.unrecorded.Add(1)
	}
}

func (s *Service) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-s.told:
			if s.outlets.OnChange != nil {
				s.outlets.OnChange(stream.Channel(id), s.findings(id))
			}
		}
	}
}

func (s *Service) findings(id string) Findings {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[id]
	if c == nil {
		return Findings{}
	}
	return Findings{Raised: c.alarms.raised(), Since: c.since}
}

func (s *Service) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-s.records:
			if s.outlets.Record == nil {
				continue
			}
			if err := s.outlets.Record(ctx, r.channel, r.change); err != nil && ctx.Err() == nil {
				s.unrecorded.Add(1)
				s.log.Error("write the alarm log", "err", err)
			}
		}
	}
}

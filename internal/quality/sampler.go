package quality

import (
	"context"
	"errors"
	"time"

	"tongxiang/internal/ffmpeg"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

const (
	// quick is the distance of samples while something may be wrong, watchful while
	// something is: its end is to be seen too.
	quick    = time.Second
	watchful = 2 * time.Second
	// doubt is how long a channel is sampled quickly without anything found, and rest
	// how long it is then left alone: a test card with a clock looks frozen for ever.
	doubt = 15 * time.Second
	rest  = 60 * time.Second
	// pieceOf is how much sound an ordinary sample has: the 400 ms of momentary
	// loudness and what comes before them, see settle.
	pieceOf = 500 * time.Millisecond
	// decoderIdle is how long a child without samples is kept.
	decoderIdle = time.Minute
	// maxBackoff is how seldom a channel is tried of which nothing can be decoded.
	maxBackoff = time.Minute
)

// due returns when a channel is to be sampled next.
func (c *channel) due(now time.Time, nowNS int64, interval time.Duration, stretch float64) time.Time {
	if c.failures > 0 {
		return c.sampledAt.Add(min(maxBackoff, interval<<min(c.failures, 8)))
	}
	wait := interval
	f := c.judge.now(now)
	switch {
	case f != faults{}:
		wait = min(wait, watchful)
	case c.judge.undecided() || c.follower.suspicious(nowNS):
		if c.doubted.IsZero() || now.Sub(c.doubted) > doubt+rest {
			c.doubted = now
		}
		if now.Sub(c.doubted) <= doubt {
			wait = min(wait, quick)
		}
	case now.Sub(c.doubted) > doubt+rest:
		c.doubted = time.Time{}
	}
	return c.sampledAt.Add(time.Duration(float64(wait) * stretch))
}

// sample is what is given to decoders, and what came of it.
type sample struct {
	c       *channel
	follow  *follower
	codec   media.Codec
	key     *media.Frame
	quiet   int64
	sound   media.Codec
	blocks  []block
	length  time.Duration
	arrived int64
}

// sampler gives samples to decoders, one after the other. It belongs to its goroutine.
type sampler struct {
	s        *Service
	decoders map[media.Codec]*decoder
	cost     time.Duration // of this period
	spent    map[*decoder]time.Duration
	period   time.Time
}

func newSampler(s *Service) *sampler {
	return &sampler{s: s, decoders: map[media.Codec]*decoder{}, spent: map[*decoder]time.Duration{}, period: time.Now()}
}

func (s *Service) sample(ctx context.Context) {
	z := newSampler(s)
	defer z.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		wait := z.next(ctx)
		z.account()
		timer.Reset(wait)
	}
}

// next samples the channel that has waited longest and returns how long to wait.
func (z *sampler) next(ctx context.Context) time.Duration {
	o, wait := z.s.pick(z.s.clock.Now())
	if o == nil {
		return min(wait, 100*time.Millisecond)
	}
	z.take(ctx, o)
	return 0
}

// take decodes and judges one sample.
func (z *sampler) take(ctx context.Context, o *sample) {
	began := time.Now()
	failed := z.picture(ctx, o)
	failed = z.sound(ctx, o) || failed
	if ctx.Err() == nil {
		z.s.sampled(o, failed, time.Since(began))
	}
}

// pick chooses the channel that is most overdue, and takes what is sampled of it.
func (s *Service) pick(nowNS int64) (*sample, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Wall(nowNS)
	var best *channel
	var at time.Time
	for _, c := range s.channels {
		if !c.live || c.follower == nil {
			continue
		}
		if due := c.due(now, nowNS, s.cfg.Interval, s.budget.factor); best == nil || due.Before(at) {
			best, at = c, due
		}
	}
	if best == nil {
		return nil, time.Second
	}
	if at.After(now) {
		return nil, at.Sub(now)
	}
	f := best.follower
	o := &sample{c: best, follow: f, quiet: f.quiet}
	if f.key != best.sampledKey {
		o.codec, o.key = f.picture.Codec, f.key
	}
	if f.arrived != best.sampledSound {
		// All since the last sample, when that is not long: nothing is missed in doubt.
		length := max(pieceOf, time.Duration(f.arrived-best.sampledSound)+settle*time.Second/soundRate)
		if length > keepSound {
			length = pieceOf
		}
		o.sound, o.arrived = f.format.Codec, f.arrived
		o.blocks, o.length = f.lastSound(length)
	}
	best.sampledAt, best.sampledKey, best.sampledSound = now, f.key, f.arrived
	return o, 0
}

func (z *sampler) decoder(ctx context.Context, codec media.Codec) (*decoder, error) {
	d := z.decoders[codec]
	if d == nil {
		var err error
		if d, err = startDecoder(ctx, z.s.cfg.FFmpeg, codec); err != nil {
			return nil, err
		}
		z.s.starts.Add(1)
		z.decoders[codec] = d
	}
	d.used = time.Now()
	return d, nil
}

// decode gives blocks to the child of a codec; one that fails is closed, and another
// is begun with the next sample.
func (z *sampler) decode(ctx context.Context, codec media.Codec, blocks []block, until int64) []decoded {
	d, err := z.decoder(ctx, codec)
	var got []decoded
	if err == nil {
		got, err = d.decode(ctx, blocks, until)
	}
	if err == nil || ctx.Err() != nil {
		return got
	}
	z.s.failures.Add(1)
	level := z.s.log.Warn
	if errors.Is(err, errUndecodable) {
		level = z.s.log.Debug // of this channel more is said elsewhere
	}
	level("decoder of samples ended", "codec", codec, "err", err)
	if d != nil {
		z.drop(codec)
	}
	return nil
}

func (z *sampler) picture(ctx context.Context, o *sample) (failed bool) {
	if _, ok := codecID(o.codec); !ok || o.key == nil {
		return false
	}
	blocks := pictureSample(o.codec, o.key)
	got := z.decode(ctx, o.codec, blocks, 0)
	if len(got) == 0 {
		return true
	}
	began := time.Now()
	z.s.sawPicture(o, picture(got[len(got)-1].data))
	z.cost += time.Since(began)
	return false
}

func (z *sampler) sound(ctx context.Context, o *sample) (failed bool) {
	if len(o.blocks) == 0 {
		return false
	}
	const tail = 60 // ms that may stay in the child's resampler or belong to a damaged last frame
	got := z.decode(ctx, o.sound, o.blocks, int64(o.length/time.Millisecond)-tail)
	if len(got) == 0 {
		return true
	}
	began := time.Now()
	if l, ok := measure(samplesOf(got)); ok {
		z.s.heardSound(o, l)
	}
	z.cost += time.Since(began)
	return false
}

// account settles a period of the budget, and ends children that nobody needs.
func (z *sampler) account() {
	now := time.Now()
	if now.Sub(z.period) < budgetPeriod {
		return
	}
	for codec, d := range z.decoders {
		z.charge(d)
		if now.Sub(d.used) > decoderIdle {
			z.drop(codec)
		}
	}
	z.s.mu.Lock()
	z.s.budget.account(z.cost, now.Sub(z.period))
	z.s.decoders = len(z.decoders)
	z.s.mu.Unlock()
	z.cost, z.period = 0, now
}

// charge adds what a child has used since it was charged last.
func (z *sampler) charge(d *decoder) {
	if used, ok := ffmpeg.CPU(d.cmd); ok {
		z.cost += used - z.spent[d]
		z.spent[d] = used
	}
}

func (z *sampler) drop(codec media.Codec) {
	d := z.decoders[codec]
	z.charge(d)
	delete(z.decoders, codec)
	delete(z.spent, d)
	_ = d.close() // it was of no use any more
}

func (z *sampler) close() {
	for codec := range z.decoders {
		z.drop(codec)
	}
}

// follows starts or ends the following of a channel's stream. The caller holds s.mu.
func (s *Service) follows(c *channel, yes bool) {
	switch {
	case yes && c.follower == nil:
		c.follower = newFollower(s.hub, stream.Channel(c.id))
	case !yes && c.follower != nil:
		c.follower.close()
		c.follower = nil
	}
}

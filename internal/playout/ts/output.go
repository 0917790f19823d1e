package ts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/retry"
	"tongxiang/internal/stream"
)

// OutputConfig is one output as somebody asked for it.
type OutputConfig struct {
	ID       string
	Stream   stream.Name
	Address  string
	Bitrate  int64  // bits a second; 0: what the stream needs and a tenth
	Service  uint16 // service_id; 0: 1
	Name     string
	Provider string
}

const (
	// wakeLeast and wakeMost are how often an output looks: for a datagram, and for frames.
	wakeLeast = 4 * time.Millisecond
	wakeMost  = 20 * time.Millisecond
	// gramTime bounds what lies between two datagrams (ETSI TS 102 034 7.2.1.1 allows
	// 40 ms of jitter): a slow output has fewer packets in each.
	gramTime = 30 * time.Millisecond
	// measureFor is how much of a stream must have been seen before a bit rate is chosen.
	measureFor = 4 * stcRate
	// awayAfter is how long a stream may be silent before it counts as away.
	awayAfter = 1500 * time.Millisecond
	// lookEvery is how often the rendition to send is asked for, and the state told.
	lookEvery = time.Second
	// weighEvery is how often the needed bit rate is worked out.
	weighEvery = 5 * time.Second
	// strainedFor is how long an overload is told after the last picture was lost.
	strainedFor = 15 * time.Second
	maxSounds   = 8
	// brokenAfter is how many datagrams in a row the kernel refuses before the socket
	// is opened anew.
	brokenAfter = 500
	// longStall is a stall after which the receivers have run dry anyway: the clock
	// jumps. After a shorter one it stays behind and catches up by and by.
	longStall = time.Second
)

// output is one output at work. Its goroutine is run; status is read by anybody.
type output struct {
	cfg     OutputConfig
	addr    Address
	env     *environment
	log     *slog.Logger
	status  atomic.Pointer[Status]
	events  atomic.Pointer[[2]*Event]
	cancel  context.CancelFunc
	running sync.WaitGroup

	// owned by run
	sock      *socket
	grams     grams
	feed      *feed.Feed
	following stream.Name
	mux       *CBR
	meter     meter
	pace      pacer
	follow    follower
	rtp       rtp
	lost      stream.Drops
	stalls    uint64
	failures  uint64
	shown     *[2]*Event

	caughtUp  bool  // what the rings held has been measured
	heard     int64 // when a frame last came; 0: never
	silentAt  int64 // since when nothing is sent (Stop)
	looked    int64
	weighed   int64
	needed    int64
	strained  int64 // when a picture was last lost for want of rate
	overloads uint64
	told      uint64 // packets when the state was last told
	toldAt    int64
	failure   error // of opening the socket
	refusal   error // why there is no rendition
}

// environment is what all outputs share.
type environment struct {
	hub     *stream.Hub
	clock   media.Clock
	resolve func(ctx context.Context, name stream.Name, audio string) (stream.Name, error)
}

func newOutput(cfg OutputConfig, addr Address, env *environment, log *slog.Logger) *output {
	o := &output{cfg: cfg, addr: addr, env: env, log: log.With("output", cfg.ID, "stream", cfg.Stream)}
	s := &o.addr.Service
	s.ID, s.Name, s.Provider = cfg.Service, cfg.Name, cfg.Provider
	if o.addr.Delay == 0 {
		o.addr.Delay = DefaultDelay
	}
	o.meter.delay = stcOf(o.addr.Delay)
	o.rtp = rtp{sequence: uint16(rand.Uint32()), source: rand.Uint32()}
	o.status.Store(&Status{OutputConfig: cfg, State: Starting, Since: time.Now()})
	return o
}

// run sends until ctx ends.
func (o *output) run(ctx context.Context) {
	defer o.leave()
	back := retry.Backoff{First: time.Second, Max: 10 * time.Second}
	for ctx.Err() == nil {
		sock, err := dial(ctx, o.addr, &o.grams)
		if err == nil {
			o.sock, o.failure = sock, nil
			back.Reset()
			err = o.send(ctx)
			// Nothing is buffered in the socket.
			_ = sock.close()
			if ctx.Err() != nil {
				return
			}
		}
		o.failure = err
		o.failures++
		o.tell(o.env.clock.Now())
		if ctx.Err() == nil {
			pause := back.Next()
			o.log.Warn("output cannot be opened", "err", err, "again in", pause)
			retry.Sleep(ctx, pause)
		}
	}
}

// send is the pacing loop. It returns when ctx ends, or with the error of a socket
// through which nothing goes out any more.
func (o *output) send(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		}
		now := o.env.clock.Now()
		wait := o.step(ctx, now)
		if o.sock.row >= brokenAfter {
			// The interface went away, or its address: another socket may do.
			o.silentAt = now
			return fmt.Errorf("send to %s: %w", o.addr.To, o.sock.err)
		}
		timer.Reset(wait)
	}
}

func (o *output) leave() {
	if o.feed != nil {
		o.feed.Close()
	}
}

// step does what is due at a moment and returns how long nothing will be.
func (o *output) step(ctx context.Context, now int64) time.Duration {
	if now-o.looked >= int64(lookEvery) || o.looked == 0 {
		o.looked = now
		o.look(ctx)
		o.tell(now)
	}
	o.take(ctx, now)
	if o.mux == nil && !o.open(now) {
		return wakeMost
	}
	away := now-o.heard > int64(awayAfter) || o.heard == 0
	if away && o.addr.Stop {
		if o.silentAt == 0 {
			o.silentAt = now
		}
		return wakeMost
	}
	if o.silentAt != 0 {
		// The clock went on while nothing was sent.
		o.mux.Resume(time.Duration(now - o.silentAt))
		o.follow.anew()
		o.pace.start(now, o.mux.Rate())
		o.silentAt = 0
	}
	return o.emit(now)
}

// emit sends the datagrams that are due.
func (o *output) emit(now int64) time.Duration {
	per := o.perGram()
	due, stalled := o.pace.due(now)
	if stalled > 0 {
		o.stalls++
		o.log.Warn("output stalled", "for", stalled)
		if stalled >= longStall {
			o.mux.Resume(stalled)
			o.follow.anew()
		}
	}
	head := 0
	if o.addr.RTP {
		head = rtpHeader
	}
	for ; due >= per; due -= per {
		b := o.sock.next()
		if o.addr.RTP {
			o.rtp.header(b, o.mux.now)
		}
		for i := range int(per) {
			o.mux.Next(b[head+i*packetSize:])
		}
		o.sock.add(head + int(per)*packetSize)
		o.pace.sent(per)
	}
	o.sock.flush()
	return min(max(o.pace.until(per), wakeLeast), wakeMost)
}

// perGram returns how many packets go in a datagram.
func (o *output) perGram() int64 {
	return min(max(o.pace.rate*int64(gramTime)/packetNS, 1), int64(o.addr.Packets))
}

// take moves the frames that have come to the multiplexer.
func (o *output) take(ctx context.Context, now int64) {
	if o.feed == nil {
		return
	}
	const atMost = 1000 // a burst must not hold up the pacing
	for range atMost {
		e, ok := o.feed.Poll()
		switch {
		case !ok:
			o.caughtUp = true
			return
		case e.Frame == nil:
			o.look(ctx)
			if o.feed == nil {
				return
			}
			o.tracks()
		default:
			o.frame(e, now)
		}
	}
}

func (o *output) frame(e feed.Event, now int64) {
	tracks := o.feed.Tracks()
	o.meter.add(e.Frame, tracks[e.Track].Format.Codec.Kind() == media.Video)
	if !o.caughtUp {
		return // from the past: it only says what the stream is like
	}
	o.heard = now
	if o.mux == nil || o.silentAt != 0 {
		return
	}
	jumps := o.mux.jumps
	lead, timed := o.mux.Push(e.Track, e.Frame, e.Lost)
	if o.mux.jumps != jumps {
		o.follow.anew()
	}
	if timed && (tracks[e.Track].Format.Codec.Kind() == media.Video || len(tracks) == 1) {
		o.follow.saw(now, lead)
		o.pace.ppb = o.follow.pace(now)
	}
}

// look asks which stream to send, and follows another one when that has changed.
func (o *output) look(ctx context.Context) {
	name, err := o.cfg.Stream, error(nil)
	if o.env.resolve != nil {
		name, err = o.env.resolve(ctx, o.cfg.Stream, o.addr.Audio)
	}
	o.refusal = err
	if err != nil {
		name = o.cfg.Stream // what can be carried of it may be something
	}
	if o.feed != nil && name == o.following {
		return
	}
	if o.feed != nil {
		o.feed.Close()
	}
	// What the rings hold tells at once what the stream is like.
	o.feed = feed.Open(o.env.hub, name, feed.Options{Accept: Carriable, Sounds: maxSounds, From: stream.AtOldest, Drops: &o.lost})
	o.following, o.caughtUp = name, false
	if o.mux != nil {
		o.tracks()
	}
}

// tracks gives the feed's tracks to the multiplexer.
func (o *output) tracks() {
	tracks := o.feed.Tracks()
	if o.mux == nil || len(tracks) == 0 {
		return // the tables go on saying what was there
	}
	formats := make([]media.Format, len(tracks))
	for i, t := range tracks {
		formats[i] = t.Format
	}
	if err := o.mux.SetTracks(formats); err != nil {
		o.log.Error("output's tracks refused", "err", err) // Carriable let them through
	}
}

// open makes the multiplexer as soon as its bit rate is known.
func (o *output) open(now int64) bool {
	rate := o.cfg.Bitrate
	if rate == 0 {
		if !o.caughtUp || o.meter.span() < measureFor {
			return false
		}
		rate = automatic(o.meter.need(o.addr.Service))
	}
	mux, err := NewCBR(Config{Service: o.addr.Service, Rate: rate, Delay: o.addr.Delay})
	if err != nil {
		o.log.Error("output's multiplexer", "err", err) // the rate was checked
		return false
	}
	o.mux = mux
	if o.feed != nil {
		o.tracks()
	}
	o.pace.start(now, rate)
	o.log.Info("output began", "to", o.addr.To, "rate", rate)
	return true
}

// weigh works out what the stream needs, and gives it more where the rate is ours to choose.
func (o *output) weigh(now int64) {
	if o.mux == nil || o.meter.span() < stcRate {
		return
	}
	drops := o.mux.Stats().Drops[Overload]
	more := drops > o.overloads
	o.overloads = drops
	if more {
		o.strained = now
	}
	if !more && now-o.weighed < int64(weighEvery) {
		return
	}
	o.weighed = now
	o.needed = o.meter.need(o.addr.Service)
	if rate := automatic(o.needed); more && o.cfg.Bitrate == 0 && rate > o.mux.Rate() {
		if err := o.mux.SetRate(rate); err == nil {
			o.pace.rate, o.pace.credit = rate, 0
			o.strained = 0
			o.log.Info("output's rate raised", "rate", rate)
		}
	}
}

// tell publishes the state.
func (o *output) tell(now int64) {
	o.weigh(now)
	if e := o.events.Load(); e != nil && e != o.shown && o.mux != nil {
		o.shown = e
		o.mux.SetEvents(e[0], e[1])
	}
	old := o.status.Load()
	s := &Status{OutputConfig: o.cfg, Since: old.Since, Needed: o.needed, Errors: o.numbers()}
	s.State, s.Reason = o.state(now)
	if s.State != old.State || s.Reason.Code != old.Reason.Code {
		s.Since = time.Now()
		o.log.Info("output is", "state", s.State, "reason", s.Reason.Code)
	}
	if o.mux != nil {
		o.mux.SetWall(time.Now())
		s.Rate, s.Packets = o.mux.Rate(), o.mux.packets
		if d := now - o.toldAt; o.toldAt > 0 && d > 0 {
			s.Now = int64(float64((s.Packets-o.told)*packetSize*8) / time.Duration(d).Seconds())
		}
		o.told, o.toldAt = s.Packets, now
	}
	o.status.Store(s)
}

func (o *output) state(now int64) (State, Why) {
	switch {
	case o.failure != nil:
		return Failed, whyFailed(o.failure)
	case o.heard != 0 && now-o.heard <= int64(awayAfter):
		switch {
		case o.mux == nil:
			return Starting, whyMeasuring
		case o.strained != 0 && now-o.strained < int64(strainedFor):
			return Overloaded, whyOverloaded(max(o.needed, o.mux.Rate()), o.mux.Rate())
		case o.refusal != nil && len(o.feed.Refused()) > 0:
			return OnAir, whyRefused(o.refusal)
		}
		return OnAir, Why{}
	}
	why := whyNoStream
	switch {
	case o.refusal != nil:
		why = whyRefused(o.refusal)
	case o.feed == nil || !o.feed.Published():
	case len(o.feed.Tracks()) == 0 && len(o.feed.Refused()) > 0:
		why = whyUnplayable(o.feed.Refused())
	default:
		why = whySilent
	}
	switch {
	case o.mux == nil:
		return Starting, why
	case o.addr.Stop:
		return Stopped, why
	}
	return Idle, why
}

// whyRefused is why there is no rendition to send.
func whyRefused(err error) Why {
	e := apierr.As(err)
	return Why{e.Code, e.EN, e.ZH}
}

// whyFailed is why the socket cannot be opened.
func whyFailed(err error) Why {
	var e *apierr.Error
	if errors.As(err, &e) {
		return Why{e.Code, e.EN, e.ZH}
	}
	return Why{
		"output_socket_failed", "The output's socket could not be opened: " + err.Error() + ".", "无法打开输出套接字：" + err.Error() + "。",
	}
}

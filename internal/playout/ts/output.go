package ts

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

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

package ingest

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	"tongxiang/internal/retry"
)

// place is one source of a channel. While it is open a goroutine of its own runs the
// source and starts it anew for ever; whether what it writes is on air is for the
// channel, which opens and closes it.
type place struct {
	c       *channel
	address string
	program int
	gone    bool // no longer one of the channel's; owned by the channel's goroutine

	// owned by the channel's goroutine
	cancel context.CancelFunc // of the goroutine; nil: not open
	done   chan struct{}      // closed when the newest goroutine has ended; nil: none was started

	// owned by the newest goroutine of the place
	backoff retry.Backoff

	mu       sync.Mutex // guards what follows
	lane     *lane      // of the attempt that runs; nil: none
	began    int64      // when it began
	state    State
	since    time.Time
	reason   Reason
	report   source.Report
	playable Playable
	why      Reason // why not directly
	attempts int
	played   bool // it was live at some time
	failed   bool // the newest attempt ended without media, and none has brought any since
	bitrate  int64
	well     int64 // since when it has been without fault

	clock broadcastClock // of the broadcaster
}

func newPlace(c *channel, address string, program int) *place {
	return &place{
		c: c, address: address, program: program, state: Idle, since: time.Now(),
		backoff: retry.Backoff{First: pauseFirst},
	}
}

// open starts the place's goroutine unless it runs.
func (p *place) open() {
	if p.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	before, done := p.done, make(chan struct{})
	p.cancel, p.done = cancel, done
	p.c.running.Go(func() {
		defer close(done)
		if before != nil { // one goroutine at a time, and one socket
			<-before
		}
		p.run(ctx)
	})
}

// close ends the goroutine without waiting for it: a peer may be slow to say
// goodbye. The channel waits for all of them at its end.
func (p *place) close() {
	if p.cancel != nil {
		p.cancel()
		p.cancel = nil
	}
}

// run attempts the source until ctx ends.
func (p *place) run(ctx context.Context) {
	p.set(Connecting, Reason{})
	defer func() {
		p.mu.Lock()
		p.failed = false
		p.mu.Unlock()
		p.set(Idle, Reason{})
	}()
	for ctx.Err() == nil {
		began := p.c.clock.Now()
		worked, err := p.attempt(ctx)
		if ctx.Err() != nil {
			return
		}
		p.ended(err, worked)
		p.c.nudge()
		if worked {
			p.backoff.Reset()
		}
		p.backoff.Max = pauseMax
		if p.hasPlayed() {
			p.backoff.Max = pausePlayed
		}
		if lasted := time.Duration(p.c.clock.Now() - began); worked && lasted > pauseFirst && p.c.hasBackup() {
			continue // it may be back already, and there is somewhere else to be meanwhile
		}
		if !retry.Sleep(ctx, p.backoff.Next()) {
			return
		}
	}
}

// attempt runs the source until it fails, the watch gives it up or ctx ends. worked
// says that it brought media.
func (p *place) attempt(ctx context.Context) (worked bool, err error) {
	src, err := p.c.open(p.address, p.program)
	if err != nil {
		return false, err
	}
	out := &source.Output{
		Timeline: new(media.Timeline), Clock: p.c.clock, Log: p.c.log, Report: p.reported,
	}
	l := p.c.air.newLane(out)
	l.started = p.c.nudge
	g := &guided{c: p.c, l: l}
	out.Guide = g.guide()
	if p.live() {
		out.Guide.Time = func(utc time.Time) { p.clock.heard(utc, time.Now()) }
	}
	p.begin(l)
	defer func() {
		p.c.air.leave(l)
		p.finish()
		l.out.Publisher.Close()
	}()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- src.Run(ctx, out) }()
	defer cancel()

	w := watcher{place: p, out: out, guided: g, began: p.c.clock.Now()}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			return out.LastMedia() > 0, err
		case <-ticker.C:
			if cause := w.look(); cause != source.CauseNone {
				cancel()
				<-ended
				return out.LastMedia() > 0, source.Because(cause, errors.New("given up"))
			}
		}
	}
}

// watcher looks at a running source from time to time.
type watcher struct {
	place   *place
	out     *source.Output
	guided  *guided
	began   int64
	counted int64 // when the bit rate was last computed
	bytes   uint64
}

// look updates the place's state and returns why the source is to be opened anew, if it is.
func (w *watcher) look() source.Cause {
	p := w.place
	now := p.c.clock.Now()
	v := watch(pulse{
		now: now, began: w.began, bytes: w.out.LastBytes(), media: w.out.LastMedia(), unplayable: p.unplayable(),
	})
	if w.counted == 0 {
		w.counted, w.bytes = now, w.out.Bytes()
	} else if d := now - w.counted; d >= int64(time.Second) {
		bytes := w.out.Bytes()
		p.setBitrate(int64(float64(bytes-w.bytes) * 8 * 1e9 / float64(d)))
		w.counted, w.bytes = now, bytes
	}
	if v.state != "" {
		p.set(v.state, p.reasonOf(v))
	}
	if on, _ := p.c.air.current(); on == w.guided.l {
		w.guided.flush()
		p.c.known(p)
	}
	if v.end {
		return v.cause
	}
	return source.CauseNone
}

// reasonOf returns the sentence for a verdict: what the streams say where they are the cause.
func (p *place) reasonOf(v verdict) Reason {
	if v.cause == source.CauseUnplayable {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.playable == Unplayable {
			return p.why
		}
	}
	return reasonFor(v.cause)
}

// ended notes that an attempt ended by itself.
func (p *place) ended(err error, worked bool) {
	cause := source.CauseOf(err)
	reason := p.reasonOf(verdict{cause: cause})
	if err != nil {
		reason.Detail = err.Error()
	}
	state := Lost
	if permanent(cause, p.hasPlayed()) {
		state = Refused
	}
	p.mu.Lock()
	p.failed = !worked
	p.mu.Unlock()
	p.set(state, reason)
}

// set changes the state.
func (p *place) set(s State, r Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := p.state != s || p.reason.Code != r.Code
	if p.state != s {
		p.since = time.Now()
	}
	p.state = s
	if changed || r.Detail != "" {
		p.reason = r
	}
	p.played = p.played || s == Live
	if s == Live {
		p.failed = false
	}
}

func (p *place) begin(l *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lane, p.began = l, p.c.clock.Now()
	p.attempts++
	p.report, p.playable, p.why = source.Report{}, PlayableUnknown, Reason{}
}

func (p *place) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lane, p.bitrate, p.well = nil, 0, 0
}

// reported takes what a source says it carries.
func (p *place) reported(r source.Report) {
	playable, why := Judge(r.Streams)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report, p.playable, p.why = r, playable, why
}

func (p *place) unplayable() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.playable == Unplayable
}

func (p *place) hasPlayed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.played
}

func (p *place) setBitrate(b int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bitrate = b
}

// wellWithin is how new everything must be that a source in good health brings.
const wellWithin = time.Second

// view returns what the switcher sees of the place, and the lane that would go on
// air. on is the lane on air, since when it is; rule and sight judge it.
func (p *place) view(now int64, rule Rule, on *lane, since int64, sight seen) (view, *lane) {
	p.mu.Lock()
	l, began, failed := p.lane, p.began, p.failed
	scrambled := p.playable == Unplayable && p.why.Code == "scrambled"
	p.mu.Unlock()
	v := view{failed: failed, gone: p.gone, onAir: l != nil && l == on}
	if l == nil {
		v.fault, v.suspected = rule.fault(health{now: now, began: began, ended: failed || began > 0})
		return v, nil
	}
	v.ready = l.ready()
	out := l.out
	h := health{
		now: now, began: began, bytes: out.LastBytes(), media: out.LastMedia(), clock: out.LastReference(),
		scrambled: scrambled,
	}
	fresh := func(t int64) bool { return now-t < int64(wellWithin) }
	p.mu.Lock()
	switch { // a source that is not on air is judged by what it brings, for its return
	case !fresh(h.media) || h.media == 0 || h.clock > 0 && !fresh(h.clock):
		p.well = 0
	case p.well == 0:
		p.well = now
	}
	v.well = p.well
	p.mu.Unlock()
	if v.onAir {
		h.onAir, h.seen = since, sight
	}
	v.fault, v.suspected = rule.fault(h)
	return v, l
}

// live reports whether the source is a broadcast of now, whose clock can be compared
// with ours, and not a file.
func (p *place) live() bool {
	u, err := url.Parse(p.address)
	return err == nil && u.Scheme != "file"
}

// identity returns which service the source is, the zero value when that is not known.
func (p *place) identity() identity {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.report.Network == 0 && p.report.Stream == 0 {
		return identity{}
	}
	return identity{p.report.Network, p.report.Stream, uint16(p.report.Program)}
}

// redacted returns an address without its password.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Redacted()
}

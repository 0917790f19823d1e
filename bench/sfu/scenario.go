package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"tongxiang/bench/process"
)

// Limits of "held": more loss or delay than this is a bad picture.
const (
	heldLoss  = 0.005
	heldDelay = 100 * time.Millisecond
)

// fanOut are the audiences that are compared.
var fanOut = []int{10, 50, 100, 200, 400}

// result is one run of everything.
type result struct {
	floors       floors // medians of three moments of the run: the machine's speed drifts
	apart, burst []measurement
	held         int  // viewers on one core, packets apart
	heldAll      bool // the search ended at its upper end, not at a limit
	joinOne      []time.Duration
	joinMany     []time.Duration
	meeting      meetingResult
	awake        meetingResult // on a core that does not sleep
	plain        meetingResult // by the plain SFU
	room         roomResult
	isolated     []isolated
	soak         []soakRow
}

func measureAll(ctx context.Context, o options) (result, error) {
	var r result
	id, err := newIdentity()
	if err != nil {
		return r, err
	}
	var seen []floors
	floor := func() error {
		f, err := measureFloors(ctx, o)
		seen = append(seen, f)
		r.floors = medianFloors(seen)
		return err
	}
	steps := []struct {
		name string
		do   func() error
	}{
		{"floor", floor},
		{"apart", func() error {
			return onStage(ctx, o, id, false, func(st *stage) error {
				r.apart, err = st.fanOut(ctx, o)
				if err != nil || !o.only["capacity"] {
					return err
				}
				r.held, r.heldAll, err = st.capacity(ctx, o)
				return err
			})
		}},
		{"floor", floor},
		{"burst", func() error {
			return onStage(ctx, o, id, true, func(st *stage) error {
				r.burst, err = st.fanOut(ctx, o)
				return err
			})
		}},
		{"floor", floor},
		{"join", func() error {
			return onStage(ctx, o, id, false, func(st *stage) error {
				r.joinOne, r.joinMany, err = st.joins(ctx)
				return err
			})
		}},
		{"meeting", func() error { r.meeting, err = measureMeeting(ctx, o, id); return err }},
		{"awake", func() error { r.awake, err = measureAwake(ctx, o, id); return err }},
		{"plain", func() error { r.plain, err = measurePlain(ctx, o, id); return err }},
		{"room", func() error { r.room, err = measureRoom(ctx, o, id); return err }},
		{"isolation", func() error { r.isolated, err = measureIsolation(ctx, o, id); return err }},
		{"soak", func() error { r.soak, err = soak(ctx, o, id); return err }},
	}
	for _, s := range steps {
		if !o.only[s.name] {
			continue
		}
		log.Printf("%s", s.name)
		if err := s.do(); err != nil {
			return r, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return r, nil
}

// stage is a fresh server with one publisher.
type stage struct {
	s     *server
	id    *identity
	pub   *publisher
	crowd *audience
}

const publisherPath = "/whip/meetings/" + meetingID

// onStage sets a stage, runs f on it and clears it away.
func onStage(ctx context.Context, o options, id *identity, burst bool, f func(*stage) error) (err error) {
	s, err := startServer(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, s.close()) }()
	name := "meetings/" + meetingID + "/pub"
	send, err := s.token(ctx, "pub", "member", name)
	if err != nil {
		return err
	}
	watch, err := s.token(ctx, "crowd", "viewer", "")
	if err != nil {
		return err
	}
	st := &stage{s: s, id: id, pub: newPublisher(id, s, send, burst, true)}
	defer st.pub.close()
	if err := st.pub.start(ctx, publisherPath); err != nil {
		return err
	}
	st.crowd = newAudience(ctx, s, id, func(int) string { return watch }, "/whep/"+name)
	defer st.crowd.close()
	if err := process.Pause(ctx, 500*time.Millisecond); err != nil {
		return err
	}
	return f(st)
}

// fanOut measures growing audiences.
func (st *stage) fanOut(ctx context.Context, o options) ([]measurement, error) {
	var out []measurement
	for _, n := range fanOut {
		m, err := st.step(ctx, n, o.window)
		if err != nil {
			return out, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (st *stage) step(ctx context.Context, n int, window time.Duration) (measurement, error) {
	if err := st.crowd.grow(ctx, n); err != nil {
		return measurement{}, err
	}
	if err := process.Pause(ctx, 1500*time.Millisecond); err != nil {
		return measurement{}, err
	}
	m, err := st.crowd.measure(ctx, st.pub, window)
	if err != nil {
		return m, err
	}
	log.Printf("  %4d viewers: core %3.0f %% (others' %3.0f %%, the host's %.1f %%), %.2f µs/packet, loss %.2f %%, p50 %.1f p99 %.1f max %.1f ms, RSS %d MiB",
		n, 100*m.load, 100*m.disturbed, 100*m.stolen, perPacketOf(m), 100*m.loss, millis(m.p50), millis(m.p99), millis(m.max), m.rss/1024)
	return m, nil
}

// capacity grows the audience until it is not served well any more, by steps of an
// eighth. A bad step is measured twice more before it counts: the machine may have
// been busy with something else.
func (st *stage) capacity(ctx context.Context, o options) (held int, all bool, err error) {
	good := func(m measurement) bool { return m.loss < heldLoss && m.p99 < heldDelay }
	n := fanOut[len(fanOut)-1]
	for tries := 0; ; {
		m, err := st.step(ctx, n, 3*time.Second)
		switch {
		case err != nil && held == 0:
			return 0, false, err
		case err != nil:
			log.Printf("  %v", err)
			return held, false, nil // joining fails when the core is full
		case good(m):
			held, tries = n, 0
			if n >= o.most {
				return held, true, nil
			}
			n = min(o.most, n+max(50, n/8/50*50))
		case tries < 2:
			tries++
		default:
			return held, false, nil
		}
	}
}

// joins measures from the POST to the first packet of a picture: 30 viewers one
// after another, then 50 at once.
func (st *stage) joins(ctx context.Context) (one, many []time.Duration, err error) {
	join := func() (time.Duration, *viewer, error) {
		v := newViewer(st.id, st.s, st.crowd.token(0), true)
		begin := time.Now()
		if err := v.watch(ctx, st.crowd.path, 1, 1); err != nil {
			return 0, v, err
		}
		err := v.picture(ctx)
		return time.Since(begin), v, err
	}
	for range 30 {
		took, v, err := join()
		err = firstOf(err, v.leave(ctx))
		if err != nil {
			return nil, nil, err
		}
		one = append(one, took)
		if err := process.Pause(ctx, 50*time.Millisecond); err != nil {
			return nil, nil, err
		}
	}
	type joined struct {
		took time.Duration
		v    *viewer
		err  error
	}
	all := make(chan joined)
	const crowd = 50
	for range crowd {
		go func() {
			took, v, err := join()
			all <- joined{took, v, err}
		}()
	}
	for range crowd {
		j := <-all
		err = firstOf(err, j.err)
		many = append(many, j.took)
		defer j.v.close()
	}
	return one, many, err
}

func perPacketOf(m measurement) float64 {
	if m.packets == 0 {
		return 0
	}
	return float64(m.cpu.Nanoseconds()) / 1000 / float64(m.packets)
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

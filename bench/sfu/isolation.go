package main

import (
	"context"
	"fmt"
	"log"
	"slices"
	"time"

	"github.com/pion/rtcp"

	"tongxiang/bench/process"
)

const (
	isolationViewers = 199
	isolationRounds  = 5
	floodRate        = 2000 // NACKs a second, each for 204 packets
)

// isolated is the delay of the others without and with one bad viewer, in rounds
// that take turns, so that what else the machine does falls on both.
type isolated struct {
	name          string
	before, after []time.Duration // p99 of each round
}

// change returns how the median p99 changed.
func (i isolated) change() float64 {
	b, a := median(i.before), median(i.after)
	if b == 0 {
		return 0
	}
	return float64(a-b) / float64(b)
}

// nuisance is a viewer that behaves badly from begin to end.
type nuisance struct {
	name  string
	begin func(ctx context.Context, st *stage) (end func(), err error)
}

// measureIsolation has 199 viewers measure while one more behaves badly.
func measureIsolation(ctx context.Context, o options, id *identity) ([]isolated, error) {
	var out []isolated
	for _, n := range []nuisance{{"stops reading", stopsReading}, {"vanishes: answers no STUN, says no goodbye", vanishes}, {"floods NACK", floods}} {
		err := onStage(ctx, o, id, false, func(st *stage) error {
			if err := st.crowd.grow(ctx, isolationViewers); err != nil {
				return err
			}
			if err := process.Pause(ctx, 2*time.Second); err != nil {
				return err
			}
			r := isolated{name: n.name}
			for range isolationRounds {
				m, err := st.crowd.measure(ctx, st.pub, o.window)
				if err != nil {
					return err
				}
				r.before = append(r.before, m.p99)
				end, err := n.begin(ctx, st)
				if err != nil {
					return fmt.Errorf("%s: %w", n.name, err)
				}
				m, err = st.crowd.measure(ctx, st.pub, o.window)
				end()
				if err != nil {
					return err
				}
				r.after = append(r.after, m.p99)
			}
			log.Printf("  one viewer %s: p99 of the others %.1f ms, without it %.1f ms (%+.0f %%)", n.name, millis(median(r.after)), millis(median(r.before)), 100*r.change())
			out = append(out, r)
			return nil
		})
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

func badViewer(ctx context.Context, st *stage) (*viewer, error) {
	v := newViewer(st.id, st.s, st.crowd.token(0), true)
	if err := v.watch(ctx, st.crowd.path, 1, 1); err != nil {
		v.close()
		return nil, err
	}
	return v, v.picture(ctx)
}

// stopsReading lets the viewer's receive buffer fill up.
func stopsReading(ctx context.Context, st *stage) (func(), error) {
	v, err := badViewer(ctx, st)
	if err != nil {
		return nil, err
	}
	hold := make(chan struct{})
	v.stall.Store(&hold)
	return func() {
		v.stall.Store(nil)
		close(hold)
		_ = v.leave(ctx)
	}, nil
}

// vanishes closes the viewer's socket: the server sends to nobody until it notices.
func vanishes(ctx context.Context, st *stage) (func(), error) {
	v, err := badViewer(ctx, st)
	if err != nil {
		return nil, err
	}
	_ = v.conn.Close()
	return v.close, nil
}

// floods asks for everything again, all the time.
func floods(ctx context.Context, st *stage) (func(), error) {
	v, err := badViewer(ctx, st)
	if err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		begin := time.Now()
		for i := 0; process.Pause(run, time.Until(begin.Add(time.Duration(i)*time.Second/floodRate))) == nil; i++ {
			var pairs []rtcp.NackPair
			for k := range uint16(12) {
				pairs = append(pairs, rtcp.NackPair{PacketID: uint16(i) + 17*k, LostPackets: 0xffff})
			}
			plain, err := (&rtcp.TransportLayerNack{MediaSSRC: v.remote.ssrc, Nacks: pairs}).Marshal()
			if err != nil {
				return
			}
			v.outMu.Lock()
			sealed, err := v.out.EncryptRTCP(nil, plain, nil)
			v.outMu.Unlock()
			if err == nil {
				_, _ = v.conn.Write(sealed) // lost: the next one comes at once
			}
		}
	}()
	return func() {
		stop()
		<-done
		_ = v.leave(ctx)
	}, nil
}

// isolationTable is its part of the report.
func isolationTable(rs []result, line func(string, ...any)) {
	if len(rs) == 0 || len(rs[0].isolated) == 0 {
		return
	}
	line("")
	line("| one viewer of 200 | p99 ms of the others without it | with it | change | target |")
	line("|---|---|---|---|---|")
	for i := range rs[0].isolated {
		var before, after []time.Duration
		for _, r := range rs {
			if i < len(r.isolated) {
				before, after = slices.Concat(before, r.isolated[i].before), slices.Concat(after, r.isolated[i].after)
			}
		}
		all := isolated{before: before, after: after}
		line("| %s | %.1f | %.1f | %+.0f %% | within 10 %% |", rs[0].isolated[i].name, millis(median(before)), millis(median(after)), 100*all.change())
	}
}

// soakTable is the soak's part of the report.
func soakTable(rows []soakRow, line func(string, ...any)) {
	if len(rows) == 0 {
		return
	}
	line("")
	line("| soak, minutes | viewers | joined so far | RSS MiB | goroutines | pictures that stood still |")
	line("|---|---|---|---|---|---|")
	for i, r := range rows {
		if i < 3 || i >= len(rows)-2 || i%5 == 0 {
			line("| %.1f | %d | %d | %.0f | %d | %d |", r.at.Minutes(), r.viewers, r.joined, float64(r.rss)/1024, r.goroutines, r.stuck)
		}
	}
}

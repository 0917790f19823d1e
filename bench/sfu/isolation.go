package main

import (
	"cmp"
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
	isolationRounds  = 12
	isolationWindow  = 3 * time.Second
	// A round is measured again when the machine's host took more than this of the time
	// in it: it takes one processor and not the other, for milliseconds, and p99 is about
	// the worst hundredth. As many more rounds may be tried as are wanted.
	isolationStolen = 0.005
	floodRate       = 2000 // NACKs a second, each for 204 packets
)

// isolated is the delay of the others without and with one bad viewer, in rounds
// that take turns, so that what else the machine does falls on both.
type isolated struct {
	name   string
	rounds []round
	again  int // rounds that were left out because the host disturbed them
}

// round is two windows, one after the other.
type round struct {
	without, with time.Duration // p99 of each
	stolen        float64       // the larger share of the time that the host took of one
}

// isolate measures rounds until enough of them were left alone, or as many again were
// tried; then those that were disturbed least count.
func isolate(name string, one func(i int) (round, error)) (isolated, error) {
	var all []round
	quiet := 0
	for i := 0; quiet < isolationRounds && i < 2*isolationRounds; i++ {
		r, err := one(i)
		if err != nil {
			return isolated{}, err
		}
		if r.stolen <= isolationStolen {
			quiet++
		}
		all = append(all, r)
	}
	slices.SortStableFunc(all, func(a, b round) int {
		return cmp.Compare(max(a.stolen, isolationStolen), max(b.stolen, isolationStolen))
	})
	n := min(len(all), isolationRounds)
	return isolated{name: name, rounds: all[:n], again: len(all) - n}, nil
}

// change returns how p99 changed within a round: the median, and the quartiles.
func (i isolated) change() (low, mid, high float64) {
	var all []float64
	for _, r := range i.rounds {
		if r.without > 0 {
			all = append(all, float64(r.with-r.without)/float64(r.without))
		}
	}
	if len(all) == 0 {
		return 0, 0, 0
	}
	slices.Sort(all)
	return all[len(all)/4], (all[(len(all)-1)/2] + all[len(all)/2]) / 2, all[len(all)*3/4]
}

// delays returns the medians of p99 without and with the bad viewer.
func (i isolated) delays() (without, with time.Duration) {
	var b, a []time.Duration
	for _, r := range i.rounds {
		b, a = append(b, r.without), append(a, r.with)
	}
	return median(b), median(a)
}

// stolen returns the most that the host took of a window that counts.
func (i isolated) stolen() float64 {
	most := 0.0
	for _, r := range i.rounds {
		most = max(most, r.stolen)
	}
	return most
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
			r, err := isolate(n.name, func(i int) (round, error) { return st.round(ctx, n, i%2 > 0) })
			if err != nil {
				return err
			}
			low, mid, high := r.change()
			without, with := r.delays()
			log.Printf("  one viewer %s: p99 of the others %.1f ms, without it %.1f ms; in a round %+.0f %% (quartiles %+.0f, %+.0f), %d rounds again",
				n.name, millis(with), millis(without), 100*mid, 100*low, 100*high, r.again)
			out = append(out, r)
			return nil
		})
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// round measures without and with a bad viewer, the second first when turned.
func (st *stage) round(ctx context.Context, n nuisance, turned bool) (r round, err error) {
	without := func() error {
		m, err := st.crowd.measure(ctx, st.pub, isolationWindow)
		r.without, r.stolen = m.p99, max(r.stolen, m.stolen)
		return err
	}
	if !turned {
		if err := without(); err != nil {
			return r, err
		}
	}
	end, err := n.begin(ctx, st)
	if err != nil {
		return r, fmt.Errorf("%s: %w", n.name, err)
	}
	m, err := st.crowd.measure(ctx, st.pub, isolationWindow)
	end()
	r.with, r.stolen = m.p99, max(r.stolen, m.stolen)
	if err != nil || !turned {
		return r, err
	}
	return r, without()
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

// vanishes closes the viewer's socket: the server sends to nobody until it notices. In
// the end it is told, so that nobody is left over for the window that follows.
func vanishes(ctx context.Context, st *stage) (func(), error) {
	v, err := badViewer(ctx, st)
	if err != nil {
		return nil, err
	}
	_ = v.conn.Close()
	return func() { _ = v.leave(ctx) }, nil
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
	line("| one viewer of 200 | p99 ms of the others without it | with it | change in a round, median (quartiles) | rounds | stolen by the host at most | target |")
	line("|---|---|---|---|---|---|---|")
	for i := range rs[0].isolated {
		var all isolated
		for _, r := range rs {
			if i < len(r.isolated) {
				all.rounds = append(all.rounds, r.isolated[i].rounds...)
				all.again += r.isolated[i].again
			}
		}
		low, mid, high := all.change()
		without, with := all.delays()
		line("| %s | %.1f | %.1f | %+.0f %% (%+.0f, %+.0f) | %d, %d left out | %.1f %% | within 10 %% |", rs[0].isolated[i].name,
			millis(without), millis(with), 100*mid, 100*low, 100*high, len(all.rounds), all.again, 100*all.stolen())
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

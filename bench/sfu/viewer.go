package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"tongxiang/bench/process"
)

// viewer watches by WHEP. A sample viewer decrypts and notes every packet; any
// other has its RTP dropped by the kernel.
type viewer struct {
	*peer
	sample bool

	scratch []byte
	header  rtp.Header
	first   chan struct{} // closed with the first packet of a picture
	once    sync.Once
	bad     atomic.Int64                  // packets that could not be decrypted
	packets atomic.Int64                  // of media
	stall   atomic.Pointer[chan struct{}] // while set, nothing is read

	mu     sync.Mutex // guards notes
	noting bool
	notes  []note
}

// note is one packet that a sample viewer got.
type note struct {
	number int64
	delay  time.Duration
}

func newViewer(id *identity, s *server, token string, sample bool) *viewer {
	v := &viewer{peer: newPeer(id, s, token), sample: sample, first: make(chan struct{})}
	if sample {
		v.stamps = true
		v.scratch = make([]byte, 2048)
		v.onRTP = v.packet
	}
	return v
}

// watch joins.
func (v *viewer) watch(ctx context.Context, path string, video, audio int) error {
	if err := v.join(ctx, path, "recvonly", video, audio); err != nil {
		return err
	}
	if !v.sample {
		return dropRTP(v.conn)
	}
	return nil
}

// report sends a receiver report that says all is well.
func (v *viewer) report() {
	if v.remote.ssrc == 0 || !v.open.Load() {
		return
	}
	rr := rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: v.remote.ssrc}}}
	plain, err := rr.Marshal()
	if err != nil {
		return
	}
	v.outMu.Lock()
	sealed, err := v.out.EncryptRTCP(nil, plain, nil)
	v.outMu.Unlock()
	if err == nil {
		_, _ = v.conn.Write(sealed) // the next one may get through
	}
}

// picture waits for the first packet of a picture.
func (v *viewer) picture(ctx context.Context) error {
	select {
	case <-v.first:
		return nil
	case <-time.After(joinPatience):
		return fmt.Errorf("no picture within %v", joinPatience)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// packet takes one packet of a sample viewer, on the reading goroutine.
func (v *viewer) packet(b []byte, at time.Time) {
	if hold := v.stall.Load(); hold != nil {
		<-*hold
	}
	plain, err := v.in.DecryptRTP(v.scratch[:0], b, &v.header)
	if err != nil {
		v.bad.Add(1)
		return
	}
	payload := plain[v.header.MarshalSize():]
	skip := 3
	switch v.header.PayloadType {
	case ptAudio:
		skip = 1
	case ptRTX:
		skip += 2
	case ptVideo:
		v.once.Do(func() { close(v.first) })
	}
	v.packets.Add(1)
	if len(payload) < skip+stampSize || binary.BigEndian.Uint32(payload[skip:]) != stampMark {
		return // parameter sets
	}
	sent := time.Unix(0, int64(binary.BigEndian.Uint64(payload[skip+12:])))
	v.mu.Lock()
	if v.noting {
		v.notes = append(v.notes, note{int64(binary.BigEndian.Uint64(payload[skip+4:])), at.Sub(sent)})
	}
	v.mu.Unlock()
}

// begin starts to note packets.
func (v *viewer) begin() {
	v.mu.Lock()
	v.noting, v.notes = true, v.notes[:0]
	v.mu.Unlock()
}

// end stops noting, and returns the delays of the packets from to to (not
// included), each number once.
func (v *viewer) end(from, to int64) []time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.noting = false
	seen := make(map[int64]bool)
	var out []time.Duration
	for _, n := range v.notes {
		if n.number >= from && n.number < to && !seen[n.number] {
			seen[n.number] = true
			out = append(out, n.delay)
		}
	}
	return out
}

// audience is the viewers of one publisher. One goroutine keeps them connected.
type audience struct {
	s       *server
	id      *identity
	token   func(i int) string // of the i-th viewer
	path    string
	audio   int       // sound slots of each
	viewers []*viewer // owned by the caller of grow

	mu      sync.Mutex // guards up
	up      []*viewer
	stop    context.CancelFunc
	keeping sync.WaitGroup
}

// samples is how many viewers of an audience measure.
const samples = 10

func newAudience(ctx context.Context, s *server, id *identity, token func(int) string, path string) *audience {
	run, cancel := context.WithCancel(ctx)
	a := &audience{s: s, id: id, token: token, path: path, audio: 1, stop: cancel}
	a.keeping.Go(func() { a.keep(run) })
	return a
}

// keep does for all viewers what a browser does for its own: a receiver report
// each second and an ICE check every four, spread evenly over the second.
func (a *audience) keep(ctx context.Context) {
	for round := 0; ; round++ {
		begin := time.Now()
		a.mu.Lock()
		up := a.up
		a.mu.Unlock()
		for i, v := range up {
			if i%8 == 0 && process.Pause(ctx, time.Until(begin.Add(time.Duration(i)*time.Second/time.Duration(len(up))))) != nil {
				return
			}
			v.report()
			if (i+round)%4 == 0 {
				_ = v.check() // the next one may get through
			}
		}
		if process.Pause(ctx, time.Until(begin.Add(time.Second))) != nil {
			return
		}
	}
}

// grow joins viewers until there are n, some at a time. Which of them measure is
// spread over the order of joining, because a server may serve them in that order.
func (a *audience) grow(ctx context.Context, n int) error {
	const atOnce = 8
	have := len(a.viewers)
	sampled := 0
	for _, v := range a.viewers {
		if v.sample {
			sampled++
		}
	}
	fresh := make([]*viewer, n-have)
	for i := range fresh {
		// Half of the samples are among the first ten, the rest spread evenly.
		sample := have+i < samples/2 || (i == len(fresh)-1 && sampled < 2*samples)
		fresh[i] = newViewer(a.id, a.s, a.token(have+i), sample)
	}
	next := make(chan *viewer)
	errs := make(chan error, atOnce)
	for range atOnce {
		go func() {
			var failed error
			for v := range next {
				if failed == nil {
					failed = v.watch(ctx, a.path, 1, a.audio)
				}
			}
			errs <- failed
		}()
	}
	for _, v := range fresh {
		next <- v
	}
	close(next)
	var failed error
	for range atOnce {
		failed = firstOf(failed, <-errs)
	}
	a.adopt(fresh)
	if failed != nil {
		return fmt.Errorf("grow to %d viewers: %w", n, failed)
	}
	return nil
}

func (a *audience) close() {
	a.stop()
	a.keeping.Wait()
	for _, v := range a.viewers {
		v.close()
	}
}

// adopt adds viewers that have joined by themselves.
func (a *audience) adopt(vs []*viewer) {
	a.viewers = append(a.viewers, vs...)
	a.mu.Lock()
	a.up = a.viewers[:len(a.viewers):len(a.viewers)]
	a.mu.Unlock()
}

// measurement is what a window of time showed.
type measurement struct {
	viewers   int
	packets   int64         // forwarded, to all viewers
	cpu       time.Duration // of the server in the window
	load      float64       // share of the core that the server used
	disturbed float64       // share of the time in which the server was ready but others ran
	stolen    float64       // share of the time of all cores that the machine's host took
	rss       int           // KiB
	loss      float64
	p50, p99  time.Duration
	max       time.Duration
}

// measure watches the server for a while.
func (a *audience) measure(ctx context.Context, p *publisher, window time.Duration) (measurement, error) {
	m := measurement{viewers: len(a.viewers)}
	for _, v := range a.viewers {
		if v.sample {
			v.begin()
		}
	}
	from := p.sent.Load()
	taken, err := process.ReadStolen()
	if err != nil {
		return m, err
	}
	before, err := process.ReadUsage(a.s.pid())
	if err != nil {
		return m, err
	}
	if err := process.Pause(ctx, window); err != nil {
		return m, err
	}
	to := p.sent.Load()
	after, err := process.ReadUsage(a.s.pid())
	if err != nil {
		return m, err
	}
	if m.rss, err = process.ReadRSS(a.s.pid()); err != nil {
		return m, err
	}
	takenAfter, err := process.ReadStolen()
	if err != nil {
		return m, err
	}
	// What was sent late in the window may still be on its way.
	if err := process.Pause(ctx, 300*time.Millisecond); err != nil {
		return m, err
	}
	var delays []time.Duration
	sampled := 0
	for _, v := range a.viewers {
		if v.sample {
			sampled++
			delays = append(delays, v.end(from, to)...)
		}
	}
	if sampled > 0 && to > from {
		m.loss = 1 - float64(len(delays))/float64(int64(sampled)*(to-from))
	}
	m.packets = int64(float64((to-from)*int64(len(a.viewers))) * (1 - m.loss))
	m.cpu = after.CPU - before.CPU
	wall := after.At.Sub(before.At)
	m.load = float64(m.cpu) / float64(wall)
	m.disturbed = float64(after.Waited-before.Waited) / float64(wall)
	m.stolen = float64(takenAfter-taken) / float64(wall) / float64(process.Cores())
	slices.Sort(delays)
	m.p50, m.p99 = quantile(delays, 0.5), quantile(delays, 0.99)
	if len(delays) > 0 {
		m.max = delays[len(delays)-1]
	}
	return m, nil
}

// quantile of a sorted list.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	return d[min(len(d)-1, int(q*float64(len(d))))]
}

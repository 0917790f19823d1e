package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tongxiang/bench/process"
)

// The soak: how many viewers, how many of them change each second, and how often
// the publisher begins anew.
const (
	soakViewers  = 300
	soakSamples  = 30
	soakChurn    = 3
	soakRestart  = time.Minute
	soakSettle   = 25 * time.Second // longer than the server waits for a peer that vanished
	soakSilent   = 8 * time.Second  // that a viewer's picture may stand still while a publisher restarts
	soakEvery    = time.Minute
	soakVanishes = 2 // every second one leaves without a word
)

// soakRow is the server at one moment.
type soakRow struct {
	at         time.Duration
	viewers    int
	rss        int // KiB
	goroutines int
	joined     int
	stuck      int // viewers whose picture stands still
}

// soakViewer is a viewer and what it had got when it was last looked at.
type soakViewer struct {
	*viewer
	seen  int64
	moved time.Time
}

// soaking is a soak in progress.
type soaking struct {
	st     *stage
	all    []*soakViewer
	joined int
	stuck  int
}

// soak lets viewers come and go for a while, and a publisher restart each minute.
func soak(ctx context.Context, o options, id *identity) ([]soakRow, error) {
	var rows []soakRow
	err := onStage(ctx, o, id, true, func(st *stage) error {
		s := &soaking{st: st}
		defer s.clear(ctx)
		row := func(at time.Duration) error {
			r := soakRow{at: at, viewers: len(s.all), joined: s.joined, stuck: s.stuck}
			var err error
			if r.rss, err = process.ReadRSS(st.s.pid()); err != nil {
				return err
			}
			if r.goroutines, err = st.s.goroutines(ctx); err != nil {
				return err
			}
			log.Printf("  soak %v: %d viewers (%d joined so far), RSS %d MiB, %d goroutines, %d stuck", at.Round(time.Second), r.viewers, r.joined, r.rss/1024, r.goroutines, r.stuck)
			rows = append(rows, r)
			return nil
		}
		if err := row(0); err != nil {
			return err
		}
		if err := s.run(ctx, o.soak, row); err != nil {
			return err
		}
		s.clear(ctx)
		if err := process.Pause(ctx, soakSettle); err != nil {
			return err
		}
		return row(o.soak + soakSettle)
	})
	return rows, err
}

// run is the soak itself.
func (s *soaking) run(ctx context.Context, length time.Duration, row func(time.Duration) error) error {
	begin := time.Now()
	restart, note := begin.Add(soakRestart), begin.Add(soakEvery)
	for time.Since(begin) < length {
		second := time.Now()
		if len(s.all) >= soakViewers {
			for range soakChurn {
				s.drop(ctx, rand.IntN(len(s.all)))
			}
		}
		for range 2 * soakChurn {
			if len(s.all) < soakViewers {
				if err := s.join(ctx); err != nil {
					return err
				}
			}
		}
		if time.Now().After(restart) {
			restart = restart.Add(soakRestart)
			if err := s.republish(ctx); err != nil {
				return err
			}
		}
		s.look()
		if time.Now().After(note) {
			note = note.Add(soakEvery)
			if err := row(time.Since(begin)); err != nil {
				return err
			}
		}
		if err := process.Pause(ctx, time.Until(second.Add(time.Second))); err != nil {
			return err
		}
	}
	return nil
}

func (s *soaking) join(ctx context.Context) error {
	sampled := 0
	for _, v := range s.all {
		if v.sample {
			sampled++
		}
	}
	v := &soakViewer{viewer: newViewer(s.st.id, s.st.s, s.st.crowd.token(0), sampled < soakSamples), moved: time.Now()}
	if err := v.watch(ctx, s.st.crowd.path, 1, 1); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	s.joined++
	s.all = append(s.all, v)
	s.publishTo()
	return nil
}

// drop has a viewer leave, with or without a word.
func (s *soaking) drop(ctx context.Context, i int) {
	v := s.all[i]
	s.all = append(s.all[:i], s.all[i+1:]...)
	s.publishTo()
	if rand.IntN(soakVanishes) == 0 {
		_ = v.conn.Close() // the goodbye of close has nowhere to go
		v.close()
		return
	}
	_ = v.leave(ctx) // the server ends it by itself when this fails
}

// publishTo tells the audience whom to keep connected.
func (s *soaking) publishTo() {
	up := make([]*viewer, len(s.all))
	for i, v := range s.all {
		up[i] = v.viewer
	}
	s.st.crowd.mu.Lock()
	s.st.crowd.up = up
	s.st.crowd.mu.Unlock()
}

// republish restarts the publisher: half of the times the old one vanishes.
func (s *soaking) republish(ctx context.Context) error {
	old := s.st.pub
	if rand.IntN(soakVanishes) == 0 {
		_ = old.conn.Close()
	}
	old.close()
	fresh := newPublisher(s.st.id, s.st.s, old.token, old.burst, true)
	if err := fresh.start(ctx, publisherPath); err != nil {
		return fmt.Errorf("restart the publisher: %w", err)
	}
	s.st.pub = fresh
	return nil
}

// look counts the sampled viewers whose picture stands still.
func (s *soaking) look() {
	now := time.Now()
	for _, v := range s.all {
		if !v.sample {
			continue
		}
		if n := v.packets.Load(); n != v.seen {
			v.seen, v.moved = n, now
		} else if now.Sub(v.moved) > soakSilent {
			s.stuck++
			v.moved = now
		}
	}
}

func (s *soaking) clear(ctx context.Context) {
	for len(s.all) > 0 {
		s.drop(ctx, len(s.all)-1)
	}
}

// goroutines asks the server how many it has.
func (s *server) goroutines(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := s.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("read the metrics: %w", err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), "go_goroutines "); ok {
			return strconv.Atoi(v)
		}
	}
	return 0, fmt.Errorf("the metrics have no go_goroutines: %s", res.Status)
}

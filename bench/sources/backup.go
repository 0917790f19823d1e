package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tongxiang/ingest"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// backups measures how fast a channel leaves a source that fails in one way or another.
func backups(ctx context.Context, hub *stream.Hub, channels *ingest.Channels, runs int) error {
	fmt.Print("\n| what happens to the primary | backup | on air after, ms (p50 / max) | longest time without a picture, ms (p50 / max) |\n|---|---|---|---|\n")
	for _, c := range []struct {
		name, backup string
		what         damage
		standby      bool
	}{
		{"primary cut → backup", "UDP, opened on suspicion", cut, false},
		{"primary cut → backup", "UDP, standing by", cut, true},
		{"primary cut → backup", "RTSP, opened on suspicion", cut, false},
		{"no PCR any more", "UDP, opened on suspicion", noPCR, false},
		{"scrambled suddenly", "UDP, opened on suspicion", scrambled, false},
		{"PAT loses the programme", "UDP, opened on suspicion", gone, false},
	} {
		after, dark, err := failover(ctx, hub, channels, c.what, c.standby, c.backup[:4] == "RTSP", runs)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Printf("| %s | %s | %s | %s |\n", c.name, c.backup, show(after), show(dark))
	}
	return nil
}

func failover(ctx context.Context, hub *stream.Hub, channels *ingest.Channels, what damage, standby, overRTSP bool, runs int) (after, dark []time.Duration, err error) {
	const id = "backup"
	w, err := newWire()
	if err != nil {
		return nil, nil, err
	}
	if err := w.start(); err != nil {
		return nil, nil, err
	}
	defer w.stop()
	s, err := w.feed(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer s.kill()
	var second origin
	if overRTSP {
		second, err = newRTSP()
	} else {
		second, err = newUDP()
	}
	if err == nil {
		err = second.start(ctx)
	}
	if err != nil {
		return nil, nil, err
	}
	defer second.kill()
	cfg := ingest.ChannelConfig{ID: id, Name: id, Source: w.source(), Backup: []string{second.url()}, Switch: ingest.Rule{Standby: standby}}
	for i := range runs {
		a, d, err := once(ctx, hub, channels, cfg, w, what, i)
		if err != nil {
			return nil, nil, err
		}
		after, dark = append(after, a), append(dark, d)
	}
	return after, dark, nil
}

// once measures one failure of a channel that begins anew for it: a primary that
// fails again and again is held longer each time.
func once(ctx context.Context, hub *stream.Hub, channels *ingest.Channels, cfg ingest.ChannelConfig, w *wire, what damage, i int) (after, dark time.Duration, err error) {
	w.what.Store(int32(intact))
	if err := channels.Add(cfg); err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, channels.Remove(cfg.ID)) }()
	if err := plays(ctx, hub, cfg.ID); err != nil {
		return 0, 0, err
	}
	// Not at the same place of the GOP each time.
	if err := pause(ctx, 2*time.Second+time.Duration(i)*370*time.Millisecond); err != nil {
		return 0, 0, err
	}
	v := watch(ctx, hub, cfg.ID)
	began := time.Now()
	w.what.Store(int32(what))
	if err := until(ctx, channels, cfg.ID, func(st ingest.Status) bool { return st.Backup }); err != nil {
		return 0, 0, err
	}
	after = time.Since(began)
	if err := pause(ctx, 2*time.Second); err != nil {
		return 0, 0, err
	}
	return after, v(), nil
}

// until polls a channel's status.
func until(ctx context.Context, channels *ingest.Channels, id string, ok func(ingest.Status) bool) error {
	for end := time.Now().Add(time.Minute); ; {
		if st, _ := channels.Get(id); ok(st) {
			return nil
		}
		if time.Now().After(end) {
			st, _ := channels.Get(id)
			return fmt.Errorf("the channel stays %+v", st)
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// watch follows the pictures of a channel as they are written, and returns what ends
// it and tells the longest time without one.
func watch(ctx context.Context, hub *stream.Hub, id string) func() time.Duration {
	ctx, cancel := context.WithCancel(ctx)
	var longest time.Duration
	var following sync.WaitGroup
	following.Go(func() {
		sub := hub.Open(stream.Channel(id))
		defer sub.Close()
		track := stream.Find(sub.Tracks(), media.Video)
		if track == nil {
			return
		}
		rd := stream.NewReader(nil)
		cursor, err := track.FollowFrames(rd, stream.AtNext)
		if err != nil {
			return
		}
		defer cursor.Close()
		last := time.Now()
		for {
			for cursor.Next() != nil {
				now := time.Now()
				longest, last = max(longest, now.Sub(last)), now
			}
			select {
			case <-ctx.Done():
				return
			case <-track.Done(): // the viewers' track is not to end
				longest = time.Hour
				return
			case <-rd.Wake():
			}
		}
	})
	return func() time.Duration {
		cancel()
		following.Wait()
		return longest
	}
}

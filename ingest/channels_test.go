package ingest

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// script is a source that does what a test says.
type script func(ctx context.Context, out *source.Output) error

func (s script) Run(ctx context.Context, out *source.Output) error { return s(ctx, out) }

// plays writes a picture every 40 ms for a time; 0: until ctx ends.
func plays(d time.Duration) script {
	return func(ctx context.Context, out *source.Output) error {
		format := media.Format{Codec: media.H264, ClockRate: 90000, Width: 64, Height: 48}
		t := out.Publisher.SetTracks([]stream.TrackInfo{{Label: stream.LabelVideo, Form: stream.Frames, Format: format}})[0]
		out.Report(source.Report{Streams: []source.Stream{{Format: format, Known: true, Published: true}}})
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		end := out.Clock.Now() + int64(d)
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
			now := out.Clock.Now()
			if d > 0 && now > end {
				return source.Because(source.CauseEnded, errors.New("over"))
			}
			out.Received(1000, now)
			out.Written(media.Time(now), now)
			t.WriteFrame(&media.Frame{PTS: media.Time(now), DTS: media.Time(now), Sync: true, Arrival: now, Units: [][]byte{{1}}})
		}
	}
}

func fails(c source.Cause) script {
	return func(context.Context, *source.Output) error { return source.Because(c, errors.New("no")) }
}

func silent(ctx context.Context, _ *source.Output) error {
	<-ctx.Done()
	return ctx.Err()
}

// stage runs channels over scripts, one for each host of a "test://" address, in
// the fake time of a synctest bubble. Each call of a host gets the next script;
// the last is repeated.
type stage struct {
	*Channels
	mu      sync.Mutex
	scripts map[string][]script
	calls   []string
	times   []time.Time
}

func newStage(t *testing.T, scripts map[string][]script) *stage {
	s := &stage{scripts: scripts}
	log := slog.New(slog.DiscardHandler)
	hub := stream.NewHub(log)
	s.Channels = NewChannels(hub, media.NewClock(), log, Options{Schemes: map[string]Opener{
		"test": func(u *url.URL, _ int) (source.Source, error) {
			return script(func(ctx context.Context, out *source.Output) error {
				return s.next(u.Host)(ctx, out)
			}), nil
		},
	}})
	t.Cleanup(func() {
		s.Close()
		hub.Close()
	})
	return s
}

func (s *stage) next(host string) script {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, host)
	s.times = append(s.times, time.Now())
	list := s.scripts[host]
	if len(list) > 1 {
		s.scripts[host] = list[1:]
	}
	return list[0]
}

func (s *stage) state(t *testing.T, id string) Status {
	t.Helper()
	synctest.Wait()
	st, ok := s.Get(id)
	if !ok {
		t.Fatalf("no channel %q", id)
	}
	return st
}

func TestBackupTakesOverWithinThreeSecondsOfSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stops := script(func(ctx context.Context, out *source.Output) error {
			_ = plays(5*time.Second)(ctx, out)
			return silent(ctx, out)
		})
		s := newStage(t, map[string][]script{"a": {stops}, "b": {plays(0)}})
		if err := s.Add(ChannelConfig{ID: "c", Source: "test://a", Backup: []string{"test://b"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		if st := s.state(t, "c"); st.State != Live || st.Backup || st.Source != "test://a" {
			t.Errorf("before: %+v", st)
		}
		time.Sleep(4 * time.Second) // 5 s of playing, 3 s of silence
		if st := s.state(t, "c"); st.State != Live || !st.Backup || st.Source != "test://b" {
			t.Errorf("after: %+v", st)
		}
	})
}

func TestSourceIsTriedForEverWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, map[string][]script{"a": {fails(source.CauseUnreachable)}})
		if err := s.Add(ChannelConfig{ID: "c", Source: "test://a"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		st := s.state(t, "c")
		if st.State != Lost || st.Reason.Code != "source_unreachable" || st.Attempts < 40 || st.Attempts > 90 {
			t.Errorf("%+v", st)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := 1; i < len(s.times); i++ {
			if d := s.times[i].Sub(s.times[i-1]); d > pauseMax || d < pauseFirst/2 {
				t.Errorf("pause of %v", d)
			}
		}
	})
}

func TestSourceThatPlayedIsTriedAgainEveryThreeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, map[string][]script{"a": {plays(5 * time.Second), fails(source.CauseUnreachable)}})
		if err := s.Add(ChannelConfig{ID: "c", Source: "test://a"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if st := s.state(t, "c"); st.State != Lost {
			t.Errorf("%+v", st)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := 2; i < len(s.times); i++ {
			if d := s.times[i].Sub(s.times[i-1]); d > pausePlayed {
				t.Errorf("pause of %v", d)
			}
		}
	})
}

func TestSilenceIsLostAndWhatNeedsAPersonIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unplayable := script(func(ctx context.Context, out *source.Output) error {
			out.Report(source.Report{Streams: []source.Stream{{Format: media.Format{Codec: media.H264}, Scrambled: true}}})
			for ctx.Err() == nil {
				out.Received(1000, out.Clock.Now())
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
			return ctx.Err()
		})
		s := newStage(t, map[string][]script{
			"silent": {silent}, "password": {fails(source.CauseCredentials)}, "scrambled": {unplayable},
			"panics-not": {script(func(context.Context, *source.Output) error { return errors.New("something") })},
		})
		for _, id := range []string{"silent", "password", "scrambled", "panics-not"} {
			if err := s.Add(ChannelConfig{ID: id, Source: "test://" + id}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3500 * time.Millisecond)
		for id, want := range map[string]struct {
			state State
			code  string
		}{
			"silent": {Lost, "no_packets"}, "password": {Refused, "source_credentials"},
			"scrambled": {Refused, "scrambled"}, "panics-not": {Lost, "source_failed"},
		} {
			if st := s.state(t, id); st.State != want.state || st.Reason.Code != want.code {
				t.Errorf("%s: %+v", id, st)
			}
		}
		time.Sleep(time.Minute)
		if st := s.state(t, "scrambled"); st.Attempts != 1 || st.Playable != Unplayable {
			t.Errorf("a scrambled programme was opened %d times", st.Attempts)
		}
	})
}

func TestChannelsDoNotDisturbOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, map[string][]script{"a": {plays(0)}, "b": {fails(source.CauseUnreachable)}})
		for _, id := range []string{"one", "two", "three"} {
			if err := s.Add(ChannelConfig{ID: id, Source: "test://a"}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if err := s.Add(ChannelConfig{ID: "one", Source: "test://b"}); !errors.Is(err, ErrExists) {
			t.Errorf("a second channel with one id: %v", err)
		}
		if err := s.Add(ChannelConfig{ID: "bad id", Source: "test://b"}); !errors.Is(err, ErrBadChannel) {
			t.Errorf("a bad id: %v", err)
		}
		if err := s.Add(ChannelConfig{ID: "bad", Source: "gopher://b"}); !errors.Is(err, ErrBadChannel) || source.CauseOf(err) != source.CauseBadAddress {
			t.Errorf("an unknown protocol: %v", err)
		}
		sub := s.hub.Open(stream.Channel("three"))
		defer sub.Close()
		track := sub.Tracks()[0]
		before := track.Stats().Items
		if err := s.Remove("two"); err != nil {
			t.Fatal(err)
		}
		if err := s.Remove("two"); !errors.Is(err, ErrNotFound) {
			t.Errorf("removed twice: %v", err)
		}
		if err := s.Add(ChannelConfig{ID: "two", Source: "test://b"}); err != nil {
			t.Errorf("the name is not free again: %v", err)
		}
		time.Sleep(time.Second)
		if n := track.Stats().Items - before; n < 20 || sub.Tracks()[0] != track {
			t.Errorf("only %d pictures in a second while others came and went", n)
		}
		if list := s.List(); len(list) != 3 || list[0].ID != "one" || list[1].ID != "three" || list[2].ID != "two" || list[0].Bitrate == 0 && list[0].State != Live {
			t.Errorf("%+v", list)
		}
		s.Close()
		if err := s.Add(ChannelConfig{ID: "late", Source: "test://a"}); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if sub.Published() {
			t.Error("published after Close")
		}
	})
}

package stream

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"tongxiang/internal/media"
)

func testHub(t *testing.T) *Hub {
	t.Helper()
	h := NewHub(slog.New(slog.DiscardHandler))
	t.Cleanup(h.Close)
	return h
}

func publish(t *testing.T, h *Hub, name Name, takeOver bool) *Publisher {
	t.Helper()
	p, err := h.Publish(name, takeOver)
	if err != nil {
		t.Fatalf("publish %s: %v", name, err)
	}
	return p
}

var h264 = TrackInfo{Label: LabelVideo, Form: Packets, Format: media.Format{Codec: media.H264, ClockRate: 90000}}

func TestOneNameHasOnePublisher(t *testing.T) {
	h := testHub(t)
	first := publish(t, h, "channels/a", false)
	if _, err := h.Publish("channels/a", false); !errors.Is(err, ErrTaken) {
		t.Fatalf("second publisher: %v, want ErrTaken", err)
	}
	first.Close()
	publish(t, h, "channels/a", false)
}

func TestTakeOverEndsTheFormerPublisherAndItsTracks(t *testing.T) {
	h := testHub(t)
	sub := h.Open("meetings/1/li")
	defer sub.Close()
	old := publish(t, h, "meetings/1/li", false)
	oldTrack := old.AddTrack(h264)
	newer := publish(t, h, "meetings/1/li", true)
	<-old.Done()
	<-oldTrack.Done()
	if n := len(sub.Tracks()); n != 0 {
		t.Fatalf("%d tracks after the take-over, want none yet", n)
	}
	track := newer.AddTrack(h264)
	dead := old.AddTrack(h264) // the old one does not know yet
	old.Close()
	if got := sub.Tracks(); len(got) != 1 || got[0] != track || dead == track {
		t.Fatalf("tracks %v, want the newer publisher's alone", got)
	}
}

func TestSubscriptionOutlivesPublishers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(slog.New(slog.DiscardHandler))
		defer h.Close()
		sub := h.Open("channels/a")
		defer sub.Close()
		for range 3 {
			changed := sub.Changed()
			p := publish(t, h, "channels/a", false)
			p.AddTrack(h264)
			<-changed
			if !sub.Published() || Find(sub.Tracks(), media.Video) == nil {
				t.Fatal("the subscription does not see the publisher's track")
			}
			changed = sub.Changed()
			p.Close()
			<-changed
			if sub.Published() || len(sub.Tracks()) != 0 {
				t.Fatal("the subscription still sees a closed publisher")
			}
		}
	})
}

func TestSetTracksKeepsWhatIsAlikeAndReplacesTheRest(t *testing.T) {
	h := testHub(t)
	p := publish(t, h, "channels/a", false)
	audio := TrackInfo{Label: LabelAudio, Form: Packets, Format: media.Format{Codec: media.AAC}}
	first := p.SetTracks([]TrackInfo{h264, audio})
	wider := h264
	wider.Format.Width = 1280
	audio.Format.Codec = media.MPEGAudio
	second := p.SetTracks([]TrackInfo{wider, audio})
	if first[0] != second[0] || second[0].Format().Width != 1280 {
		t.Error("a track with the same codec must be kept and take the new format")
	}
	if first[1] == second[1] {
		t.Error("a track with another codec must be replaced")
	}
	<-first[1].Done()
	if third := p.SetTracks([]TrackInfo{wider}); third[0] != first[0] || len(p.stream.tracks()) != 1 {
		t.Error("tracks that are not named must go")
	}
}

func TestProviderRunsWhileThereIsDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(slog.New(slog.DiscardHandler))
		defer h.Close()
		starts := 0
		h.Provide(Provider{
			Match: func(n Name) bool { return n == "channels/a/webrtc" },
			Run: func(ctx context.Context, n Name) error {
				starts++
				p, err := h.Publish(n, false)
				if err != nil {
					return err
				}
				defer p.Close()
				p.AddTrack(h264)
				<-ctx.Done()
				return nil
			},
		})
		a, b := h.Open("channels/a/webrtc"), h.Open("channels/a/webrtc")
		if _, err := a.Wait(t.Context(), func(tr []*Track) bool { return len(tr) == 1 }); err != nil {
			t.Fatal(err)
		}
		a.Close()
		b.Close()
		time.Sleep(Linger / 2) // the bubble's clock
		c := h.Open("channels/a/webrtc")
		time.Sleep(2 * Linger)
		synctest.Wait()
		if starts != 1 || !h.Published("channels/a/webrtc") {
			t.Fatalf("started %d times; a reader who comes back within Linger must find it running", starts)
		}
		c.Close()
		time.Sleep(2 * Linger)
		synctest.Wait()
		if h.Published("channels/a/webrtc") || len(h.List("")) != 0 {
			t.Fatal("the stream outlives its readers")
		}
		d := h.Open("channels/a/webrtc")
		defer d.Close()
		synctest.Wait()
		if starts != 2 {
			t.Fatalf("started %d times, want again on new demand", starts)
		}
	})
}

func TestProviderIsRunAgainWhenItEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(slog.New(slog.DiscardHandler))
		defer h.Close()
		starts := 0
		h.Provide(Provider{
			Match: func(Name) bool { return true },
			Run:   func(context.Context, Name) error { starts++; return errors.New("child died") },
		})
		s := h.Open("channels/a/hls")
		defer s.Close()
		time.Sleep(5*providerPause + providerPause/2)
		synctest.Wait()
		if starts != 6 {
			t.Errorf("started %d times in 5.5 pauses, want 6", starts)
		}
	})
}

func TestKeyFrameRequestsBecomeOne(t *testing.T) {
	h := testHub(t)
	track := publish(t, h, "channels/a", false).AddTrack(h264)
	for range 100 {
		track.RequestKeyFrame()
	}
	<-track.KeyFrameRequests()
	select {
	case <-track.KeyFrameRequests():
		t.Fatal("a second request was queued")
	default:
	}
}

func TestLookupFindsWhatIsKeptAndNothingElse(t *testing.T) {
	h := testHub(t)
	info := h264
	info.Keep = 16
	track := publish(t, h, "channels/a", false).AddTrack(info)
	for seq := int64(65530); seq < 65570; seq++ {
		track.WritePacket(&media.Packet{Sequence: seq, Sync: seq == 65530})
	}
	if p := track.Lookup(65569); p == nil || p.Sequence != 65569 {
		t.Errorf("newest packet not found: %v", p)
	}
	for _, seq := range []int64{65530, 65553, 65570, -1} {
		if p := track.Lookup(seq); p != nil {
			t.Errorf("Lookup(%d) = packet %d, want nothing", seq, p.Sequence)
		}
	}
}

func TestParseNameTakesNamesAndNothingElse(t *testing.T) {
	for _, s := range []string{"channels/cctv1", "meetings/42/li", "meetings/42/programme/hls", "a/b-c_d.e"} {
		if n, err := ParseName(s); err != nil || string(n) != s {
			t.Errorf("ParseName(%q) = %q, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "a", "/", "a/", "/a", "a//b", "a/../b", "a/.b", "a/b/c/d/e", "a/中", "a/b c", "a/b\x00"} {
		if _, err := ParseName(s); !errors.Is(err, ErrBadName) {
			t.Errorf("ParseName(%q): %v, want ErrBadName", s, err)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"channels/cctv1", "a/../b", "a//b", "meetings/42/programme/hls"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			return
		}
		for _, seg := range n.Segments() {
			if CheckID(seg) != nil || seg == ".." || seg == "" {
				t.Errorf("%q was accepted with segment %q", s, seg)
			}
		}
	})
}

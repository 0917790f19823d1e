package ingest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

var h264Params = [][]byte{
	{0x67, 0x42, 0xC0, 0x0A, 0xDA, 0x1E, 0x2E, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x20, 0x00, 0x00, 0x06, 0x51, 0xE2, 0x45, 0x54},
	{0x68, 0xCE, 0x0F, 0x2C, 0x80},
}

// sends writes a picture and a sound every 40 ms, a key frame each second, while on
// says so of the time since the test began. packets makes it write RTP packets, as a camera's source does.
func sends(mark byte, packets bool, on func(time.Duration) bool) script {
	return func(ctx context.Context, out *source.Output) error {
		form := stream.Frames
		if packets {
			form = stream.Packets
		}
		video := media.Format{Codec: media.H264, ClockRate: 90000, Width: 64, Height: 48, Params: h264Params}
		audio := media.Format{Codec: media.PCMU, ClockRate: 8000, Channels: 1, Rate: 8000}
		tracks := out.Publisher.SetTracks([]stream.TrackInfo{
			{Label: stream.LabelVideo, Form: form, Format: video}, {Label: stream.LabelAudio, Form: form, Format: audio},
		})
		out.Report(source.Report{Streams: []source.Stream{{Format: video, Known: true, Published: true}, {Format: audio, Known: true, Published: true}}})
		z, err := media.NewPacketizer(video)
		if err != nil {
			return err
		}
		zs, err := media.NewPacketizer(audio)
		if err != nil {
			return err
		}
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
			if !on(time.Duration(out.Clock.Now())) {
				n = -1 // a sender that begins anew begins with a key frame
				continue
			}
			now := out.Clock.Now()
			out.Received(1000, now)
			at := media.FromTicks(now*9/100000, 90000) + media.Time(mark)*media.Time(time.Hour)
			f := &media.Frame{PTS: at, DTS: at, Arrival: now, Units: [][]byte{{0x41, 0x9A, mark}}}
			if n%25 == 0 {
				f.Sync, f.IDR, f.Units = true, true, [][]byte{h264Params[0], h264Params[1], {0x65, 0x88, mark}}
			}
			a := &media.Frame{PTS: at, DTS: at, Arrival: now, Sync: true, Units: [][]byte{make([]byte, 320)}}
			out.Written(at, now)
			if !packets {
				tracks[0].WriteFrame(f)
				tracks[1].WriteFrame(a)
				continue
			}
			for _, p := range z.Push(f) {
				tracks[0].WritePacket(p)
			}
			for _, p := range zs.Push(a) {
				tracks[1].WritePacket(p)
			}
		}
	}
}

func always(time.Duration) bool { return true }

// watching follows a track of a channel as a viewer does.
type watching struct {
	t      *testing.T
	track  *stream.Track
	cursor *stream.Cursor[media.Frame]
	frames []*media.Frame
	close  func()
}

func (s *stage) follow(t *testing.T, label stream.Label) *watching {
	t.Helper()
	synctest.Wait()
	sub := s.hub.Open(stream.Channel("c"))
	for _, track := range sub.Tracks() {
		if track.Label() == label {
			cursor, err := track.FollowFrames(stream.NewReader(nil), stream.AtOldest)
			if err != nil {
				t.Fatal(err)
			}
			return &watching{t: t, track: track, cursor: cursor, close: func() { cursor.Close(); sub.Close() }}
		}
	}
	t.Fatalf("no track %s", label)
	return nil
}

// read takes what there is and checks that time only goes forward. It returns the
// marks of the sources that were seen, in order, and the longest wait for a frame.
func (w *watching) read() (seen string, longest time.Duration) {
	w.t.Helper()
	synctest.Wait()
	for f := w.cursor.Next(); f != nil; f = w.cursor.Next() {
		w.frames = append(w.frames, f)
	}
	for i, f := range w.frames {
		u := f.Units[len(f.Units)-1]
		mark := string(rune('a' + u[len(u)-1]))
		if seen == "" || seen[len(seen)-1:] != mark {
			seen += mark
			if i > 0 && (!f.Gap || !f.Sync) {
				w.t.Errorf("source %s begins with %+v", mark, f)
			}
		}
		if i == 0 {
			continue
		}
		was := w.frames[i-1]
		if f.DTS <= was.DTS {
			w.t.Fatalf("time goes from %v to %v", time.Duration(was.DTS), time.Duration(f.DTS))
		}
		longest = max(longest, time.Duration(f.Arrival-was.Arrival))
	}
	select {
	case <-w.track.Done():
		w.t.Error("the track ended")
	default:
	}
	return seen, longest
}

func TestPrimaryThatIsCutIsReplacedWithinTwoSecondsAndReturnsByTheRule(t *testing.T) {
	for _, standby := range []bool{false, true} {
		for _, packets := range []bool{false, true} {
			t.Run(fmt.Sprintf("standby %v, backup of packets %v", standby, packets), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStage(t, map[string][]script{
						"a": {sends(0, false, func(d time.Duration) bool { return d < 10*time.Second || d > 20*time.Second })},
						"b": {sends(1, packets, always)},
					})
					err := s.Add(ChannelConfig{ID: "c", Source: "test://a", Backup: []string{"test://b"}, Switch: Rule{Standby: standby, BackAfter: 30 * time.Second}})
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(2 * time.Second)
					video, audio := s.follow(t, stream.LabelVideo), s.follow(t, stream.LabelAudio)
					defer video.close()
					defer audio.close()
					time.Sleep(8 * time.Second)
					video.read() // the rings hold ten seconds
					audio.read()
					time.Sleep(5 * time.Second)
					st := s.state(t, "c")
					if st.State != Live || !st.Backup || st.SwitchedFor != FaultNoPackets || len(st.Sources) != 2 || !st.Sources[1].Active || st.Sources[0].State != Lost {
						t.Errorf("on the backup: %+v", st)
					}
					seen, gap := video.read()
					if seen != "ab" || gap > 2*time.Second {
						t.Errorf("seen %s, %v without a picture", seen, gap)
					}
					if standby && gap > 1200*time.Millisecond {
						t.Errorf("%v without a picture with a source that stood by", gap)
					}
					for range 8 { // the primary is well from 20 s on; the rings hold less than this
						time.Sleep(5 * time.Second)
						video.read()
						audio.read()
					}
					if st := s.state(t, "c"); st.Backup || st.SwitchedFor != faultBack || st.State != Live {
						t.Errorf("after the return: %+v", st)
					}
					if after, gap2 := video.read(); after != "aba" || gap2 != gap {
						t.Errorf("seen %s, %v without a picture", after, gap2)
					}
					if s, _ := audio.read(); len(audio.frames) < 1000 || s == "" {
						t.Errorf("%d sounds", len(audio.frames))
					}
				})
			})
		}
	}
}

func TestBlackPictureGivesWayAndManualChoiceStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, map[string][]script{"a": {sends(0, false, always)}, "b": {sends(1, false, always)}})
		if err := s.Add(ChannelConfig{ID: "c", Source: "test://a", Backup: []string{"test://b"}, Switch: Rule{On: []Fault{FaultBlack}, Back: BackManual}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		video := s.follow(t, stream.LabelVideo)
		defer video.close()
		s.Observe("c", Observation{Black: true})
		s.Observe("nobody", Observation{Black: true})
		time.Sleep(9 * time.Second)
		video.read() // the rings hold ten seconds
		if st := s.state(t, "c"); st.Backup {
			t.Error("left before its patience was over")
		}
		time.Sleep(2500 * time.Millisecond)
		if st := s.state(t, "c"); !st.Backup || st.SwitchedFor != FaultBlack {
			t.Errorf("%+v", st)
		}
		s.Observe("c", Observation{})
		if err := s.Switch("c", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if st := s.state(t, "c"); st.Backup || st.SwitchedFor != faultManual {
			t.Errorf("%+v", st)
		}
		if seen, gap := video.read(); seen != "aba" || gap > 100*time.Millisecond {
			t.Errorf("seen %s, %v without a picture", seen, gap)
		}
		if err := s.Switch("c", 2); !errors.Is(err, ErrNoSource) {
			t.Errorf("%v", err)
		}
		if err := s.Switch("nobody", 0); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
}

func TestChangesOfAChannelLeaveWhatPlaysAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, map[string][]script{"a": {sends(0, false, always)}, "b": {sends(1, false, always)}, "dead": {silent}})
		cfg := ChannelConfig{ID: "c", Name: "一", Source: "test://a"}
		if err := s.Add(cfg); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		video := s.follow(t, stream.LabelVideo)
		defer video.close()
		update := func(change func()) Status {
			t.Helper()
			change()
			if err := s.Update(cfg); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
			return s.state(t, "c")
		}
		if st := update(func() { cfg.Name = "二" }); st.Name != "二" || st.Attempts != 1 {
			t.Errorf("a new name: %+v", st)
		}
		if st := update(func() { cfg.Backup = []string{"test://b"} }); len(st.Sources) != 2 || st.Attempts != 1 {
			t.Errorf("a new backup: %+v", st)
		}
		if st := update(func() { cfg.Switch = Rule{Back: BackNever, Standby: true} }); st.Switch.Back != BackNever || st.Attempts != 2 || st.Sources[1].State != Live {
			t.Errorf("a new rule: %+v", st)
		}
		if seen, gap := video.read(); seen != "a" || gap > 100*time.Millisecond {
			t.Errorf("disturbed: seen %s, %v without a picture", seen, gap)
		}
		// The primary becomes another one: the old one stays until that can begin.
		if st := update(func() { cfg.Source, cfg.Backup = "test://b", []string{"test://a"} }); st.Source != "test://b" && st.Source != "test://a" {
			t.Errorf("exchanged: %+v", st)
		}
		if st := update(func() { cfg.Source, cfg.Backup = "test://b", nil }); st.Source != "test://b" || st.Backup || len(st.Sources) != 1 {
			t.Errorf("another primary: %+v", st)
		}
		if seen, gap := video.read(); seen != "ab" || gap > 100*time.Millisecond {
			t.Errorf("seen %s, %v without a picture", seen, gap)
		}
		// One that never plays is shown all the same.
		if st := update(func() { cfg.Source = "test://dead" }); st.State != Live || len(st.Sources) != 1 || st.Sources[0].Active {
			t.Errorf("while the dead one is tried: %+v", st)
		}
		time.Sleep(6 * time.Second)
		if st := s.state(t, "c"); st.Source != "test://dead" || st.State != Lost {
			t.Errorf("the dead one: %+v", st)
		}
		if err := s.Update(ChannelConfig{ID: "nobody", Source: "test://a"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
		bad := cfg
		bad.Switch.Back = "sometimes"
		if err := s.Update(bad); !errors.Is(err, ErrBadChannel) {
			t.Errorf("%v", err)
		}
	})
}

func TestFlappingSourceDoesNotEndTheTracks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, map[string][]script{
			"a": {sends(0, false, func(d time.Duration) bool { return d%(7*time.Second) < 4*time.Second })},
			"b": {sends(1, true, func(d time.Duration) bool { return d%(11*time.Second) < 6*time.Second })},
		})
		if err := s.Add(ChannelConfig{ID: "c", Source: "test://a", Backup: []string{"test://b"}, Switch: Rule{BackAfter: time.Second}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		video := s.follow(t, stream.LabelVideo)
		defer video.close()
		for range 30 {
			time.Sleep(10 * time.Second)
			video.read()
			video.frames = video.frames[len(video.frames)-1:]
		}
	})
}

package transcode

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/stream"
)

const source = stream.Name("channels/test")

// rig publishes a clip in real time, over and over, and reads what becomes of it.
type rig struct {
	t     *testing.T
	s     *Service
	hub   *stream.Hub
	clock media.Clock
	stop  context.CancelFunc
	sent  []playtest.Frame // of the first round
}

func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	playtest.Tools(t)
	if cfg.FFmpeg == "" {
		cfg.FFmpeg = "ffmpeg"
	}
	log := slog.New(slog.NewTextHandler(&testLog{t}, nil))
	r := &rig{t: t, hub: stream.NewHub(log), clock: media.NewClock()}
	r.s = New(cfg, r.hub, r.clock, log)
	t.Cleanup(r.hub.Close)
	return r
}

type testLog struct{ t *testing.T }

func (l *testLog) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

// play publishes a clip as a live source would, until the test ends or stop is called.
func (r *rig) play(clip playtest.Clip) {
	r.t.Helper()
	pub, err := r.hub.Publish(source, true)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	r.stop = func() { stop(); <-done }
	r.t.Cleanup(r.stop)
	tracks := pub.SetTracks(clip.Infos())
	start := clip.Frames[0].DTS
	r.sent = clip.Frames
	go func() {
		defer close(done)
		defer pub.Close()
		began := time.Now()
		for round := time.Duration(0); ; round++ {
			shift := round * (clip.Length() + 40*time.Millisecond)
			for _, f := range clip.Frames {
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Until(began.Add(f.DTS.Sub(start) + shift))):
				}
				g := *f.Frame
				g.PTS, g.DTS, g.Arrival = g.PTS.Add(shift), g.DTS.Add(shift), r.clock.Now()
				tracks[f.Track].WriteFrame(&g)
			}
		}
	}()
	r.hubHas(source, len(clip.Formats))
}

func (r *rig) hubHas(name stream.Name, tracks int) {
	r.t.Helper()
	sub := r.hub.Open(name)
	defer sub.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	if _, err := sub.Wait(ctx, func(l []*stream.Track) bool { return len(l) >= tracks }); err != nil {
		r.t.Fatalf("%s has not %d tracks: %v", name, tracks, err)
	}
}

// got is what a reader of a rendition received.
type got struct {
	formats []media.Format
	frames  [][]*media.Frame // by track
}

// of returns the index of the track of a kind.
func (g got) of(k media.Kind) int {
	for i, f := range g.formats {
		if f.Codec.Kind() == k {
			return i
		}
	}
	return -1
}

// read follows a stream until enough frames of each of its tracks have come.
func (r *rig) read(name stream.Name, tracks, enough int) got {
	r.t.Helper()
	f := feed.Open(r.hub, name, feed.Options{From: stream.AtOldest})
	defer f.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	var g got
	for {
		e, err := f.Next(ctx)
		if err != nil {
			r.t.Fatalf("read %s: %v; it has %d tracks", name, err, len(g.formats))
		}
		if e.Frame == nil {
			g = got{frames: make([][]*media.Frame, len(f.Tracks()))}
			for _, t := range f.Tracks() {
				g.formats = append(g.formats, t.Format)
			}
			continue
		}
		g.frames[e.Track] = append(g.frames[e.Track], e.Frame)
		full := len(g.frames) == tracks
		for _, l := range g.frames {
			full = full && len(l) >= enough
		}
		if full {
			return g
		}
	}
}

func (r *rig) resolve(t Target) stream.Name {
	r.t.Helper()
	name, err := r.s.Resolve(r.t.Context(), source, t)
	if err != nil {
		r.t.Fatal(err)
	}
	return name
}

func TestSatelliteTelevisionBecomesPlayableWithItsOwnTimes(t *testing.T) {
	r := newRig(t, Config{Max: 1})
	clip := playtest.Make(t, 4, "320x180", playtest.Broadcast)
	r.play(clip)
	name := r.resolve(HLS)
	if name != Rendition(source, HLS) {
		t.Fatalf("resolved to %s", name)
	}
	g := r.read(name, 2, 50)
	video, audio := g.of(media.Video), g.of(media.Audio)
	if g.formats[video].Codec != media.H264 || g.formats[audio].Codec != media.AAC {
		t.Fatalf("the rendition has %v", g.formats)
	}
	if v := g.formats[video]; v.Width != 320 || v.Height != 180 || v.Reordered {
		t.Errorf("the picture is %d×%d, reordered %v", v.Width, v.Height, v.Reordered)
	}
	// Each picture keeps the time at which the source shows it, to a tick.
	shown := map[int64]bool{}
	round := clip.Length() + 40*time.Millisecond
	for _, f := range r.sent {
		if clip.Formats[f.Track].Codec.Kind() == media.Video {
			for i := range time.Duration(20) {
				shown[f.PTS.Add(i*round).Ticks(90000)] = true
			}
		}
	}
	missed := 0
	for _, f := range g.frames[video] {
		at := f.PTS.Ticks(90000)
		if !shown[at] && !shown[at-1] && !shown[at+1] {
			missed++
		}
	}
	if missed > 0 {
		t.Errorf("%d of %d pictures have times that the source never had", missed, len(g.frames[video]))
	}
}

func TestH264GoesThroughUntouchedBesideSoundThatIsEncoded(t *testing.T) {
	r := newRig(t, Config{Max: 1})
	args := strings.Replace(playtest.BFrames, "-c:a aac -b:a 64k", "-c:a mp2 -b:a 128k", 1)
	r.play(playtest.Make(t, 4, "320x180", args))
	g := r.read(r.resolve(HLS), 2, 30)
	video, audio := g.of(media.Video), g.of(media.Audio)
	if g.formats[audio].Codec != media.AAC {
		t.Fatalf("sound is %s", g.formats[audio].Codec)
	}
	want := map[media.Time]*media.Frame{}
	for _, f := range r.sent {
		if f.Track == 0 {
			want[f.DTS] = f.Frame
		}
	}
	same := 0
	for _, f := range g.frames[video] {
		w := want[f.DTS]
		if w == nil {
			continue // of a later round
		}
		if !bytes.Equal(bytes.Join(f.Units, nil), bytes.Join(w.Units, nil)) || f.PTS != w.PTS {
			t.Fatalf("the picture of %v was changed", f.DTS)
		}
		same++
	}
	if same < 25 {
		t.Errorf("only %d pictures of the first round came", same)
	}
	// The sound stands where the picture does.
	apart := g.frames[audio][0].PTS.Sub(g.frames[video][0].PTS)
	if apart.Abs() > time.Second {
		t.Errorf("sound begins %v after the picture", apart)
	}
}

func TestAChannelBecomesFitForWebRTC(t *testing.T) {
	r := newRig(t, Config{Max: 1})
	r.play(playtest.Make(t, 4, "320x180", playtest.BFrames))
	// B-frames show once a few pictures were seen; the clip's format may know them at once.
	sub := r.hub.Open(source)
	defer sub.Close()
	for _, tr := range sub.Tracks() {
		if f := tr.Format(); f.Codec == media.H264 {
			f.Reordered = true
			tr.SetFormat(f)
		}
	}
	g := r.read(r.resolve(WebRTC), 2, 50)
	video, audio := g.of(media.Video), g.of(media.Audio)
	if f := g.formats[video]; f.Codec != media.H264 || f.Reordered {
		t.Errorf("picture is %s, reordered %v", f.Codec, f.Reordered)
	}
	if g.formats[audio].Codec != media.Opus {
		t.Errorf("sound is %s", g.formats[audio].Codec)
	}
	for _, f := range g.frames[video] {
		if f.PTS != f.DTS {
			t.Fatalf("a picture is shown at %v and decoded at %v", f.PTS, f.DTS)
		}
	}
}

func TestAStreamThatPlaysIsNotTouched(t *testing.T) {
	r := newRig(t, Config{Max: 1})
	r.play(playtest.Make(t, 2, "320x180", playtest.Plain))
	if name := r.resolve(HLS); name != source {
		t.Errorf("resolved to %s", name)
	}
	if n, err := r.s.Resolve(t.Context(), "meetings/m/p", WebRTC); err != nil || n != "meetings/m/p" {
		t.Errorf("a participant resolved to %s, %v", n, err)
	}
	if n := r.s.Stats().Starts; n != 0 {
		t.Errorf("%d children were started", n)
	}
}

// children returns the pids of this test process's ffmpeg children.
func children(t *testing.T) []int {
	t.Helper()
	var pids []int
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range tasks {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for _, w := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(w); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func TestAKilledChildComesBackWithoutTheReaderNoticingMoreThanAGap(t *testing.T) {
	r := newRig(t, Config{Max: 1})
	r.play(playtest.Make(t, 4, "320x180", playtest.Broadcast))
	name := r.resolve(HLS)
	f := feed.Open(r.hub, name, feed.Options{From: stream.AtOldest})
	defer f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	killed := false
	var last media.Time
	after := 0
	for after < 40 {
		e, err := f.Next(ctx)
		if err != nil {
			t.Fatalf("nothing came (killed %v, %d pictures after): %v", killed, after, err)
		}
		if e.Frame == nil || f.Tracks()[e.Track].Format.Codec.Kind() != media.Video {
			continue
		}
		if e.Frame.DTS <= last {
			t.Fatalf("time went back from %v to %v", last, e.Frame.DTS)
		}
		last = e.Frame.DTS
		if killed {
			after++
			continue
		}
		pids := children(t)
		if len(pids) != 1 {
			t.Fatalf("children: %v", pids)
		}
		if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		killed = true
	}
	if st := r.s.Stats(); st.Failures == 0 || st.Starts < 2 || st.Running != 1 {
		t.Errorf("counted %+v", st)
	}
}

func TestAChildThatHangsIsKilledAndStartedAgain(t *testing.T) {
	r := newRig(t, Config{Max: 1})
	r.play(playtest.Make(t, 4, "320x180", playtest.Broadcast))
	name := r.resolve(HLS350)
	f := feed.Open(r.hub, name, feed.Options{From: stream.AtOldest})
	defer f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	stopped := 0
	for before := uint64(0); stopped == 0 || r.s.Stats().Starts == before; {
		e, err := f.Next(ctx)
		if err != nil {
			t.Fatalf("nothing came any more (stopped %d): %v; %+v", stopped, err, r.s.Stats())
		}
		if e.Frame == nil || stopped > 0 || f.Tracks()[e.Track].Format.Codec.Kind() != media.Video {
			continue
		}
		pids := children(t)
		if len(pids) != 1 {
			t.Fatalf("children: %v", pids)
		}
		if err := syscall.Kill(pids[0], syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		stopped, before = pids[0], r.s.Stats().Starts
	}
	if st := r.s.Stats(); st.Failures != 1 || st.Running != 1 {
		t.Errorf("counted %+v", st)
	}
	if pids := children(t); len(pids) != 1 || pids[0] == stopped {
		t.Errorf("children: %v, stopped was %d", pids, stopped)
	}
}

func TestALowRateIsMadeOfH264ThatCouldGoOutUntouched(t *testing.T) {
	r := newRig(t, Config{Max: 4})
	r.play(playtest.Make(t, 4, "720x576", playtest.BFrames+" -vf setsar=64/45"))
	sub := r.hub.Open(source)
	defer sub.Close()
	for _, tr := range sub.Tracks() { // as the demuxer learns them
		f := tr.Format()
		f.Language = "bod"
		tr.SetFormat(f)
	}
	offers := r.s.Offers(source)
	if len(offers) != 2 || offers[0].Rate != 800_000 || offers[1].Rate != 350_000 {
		t.Fatalf("offered: %+v", offers)
	}
	for i, target := range []Target{HLS800, HLS350, WebRTC800, WebRTC350} {
		name := r.resolve(target)
		if name != source.Rendition(string(target)) {
			t.Fatalf("%s resolved to %s", target, name)
		}
		g := r.read(name, 2, 20)
		video, audio := g.formats[g.of(media.Video)], g.formats[g.of(media.Audio)]
		offer := offers[i%2]
		if video.Width != offer.Width || video.Height != offer.Height || offer.Width != []int{640, 426}[i%2] {
			t.Errorf("%s: the picture is %d×%d, offered were %d×%d", target, video.Width, video.Height, offer.Width, offer.Height)
		}
		if video.Reordered || video.Interlaced {
			t.Errorf("%s: the picture is %+v", target, video)
		}
		sound, codec := media.AAC, "avc1.4d401e"
		if target.webrtc() {
			sound, codec = media.Opus, "avc1.42c01e"
		} else if offer.Video != codec {
			t.Errorf("%s is offered as %s", target, offer.Video)
		}
		if got := fmp4.CodecString(video); got != codec {
			t.Errorf("%s: the picture is %s, want %s", target, got, codec)
		}
		if audio.Codec != sound || audio.Language != "bod" {
			t.Errorf("%s: the sound is %s in %q", target, audio.Codec, audio.Language)
		}
		pictures := g.frames[g.of(media.Video)]
		step := pictures[10].PTS.Sub(pictures[9].PTS)
		if want := time.Duration(float64(time.Second) / offer.FPS); step < want-time.Millisecond || step > want+time.Millisecond {
			t.Errorf("%s: pictures are %v apart, want %v", target, step, want)
		}
	}
	if st := r.s.Stats(); st.Running > 4 || st.Starts > 4 {
		t.Errorf("counted %+v", st)
	}
}

func TestOneChildServesAllWhoReadARendition(t *testing.T) {
	r := newRig(t, Config{Max: 4})
	r.play(playtest.Make(t, 4, "320x180", playtest.Broadcast))
	name := r.resolve(HLS350)
	done := make(chan struct{})
	for range 20 {
		go func() {
			defer func() { done <- struct{}{} }()
			f := feed.Open(r.hub, name, feed.Options{From: stream.AtOldest})
			defer f.Close()
			ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
			defer cancel()
			for n := 0; n < 30; n++ {
				if _, err := f.Next(ctx); err != nil {
					t.Errorf("a reader got nothing: %v", err)
					return
				}
			}
		}()
	}
	for range 20 {
		<-done
	}
	if st := r.s.Stats(); st.Starts != 1 || st.Running != 1 {
		t.Errorf("counted %+v", st)
	}
}

func TestEveryLanguageIsEncodedOnce(t *testing.T) {
	r := newRig(t, Config{Max: 1})
	ts := playtest.Run(t, nil, "ffmpeg", strings.Fields("-v error -f lavfi -i testsrc2=rate=25:size=320x180 -f lavfi -i sine=440 -f lavfi -i sine=880"+
		" -t 4 -map 0:v -map 1:a -map 2:a -map 1:a -c:v libx264 -preset ultrafast -bf 0 -g 25 -pix_fmt yuv420p -c:a:0 aac -c:a:1 mp2 -c:a:2 ac3 -f mpegts pipe:1")...)
	clip := playtest.Demux(t, ts)
	languages := []string{"", "zho", "bod", "zho"}
	infos := clip.Infos()
	for i := range infos {
		clip.Formats[i].Language = languages[i]
	}
	r.play(clip)
	g := r.read(r.resolve(HLS), 2, 20) // a reader of one sound
	if a := g.formats[g.of(media.Audio)]; a.Codec != media.AAC || a.Language != "zho" {
		t.Errorf("the first sound is %s in %q", a.Codec, a.Language)
	}
	sub := r.hub.Open(Rendition(source, HLS))
	defer sub.Close()
	var got []string
	for _, tr := range sub.Tracks() {
		if tr.Kind() == media.Audio {
			got = append(got, string(tr.Label())+" "+tr.Format().Codec.String()+" "+tr.Format().Language)
		}
	}
	slices.Sort(got)
	if want := []string{"audio AAC zho", "audio2 AAC bod"}; !slices.Equal(got, want) {
		t.Errorf("sounds are %q, want %q", got, want)
	}
}

func TestNobodyWatchingEndsTheChild(t *testing.T) {
	r := newRig(t, Config{Max: 1})
	r.play(playtest.Make(t, 2, "320x180", playtest.Broadcast))
	r.read(r.resolve(HLS), 2, 5)
	deadline := time.Now().Add(stream.Linger + 10*time.Second)
	for r.s.Stats().Running > 0 || r.hub.Published(Rendition(source, HLS)) {
		if time.Now().After(deadline) {
			t.Fatalf("still running: %+v", r.s.Stats())
		}
		time.Sleep(50 * time.Millisecond)
	}
	if pids := children(t); len(pids) > 0 {
		t.Errorf("children left: %v", pids)
	}
}

func TestASourceThatReturnsAfterAnHourPlaysOn(t *testing.T) {
	r := newRig(t, Config{Max: 1})
	clip := playtest.Make(t, 3, "320x180", playtest.Broadcast)
	r.play(clip)
	name := r.resolve(HLS)
	sub := r.hub.Open(name)
	defer sub.Close()
	first := r.read(name, 2, 20)
	r.stop()
	r.play(clip.Shift(time.Hour, true))
	f := feed.Open(r.hub, name, feed.Options{From: stream.AtSync})
	defer f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		e, err := f.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if e.Frame != nil && e.Frame.DTS.Sub(first.frames[0][0].DTS) > time.Hour-time.Minute {
			return
		}
	}
}

func TestWithoutRoomOrProgrammeTheReasonIsGiven(t *testing.T) {
	clip := playtest.Make(t, 1, "320x180", playtest.Broadcast)
	for _, tc := range []struct {
		name, code string
		cfg        Config
	}{
		{"no room", "transcode_busy", Config{Max: 1}},
		{"ffmpeg absent", "needs_transcoding", Config{Max: 1, FFmpeg: "/nowhere/ffmpeg"}},
		{"transcoding switched off", "needs_transcoding", Config{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, tc.cfg)
			r.play(clip)
			if tc.code == "transcode_busy" {
				if _, err := r.s.room.enter(true, 0.3); err != nil { // another channel has it
					t.Fatal(err)
				}
			}
			_, err := r.s.Resolve(t.Context(), source, HLS)
			var e *apierr.Error
			if !errors.As(err, &e) || e.Code != tc.code {
				t.Errorf("error is %v, want %s", err, tc.code)
			}
		})
	}
}

func TestALowRateThatIsAskedForByNameIsRefusedWithItsReason(t *testing.T) {
	r := newRig(t, Config{Max: 1})
	r.play(playtest.Make(t, 1, "320x180", playtest.Plain))
	if _, err := r.s.room.enter(true, 0.3); err != nil { // another channel has the place
		t.Fatal(err)
	}
	for _, t2 := range []Target{HLS800, WebRTC350} {
		_, err := r.s.Resolve(t.Context(), Rendition(source, t2), HLS)
		var e *apierr.Error
		if !errors.As(err, &e) || e.Code != "transcode_busy" {
			t.Errorf("%s: %v", t2, err)
		}
	}
	if st := r.s.Stats(); st.Refusals != 2 || st.Starts != 0 {
		t.Errorf("counted %+v", st)
	}
}

func TestAProgramThatIsNotFFmpegIsTriedAgainAndCounted(t *testing.T) {
	no, err := exec.LookPath("false")
	if err != nil {
		t.Fatalf("find false(1), which only fails: %v", err)
	}
	r := newRig(t, Config{Max: 1, FFmpeg: no})
	r.play(playtest.Make(t, 1, "320x180", playtest.Broadcast))
	sub := r.hub.Open(Rendition(source, HLS))
	defer sub.Close()
	deadline := time.Now().Add(15 * time.Second)
	for r.s.Stats().Failures < 2 {
		if time.Now().After(deadline) {
			t.Fatalf("counted %+v", r.s.Stats())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

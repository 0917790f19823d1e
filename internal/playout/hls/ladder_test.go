package hls

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/stream"
	"tongxiang/internal/transcode"
)

// withTranscoder returns a rig whose streams are made playable by ffmpeg.
func withTranscoder(t *testing.T) *rig {
	t.Helper()
	playtest.Tools(t)
	r := &rig{t: t}
	var changer *transcode.Service
	*r = *newRigOf(t, Config{
		Resolve: func(ctx context.Context, n stream.Name) (stream.Name, error) {
			return changer.Resolve(ctx, n, transcode.HLS)
		},
		Low: func(n stream.Name) []Low {
			var out []Low
			for _, o := range changer.Offers(n) {
				l := Low{Name: o.Name, Rate: o.Rate, Video: o.Video, Width: o.Width, Height: o.Height, FPS: o.FPS}
				for _, s := range o.Sounds {
					l.Sounds = append(l.Sounds, Sound{string(s.Label), s.Format})
				}
				out = append(out, l)
			}
			return out
		},
	}, func(r *rig) {
		changer = transcode.New(transcode.Config{FFmpeg: "ffmpeg", Max: 8, CPU: 1}, r.hub, r.clock, r.hls.log)
	})
	return r
}

// play publishes a clip over and over, at some times its own speed, until the test ends.
func (r *rig) play(name stream.Name, clip playtest.Clip, speed int) {
	r.t.Helper()
	pub, tracks := r.publish(name, clip)
	ctx, stop := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	r.t.Cleanup(func() { stop(); <-done })
	go func() {
		defer close(done)
		defer pub.Close()
		began, start := time.Now(), clip.Frames[0].DTS
		for round := time.Duration(0); ; round++ {
			shift := round * (clip.Length() + 40*time.Millisecond)
			for _, f := range clip.Frames {
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Until(began.Add((f.DTS.Sub(start) + shift) / time.Duration(speed)))):
				}
				g := *f.Frame
				g.PTS, g.DTS, g.Arrival = g.PTS.Add(shift), g.DTS.Add(shift), r.clock.Now()
				tracks[f.Track].WriteFrame(&g)
			}
		}
	}()
}

// piece is one part of a rendition as it goes over the line.
type piece struct {
	at, length time.Duration
	bytes      int
}

var listedPart = regexp.MustCompile(`#EXT-X-PART:DURATION=([0-9.]+),URI="([^"]+)"`)

// collect follows a media playlist as a low-latency player does and returns its parts.
func (r *rig) collect(base, list string, whole time.Duration) []piece {
	r.t.Helper()
	var out []piece
	var at time.Duration
	seen := map[string]bool{}
	for deadline := time.Now().Add(5 * time.Minute); at < whole; {
		if time.Now().After(deadline) {
			r.t.Fatalf("only %v of %s came", at, list)
		}
		code, text, _ := r.get(base + list)
		if code == http.StatusServiceUnavailable { // as a player does, on a machine that is slow to begin
			<-time.After(100 * time.Millisecond)
			continue
		}
		if code != http.StatusOK {
			r.t.Fatalf("GET %s: %d %s", base+list, code, text)
		}
		for _, m := range listedPart.FindAllStringSubmatch(text, -1) {
			if seen[m[2]] {
				continue
			}
			seen[m[2]] = true
			d := time.Duration(seconds(r.t, m[1]) * float64(time.Second))
			out = append(out, piece{at, d, len(r.ok(base + m[2]))})
			at += d
		}
		hint := hintURI.FindStringSubmatch(text)
		if f, ok := parseFile(hint[1]); ok {
			list, _, _ = strings.Cut(list, "?")
			list += "?_HLS_msn=" + itoa(f.number) + "&_HLS_part=" + strconv.Itoa(f.part)
		}
	}
	return out
}

// peak returns the highest rate over a span that parts cover, in bits a second.
func peak(parts []piece, span time.Duration) float64 {
	most := 0.0
	for i := range parts {
		bytes, length := 0, time.Duration(0)
		for _, p := range parts[i:] {
			if length >= span {
				break
			}
			bytes += p.bytes
			length += p.length
		}
		if length >= span {
			most = max(most, float64(8*bytes)/length.Seconds())
		}
	}
	return most
}

func TestLowRatesKeepTheirPromiseOverAnyTwoSeconds(t *testing.T) {
	if testing.Short() {
		t.Skip("-short is set: this encodes half a minute of video three times")
	}
	r := withTranscoder(t)
	// The worst for an encoder: noise that no picture predicts, a cut each second and a half, loud noise as sound.
	ts := playtest.Run(t, nil, "ffmpeg", strings.Fields("-v error -f lavfi -i testsrc2=rate=25:size=720x576,noise=alls=16:allf=t,hue=h='120*floor(t/1.5)',setsar=64/45"+
		" -f lavfi -i anoisesrc=color=pink:sample_rate=48000:amplitude=0.8 -t 12 -c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p -b:v 4M -maxrate 4M -bufsize 1M"+
		" -c:a aac -b:a 192k -ac 2 -f mpegts pipe:1")...)
	r.play("channels/a", playtest.Demux(t, ts), 2)
	base := "/hls/channels/a/"
	main := r.ok(base + "index.m3u8")
	for _, want := range []string{
		`BANDWIDTH=800000,CODECS="avc1.4d401e,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=25.000` + "\nhls-800/live.m3u8\n",
		`BANDWIDTH=350000,CODECS="avc1.4d401e,mp4a.40.2",RESOLUTION=426x240,FRAME-RATE=12.500` + "\nhls-350/live.m3u8\n",
	} {
		if !strings.Contains(main, want) {
			t.Errorf("the multivariant playlist lacks %q:\n%s", want, main)
		}
	}
	for _, rate := range []int{800, 350} {
		folder := base + "hls-" + strconv.Itoa(rate) + "/"
		parts := r.collect(folder, "live.m3u8", 20*time.Second)
		p := peak(parts, 2*time.Second)
		t.Logf("%d kbit/s: at most %.0f kbit/s over two seconds", rate, p/1000)
		if p > float64(rate)*1000 || p < float64(rate)*600 {
			t.Errorf("at most %.0f kbit/s over two seconds, want some below %d", p/1000, rate)
		}
		own := r.ok(folder + "index.m3u8") // what it is once it is there
		if codecs := regexp.MustCompile(`CODECS="[^"]+",RESOLUTION=\w+,FRAME-RATE=[\d.]+`).FindString(own); !strings.Contains(main, codecs) || codecs == "" {
			t.Errorf("it was announced otherwise than it is:\n%s\n%s", main, own)
		}
	}
}

var dated = regexp.MustCompile(`#EXT-X-PROGRAM-DATE-TIME:(\S+)\n(?:#EXT-X-PART[^\n]*\n)*#EXTINF:([0-9.]+),\n(\S+)`)

// starts returns the place on the timeline and the date of the segments that a playlist lists.
func (r *rig) starts(base, list string) map[time.Time]time.Duration {
	r.t.Helper()
	out := map[time.Time]time.Duration{}
	for _, m := range dated.FindAllStringSubmatch(r.ok(base+list), -1) {
		at, err := time.Parse(time.RFC3339, m[1])
		if err != nil {
			r.t.Fatal(err)
		}
		b := r.ok(base + m[3])
		i := strings.Index(b, "tfdt")
		ticks := time.Duration(0)
		for _, c := range []byte(b[i+8 : i+16]) {
			ticks = ticks<<8 | time.Duration(c)
		}
		out[at] = ticks * time.Second / 90000
	}
	return out
}

func TestAllQualitiesLieOnOneTimeline(t *testing.T) {
	r := withTranscoder(t)
	r.play("channels/a", playtest.Make(t, 8, "640x360", playtest.BFrames), 1)
	base := "/hls/channels/a/"
	var origin time.Time // the date of place 0
	for _, list := range []string{"live.m3u8", "hls-350/live.m3u8", "hls-800/live.m3u8"} {
		folder := base + strings.TrimSuffix(list, "live.m3u8")
		all := r.starts(folder, "live.m3u8")
		if len(all) == 0 {
			t.Fatalf("%s lists nothing", list)
		}
		for at, place := range all {
			zero := at.Add(-place)
			if origin.IsZero() {
				origin = zero
			}
			if d := zero.Sub(origin).Abs(); d > 100*time.Millisecond {
				t.Errorf("%s: place %v is dated %v off", list, place, d)
			}
		}
	}
	if n := len(r.hls.lines); n != 1 {
		t.Errorf("%d timelines", n)
	}
}

func TestEachSoundHasItsPlaylistWhereThereIsAChoice(t *testing.T) {
	r := withTranscoder(t)
	ts := playtest.Run(t, nil, "ffmpeg", strings.Fields("-v error -f lavfi -i testsrc2=rate=25:size=320x180 -f lavfi -i sine=440 -f lavfi -i sine=880"+
		" -t 8 -map 0:v -map 1:a -map 2:a -c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p -c:a:0 aac -c:a:1 mp2 -b:a 64k -f mpegts pipe:1")...)
	clip := playtest.Demux(t, ts)
	for i, l := range []string{"", "bod", "zho"} {
		clip.Formats[i].Language = l
	}
	r.play("channels/a", clip, 1)
	base := "/hls/channels/a/"
	main := r.ok(base + "index.m3u8")
	for _, want := range []string{
		`#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="video",NAME="藏语",LANGUAGE="bo",DEFAULT=NO,AUTOSELECT=YES`,
		`#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="video",NAME="普通话",LANGUAGE="zh",DEFAULT=YES,AUTOSELECT=YES`,
		`,URI="audio2.m3u8"`, `GROUP-ID="hls-350"`, `URI="hls-350/audio2.m3u8"`, "\nhls-350/video.m3u8\n", `AUDIO="video"` + "\nvideo.m3u8\n",
	} {
		if !strings.Contains(main, want) {
			t.Errorf("the multivariant playlist lacks %s:\n%s", want, main)
		}
	}
	if code, _, _ := r.get(base + "live.m3u8"); code != http.StatusNotFound {
		t.Errorf("there is a playlist of the other layout: %d", code)
	}
	for list, kind := range map[string]string{"video.m3u8": "video", "audio.m3u8": "audio", "audio2.m3u8": "audio", "hls-350/audio2.m3u8": "audio", "hls-350/video.m3u8": "video"} {
		folder := base + list[:strings.LastIndexByte(list, '/')+1]
		text := r.ok(base + list)
		if hint := hintURI.FindStringSubmatch(text); len(hint) < 2 {
			t.Fatalf("%s:\n%s", list, text)
		}
		p := playtest.ProbeFile(t, r.download(folder, text))
		if len(p.Streams) != 1 || p.Streams[0].Kind != kind || p.Decoded(kind) < 20 {
			t.Errorf("%s has %+v", list, p.Streams)
		}
	}
	// A player that takes a sound and the picture gets both of the same moments.
	video, audio := r.starts(base, "video.m3u8"), r.ok(base+"audio2.m3u8")
	shared := 0
	for at := range video {
		if strings.Contains(audio, at.Format("2006-01-02T15:04:05.000Z")) {
			shared++
		}
	}
	if shared < 2 {
		t.Errorf("only %d segments begin at the same moments", shared)
	}
}

func TestAnOldBoxPlaysWholeSegmentsAndTransportStreams(t *testing.T) {
	playtest.Tools(t)
	r := newRig(t, Config{})
	r.play("channels/a", playtest.Make(t, 8, "320x180", playtest.BFrames), 4)
	base := "/hls/channels/a/"
	list := r.ok(base + "ts.m3u8")
	if !strings.HasPrefix(list, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:") || strings.Contains(list, "PART") || strings.Contains(list, "MAP") {
		t.Errorf("the playlist for old boxes:\n%s", list)
	}
	for _, name := range []string{"ts.m3u8", "live.m3u8", "index.m3u8"} {
		// ffmpeg knows nothing of parts; what it complains about would be seen on an old box.
		out := filepath.Join(t.TempDir(), "out.mp4")
		said := playtest.Run(t, nil, "ffmpeg", "-v", "warning", "-live_start_index", "0", "-i", r.web.URL+base+name, "-t", "6", "-c", "copy", "-y", out)
		if len(said) > 0 {
			t.Errorf("%s: %s", name, said)
		}
		p := playtest.ProbeFile(t, out)
		if v, a := p.Decoded("video"), p.Decoded("audio"); v < 140 || a < 270 {
			t.Errorf("%s: %d pictures and %d frames of sound in six seconds", name, v, a)
		}
	}
	// The counters of the transport stream go on from segment to segment, in whatever order they are fetched.
	var whole strings.Builder
	names := regexp.MustCompile(`(?m)^\S+\.ts$`).FindAllString(r.ok(base+"ts.m3u8"), -1)
	r.ok(base + names[len(names)-1])
	for _, n := range names {
		whole.WriteString(r.ok(base + n))
	}
	path := filepath.Join(t.TempDir(), "whole.ts")
	if err := os.WriteFile(path, []byte(whole.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	b := []byte(whole.String())
	last := map[int]int{}
	for ; len(b) >= 188; b = b[188:] {
		pid, cc := int(b[1]&0x1F)<<8|int(b[2]), int(b[3]&0x0F)
		if b[0] != 0x47 || b[3]&0x10 == 0 {
			t.Fatalf("packet % x", b[:8])
		}
		if was, ok := last[pid]; ok && cc != (was+1)&0x0F {
			t.Errorf("PID %#x: counter %d after %d", pid, cc, was)
		}
		last[pid] = cc
	}
	if p := playtest.ProbeFile(t, path); p.Decoded("video") < 25*(len(names)-1) {
		t.Errorf("%d pictures in %d segments", p.Decoded("video"), len(names))
	}
}

func TestPlaylistsAreSentCompressedToWhoTakesThem(t *testing.T) {
	clip := playtest.Make(t, 8, "320x180", playtest.BFrames)
	r := newRig(t, Config{})
	_, tracks := r.publish("channels/a", clip)
	clip.Write(tracks, r.clock)
	plain := r.ok("/hls/channels/a/live.m3u8") // the transport unpacks
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.web.URL+"/hls/channels/a/live.m3u8", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	packed, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("Content-Encoding") != "gzip" || 3*len(packed) > len(plain) {
		t.Errorf("%d bytes of %d", len(packed), len(plain))
	}
}

func TestAStreamWithoutIDRBeginsAtItsFirstRecoveryPoint(t *testing.T) {
	clip := openGOP(t)
	r := newRig(t, Config{})
	_, tracks := r.publish("channels/a", clip)
	clip.Write(tracks, r.clock)
	base := "/hls/channels/a/"
	list := r.ok(base + "live.m3u8")
	first := time.Duration(0)
	for _, f := range clip.Frames {
		if f.Sync && clip.Formats[f.Track].Codec == media.H264 {
			first = f.DTS.Sub(clip.Frames[0].DTS)
			break
		}
	}
	if first > time.Second {
		t.Fatalf("the clip's first start is after %v", first)
	}
	path := r.download(base, list)
	// Not one picture is there that refers to what lies before the start.
	said := playtest.Run(t, nil, "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts,dts,flags", "-of", "csv=p=0", path)
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	begin := strings.Split(lines[0], ",")
	if !strings.HasPrefix(begin[2], "K") {
		t.Errorf("the first picture is %s", lines[0])
	}
	for _, l := range lines {
		if f := strings.Split(l, ","); seconds(t, f[0]) < seconds(t, begin[0]) {
			t.Errorf("a picture is shown at %s, before the first at %s", f[0], begin[0])
		}
	}
	if got, want := len(lines), 27*strings.Count(list, "#EXTINF")-2; got != want {
		t.Errorf("%d pictures in %d segments, want %d: all but the two that lead the first", got, strings.Count(list, "#EXTINF"), want)
	}
}

// openGOP returns a clip of H.264 with recovery points and no IDR.
func openGOP(t *testing.T) playtest.Clip {
	t.Helper()
	whole := playtest.Make(t, 9, "320x180", "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac"+
		" -x264-params open-gop=1:keyint=27:min-keyint=27:scenecut=0:bframes=2:b-adapt=0")
	clip := playtest.Clip{Formats: whole.Formats}
	clip.Formats[0].NoIDR = true
	passed := false
	for _, f := range whole.Frames {
		if f.Track == 0 && f.Sync && !f.IDR {
			passed = true
		}
		if passed {
			clip.Frames = append(clip.Frames, f)
		}
		if passed && f.Track == 0 && f.IDR {
			t.Fatal("the encoder made an IDR")
		}
	}
	if len(clip.Frames) == 0 {
		t.Fatal("the encoder made no recovery point")
	}
	return clip
}

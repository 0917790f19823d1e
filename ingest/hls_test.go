package ingest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// packager runs ffmpeg as an HLS packager of a live programme and serves its folder
// to who has the password.
func packager(t *testing.T, options ...string) (address string, kill func()) {
	t.Helper()
	needFFmpeg(t)
	dir := t.TempDir()
	kill = ffmpeg(t, args(picture(25), tone,
		[]string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-sc_threshold", "0", "-c:a", "aac", "-t", "120",
			"-f", "hls", "-hls_time", "1", "-hls_list_size", "5", "-hls_flags", "delete_segments+omit_endlist"}, options,
		[]string{filepath.Join(dir, "index.m3u8")})...)
	files := http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "viewer" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	poll(t, "the first segments", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "index.m3u8"))
		return err == nil && bytes.Count(b, []byte("#EXTINF")) >= 3
	}, func() string { return dir })
	return strings.Replace(server.URL, "http://", "http://viewer:secret@", 1) + "/index.m3u8", kill
}

func TestLiveHLSPlaysInOrderWhileItsWindowMovesOn(t *testing.T) {
	h := newHouse(t)
	address, kill := packager(t)
	h.add(ChannelConfig{ID: "c", Source: address})
	frames := h.follow("c", stream.LabelVideo, atLeast(25*9)) // almost twice the window
	for i, f := range frames {
		switch {
		case i == 0:
		case f.DTS <= frames[i-1].DTS:
			t.Fatalf("frame %d at %d after %d", i, f.DTS, frames[i-1].DTS)
		case f.Gap:
			t.Errorf("a gap before frame %d", i)
		case f.DTS.Sub(frames[i-1].DTS) > 100*time.Millisecond:
			t.Errorf("frame %d comes %v after the one before", i, f.DTS.Sub(frames[i-1].DTS))
		}
	}
	// In real time: nine seconds of pictures are not there in three.
	if took := time.Duration(frames[len(frames)-1].Arrival - frames[0].Arrival); took < 5*time.Second {
		t.Errorf("%d pictures in %v", len(frames), took)
	}
	s, _ := h.channels.Get("c")
	if s.Attempts != 1 || s.Errors["continuity"]+s.Errors["hls_segment_lost"]+s.Errors["hls_segment_missed"] != 0 || strings.Contains(s.Source, "secret") {
		t.Errorf("%+v", s)
	}
	kill()
	h.wait("c", "lost", func(s Status) bool { return s.State == Lost })
}

func TestFragmentedHLSPlaysByWayOfFFmpeg(t *testing.T) {
	address, _ := packager(t, "-hls_segment_type", "fmp4")
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouseWith(t, Options{FFmpeg: path})
	h.add(ChannelConfig{ID: "c", Source: address})
	h.wait("c", "live", live)
	frames := h.follow("c", stream.LabelVideo, atLeast(100))
	for i, f := range frames {
		if i > 0 && f.DTS <= frames[i-1].DTS {
			t.Fatalf("frame %d at %d after %d", i, f.DTS, frames[i-1].DTS)
		}
	}
}

func TestHLSWhosePictureAndSoundComeApartPlays(t *testing.T) {
	needFFmpeg(t)
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-nostdin", "-loglevel", "error",
		"-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", "8",
		"-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac",
		"-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4", "-master_pl_name", "master.m3u8",
		"-var_stream_map", "a:0,agroup:sound,default:yes v:0,agroup:sound", filepath.Join(dir, "v%v.m3u8")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouseWith(t, Options{FFmpeg: path})
	h.add(ChannelConfig{ID: "c", Source: server.URL + "/master.m3u8"})
	h.wait("c", "live with both", live)
}

func TestTheVariantIsChosenAndBadPlaylistsSayWhy(t *testing.T) {
	needFFmpeg(t)
	dir := t.TempDir()
	for _, name := range []string{"low", "high"} {
		programme(t, filepath.Join(dir, name+".ts"), name, 6, "-f", "mpegts")
	}
	list := func(segment string) string {
		return "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n" + segment + "\n#EXT-X-DISCONTINUITY\n#EXTINF:6,\n" + segment + "\n#EXT-X-ENDLIST\n"
	}
	const master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=500000\nlow.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=3000000\nhigh.m3u8\n"
	served := new(atomic.Int64)
	mux := http.NewServeMux()
	text := func(path, kind, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("bandwidth") {
				w.WriteHeader(http.StatusTeapot) // it is between us and the operator
				return
			}
			w.Header().Set("Content-Type", kind)
			fmt.Fprint(w, body)
		})
	}
	text("/master.m3u8", "application/vnd.apple.mpegurl", master)
	text("/low.m3u8", "", list("low.ts"))
	text("/high.m3u8", "", list("high.ts"))
	text("/by-type", "application/x-mpegURL", list("/high.ts"))
	text("/by-content", "text/plain", list("/low.ts"))
	text("/page.m3u8", "text/html", "<html>please sign in</html>")
	text("/own-files.m3u8", "", list("file:///etc/passwd"))
	text("/pages.m3u8", "", "#EXTM3U\n#EXTINF:6,\n/master.m3u8\n#EXTINF:6,\n/master.m3u8\n#EXTINF:6,\n/master.m3u8\n#EXT-X-ENDLIST\n")
	text("/gone.m3u8", "", "#EXTM3U\n"+strings.Repeat("#EXTINF:6,\n/none.ts\n", 6)+"#EXT-X-ENDLIST\n")
	text("/loop.m3u8", "", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nloop.m3u8\n")
	endless := func(head string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, head)
			for piece := bytes.Repeat([]byte("#\n"), 8<<10); ; served.Add(int64(len(piece))) {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		}
	}
	mux.HandleFunc("/endless.m3u8", endless("#EXTM3U\n"))
	mux.Handle("/", http.FileServer(http.Dir(dir)))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	h := newHouse(t)
	for id, tc := range map[string]struct{ path, service string }{
		"best": {"/master.m3u8", "high"}, "limited": {"/master.m3u8?bandwidth=1000000", "low"},
		"by-type": {"/by-type", "high"}, "by-content": {"/by-content", "low"},
	} {
		h.add(ChannelConfig{ID: id, Source: server.URL + tc.path})
		h.wait(id, tc.service, func(s Status) bool { return s.State == Live && s.Service == tc.service })
	}
	for id, code := range map[string]string{
		"page": "source_unplayable", "own-files": "source_unplayable", "pages": "source_unplayable", "gone": "source_unreachable",
		"loop": "source_unplayable", "endless": "source_unplayable", "none": "source_not_found",
	} {
		h.add(ChannelConfig{ID: id, Source: server.URL + "/" + id + ".m3u8"})
		h.wait(id, code, func(s Status) bool { return s.State != Live && s.Reason.Code == code })
	}
	if n := served.Load(); n > 64<<20 {
		t.Errorf("%d bytes of an endless playlist were taken", n)
	}
	// Two files of 6 s one after the other, the second behind a discontinuity.
	gaps := 0
	frames := h.follow("best", stream.LabelVideo, func(f []*media.Frame) bool { return len(f) > 160 })
	for i, f := range frames {
		if i > 0 && f.DTS <= frames[i-1].DTS {
			t.Fatalf("frame %d at %d after %d", i, f.DTS, frames[i-1].DTS)
		}
		if i > 0 && f.Gap {
			gaps++
		}
	}
	if gaps == 0 {
		t.Error("the discontinuity is not seen")
	}
}

// TestHTTPStreamsOfEveryKindPlay serves as Tvheadend and minisatip do: chunked
// without end, behind a redirect and a password, and one that stalls.
func TestHTTPStreamsOfEveryKindPlay(t *testing.T) {
	file := clip(t, 3, "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "mp2")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var opened, stalled atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/stream/channelid/7", func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "tv" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="tvheadend"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		opened.Add(1)
		w.Header().Set("Content-Type", "video/mp2t")
		for r.Context().Err() == nil {
			for at := 0; at < len(data) && r.Context().Err() == nil; at += 1000 { // straddles packets
				if _, err := w.Write(data[at:min(at+1000, len(data))]); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				<-time.After(3 * time.Millisecond)
			}
		}
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/stream/channelid/7", http.StatusFound)
	})
	mux.HandleFunc("/stall", func(w http.ResponseWriter, r *http.Request) {
		stalled.Add(1)
		_, _ = w.Write(data[:len(data)/2])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	h := newHouse(t)
	with := func(user, path string) string {
		return strings.Replace(server.URL, "http://", "http://"+user+"@", 1) + path
	}
	h.add(ChannelConfig{ID: "chunked", Source: with("tv:secret", "/stream/channelid/7")})
	h.add(ChannelConfig{ID: "again", Source: with("tv:secret", "/stream/channelid/7")})
	h.wait("chunked", "live", live)
	h.wait("again", "live", live)
	if n := opened.Load(); n != 1 {
		t.Errorf("one stream was opened %d times for two channels", n)
	}
	h.add(ChannelConfig{ID: "redirected", Source: with("tv:secret", "/redirect")})
	h.wait("redirected", "live", live)
	h.add(ChannelConfig{ID: "password", Source: with("tv:wrong", "/stream/channelid/7")})
	s := h.wait("password", "refused", func(s Status) bool { return s.State == Refused })
	if s.Reason.Code != "source_credentials" || strings.Contains(s.Reason.Detail+s.Source, "wrong") {
		t.Errorf("%+v", s)
	}
	h.add(ChannelConfig{ID: "stall", Source: server.URL + "/stall"})
	h.wait("stall", "lost", func(s Status) bool { return s.State == Lost && s.Reason.Code == "no_packets" })
	h.wait("stall", "opened anew", func(Status) bool { return stalled.Load() >= 2 })
	if err := h.channels.Remove("again"); err != nil {
		t.Fatal(err)
	}
	h.follow("chunked", stream.LabelVideo, atLeast(100))
	if s, _ := h.channels.Get("chunked"); s.Attempts != 1 {
		t.Errorf("it was disturbed: %+v", s)
	}
	h.channels.Close() // ends the streams, so that the server can close
}

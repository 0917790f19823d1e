package ingest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// clip makes a transport stream of some seconds.
func clip(t *testing.T, seconds int, codecs ...string) string {
	t.Helper()
	needFFmpeg(t)
	file := filepath.Join(t.TempDir(), "a.ts")
	args := append([]string{
		"-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25",
		"-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", fmt.Sprint(seconds),
	}, codecs...)
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", append(args, "-f", "mpegts", file)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file
}

func TestAFileIsPlayedInALoopWithoutGoingBackInTime(t *testing.T) {
	file := clip(t, 1, "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "aac")
	h := newHouse(t)
	h.add(ChannelConfig{ID: "c", Source: "file://" + file})
	for _, label := range []stream.Label{stream.LabelVideo, stream.LabelAudio} {
		gaps := func(frames []*media.Frame) int {
			n := 0
			for _, f := range frames {
				if f.Gap {
					n++
				}
			}
			return n
		}
		frames := h.follow("c", label, func(f []*media.Frame) bool { return gaps(f) >= 2 })
		for i, f := range frames {
			if i > 0 && f.DTS <= frames[i-1].DTS {
				t.Fatalf("%s: frame %d at %d after %d", label, i, f.DTS, frames[i-1].DTS)
			}
		}
	}
	if s, _ := h.channels.Get("c"); s.State != Live || s.Attempts != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAFileThatEndsAndOneThatIsNotThere(t *testing.T) {
	file := clip(t, 1, "-c:v", "libx264", "-preset", "ultrafast", "-an")
	h := newHouse(t)
	h.add(ChannelConfig{ID: "c", Source: "file://" + file + "?loop=0"})
	h.wait("c", "played again after its end", func(s Status) bool { return s.Attempts >= 2 })
	h.add(ChannelConfig{ID: "none", Source: "file:///not/there.ts"})
	h.wait("none", "refused", func(s Status) bool { return s.State == Refused && s.Reason.Code == "source_not_found" })
}

func TestHTTPStreamsPlayAndSayWhyNot(t *testing.T) {
	file := clip(t, 3, "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "mp2")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/live", func(w http.ResponseWriter, r *http.Request) {
		for len(data) > 0 {
			if _, err := w.Write(data[:min(40*188, len(data))]); err != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	mux.HandleFunc("/secret", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>not a stream</html>") })
	server := httptest.NewServer(mux)
	defer server.Close()
	h := newHouse(t)
	for id, code := range map[string]string{"secret": "source_credentials", "broken": "source_refused", "none": "source_not_found", "page": "source_ended"} {
		h.add(ChannelConfig{ID: id, Source: server.URL + "/" + id})
		h.wait(id, code, func(s Status) bool { return s.Reason.Code == code && s.State != Live })
	}
	h.add(ChannelConfig{ID: "live", Source: server.URL + "/live"})
	s := h.wait("live", "live", func(s Status) bool { return s.State == Live && len(s.Formats) == 2 })
	if s.Playable != NeedsTranscoding {
		t.Errorf("%+v", s)
	}
	h.channels.Close()
}

func TestRandomBytesAreNoMediaAndDisturbNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "noise.ts")
	noise := make([]byte, 4<<20)
	r := rand.New(rand.NewPCG(7, 8))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	if err := os.WriteFile(file, noise, 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	h.add(ChannelConfig{ID: "c", Source: "file://" + file})
	s := h.wait("c", "lost", func(s Status) bool { return s.State == Lost })
	if s.Reason.Code != "no_media" || s.Playable != PlayableUnknown {
		t.Errorf("%+v", s)
	}
	rep, err := Probe(t.Context(), file, ProbeOptions{})
	if err != nil || len(rep.Services) != 0 {
		t.Errorf("%+v %v", rep, err)
	}
}

func TestProbeReadsFilesStreamsAndCameras(t *testing.T) {
	file := clip(t, 2, "-c:v", "mpeg2video", "-c:a", "mp2")
	for _, address := range []string{file, "file://" + file} {
		r, err := Probe(t.Context(), address, ProbeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s := r.Services[0]
		if s.Playable != string(NeedsTranscoding) || s.Reason == "" || s.Streams[0].Codec != "MPEG-2" || s.Streams[0].AccessUnits != 50 || r.Duration < 1 || r.Bitrate == 0 {
			t.Errorf("%+v", r)
		}
	}
	if _, err := Probe(t.Context(), "/not/there.ts", ProbeOptions{}); source.CauseOf(err) != source.CauseNotFound {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := Probe(t.Context(), "gopher://x/y", ProbeOptions{}); source.CauseOf(err) != source.CauseBadAddress {
		t.Errorf("an unknown protocol: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := Probe(ctx, fmt.Sprintf("udp://127.0.0.1:%d", freePort(t)), ProbeOptions{}); source.CauseOf(err) != source.CauseNoPackets {
		t.Errorf("an address where nothing arrives: %v", err)
	}
	c := startCamera(t, "127.0.0.1:0", opusSound())
	ctx, cancel = context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	r, err := Probe(ctx, "rtsp://"+cameraUserURL+c.address()+"/live/1", ProbeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Services[0]; len(s.Streams) != 2 || s.Streams[0].Codec != "H264" || s.Streams[1].Codec != "Opus" || s.Playable != "direct" {
		t.Errorf("%+v", r)
	}
}

// TestEveryCaptureIsIngestedOrRefusedWithItsReason reads the real streams through
// the receiver, as fast as it can, and logs what a channel would say of each.
func TestEveryCaptureIsIngestedOrRefusedWithItsReason(t *testing.T) {
	dir := os.Getenv("TONGXIANG_STREAMS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "streams")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.*ts"))
	if err != nil || len(files) == 0 {
		t.Skip("no captures of real streams here: set TONGXIANG_STREAMS to their folder")
	}
	sort.Strings(files)
	played := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Probe(t.Context(), file, ProbeOptions{})
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		rep, frames, syncs := receive(t, data)
		playable, why := Judge(rep.Streams)
		var formats []string
		for _, s := range rep.Streams {
			formats = append(formats, codecName(s.Format))
		}
		if frames > 0 {
			played++
		}
		units := uint64(0)
		for _, s := range r.Services {
			for _, e := range s.Streams {
				if e.Width > 0 || e.Rate > 0 { // else its own headers never came
					units += e.AccessUnits
				}
			}
		}
		if frames == 0 && units > 0 {
			t.Errorf("%s: nothing came of it", file)
		}
		if playable == Unplayable && why.EN == "" {
			t.Errorf("%s: refused without reason", file)
		}
		t.Logf("%-60s %2d services, %q: %s; %d frames, %d starts; %s %s", filepath.Base(file), len(r.Services), rep.Service, strings.Join(formats, " "), frames, syncs, playable, why.Code)
	}
	if played < 40 {
		t.Errorf("only %d captures gave frames", played)
	}
}

package ingest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func (h *house) scans() *Scans {
	h.t.Helper()
	s := NewScans(h.channels, func() bool { return true })
	h.t.Cleanup(s.Close)
	return s
}

// scanned starts a scan and waits for its end.
func scanned(t *testing.T, s *Scans, address string, d time.Duration) Scan {
	t.Helper()
	x, err := s.Start(address, d)
	if err != nil {
		t.Fatal(err)
	}
	poll(t, "the end of the scan", func() bool {
		x, _ = s.Get(x.ID)
		return x.State != ScanRunning
	}, func() string { b, _ := json.Marshal(x); return string(b) })
	return x
}

// multiplex sends two programmes to a port until the test ends.
func multiplex(t *testing.T, port int) {
	t.Helper()
	ffmpeg(t, args(picture(25), picture(25), tone, []string{
		"-map", "0", "-map", "1", "-map", "2", "-c:v:0", "libx264", "-c:v:1", "mpeg2video", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "mp2",
		"-program", "program_num=101:title=综合:st=0:st=2", "-program", "program_num=102:title=财经:st=1:st=2",
		"-f", "mpegts", fmt.Sprintf("udp://127.0.0.1:%d?pkt_size=1316", port),
	})...)
}

func TestScanListsTheServicesOfAMultiplexThatAChannelReads(t *testing.T) {
	needFFmpeg(t)
	h := newHouse(t)
	s := h.scans()
	port := freePort(t)
	address := fmt.Sprintf("udp://127.0.0.1:%d", port)
	h.add(ChannelConfig{ID: "one", Source: address, Program: 101})
	multiplex(t, port)
	h.wait("one", "live", func(s Status) bool { return s.State == Live })
	// A unicast port can be bound once: the scan looks through the channel's socket.
	x := scanned(t, s, address, 6*time.Second)
	if x.State != ScanDone || x.Progress != 1 || len(x.Services) != 2 {
		t.Fatalf("%+v", x)
	}
	a, b := x.Services[0], x.Services[1]
	if a.ID != 101 || a.Name != "综合" || a.Provider != "FFmpeg" || a.Kind != "tv" || a.Channel != "one" || len(a.Streams) != 2 || a.Playable != NeedsTranscoding {
		t.Errorf("%+v", a)
	}
	if b.ID != 102 || b.Name != "财经" || b.Channel != "" || b.Playable != NeedsTranscoding || b.Reason.ZH == "" || b.Streams[0].Codec != "MPEG-2" || b.Streams[0].Width != 320 {
		t.Errorf("%+v", b)
	}
	if st, _ := h.channels.Get("one"); st.State != Live || st.Attempts != 1 {
		t.Errorf("the channel was disturbed: %+v", st)
	}
	// The same in a multiplex that nobody reads, and without a transcoder.
	if err := h.channels.Remove("one"); err != nil {
		t.Fatal(err)
	}
	none := NewScans(h.channels, func() bool { return false })
	defer none.Close()
	x = scanned(t, none, address, 5*time.Second)
	if x.State != ScanDone || len(x.Services) != 2 || x.Services[1].Playable != Unplayable || x.Services[1].Reason.Code != "no_transcoder" || x.Services[0].Channel != "" {
		t.Errorf("%+v", x)
	}
}

func TestScanSaysWhyThereIsNothingToSee(t *testing.T) {
	h := newHouse(t)
	s := h.scans()
	noise := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 64<<10)
		for r.Context().Err() == nil { // as much as anybody takes
			_, _ = rand.Read(buf) // never returns an error
			if _, err := w.Write(buf); err != nil {
				return
			}
		}
	}))
	t.Cleanup(noise.Close)
	taken, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	empty := filepath.Join(t.TempDir(), "empty.ts")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for address, code := range map[string]string{
		fmt.Sprintf("udp://127.0.0.1:%d", freePort(t)): "no_packets",
		noise.URL:                             "not_transport_stream",
		"udp://" + taken.LocalAddr().String(): "source_in_use",
		"file:///not/there.ts":                "source_not_found",
		"file://" + empty:                     "source_ended",
		fmt.Sprintf("rtsp://127.0.0.1:%d/x", freePort(t)): "source_unreachable",
	} {
		x := scanned(t, s, address, 2*time.Second)
		if x.State != ScanFailed || x.Reason.Code != code || x.Reason.ZH == "" || x.Reason.EN == "" || len(x.Services) != 0 {
			t.Errorf("%s: %+v", address, x)
		}
	}
	if _, err := s.Start("gopher://x/y", 0); !errors.Is(err, ErrBadSource) {
		t.Errorf("%v", err)
	}
}

func TestScansAreBoundedAndEndWhenAsked(t *testing.T) {
	h := newHouse(t)
	s := h.scans()
	var first Scan
	for i := range maxScans {
		x, err := s.Start(fmt.Sprintf("udp://127.0.0.1:%d", freePort(t)), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = x
		}
	}
	if _, err := s.Start("udp://127.0.0.1:1234", 0); !errors.Is(err, ErrManyScans) {
		t.Errorf("%v", err)
	}
	if !s.Cancel(first.ID) || s.Cancel(first.ID) {
		t.Error("cancelled never, or twice")
	}
	if _, ok := s.Get(first.ID); ok {
		t.Error("a cancelled scan is there")
	}
	if _, err := s.Start("udp://127.0.0.1:1234", time.Minute); err != nil {
		t.Errorf("no room after one was cancelled: %v", err)
	}
	s.Close()
	if _, err := s.Start("udp://127.0.0.1:1235", 0); err == nil {
		t.Error("started after the end")
	}
}

func TestScanOfACamera(t *testing.T) {
	h := newHouse(t)
	c := startCamera(t, "127.0.0.1:0", opusSound())
	x := scanned(t, h.scans(), "rtsp://"+cameraUserURL+c.address()+"/live/1", 10*time.Second)
	if x.State != ScanDone || len(x.Services) != 1 || len(x.Services[0].Streams) != 2 || x.Services[0].Playable != PlayableDirect || x.Services[0].Kind != "tv" {
		t.Errorf("%+v", x)
	}
}

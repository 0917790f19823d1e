package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tongxiang/configs"
	"tongxiang/ingest"
	"tongxiang/internal/auth"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
)

// freeUDP returns a loopback port on which nobody listens.
func freeUDP(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().String()
}

// sendTS sends a generated programme in real time to a loopback port until the test ends.
func sendTS(t *testing.T, to, codecs string) {
	t.Helper()
	playtest.Tools(t)
	args := append(strings.Fields("-nostdin -loglevel error -re -f lavfi -i testsrc2=size=320x180:rate=25 -re -f lavfi -i sine=frequency=440:sample_rate=48000"),
		strings.Fields(codecs)...)
	args = append(args, "-metadata", "service_name=source", "-f", "mpegts", "udp://"+to+"?pkt_size=1316")
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // killed
	})
}

// collect reads n bytes that come to a loopback socket.
func collect(t *testing.T, conn net.PacketConn, n int) []byte {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var out []byte
	b := make([]byte, 2048)
	for len(out) < n {
		k, _, err := conn.ReadFrom(b)
		if err != nil {
			t.Fatalf("after %d bytes: %v", len(out), err)
		}
		out = append(out, b[:k]...)
	}
	return out
}

// clean fails where a report counts anything.
func clean(t *testing.T, what string, r *mpegts.Report) {
	t.Helper()
	if r.TR101290 != (mpegts.TR101290{}) || r.Duplicates != 0 {
		t.Errorf("%s: %+v, %d duplicates", what, r.TR101290, r.Duplicates)
	}
}

// TestAChannelGoesOutAndEveryProbeFindsNothingWrong is the whole way: ffmpeg, UDP,
// channel, constant bit rate, UDP; judged by our probe live and from a file, and by ffprobe.
func TestAChannelGoesOutAndEveryProbeFindsNothingWrong(t *testing.T) {
	for _, tc := range []struct{ name, codecs, video, audio string }{
		{"H.264 with B-frames", "-c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p -b:v 800k -maxrate 1M -bufsize 500k -c:a aac -b:a 96k", "h264", "aac"},
		{"MPEG-2", "-c:v mpeg2video -bf 2 -g 12 -b:v 2M -maxrate 3M -bufsize 1M -c:a mp2 -b:a 128k", "mpeg2video", "mp2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			source, live := freeUDP(t), freeUDP(t)
			sendTS(t, source, tc.codecs)
			file, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			_ = file.(*net.UDPConn).SetReadBuffer(4 << 20)
			cfg := config(t, t.TempDir())
			cfg.Channels = []configs.Channel{{ID: "a", Name: "县台", Source: "udp://" + source}}
			cfg.Outputs = []configs.Output{
				{ID: "modulator", Stream: "channels/a", Address: "udp://" + file.LocalAddr().String() + "?text=gb2312", Bitrate: 5_000_000, ServiceID: 101},
				{ID: "group", Stream: "channels/a", Address: "udp://" + live},
			}
			r := start(t, cfg)
			for _, id := range []string{"modulator", "group"} {
				eventually(t, id+" on air", func() bool { return r.output(id).State == "on_air" })
			}
			// What came while the stream was being found does not count.
			drain(t, file)
			b := collect(t, file, 5_000_000/8*6)
			p := mpegts.NewProber()
			_, _ = p.Write(b)
			p.Flush()
			report := p.Report(nil)
			clean(t, "live", report)
			if v := report.Services[0]; v.ID != 101 || v.Name != "县台" || v.Provider != "通乡" {
				t.Errorf("service %d %q of %q", v.ID, v.Name, v.Provider)
			}
			if off := report.Bitrate - 5_000_000; off < -100 || off > 100 {
				t.Errorf("%d bits a second", report.Bitrate)
			}
			name := filepath.Join(t.TempDir(), "out.ts")
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
			probed, err := ingest.Probe(t.Context(), name, ingest.ProbeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			clean(t, "probe of the file", probed)
			wire, err := ingest.Probe(t.Context(), "udp://"+live, ingest.ProbeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			clean(t, "probe of the network", wire)
			if v := wire.Services[0]; len(v.Streams) != 2 || v.Streams[0].AccessUnits < 100 {
				t.Errorf("on the network: %+v", v)
			}
			// The file begins and ends anywhere: the first GOP may lack its beginning.
			out := playtest.Run(t, nil, "ffprobe", "-v", "quiet", "-show_streams", "-show_programs", "-of", "json", name)
			var said struct {
				Streams []struct {
					Codec string `json:"codec_name"`
				} `json:"streams"`
			}
			if err := json.Unmarshal(out, &said); err != nil {
				t.Fatal(err)
			}
			var codecs []string
			for _, s := range said.Streams {
				codecs = append(codecs, s.Codec)
			}
			if got := strings.Join(codecs, " "); !strings.Contains(got, tc.video) || !strings.Contains(got, tc.audio) {
				t.Errorf("ffprobe finds %s", out)
			}
			demuxer := playtest.Run(t, nil, "bash", "-c", "ffmpeg -v warning -i "+name+" -c copy -f null - 2>&1 | grep -i -E 'continuity|non monoton' || true")
			if len(demuxer) > 0 {
				t.Errorf("ffmpeg says: %s", demuxer)
			}
			o := r.output("modulator")
			if len(o.Errors) > 1 || o.Errors["clock_jumps"] > 1 { // the first frame sets the clock
				t.Errorf("errors %v", o.Errors)
			}
		})
	}
}

// drain throws away what waits in a socket.
func drain(t *testing.T, conn net.PacketConn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2048)
	for {
		if _, _, err := conn.ReadFrom(b); err != nil {
			return
		}
	}
}

type outputAnswer struct {
	ID, Stream, Address, State, Name, Provider string
	Bitrate, Rate, Needed                      int64
	Service                                    int `json:"service_id"`
	Now                                        int64
	Fixed                                      bool
	Reason                                     struct{ Code, EN, ZH string }
	Errors                                     map[string]uint64
}

func (r *rig) output(id string) (o outputAnswer) {
	r.t.Helper()
	r.api("GET", "/outputs/"+id, nil, &o)
	return o
}

func TestOutputsAreManagedByTheAPIAndSurviveARestart(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.Channels = []configs.Channel{{ID: "a", Name: "县台", Source: "udp://" + freeUDP(t)}}
	cfg.Outputs = []configs.Output{{ID: "fixed", Stream: "channels/a", Address: "udp://" + freeUDP(t), Bitrate: 1_000_000}}
	r := start(t, cfg)
	meeting := r.meeting()
	to := "udp://" + freeUDP(t) + "?text=gb2312"
	var made outputAnswer
	r.api("POST", "/outputs", map[string]any{"id": "o1", "stream": "channels/a", "address": to, "bitrate": 2_000_000, "service_id": 7}, &made)
	if made.Name != "县台" || made.Provider != "通乡" || made.Service != 7 || made.Address != to || made.Fixed {
		t.Errorf("made %+v", made)
	}
	r.api("POST", "/outputs", map[string]any{"id": "o2", "stream": "meetings/" + meeting + "/programme", "address": "rtp://239.255.9.9:5000?ttl=1", "name": "会议"}, nil)
	eventually(t, "tables while there is no signal", func() bool {
		o := r.output("o1")
		return o.State == "idle" && o.Reason.Code != "" && o.Reason.ZH != "" && o.Rate == 2_000_000
	})
	r.api("PATCH", "/outputs/o1", map[string]any{"bitrate": 3_000_000, "provider": "别家"}, &made)
	if made.Bitrate != 3_000_000 || made.Provider != "别家" || made.Service != 7 {
		t.Errorf("changed %+v", made)
	}

	for _, tc := range []struct{ method, path, body, code string }{
		{"POST", "", `{"id":"o1","stream":"channels/a","address":"udp://1.2.3.4:5"}`, "output_exists"},
		{"POST", "", `{"id":"x/y","stream":"channels/a","address":"udp://1.2.3.4:5"}`, "bad_id"},
		{"POST", "", `{"id":"n","stream":"channels/nobody","address":"udp://1.2.3.4:5"}`, "output_stream_unknown"},
		{"POST", "", `{"id":"n","stream":"nonsense","address":"udp://1.2.3.4:5"}`, "output_stream_unknown"},
		{"POST", "", `{"id":"n","stream":"meetings/none/programme","address":"udp://1.2.3.4:5"}`, "output_stream_unknown"},
		{"POST", "", `{"id":"n","stream":"channels/a","address":"ftp://1.2.3.4:5"}`, "output_bad_address"},
		{"POST", "", `{"id":"n","stream":"channels/a","address":"udp://0.0.0.0:5"}`, "output_bad_host"},
		{"POST", "", `{"id":"n","stream":"channels/a","address":"udp://1.2.3.4"}`, "output_bad_port"},
		{"POST", "", `{"id":"n","stream":"channels/a","address":"udp://239.1.1.1:5?interface=nosuch9"}`, "output_interface_unknown"},
		{"POST", "", `{"id":"n","stream":"channels/a","address":"udp://239.1.1.1:5?tll=3"}`, "output_bad_option"},
		{"POST", "", `{"id":"n","stream":"channels/a","address":"udp://239.1.1.1:5","bitrate":5}`, "output_bad_bitrate"},
		{"POST", "", `{"id":"n"}`, "invalid"},
		{"PATCH", "/o1", `{"address":"udp://0.0.0.0:5"}`, "output_bad_host"},
		{"PATCH", "/fixed", `{"bitrate":2000000}`, "output_fixed"},
		{"DELETE", "/fixed", "", "output_fixed"},
		{"DELETE", "/none", "", "not_found"},
		{"GET", "/none", "", "not_found"},
	} {
		status, body := r.do(tc.method, "/api/v1/outputs"+tc.path, r.admin(), "application/json", tc.body)
		refused(t, status, body, tc.code)
	}
	viewer := r.token(auth.TokenRequest{Subject: "li", Role: auth.Viewer})
	status, body := r.do("POST", "/api/v1/outputs", viewer, "application/json", `{"id":"n","stream":"channels/a","address":"udp://1.2.3.4:5"}`)
	refused(t, status, body, "forbidden")
	if status, body := r.do("GET", "/api/v1/outputs", viewer, "", ""); status != 200 || strings.Contains(body, "127.0.0.1") || !strings.Contains(body, `"o1"`) {
		t.Errorf("a viewer sees %d %s", status, body)
	}
	if _, body := r.do("GET", "/metrics", "", "", ""); !strings.Contains(body, `tongxiang_output_packets_total{output="o1"}`) || !strings.Contains(body, "tongxiang_ts_http_readers") {
		t.Error("no metrics of outputs")
	}
	for _, action := range []string{"output.create", "output.change"} {
		if _, n, err := r.s.store.Audit(t.Context(), store.AuditFilter{Action: action, Target: "o1"}, store.Page{}); err != nil || n != 1 {
			t.Errorf("%d entries of %s in the audit, %v", n, action, err)
		}
	}

	r.stop()
	r = start(t, cfg)
	if o := r.output("o1"); o.Bitrate != 3_000_000 || o.Provider != "别家" {
		t.Errorf("after the restart: %+v", o)
	}
	r.api("DELETE", "/outputs/o1", nil, nil)
	var l struct{ Total int }
	r.api("GET", "/outputs", nil, &l)
	if l.Total != 2 {
		t.Errorf("%d outputs are left, want 2", l.Total)
	}
}

func TestAChannelIsReadOverHTTPWithATokenInTheAddress(t *testing.T) {
	source := freeUDP(t)
	sendTS(t, source, "-c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p -b:v 600k -c:a aac -b:a 96k")
	cfg := config(t, t.TempDir())
	cfg.Channels = []configs.Channel{{ID: "a", Name: "县台", Source: "udp://" + source}}
	r := start(t, cfg)
	token := r.token(auth.TokenRequest{Subject: "box", Role: auth.Viewer, Stream: "channels/a"})
	status, body := r.do("GET", "/ts/channels/a", "", "", "")
	refused(t, status, body, "not_signed_in")
	status, body = r.do("GET", "/ts/channels/b?token="+token, "", "", "")
	refused(t, status, body, "forbidden")
	status, body = r.do("GET", "/ts/channels/none", r.admin(), "", "")
	refused(t, status, body, "stream_not_found")
	eventually(t, "a live channel", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/api/v1/channels/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+r.admin())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return err == nil && bytes.Contains(b, []byte(`"state":"live"`))
	})
	// Two readers at once, one of them a player that is not ours.
	var wg sync.WaitGroup
	wg.Go(func() {
		out := playtest.Run(t, nil, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", r.url+"/ts/channels/a?token="+token)
		if !bytes.Contains(out, []byte("h264")) || !bytes.Contains(out, []byte("aac")) {
			t.Errorf("ffprobe finds %s", out)
		}
	})
	resp, err := http.Get(r.url + "/ts/channels/a?token=" + token)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b := make([]byte, 188*2000)
	if _, err := io.ReadFull(resp.Body, b); err != nil {
		t.Fatal(err)
	}
	p := mpegts.NewProber()
	_, _ = p.Write(b)
	report := p.Report(nil)
	report.TR101290.PCRAccuracyError = 0 // the rate is not constant
	clean(t, "HTTP", report)
	if v := report.Services[0]; v.Name != "县台" || len(v.Streams) != 2 {
		t.Errorf("%+v", v)
	}
	wg.Wait()
	if strings.Contains(r.log.String(), token) {
		t.Error("the token is in the log")
	}
	// The end of the server is the clean end of the answer.
	r.stop()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("the answer ends with %v", err)
	}
}

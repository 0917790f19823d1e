package ts

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// web is a server of streams over a real socket.
type web struct {
	*Server
	url string
}

func serve(t *testing.T, x *station, cfg ServerConfig) *web {
	t.Helper()
	if cfg.Authorize == nil {
		cfg.Authorize = func(*http.Request, stream.Name) error { return nil }
	}
	s := NewServer(cfg, x.hub, x.clock, slog.New(slog.DiscardHandler))
	h := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); h.Close() })
	return &web{s, h.URL}
}

func (w *web) get(t *testing.T, path string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func refused(t *testing.T, resp *http.Response, code string) {
	t.Helper()
	var p struct{ Code, Detail string }
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || p.Code != code || p.Detail == "" || resp.StatusCode < 400 {
		t.Errorf("%d %+v %v, want %s", resp.StatusCode, p, err, code)
	}
}

func read4(t *testing.T, r io.Reader, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadersShareOneMultiplexerAndBeginWithTablesAndASyncPoint(t *testing.T) {
	t.Parallel()
	x := newStation(t)
	x.play(t, "channels/a", generate(rand.New(rand.NewPCG(1, 1)), 3, 600_000, 90000, media.AAC, media.MPEGAudio))
	w := serve(t, x, ServerConfig{Describe: func(stream.Name) (string, string) { return "县台", "通乡" }})
	for range 3 {
		resp := w.get(t, "/ts/channels/a")
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "video/mp2t" {
			t.Fatalf("%d %v", resp.StatusCode, resp.Header)
		}
		b := read4(t, resp.Body, 1600*packetSize)
		all := places(t, b)
		if all[0].pid != pidPAT || all[1].pid != defaultPID || all[2].pid != pidSDT && all[2].pid != defaultPID+1 {
			t.Errorf("begins with PIDs %#x %#x %#x", all[0].pid, all[1].pid, all[2].pid)
		}
		r := probe(t, b, false)
		if v := r.Services[0]; v.Name != "县台" || len(v.Streams) != 3 {
			t.Errorf("%+v", v)
		}
		got, services, _ := read(b)
		if p := got[services[0].Streams[0].PID]; len(p) == 0 || !p[0].Sync {
			t.Error("the first picture is no sync point")
		}
	}
	if st := w.Stats(); st.Sessions != 1 || st.Readers != 3 || st.Bytes == 0 {
		t.Errorf("%+v", st)
	}
	// It ends cleanly: the answer is complete, not cut.
	resp := w.get(t, "/ts/channels/a")
	read4(t, resp.Body, 100*packetSize)
	w.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("the answer ends with %v", err)
	}
}

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	t.Parallel()
	x := newStation(t)
	forbidden := apierr.New(http.StatusForbidden, "forbidden", "no", "不")
	w := serve(t, x, ServerConfig{
		StartTimeout: 300 * time.Millisecond, MaxReaders: 1,
		Authorize: func(_ *http.Request, n stream.Name) error {
			if n == "channels/secret" {
				return forbidden
			}
			return nil
		},
	})
	refused(t, w.get(t, "/ts/channels/away"), "stream_not_live")
	refused(t, w.get(t, "/ts/channels/secret"), "forbidden")
	refused(t, w.get(t, "/ts/../x"), "stream_not_found")
	refused(t, w.get(t, "/ts/channels"), "stream_not_found")
	resp, err := http.Post(w.url+"/ts/channels/a", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, resp, "method_not_allowed")
	if err := errors.Join(resp.Body.Close()); err != nil {
		t.Error(err)
	}
	resp, err = http.Head(w.url + "/ts/channels/a")
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "video/mp2t" {
		t.Errorf("HEAD: %v %v", resp, err)
	}
	// A codec that no transport stream carries.
	pub, err := x.hub.Publish("channels/vp8", false)
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	pub.AddTrack(stream.TrackInfo{Label: stream.LabelVideo, Form: stream.Frames, Format: media.Format{Codec: media.VP8}})
	refused(t, w.get(t, "/ts/channels/vp8"), "output_unplayable")
	x.play(t, "channels/a", generate(rand.New(rand.NewPCG(1, 1)), 3, 300_000, 90000, media.AAC))
	one := w.get(t, "/ts/channels/a")
	if one.StatusCode != http.StatusOK {
		t.Fatalf("%d", one.StatusCode)
	}
	refused(t, w.get(t, "/ts/channels/a"), "ts_busy")
	if err := one.Body.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "the reader has left", func() bool { return w.Stats().Readers == 0 })
}

// TestASlowReaderIsSentAwayAndNobodyElseNotices writes to a connection that takes
// nothing; another one gets everything.
func TestASlowReaderIsSentAwayAndNobodyElseNotices(t *testing.T) {
	t.Parallel()
	x := newStation(t)
	w := serve(t, x, ServerConfig{})
	s := generate(rand.New(rand.NewPCG(1, 1)), 3, 600_000, 90000, media.AAC)
	// The slow reader's connection lets a byte through now and then: it lags.
	gate := make(chan struct{})
	slow := &slowWriter{gate: gate, header: http.Header{}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/ts/channels/a", nil)
	done := make(chan struct{})
	pub, err := x.hub.Publish("channels/a", false)
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	var tracks []*stream.Track
	for i, f := range s.formats {
		label := stream.LabelVideo
		if i > 0 {
			label = stream.LabelAudio
		}
		tracks = append(tracks, pub.AddTrack(stream.TrackInfo{Label: label, Form: stream.Frames, Format: f}))
	}
	go func() { defer close(done); w.ServeHTTP(slow, req) }()
	shift := time.Duration(0)
	// How much of the stream the session has multiplexed.
	head := func() uint64 {
		w.mu.Lock()
		defer w.mu.Unlock()
		if x := w.sessions["channels/a"]; x != nil {
			return x.ring.Head()
		}
		return 0
	}
	// Written far faster than real time; the session is waited for.
	publish := func() {
		before := head()
		for _, f := range s.frames {
			g := *f.frame
			g.PTS, g.DTS = g.PTS.Add(shift), g.DTS.Add(shift)
			tracks[f.track].WriteFrame(&g)
		}
		shift += 3100 * time.Millisecond
		eventually(t, "the session follows", func() bool { return head() > before })
	}
	for i := 0; ; i++ {
		publish()
		select {
		case gate <- struct{}{}:
		default:
		}
		select {
		case <-done:
		default:
			if i > 2000 {
				t.Fatal("the slow reader is still there")
			}
			continue
		}
		break
	}
	if st := w.Stats(); st.SentAway != 1 || st.Drops["reader_lagged"] == 0 {
		t.Errorf("%+v", st)
	}
	resp := w.get(t, "/ts/channels/a")
	if b := read4(t, resp.Body, 20*packetSize); places(t, b)[0].pid != pidPAT {
		t.Error("the next reader gets no stream")
	}
}

// slowWriter is a connection that takes one piece each time the gate opens.
type slowWriter struct {
	gate   chan struct{}
	header http.Header
}

func (s *slowWriter) Header() http.Header { return s.header }
func (s *slowWriter) WriteHeader(int)     {}
func (s *slowWriter) Write(b []byte) (int, error) {
	<-s.gate
	return len(b), nil
}

func TestASessionEndsWhenItsReadersAreGone(t *testing.T) {
	t.Parallel()
	x := newStation(t)
	x.play(t, "channels/a", generate(rand.New(rand.NewPCG(1, 1)), 3, 300_000, 90000))
	w := serve(t, x, ServerConfig{})
	resp := w.get(t, "/ts/channels/a")
	read4(t, resp.Body, 50*packetSize)
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "no session", func() bool { return w.Stats().Sessions == 0 })
}

package server

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongxiang/configs"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

// recording is one as the API tells it.
type recording struct {
	ID, Stream, Title, Class, Format, State, Code, Reason string
	Duration                                              float64
	Bytes                                                 int64
	Gaps                                                  []store.Gap
	Tracks                                                []store.RecordingTrack
}

func TestRecordingOfAChannelThroughTheAPI(t *testing.T) {
	t.Parallel()
	clip := filepath.Join(t.TempDir(), "clip.ts")
	if err := os.WriteFile(clip, playtest.TS(t, 10, "320x180", playtest.BFrames), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config(t, t.TempDir())
	cfg.Channels = []configs.Channel{{ID: "a", Name: "中央一套", Source: "file://" + clip}}
	r := start(t, cfg)
	eventually(t, "the channel is live", func() bool {
		var c struct{ State string }
		r.api("GET", "/channels/a", nil, &c)
		return c.State == "live"
	})
	get := func(id string) (v recording) {
		r.api("GET", "/recordings/"+id, nil, &v)
		return v
	}
	var old, ts recording
	r.api("POST", "/recordings", map[string]any{"stream": "channels/a", "title": "../<新闻>"}, &old) // as scripts have always asked
	r.api("POST", "/recordings", map[string]any{"stream": "channels/a", "format": "ts", "class": "news", "preroll_s": 3}, &ts)
	if old.ID == "" || old.State != "recording" || old.Format != "fmp4" || ts.Format != "ts" || ts.Class != "news" || ts.Title != "中央一套" {
		t.Fatalf("%+v, %+v", old, ts)
	}
	status, body := r.do("POST", "/api/v1/recordings", r.admin(), "application/json", `{"stream":"channels/a"}`)
	refused(t, status, body, "already_recording")
	for _, bad := range []string{`{"stream":"channels/a","format":"avi"}`, `{"stream":"channels/a","preroll_s":61}`, `{"stream":"channels/a","class":"x"}`, `{"stream":"channels/a","tracks":"some"}`} {
		status, body = r.do("POST", "/api/v1/recordings", r.admin(), "application/json", bad)
		refused(t, status, body, "invalid")
	}
	for _, id := range []string{old.ID, ts.ID} {
		eventually(t, "some seconds are on disk", func() bool { return get(id).Duration > 6 })
	}
	var list struct{ Items []recording }
	r.api("GET", "/recordings?state=running", nil, &list)
	if len(list.Items) != 2 || list.Items[0].Duration == 0 {
		t.Errorf("running: %+v", list.Items)
	}
	r.api("POST", "/recordings/"+old.ID+"/stop", nil, &old)
	r.api("POST", "/recordings/"+ts.ID+"/stop", nil, &ts)
	for _, v := range []recording{old, ts} {
		if v.State != "complete" || v.Duration < 6 || v.Gaps == nil || len(v.Tracks) != 2 || v.Code != "" {
			t.Errorf("%+v", v)
		}
		status, body := r.do("GET", "/api/v1/recordings/"+v.ID+"/hls/index.m3u8", r.admin(), "", "")
		if status != 200 || !strings.Contains(body, "#EXT-X-ENDLIST") || !strings.Contains(body, "../file") || strings.Contains(body, "EXT-X-MAP") != (v.Format == "fmp4") {
			t.Errorf("%s: %d %s", v.Format, status, body)
		}
		if status, body = r.do("GET", "/api/v1/recordings/"+v.ID+"/file", r.admin(), "", ""); status != 200 || int64(len(body)) != v.Bytes {
			t.Errorf("%s: %d, %d bytes of %d", v.Format, status, len(body), v.Bytes)
		}
		if status, body = r.do("GET", "/api/v1/recordings/"+v.ID+"/hls/index.m3u8", "", "", ""); status != 401 {
			t.Errorf("without a token: %d %s", status, body)
		}
	}
	if _, metrics := r.do("GET", "/metrics", r.admin(), "", ""); !strings.Contains(metrics, "tongxiang_recordings_waiting 0") || !strings.Contains(metrics, "tongxiang_recorded_bytes_waiting 0") {
		t.Error("the metrics of recordings lack")
	}
	rec, err := r.s.store.Recording(t.Context(), old.ID)
	if err != nil {
		t.Fatal(err)
	}
	dir, ok := r.s.recorder.Folder(rec)
	if !ok || strings.Contains(dir, "新闻") || filepath.Base(dir) != old.ID {
		t.Errorf("the folder is %s", dir)
	}
	r.api("DELETE", "/recordings/"+old.ID+"?purge=true", nil, nil)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestARecordingAsReceivedHasAPreRollWhenPacketsAreHeld(t *testing.T) {
	t.Parallel()
	clip := filepath.Join(t.TempDir(), "clip.ts")
	if err := os.WriteFile(clip, playtest.TS(t, 20, "320x180", playtest.BFrames), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config(t, t.TempDir())
	cfg.Recorder.HoldPackets = true
	r := start(t, cfg)
	r.api("POST", "/channels", map[string]any{"id": "late", "name": "后来的", "source": "file://" + clip}, nil) // after the start
	packets := r.s.hub.Open(stream.Channel("late").Transport())
	eventually(t, "five seconds of packets", func() bool {
		l := packets.Tracks()
		return len(l) == 1 && l[0].Stats().Items > 50
	})
	packets.Close()
	asked := time.Now()
	var rec recording
	r.api("POST", "/recordings", map[string]any{"stream": "channels/late", "format": "ts", "preroll_s": 4}, &rec)
	eventually(t, "a second is on disk", func() bool {
		r.api("GET", "/recordings/"+rec.ID, nil, &rec)
		return rec.Duration > 1
	})
	r.api("POST", "/recordings/"+rec.ID+"/stop", nil, &rec)
	entry, err := r.s.store.Recording(t.Context(), rec.ID)
	if err != nil {
		t.Fatal(err)
	}
	if before := asked.Sub(entry.Started); before < 2*time.Second || before > 5*time.Second {
		t.Errorf("it begins %v before it was asked for, want about 4 s", before)
	}
	r.api("DELETE", "/channels/late", nil, nil)
	eventually(t, "the packets are let go", func() bool { return !r.s.hub.Published(stream.Channel("late").Transport()) })
}

func TestMeetingIsRecordedByItsSetting(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, t.TempDir()))
	var m struct{ ID, Record string }
	r.api("POST", "/meetings", map[string]any{"title": "防汛会商", "record": true, "tracks": "all"}, &m)
	if m.Record != "all" {
		t.Fatalf("%+v", m)
	}
	recordings := func() []recording {
		var list struct{ Items []recording }
		r.api("GET", "/recordings?stream=meetings/"+m.ID+"/programme", nil, &list)
		return list.Items
	}
	if l := recordings(); len(l) != 0 {
		t.Fatalf("recorded before anybody came: %+v", l)
	}
	s := r.dial(m.ID, r.admin())
	s.send(`{"type":"hello","v":1}`)
	s.until("welcome")
	eventually(t, "the first participant begins the recording", func() bool { return len(recordings()) == 1 })
	if l := recordings(); l[0].Class != "meeting" || l[0].Title != "防汛会商" {
		t.Errorf("%+v", l[0])
	}
	other := r.dial(m.ID, r.admin())
	other.send(`{"type":"hello","v":1}`)
	other.until("welcome")
	r.api("DELETE", "/meetings/"+m.ID, nil, nil)
	eventually(t, "the recording ends with the meeting", func() bool {
		l := recordings()
		return len(l) == 1 && l[0].State == "complete"
	})
	if l := recordings(); l[0].Code != "nothing_came" || l[0].Reason == "" {
		t.Errorf("%+v", l[0])
	}
}

func TestSecondServerOnTheRecordingsFolderSaysWhoHasIt(t *testing.T) {
	t.Parallel()
	shared := t.TempDir()
	cfg := config(t, t.TempDir())
	cfg.Recorder.Dir = shared
	cfg.Channels = []configs.Channel{{ID: "a", Name: "a", Source: "udp://127.0.0.1:1"}}
	first := start(t, cfg)
	cfg.Data = t.TempDir()
	second := start(t, cfg)
	status, body := second.do("POST", "/api/v1/recordings", second.admin(), "application/json", `{"stream":"channels/a"}`)
	refused(t, status, body, "recordings_in_use")
	var p struct{ Detail string }
	host, _ := os.Hostname()
	if err := json.Unmarshal([]byte(body), &p); err != nil || !strings.Contains(p.Detail, host) {
		t.Errorf("%s does not say who has it", body)
	}
	var v recording
	first.api("POST", "/recordings", map[string]any{"stream": "channels/a"}, &v)
	first.api("POST", "/recordings/"+v.ID+"/stop", nil, &v)
}

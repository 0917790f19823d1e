package server

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/api"
)

// silentChannel is a file of moving pictures without sound to be heard.
func silentChannel(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed: it makes the media of this test")
	}
	file := filepath.Join(t.TempDir(), "silent.ts")
	out, err := exec.Command(path, "-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=r=25:s=352x288", "-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo",
		"-t", "20", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", "-y", file).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	return file
}

func TestAChannelsQualityIsInTheAPITheMetricsAndTheLog(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.Quality.Interval = time.Second
	r := start(t, cfg)
	if status, body := r.do("GET", "/api/v1/channels/mute/thumbnail", r.admin(), "", ""); status != http.StatusNotFound {
		t.Fatalf("%d %s", status, body)
	}
	r.api("POST", "/channels", map[string]any{"id": "mute", "name": "静", "source": "file://" + silentChannel(t)}, nil)

	var channel struct {
		Quality *api.ChannelQuality `json:"quality"`
	}
	eventually(t, "an alarm, a thumbnail and bit rates", func() bool {
		r.api("GET", "/channels/mute", nil, &channel)
		q := channel.Quality
		return q != nil && len(q.Alarms) == 1 && q.ThumbnailAt != nil && len(q.PIDs) == 3 && q.Bitrate > 0
	})
	q := channel.Quality
	if q.Alarms[0] != "silent" || q.Raised["silent"].IsZero() || q.Judged != "decoded" || q.TR101290["continuity_count_error"] != 0 || len(q.TR101290) != 13 ||
		q.JitterUS == nil || q.Level == nil || *q.Level > -90 {
		t.Errorf("%+v", q)
	}

	get := func(path, etag string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+r.admin())
		req.Header.Set("If-None-Match", etag)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	picture := get("/api/v1/channels/mute/thumbnail", "")
	if picture.StatusCode != http.StatusOK || picture.Header.Get("Content-Type") != "image/jpeg" || picture.Header.Get("ETag") == "" || picture.ContentLength < 1000 {
		t.Errorf("%d %v", picture.StatusCode, picture.Header)
	}
	if status, body := r.do("GET", "/api/v1/channels/mute/thumbnail", "", "", ""); status != http.StatusUnauthorized {
		t.Errorf("without account: %d %s", status, body)
	}
	eventually(t, "the same picture twice", func() bool {
		first := get("/api/v1/channels/mute/thumbnail", "").Header.Get("ETag")
		return get("/api/v1/channels/mute/thumbnail", first).StatusCode == http.StatusNotModified
	})

	_, metrics := r.do("GET", "/metrics", "", "", "")
	for _, want := range []string{
		`tongxiang_channel_alarm{alarm="silent",channel="mute"} 1`, `tongxiang_channel_alarm{alarm="black",channel="mute"} 0`,
		`tongxiang_channel_tr101290_errors_total{channel="mute",error="pat_error"} 0`, `tongxiang_channel_programme_bits_per_second{channel="mute"}`,
		"tongxiang_quality_samples_total", "tongxiang_quality_sample_interval_seconds 1",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}

	var log struct {
		Items []struct {
			Alarm   string     `json:"alarm"`
			Cleared *time.Time `json:"cleared"`
		} `json:"items"`
		Total int `json:"total"`
	}
	eventually(t, "the alarm in the log", func() bool {
		r.api("GET", "/channels/mute/alarms", nil, &log)
		return log.Total == 1 && log.Items[0].Alarm == "silent" && log.Items[0].Cleared == nil
	})
	r.api("DELETE", "/channels/mute", nil, nil)
	eventually(t, "the alarm of a channel that is gone to be over", func() bool {
		r.api("GET", "/channels/mute/alarms", nil, &log)
		return log.Total == 1 && log.Items[0].Cleared != nil
	})
	if status, body := r.do("GET", fmt.Sprintf("/api/v1/channels/%s/alarms", "never"), r.admin(), "", ""); status != http.StatusNotFound {
		t.Errorf("a channel that never was: %d %s", status, body)
	}
}

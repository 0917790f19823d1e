package server

import (
	"bytes"
	"encoding/json"
	"image/jpeg"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tongxiang/configs"
	"tongxiang/internal/jobs"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
)

// jobRow is a job as the API tells it.
type jobRow struct {
	ID, Kind, Recording, State, Title, Detail string
	Progress                                  float64
	Cause                                     *struct{ Code, EN, ZH string }
	Result                                    struct {
		Recording       string
		FromMS          int64 `json:"from_ms"`
		ToMS            int64 `json:"to_ms"`
		OK              bool
		Fragments, Rows int
	}
}

// record makes a recording of a channel of so many seconds.
func (r *rig) record(body map[string]any, seconds float64) recording {
	r.t.Helper()
	var v recording
	r.api("POST", "/recordings", body, &v)
	eventually(r.t, "enough is on disk", func() bool {
		var now recording
		r.api("GET", "/recordings/"+v.ID, nil, &now)
		return now.Duration > seconds
	})
	r.api("POST", "/recordings/"+v.ID+"/stop", nil, &v)
	return v
}

// ended waits for the newest job of a kind.
func (r *rig) ended(recording, kind string) jobRow {
	r.t.Helper()
	var j jobRow
	eventually(r.t, "the "+kind+" is made", func() bool {
		var l struct{ Items []jobRow }
		r.api("GET", "/jobs?recording="+recording+"&kind="+kind, nil, &l)
		if len(l.Items) == 0 {
			return false
		}
		j = l.Items[0]
		return j.State != "queued" && j.State != "running"
	})
	return j
}

// television serves a looped file as channel a.
func television(t *testing.T, args string) *rig {
	t.Helper()
	clip := filepath.Join(t.TempDir(), "clip.ts")
	if err := os.WriteFile(clip, playtest.TS(t, 20, "320x180", args), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config(t, t.TempDir())
	cfg.Jobs = configs.Jobs{Low: true}
	cfg.Channels = []configs.Channel{{ID: "a", Name: "中央一套", Source: "file://" + clip}}
	r := start(t, cfg)
	eventually(t, "the channel is live", func() bool {
		var c struct{ State string }
		r.api("GET", "/channels/a", nil, &c)
		return c.State == "live"
	})
	return r
}

func TestWhatIsMadeOfARecordingThroughTheAPI(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ format, args string }{{"fmp4", playtest.BFrames}, {"ts", playtest.Broadcast}} {
		t.Run(tc.format, func(t *testing.T) {
			t.Parallel()
			r := television(t, tc.args)
			rec := r.record(map[string]any{"stream": "channels/a", "format": tc.format}, 12)
			at := "/recordings/" + rec.ID
			original := r.file(at + "/file")
			for _, kind := range []string{"thumbnail", "sprite", "rendition"} { // by themselves
				if j := r.ended(rec.ID, kind); j.State != "done" || j.Progress != 1 || j.Title != "中央一套" {
					t.Fatalf("%+v", j)
				}
			}
			var v struct {
				Has struct{ Thumbnail, Sprite, Low, Export bool }
			}
			r.api("GET", at, nil, &v)
			if !v.Has.Thumbnail || !v.Has.Sprite || !v.Has.Low || v.Has.Export {
				t.Errorf("has %+v", v.Has)
			}
			thumb, err := jpeg.Decode(bytes.NewReader(r.file(at + "/thumbnail")))
			if err != nil || thumb.Bounds().Dx() != 320 || thumb.Bounds().Dy() != 180 {
				t.Errorf("the thumbnail is %v, %v", thumb.Bounds(), err)
			}
			var sheet struct{ Width, Height, Columns, Rows, Count int }
			if err := json.Unmarshal(r.file(at+"/sprite.json"), &sheet); err != nil {
				t.Fatal(err)
			}
			sprite, err := jpeg.Decode(bytes.NewReader(r.file(at + "/sprite")))
			if err != nil || sprite.Bounds().Dx() != sheet.Columns*sheet.Width || sprite.Bounds().Dy() != sheet.Rows*sheet.Height || sheet.Count < 3 {
				t.Errorf("the sprite is %v, %v; laid out as %+v", sprite.Bounds(), err, sheet)
			}
			r.conditional(at + "/thumbnail")

			master := string(r.file(at + "/hls/index.m3u8"))
			if !strings.Contains(master, "low.m3u8") || strings.Contains(master, "full.m3u8") != (tc.format == "fmp4") { // MPEG-2 plays nowhere
				t.Errorf("the master playlist is %s", master)
			}
			playlist := string(r.file(at + "/hls/low.m3u8"))
			if !strings.Contains(playlist, "#EXT-X-ENDLIST") || !strings.Contains(playlist, "../low") || !strings.Contains(string(r.file(at+"/hls/full.m3u8")), "../file") {
				t.Errorf("the low playlist is %s", playlist)
			}
			low := r.probe(r.file(at+"/low"), "low.mp4")
			if d := low.Duration().Seconds(); math.Abs(d-rec.Duration) > 1 {
				t.Errorf("the low rendition has %.2f s, the recording %.2f s", d, rec.Duration)
			}

			var j jobRow
			r.api("POST", at+"/clips", map[string]any{"from_ms": 4200, "to_ms": 8000, "title": "../片段"}, &j)
			if j = r.ended(rec.ID, "clip"); j.State != "done" || j.Result.FromMS > 4200 || j.Result.FromMS < 2000 || j.Result.ToMS < 8000 || j.Result.ToMS > 10000 {
				t.Fatalf("%+v", j)
			}
			var clip recording
			r.api("GET", "/recordings/"+j.Result.Recording, nil, &clip)
			if clip.Title != "../片段" || clip.State != "complete" || clip.Format != tc.format || len(clip.Tracks) != 2 || math.Abs(clip.Duration*1000-float64(j.Result.ToMS-j.Result.FromMS)) > 2 {
				t.Errorf("the clip is %+v of %+v", clip, j.Result)
			}
			cut := r.probe(r.file("/recordings/"+clip.ID+"/file"), "clip."+map[string]string{"fmp4": "mp4", "ts": "ts"}[tc.format])
			if n := cut.Decoded("video"); math.Abs(float64(n)-25*clip.Duration) > 13 {
				t.Errorf("%d pictures in %.2f s", n, clip.Duration)
			}
			if j = r.ended(clip.ID, "thumbnail"); j.State != "done" { // a clip is a recording
				t.Errorf("%+v", j)
			}
			r.file("/recordings/" + clip.ID + "/hls/index.m3u8")

			for _, kind := range []string{"verify", "export"} {
				r.api("POST", at+"/jobs", map[string]string{"kind": kind}, &j)
				if j = r.ended(rec.ID, kind); j.State != "done" || kind == "verify" && (!j.Result.OK || j.Result.Fragments < 10) {
					t.Fatalf("%+v", j)
				}
			}
			export := r.probe(r.file(at+"/export"), "export.mp4")
			if d := export.Duration().Seconds(); math.Abs(d-rec.Duration) > 1 {
				t.Errorf("the export has %.2f s of %.2f s", d, rec.Duration)
			}
			r.api("POST", "/recordings/"+clip.ID+"/jobs", map[string]string{"kind": "verify"}, &j)
			if j = r.ended(clip.ID, "verify"); j.State != "done" || !j.Result.OK {
				t.Errorf("the clip verified: %+v", j)
			}
			if !bytes.Equal(original, r.file(at+"/file")) {
				t.Error("the original was touched")
			}
			if _, metrics := r.do("GET", "/metrics", r.admin(), "", ""); !strings.Contains(metrics, `tongxiang_jobs{kind="clip",state="queued"} 0`) || !strings.Contains(metrics, `tongxiang_jobs_ended_total{kind="clip",state="done"} 1`) {
				t.Error("the metrics of jobs lack")
			}
		})
	}
}

// file returns what is served.
func (r *rig) file(path string) []byte {
	r.t.Helper()
	status, body := r.do("GET", "/api/v1"+path, r.admin(), "", "")
	if status != 200 {
		r.t.Fatalf("%s: %d %s", path, status, body)
	}
	return []byte(body)
}

// conditional checks that what did not change is not sent again.
func (r *rig) conditional(path string) {
	r.t.Helper()
	get := func(tag string) *http.Response {
		req, err := http.NewRequestWithContext(r.t.Context(), "GET", r.url+"/api/v1"+path, nil)
		if err != nil {
			r.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+r.admin())
		req.Header.Set("If-None-Match", tag)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			r.t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	if tag := get("").Header.Get("ETag"); tag == "" || get(tag).StatusCode != http.StatusNotModified {
		r.t.Errorf("%s is sent again (ETag %q)", path, tag)
	}
}

func (r *rig) probe(b []byte, name string) playtest.Probe {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		r.t.Fatal(err)
	}
	return playtest.ProbeFile(r.t, path)
}

func TestBadRequestsForJobsAreRefusedWithTheirReason(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, t.TempDir()))
	put := func(rec store.Recording) {
		rec.Stream, rec.Format = "channels/a", "fmp4"
		if err := r.s.store.PutRecording(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	put(store.Recording{ID: "gone", State: store.RecordingComplete, Duration: 10e9, File: "2026/01/01/gone/media.mp4"})
	put(store.Recording{ID: "none", State: store.RecordingFailed})
	put(store.Recording{ID: "runs", State: store.RecordingRunning, Duration: 10e9})
	put(store.Recording{ID: "out", State: store.RecordingComplete, Duration: 10e9, File: "../../etc/out/passwd"})
	for _, tc := range []struct{ path, body, code string }{
		{"/recordings/nobody/jobs", `{"kind":"verify"}`, "not_found"},
		{"/recordings/gone/jobs", `{"kind":"melt"}`, "invalid"},
		{"/recordings/gone/jobs", `{"kind":"clip"}`, "invalid"},
		{"/recordings/none/jobs", `{"kind":"verify"}`, "nothing_recorded"},
		{"/recordings/runs/jobs", `{"kind":"rendition"}`, "recording_runs"},
		{"/recordings/gone/clips", `{"from_ms":5,"to_ms":5}`, "bad_range"},
		{"/recordings/gone/clips", `{"from_ms":11000,"to_ms":12000}`, "bad_range"},
		{"/recordings/gone/clips", `{"from_ms":-1,"to_ms":5}`, "invalid"},
		{"/recordings/nobody/clips", `{"from_ms":0,"to_ms":5}`, "not_found"},
		{"/jobs/nobody/cancel", ``, "not_found"},
		{"/jobs/nobody/retry", ``, "not_found"},
	} {
		status, body := r.do("POST", "/api/v1"+tc.path, r.admin(), "application/json", tc.body)
		refused(t, status, body, tc.code)
	}
	var j jobRow
	for id, code := range map[string]string{"gone": jobs.CodeNothing, "out": jobs.CodeNothing} {
		r.api("POST", "/recordings/"+id+"/clips", map[string]int{"from_ms": 0, "to_ms": 1000}, &j)
		if j = r.ended(id, "clip"); j.State != "failed" || j.Cause == nil || j.Cause.Code != code || j.Cause.EN == "" || j.Cause.ZH == "" {
			t.Errorf("%+v", j)
		}
		status, body := r.do("POST", "/api/v1/jobs/"+j.ID+"/cancel", r.admin(), "", "")
		refused(t, status, body, "job_ended")
		r.api("POST", "/jobs/"+j.ID+"/retry", nil, &j)
		if j = r.ended(id, "clip"); j.State != "failed" {
			t.Errorf("%+v", j)
		}
	}
	status, body := r.do("GET", "/api/v1/recordings/gone/thumbnail", r.admin(), "", "")
	refused(t, status, body, "not_made")
	status, body = r.do("GET", "/api/v1/jobs", "", "", "")
	refused(t, status, body, "not_signed_in")
}

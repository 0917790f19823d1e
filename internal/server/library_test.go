package server

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tongxiang/configs"
	"tongxiang/internal/auth"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
)

// kept is what the API tells of a recording beyond what the recorder knows.
type kept struct {
	ID, Title, Class, State, Retention string
	Expires, Deleted                   *time.Time
	Hold, Watched                      bool
	People, Units                      []string
	Chapters                           []store.Chapter
	Position                           int64 `json:"position_ms"`
}

type keptPage struct {
	Items []kept
	Total int
	Next  string
}

// actions lists what the audit says was done to something, first to last.
func (r *rig) actions(target string) []string {
	r.t.Helper()
	l, _, err := r.s.store.Audit(r.t.Context(), store.AuditFilter{Target: target}, store.Page{Limit: 100})
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, e := range l {
		out = append(out, e.Action)
	}
	slices.Reverse(out)
	return out
}

func TestLibraryThroughTheAPI(t *testing.T) {
	t.Parallel()
	clip := filepath.Join(t.TempDir(), "clip.ts")
	if err := os.WriteFile(clip, playtest.TS(t, 10, "320x180", playtest.BFrames), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config(t, t.TempDir())
	cfg.Channels = []configs.Channel{{ID: "a", Name: "县台", Source: "file://" + clip}}
	r := start(t, cfg)
	eventually(t, "the channel is live", func() bool {
		var c struct{ State string }
		r.api("GET", "/channels/a", nil, &c)
		return c.State == "live"
	})
	now := time.Now()
	err := r.s.store.PutEPG(t.Context(), []store.EPGEvent{{Channel: "a", ID: 1, Start: now.Add(-time.Hour), End: now.Add(time.Hour), Title: "致富经", Summary: "水稻病虫害防治"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var x kept
	r.api("POST", "/recordings", map[string]any{"stream": "channels/a", "title": "防汛会商", "class": "news"}, &x)
	status, body := r.do("DELETE", "/api/v1/recordings/"+x.ID, r.admin(), "", "")
	refused(t, status, body, "recording_runs")
	r.api("PATCH", "/recordings/"+x.ID, map[string]any{"title": "全县防汛会商"}, &x) // while it runs
	eventually(t, "some seconds are on disk", func() bool {
		var v recording
		r.api("GET", "/recordings/"+x.ID, nil, &v)
		return v.Duration > 2
	})
	r.api("POST", "/recordings/"+x.ID+"/stop", nil, nil)
	get := func() (v kept) {
		r.api("GET", "/recordings/"+x.ID, nil, &v)
		return v
	}
	eventually(t, "it is described by the guide", func() bool { return len(get().Chapters) == 1 })
	if v := get(); v.Chapters[0].Title != "致富经" || v.Retention != "class" || v.Expires == nil || v.Expires.Before(now.AddDate(0, 0, 29)) || v.Expires.After(now.AddDate(0, 0, 31)) {
		t.Errorf("%+v", v)
	}
	r.api("PATCH", "/recordings/"+x.ID, map[string]any{"class": "training", "hold": true, "retention": "10y", "people": []string{"张伟"}, "units": []string{"青山镇"}}, &x)
	if x.Title != "全县防汛会商" || x.Class != "training" || !x.Hold || x.Retention != "10y" || x.Expires == nil || x.Expires.Before(now.AddDate(9, 11, 0)) {
		t.Errorf("%+v", x)
	}
	find := func(query string) (l keptPage) {
		r.api("GET", "/recordings?"+query, nil, &l)
		return l
	}
	for _, q := range []string{"防汛", "fxhs", "张伟", "青山", "病虫", "致富", "zw"} {
		if l := find("q=" + url.QueryEscape(q)); l.Total != 1 || l.Items[0].ID != x.ID {
			t.Errorf("%s: %+v", q, l)
		}
	}
	for _, q := range []string{"q=" + url.QueryEscape("畜牧"), "q=%25", "class=news", "person=x", "unit=x", "to=2020-01-01T00:00:00Z", "deleted=true", "state=failed", "stream=channels/b"} {
		if l := find(q); l.Total != 0 || l.Items == nil {
			t.Errorf("%s: %+v", q, l)
		}
	}
	for q, code := range map[string]string{"sort=id": "invalid", "cursor=x": "bad_cursor", "from=yesterday": "invalid", "class=x": "invalid", "limit=501": "invalid", "q=" + strings.Repeat("x", 201): "invalid"} {
		status, body := r.do("GET", "/api/v1/recordings?"+q, r.admin(), "", "")
		refused(t, status, body, code)
	}
	for change, code := range map[string]string{
		`{"retention":"soon"}`: "bad_retention", `{"retention":"date"}`: "bad_retention", `{"retention":"1y","expires":"2030-01-01T00:00:00Z"}`: "bad_retention",
		`{"class":"film"}`: "invalid", `{"title":""}`: "invalid", `{"hold":"yes"}`: "invalid", `{"state":"complete"}`: "invalid", `{`: "bad_request",
	} {
		status, body := r.do("PATCH", "/api/v1/recordings/"+x.ID, r.admin(), "application/json", change)
		refused(t, status, body, code)
	}

	// Who may what.
	member := r.token(auth.TokenRequest{Subject: "li", Role: auth.Member})
	for _, c := range []struct{ method, path string }{{"PATCH", ""}, {"DELETE", ""}, {"POST", "/restore"}} {
		status, body := r.do(c.method, "/api/v1/recordings/"+x.ID+c.path, member, "application/json", `{}`)
		refused(t, status, body, "forbidden")
	}
	for _, c := range []struct{ method, path, send string }{{"PATCH", "", `{}`}, {"DELETE", "", ""}, {"POST", "/restore", ""}, {"GET", "/chapters", ""}, {"PUT", "/position", `{"position_ms":1}`}} {
		status, body := r.do(c.method, "/api/v1/recordings/none"+c.path, r.admin(), "application/json", c.send)
		refused(t, status, body, "not_found")
	}

	// Each stops where he stopped.
	if status, body := r.do("PUT", "/api/v1/recordings/"+x.ID+"/position", member, "application/json", `{"position_ms":1500}`); status != 204 {
		t.Fatalf("%d %s", status, body)
	}
	var mine keptPage
	_, body = r.do("GET", "/api/v1/recordings", member, "", "")
	if err := json.Unmarshal([]byte(body), &mine); err != nil || mine.Items[0].Position != 1500 || mine.Items[0].Watched {
		t.Errorf("%s, %v", body, err)
	}
	if v := get(); v.Position != 0 {
		t.Errorf("another's position: %+v", v)
	}
	r.api("PUT", "/recordings/"+x.ID+"/position", map[string]any{"position_ms": 3_600_000}, nil)
	if v := get(); v.Position != 3_600_000 || !v.Watched {
		t.Errorf("%+v", v)
	}
	status, body = r.do("PUT", "/api/v1/recordings/"+x.ID+"/position", member, "application/json", `{"position_ms":-1}`)
	refused(t, status, body, "invalid")

	// A view is one entry of the audit, however often a player asks.
	for range 3 {
		r.do("GET", "/api/v1/recordings/"+x.ID+"/hls/index.m3u8", member, "", "")
		r.do("GET", "/api/v1/recordings/"+x.ID+"/file", member, "", "")
	}
	r.do("GET", "/api/v1/recordings/"+x.ID+"/file?download", member, "", "")
	want := []string{"recording.start", "recording.change", "recording.stop", "recording.change", "recording.view", "recording.download"}
	if got := r.actions(x.ID); !slices.Equal(got, want) {
		t.Errorf("audit: %v, want %v", got, want)
	}

	// Hold, the recycle bin, and what the folder says of it.
	for _, q := range []string{"", "?purge=true"} {
		status, body := r.do("DELETE", "/api/v1/recordings/"+x.ID+q, r.admin(), "", "")
		refused(t, status, body, "recording_held")
	}
	r.api("PATCH", "/recordings/"+x.ID, map[string]any{"hold": false}, nil)
	r.api("DELETE", "/recordings/"+x.ID, nil, nil)
	if l := find(""); l.Total != 0 {
		t.Errorf("deleted, and listed: %+v", l)
	}
	if l := find("deleted=true&q=" + url.QueryEscape("防汛")); l.Total != 1 || l.Items[0].Deleted == nil {
		t.Errorf("the recycle bin: %+v", l)
	}
	r.stop()
	for _, name := range []string{StoreFile, StoreFile + "-wal", StoreFile + "-shm"} { // the library is lost
		if err := os.Remove(filepath.Join(cfg.Data, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	r = start(t, cfg)
	eventually(t, "it is back from its folder, in the recycle bin", func() bool { return find("deleted=true").Total == 1 })
	v := get()
	if v.Title != "全县防汛会商" || v.Class != "training" || v.Retention != "10y" || v.Hold || v.Deleted == nil || len(v.People) != 1 || len(v.Units) != 1 || len(v.Chapters) != 1 {
		t.Errorf("from the folder: %+v", v)
	}
	r.api("POST", "/recordings/"+x.ID+"/restore", nil, &v)
	if v.Deleted != nil || find("q="+url.QueryEscape("病虫")).Total != 1 {
		t.Errorf("restored: %+v", v)
	}
	r.api("DELETE", "/recordings/"+x.ID+"?purge=true", nil, nil)
	status, body = r.do("GET", "/api/v1/recordings/"+x.ID, r.admin(), "", "")
	refused(t, status, body, "not_found")
	if got := r.actions(x.ID); !slices.Equal(got, []string{"recording.restore", "recording.purge"}) {
		t.Errorf("audit: %v", got)
	}
}

package server

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"tongxiang/ingest"
	"tongxiang/internal/api"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
)

// multiplex sends two programmes until the test ends.
func multiplex(t *testing.T, to string) {
	t.Helper()
	playtest.Tools(t)
	ctx, cancel := context.WithCancel(context.Background())
	args := append(strings.Fields("-nostdin -v error -re -f lavfi -i testsrc2=rate=25:size=320x180 -re -f lavfi -i testsrc2=rate=25:size=426x240"+
		" -map 0 -map 1 -c:v libx264 -preset ultrafast -bf 0 -g 25 -pix_fmt yuv420p"),
		"-program", "program_num=101:title=CCTV-1 综合:st=0", "-program", "program_num=102:title=财经:st=1", "-f", "mpegts", to+"?pkt_size=1316")
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
}

func TestOneClickMakesChannelsOfAScan(t *testing.T) {
	source := fmt.Sprintf("udp://127.0.0.1:%d", freePort(t))
	multiplex(t, source)
	r := start(t, config(t, t.TempDir()))
	var scan api.Scan
	r.api("POST", "/scans", map[string]any{"source": source, "seconds": 5}, &scan)
	if scan.ID == "" || scan.State != "running" {
		t.Fatalf("%+v", scan)
	}
	path := "/scans/" + scan.ID
	status, body := r.do("POST", "/api/v1"+path+"/channels", r.admin(), "application/json", `{"services":[{"service_id":101}]}`)
	refused(t, status, body, "scan_running")
	eventually(t, "the end of the scan", func() bool { r.api("GET", path, nil, &scan); return scan.State != "running" })
	if scan.State != "done" || len(scan.Services) != 2 || scan.Services[0].Name != "CCTV-1 综合" || scan.Services[0].Type != "tv" {
		t.Fatalf("%+v", scan)
	}
	var made struct {
		Services []struct {
			Service int    `json:"service_id"`
			Channel string `json:"channel"`
			Code    string `json:"code"`
			Detail  string `json:"detail"`
		} `json:"services"`
	}
	choose := func(text string) string {
		t.Helper()
		services := []map[string]any{{"service_id": 101}, {"service_id": 102}, {"service_id": 103}, {"service_id": 101}}
		if text != "" {
			services = services[:1]
		}
		made.Services = nil
		r.api("POST", path+"/channels", map[string]any{"services": services}, &made)
		var out []string
		for _, s := range made.Services {
			out = append(out, fmt.Sprintf("%d %s%s", s.Service, s.Channel, s.Code))
			if (s.Code == "") != (s.Detail == "") {
				t.Errorf("%+v", s)
			}
		}
		return strings.Join(out, ", ")
	}
	if got := choose(""); got != "101 cctv-1, 102 svc-102, 103 no_such_service, 101 service_has_channel" {
		t.Errorf("%s", got)
	}
	if got := choose("again"); got != "101 service_has_channel" {
		t.Errorf("%s", got)
	}
	for id, name := range map[string]string{"cctv-1": "CCTV-1 综合", "svc-102": "财经"} {
		eventually(t, id+" live", func() bool { s, _ := r.s.channels.Get(id); return s.State == ingest.Live && s.Name == name })
		if _, err := r.s.store.Channel(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	entries, _, err := r.s.store.Audit(t.Context(), store.AuditFilter{}, store.Page{})
	if err != nil {
		t.Fatal(err)
	}
	created := 0
	for _, e := range entries {
		if e.Action == "channel.create" {
			created++
		}
	}
	if created != 2 {
		t.Errorf("%d entries of the audit", created)
	}
	r.api("DELETE", path, nil, nil)
	status, body = r.do("GET", "/api/v1"+path, r.admin(), "", "")
	refused(t, status, body, "not_found")
	status, body = r.do("POST", "/api/v1/scans", r.admin(), "application/json", `{"source":"gopher://x"}`)
	refused(t, status, body, "bad_source")
	status, body = r.do("POST", "/api/v1/scans", r.admin(), "application/json", `{"source":"udp://1.2.3.4:5","seconds":100000}`)
	refused(t, status, body, "invalid")
}

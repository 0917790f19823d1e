package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/auth"
	"tongxiang/internal/store"
)

// world is the API over a real database, with channels that only remember.
type world struct {
	*testing.T
	server *httptest.Server
	tokens map[auth.Role]string
	admin  auth.Principal
	auth   *auth.Service
	store  *store.Store
}

type memoryChannels struct{ rows []store.Channel }

func (m *memoryChannels) List() []ChannelState {
	out := []ChannelState{{Channel: store.Channel{ID: "fixed", Name: "固定", Source: "udp://1.2.3.4:5"}, Fixed: true, State: "live"}}
	for _, r := range m.rows {
		out = append(out, ChannelState{Channel: r, State: "connecting"})
	}
	return out
}

func (m *memoryChannels) Get(id string) (ChannelState, bool) {
	for _, c := range m.List() {
		if c.ID == id {
			return c, true
		}
	}
	return ChannelState{}, false
}

func (m *memoryChannels) Add(c store.Channel) error {
	if strings.HasPrefix(c.Source, "ftp:") {
		return errors.New("scheme")
	}
	m.rows = append(m.rows, c)
	return nil
}

func (m *memoryChannels) Update(c store.Channel) error {
	if strings.HasPrefix(c.Source, "ftp:") {
		return errors.New("scheme")
	}
	if c.Switch.Back == "perhaps" {
		return fmt.Errorf("back: %w", ErrBadSwitch)
	}
	for i := range m.rows {
		if m.rows[i].ID == c.ID {
			m.rows[i] = c
		}
	}
	return nil
}

func (m *memoryChannels) Switch(_ string, n int) error {
	if n > 1 {
		return ErrNoSource
	}
	return nil
}

func (m *memoryChannels) Remove(id string) {
	for i, r := range m.rows {
		if r.ID == id {
			m.rows = append(m.rows[:i], m.rows[i+1:]...)
			return
		}
	}
}

type storedMeetings struct{ store *store.Store }

func (s storedMeetings) Live(string) []Participant {
	return []Participant{{ID: "li", Name: "李", Role: "member"}}
}

func (storedMeetings) Programme(string) *Programme { return nil }

func (s storedMeetings) End(ctx context.Context, id string) error {
	m, err := s.store.Meeting(ctx, id)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	m.Closed = &now
	return s.store.UpdateMeeting(ctx, m)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	a, err := auth.New(st, bytes.Repeat([]byte{7}, 32), auth.Config{Cost: auth.Cost{MemoryKiB: 64, Passes: 1, Lanes: 1}}, log)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, tokens: map[auth.Role]string{}, auth: a, store: st, admin: auth.Principal{ID: "t", Name: "t", Role: auth.Administrator}}
	for _, role := range auth.Roles() {
		token, _, err := a.MediaToken(auth.TokenRequest{Subject: string(role), Role: role, TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		w.tokens[role] = token
	}
	w.server = httptest.NewServer(New(Config{
		Version: "test", Name: "测试", Store: st, Auth: a, Log: log,
		Channels: &memoryChannels{}, Meetings: storedMeetings{st},
		Features: func() map[string]bool { return map[string]bool{"ffmpeg": true} },
	}))
	t.Cleanup(w.server.Close)
	return w
}

// call sends a request as a role and returns the status and the decoded body.
func (w *world) call(role auth.Role, method, path, body string, header ...string) (int, map[string]any) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if t := w.tokens[role]; t != "" {
		req.Header.Set("Authorization", "Bearer "+t)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := w.server.Client().Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	var out map[string]any
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			w.Fatalf("%s %s: %s", method, path, raw)
		}
	}
	return res.StatusCode, out
}

func (w *world) want(status int, role auth.Role, method, path, body string) map[string]any {
	w.Helper()
	got, out := w.call(role, method, path, body)
	if got != status {
		w.Fatalf("%s %s as %q: %d %v, want %d", method, path, role, got, out, status)
	}
	return out
}

func TestWhoMayDoWhat(t *testing.T) {
	w := newWorld(t)
	const everybody = "administrator operator chair member viewer kiosk"
	for _, tc := range []struct{ method, path, body, may string }{
		{"GET", "/api/v1/sessions/current", "", everybody},
		{"GET", "/api/v1/channels", "", everybody},
		{"GET", "/api/v1/meetings", "", everybody},
		{"POST", "/api/v1/meetings", `{"title":"x"}`, "administrator operator chair"},
		{"DELETE", "/api/v1/channels/none", "", "administrator operator"},
		{"GET", "/api/v1/users", "", "administrator"},
		{"GET", "/api/v1/kiosks", "", "administrator operator"},
		{"POST", "/api/v1/tokens", `{"subject":"e","role":"member","ttl_s":60}`, "administrator"},
	} {
		for _, role := range auth.Roles() {
			status, out := w.call(role, tc.method, tc.path, tc.body)
			allowed := strings.Contains(tc.may, string(role))
			if refused := status == http.StatusForbidden; refused == allowed {
				t.Errorf("%s %s as %s: %d %v", tc.method, tc.path, role, status, out)
			}
		}
		if status, out := w.call("", tc.method, tc.path, tc.body); status != http.StatusUnauthorized || out["code"] != "not_signed_in" {
			t.Errorf("%s %s as nobody: %d %v", tc.method, tc.path, status, out)
		}
	}
}

func TestLifeOfAMeeting(t *testing.T) {
	w := newWorld(t)
	m := w.want(201, auth.Chair, "POST", "/api/v1/meetings", `{"id":"42","title":"春耕动员会","start":"2026-03-01T01:00:00Z"}`)
	if m["id"] != "42" || m["live"] != 1.0 {
		t.Errorf("%v", m)
	}
	if p := w.want(409, auth.Chair, "POST", "/api/v1/meetings", `{"id":"42","title":"again"}`); p["code"] != "meeting_exists" {
		t.Errorf("%v", p)
	}
	if m := w.want(200, auth.Chair, "PATCH", "/api/v1/meetings/42", `{"title":"春耕"}`); m["title"] != "春耕" {
		t.Errorf("%v", m)
	}
	if p := w.want(422, auth.Chair, "PATCH", "/api/v1/meetings/42", `{"end":"2026-02-01T01:00:00Z"}`); p["code"] != "end_before_start" {
		t.Errorf("%v", p)
	}
	if l := w.want(200, auth.Viewer, "GET", "/api/v1/meetings", ""); l["total"] != 1.0 {
		t.Errorf("%v", l)
	}
	w.want(204, auth.Chair, "DELETE", "/api/v1/meetings/42", "")
	if l := w.want(200, auth.Viewer, "GET", "/api/v1/meetings", ""); l["total"] != 0.0 {
		t.Errorf("an ended meeting is still listed: %v", l)
	}
	if m := w.want(200, auth.Viewer, "GET", "/api/v1/meetings/42", ""); m["closed"] == nil {
		t.Errorf("%v", m)
	}
	w.want(404, auth.Viewer, "GET", "/api/v1/meetings/43", "")
}

func TestLifeOfAChannel(t *testing.T) {
	w := newWorld(t)
	w.want(201, auth.Operator, "POST", "/api/v1/channels", `{"id":"a","name":"甲","source":"rtsp://u:secret@10.0.0.1/a"}`)
	if p := w.want(409, auth.Operator, "POST", "/api/v1/channels", `{"id":"a","name":"甲","source":"udp://1.2.3.4:5"}`); p["code"] != "channel_exists" {
		t.Errorf("%v", p)
	}
	if p := w.want(422, auth.Operator, "POST", "/api/v1/channels", `{"id":"b","name":"乙","source":"ftp://x/y"}`); p["code"] != "bad_source" {
		t.Errorf("%v", p)
	}
	if p := w.want(422, auth.Operator, "POST", "/api/v1/channels", `{"id":"../x","name":"乙","source":"udp://1.2.3.4:5"}`); p["code"] != "bad_id" {
		t.Errorf("%v", p)
	}
	if c := w.want(200, auth.Viewer, "GET", "/api/v1/channels/a", ""); c["source"] != nil {
		t.Errorf("a viewer sees the source and its password: %v", c)
	}
	if p := w.want(422, auth.Operator, "PATCH", "/api/v1/channels/a", `{"source":"ftp://x/y"}`); p["code"] != "bad_source" {
		t.Errorf("%v", p)
	}
	if c := w.want(200, auth.Operator, "GET", "/api/v1/channels/a", ""); c["source"] != "rtsp://u:secret@10.0.0.1/a" {
		t.Errorf("a refused change did not leave the channel as it was: %v", c)
	}
	if p := w.want(422, auth.Operator, "PATCH", "/api/v1/channels/a", `{"switch":{"back":"perhaps"}}`); p["code"] != "bad_switch" {
		t.Errorf("%v", p)
	}
	w.want(200, auth.Operator, "PATCH", "/api/v1/channels/a", `{"switch":{"on":[],"after":{"black":"20s"},"standby":true},"backup":["udp://1.2.3.4:5"]}`)
	w.want(202, auth.Operator, "POST", "/api/v1/channels/a/switch", `{"source":1}`)
	if p := w.want(422, auth.Operator, "POST", "/api/v1/channels/a/switch", `{"source":2}`); p["code"] != "no_such_source" {
		t.Errorf("%v", p)
	}
	w.want(404, auth.Operator, "POST", "/api/v1/channels/none/switch", `{"source":0}`)
	w.want(422, auth.Operator, "POST", "/api/v1/channels/a/switch", `{"source":-1}`)
	w.want(403, auth.Chair, "POST", "/api/v1/channels/a/switch", `{"source":0}`)
	for _, call := range [][2]string{{"PATCH", `{"name":"x"}`}, {"DELETE", ""}} {
		if p := w.want(409, auth.Operator, call[0], "/api/v1/channels/fixed", call[1]); p["code"] != "channel_fixed" {
			t.Errorf("%v", p)
		}
	}
	w.want(204, auth.Operator, "DELETE", "/api/v1/channels/a", "")
	w.want(404, auth.Operator, "GET", "/api/v1/channels/a", "")
}

func TestLifeOfAKioskAndAnAccount(t *testing.T) {
	w := newWorld(t)
	k := w.want(201, auth.Operator, "POST", "/api/v1/kiosks", `{"name":"王家村"}`)
	w.tokens["device"], _ = k["token"].(string)
	online := func() any {
		t.Helper()
		rows, _ := w.want(200, auth.Operator, "GET", "/api/v1/kiosks", "")["items"].([]any)
		if len(rows) != 1 {
			t.Fatalf("%d kiosks", len(rows))
		}
		row, _ := rows[0].(map[string]any)
		return row["online"]
	}
	if online() != false {
		t.Error("a kiosk that was never opened is online")
	}
	if me := w.want(200, "device", "GET", "/api/v1/sessions/current", ""); me["role"] != "kiosk" {
		t.Errorf("%v", me)
	}
	if online() != true {
		t.Error("a kiosk that has just asked for something is not online")
	}
	w.want(204, auth.Operator, "DELETE", "/api/v1/kiosks/"+k["id"].(string), "")
	if online() != false {
		t.Error("a kiosk without a token is online")
	}
	w.want(401, "device", "GET", "/api/v1/sessions/current", "")

	if p := w.want(422, auth.Administrator, "POST", "/api/v1/users", `{"name":"li","role":"member","password":"short"}`); p["code"] != "weak_password" {
		t.Errorf("%v", p)
	}
	u := w.want(201, auth.Administrator, "POST", "/api/v1/users", `{"name":"li","display":"李","role":"member","password":"Abcd-1234"}`)
	s := w.want(201, "", "POST", "/api/v1/sessions", `{"name":"li","password":"Abcd-1234"}`)
	w.tokens["li"], _ = s["token"].(string)
	w.want(200, "li", "GET", "/api/v1/sessions/current", "")
	w.want(200, auth.Administrator, "PATCH", "/api/v1/users/"+u["id"].(string), `{"disabled":true}`)
	w.want(401, "li", "GET", "/api/v1/sessions/current", "")
}

func TestErrorsSpeakTheReadersLanguage(t *testing.T) {
	w := newWorld(t)
	for lang, want := range map[string]string{"en": "Please sign in.", "zh-CN": "请先登录。", "": "请先登录。"} {
		_, p := w.call("", "GET", "/api/v1/channels", "", "Accept-Language", lang)
		if p["detail"] != want || p["zh"] != nil || p["status"] != 401.0 {
			t.Errorf("%q: %v", lang, p)
		}
	}
	_, p := w.call(auth.Chair, "POST", "/api/v1/meetings", `{"title":""}`)
	fields, _ := p["errors"].([]any)
	if p["code"] != "invalid" || len(fields) != 1 || fields[0].(map[string]any)["location"] != "body.title" {
		t.Errorf("%v", p)
	}
	if _, p := w.call(auth.Chair, "POST", "/api/v1/meetings", `{"title":`); p["code"] != "bad_request" && p["code"] != "invalid" {
		t.Errorf("%v", p)
	}
	if status, p := w.call(auth.Chair, "GET", "/api/v1/nothing", ""); status != 404 || p["code"] != "not_found" {
		t.Errorf("%d %v", status, p)
	}
}

func TestABodyThatIsTooLongOrCutOffIsNoFaultOfTheServer(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{
		`{"name":"` + strings.Repeat("x", maxBody) + `","password":"p"}`,
		`{"name":` + strings.Repeat("1", maxBody) + `}`,
		strings.Repeat("x", 2<<20),
	} {
		if p := w.want(413, "", "POST", "/api/v1/sessions", body); p["code"] != "too_large" || p["errors"] != nil {
			t.Errorf("%v", p)
		}
	}
	conn, err := net.Dial("tcp", w.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"name\":")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 400 {
		t.Errorf("a body that was cut off: %d", res.StatusCode)
	}
}

func TestDescriptionListsEveryPath(t *testing.T) {
	w := newWorld(t)
	d := w.want(200, auth.Viewer, "GET", "/api/openapi.json", "")
	if v, _ := d["openapi"].(string); !strings.HasPrefix(v, "3.1") {
		t.Errorf("openapi %q", v)
	}
	paths, _ := d["paths"].(map[string]any)
	for _, p := range []string{"sessions", "sessions/current", "meetings", "meetings/{id}", "channels", "channels/{id}", "channels/{id}/switch", "epg", "recordings", "recordings/{id}", "recordings/{id}/stop", "recordings/{id}/file", "users", "users/{id}", "kiosks", "kiosks/{id}", "tokens", "about"} {
		if paths["/api/v1/"+p] == nil {
			t.Errorf("%s is not described", p)
		}
	}
}

package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func builtSite(t *testing.T) http.Handler {
	t.Helper()
	s, err := newSite(fstest.MapFS{
		".gitkeep":           {},
		"index.html":         {Data: []byte("<title>home</title>")},
		"meeting.html":       {Data: []byte("<title>meeting</title>")},
		"kiosk.html":         {Data: []byte("<title>kiosk</title>")},
		"console.html":       {Data: []byte("<title>console</title>")},
		"favicon.svg":        {Data: []byte("<svg/>")},
		"assets/index-a1.js": {Data: []byte(strings.Repeat("export const a = 1\n", 200))},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func get(h http.Handler, target string, header ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestEachPageHasItsAddress(t *testing.T) {
	h := builtSite(t)
	for target, want := range map[string]string{
		"/":                           "home",
		"/login":                      "home",
		"/login?next=%2Fmeetings%2F4": "home",
		"/meetings/42":                "meeting",
		"/meetings/42/":               "meeting",
		"/kiosk":                      "kiosk",
		"/console":                    "console",
		"/console/channels":           "console",
	} {
		response := get(h, target)
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusOK || string(body) != "<title>"+want+"</title>" {
			t.Errorf("%s: status %d, body %q; want the page %s", target, response.StatusCode, body, want)
		}
		if got := response.Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s: Cache-Control %q; a page must be asked for each time", target, got)
		}
		if got := response.Header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'self'") {
			t.Errorf("%s: Content-Security-Policy %q", target, got)
		}
	}
}

func TestSomebodyAtAnAddressThatIsNoPageIsShownTheWayHome(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/nothing", nil)
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	w := httptest.NewRecorder()
	builtSite(t).ServeHTTP(w, r)
	if body := w.Body.String(); w.Code != http.StatusNotFound || !strings.Contains(body, `href="/"`) || !strings.Contains(body, "没有这个页面") {
		t.Errorf("status %d, %s", w.Code, body)
	}
}

func TestUnknownPathsAndHiddenFilesAreNotFound(t *testing.T) {
	h := builtSite(t)
	for _, target := range []string{"/nothing", "/.gitkeep", "/meetings/", "/meetings/4/2", "/assets/", "/assets/../index.html"} {
		if response := get(h, target); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", target, response.StatusCode)
		}
	}
}

func TestAssetsAreCompressedAndKeptForEver(t *testing.T) {
	h := builtSite(t)
	response := get(h, "/assets/index-a1.js", "Accept-Encoding", "br, gzip")
	if got := response.Header.Get("Content-Encoding"); got != "gzip" {
		t.Fatalf("Content-Encoding %q, want gzip", got)
	}
	reader, err := gzip.NewReader(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(body), "export const a") {
		t.Errorf("body %.20q", body)
	}
	if got := response.Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Errorf("Cache-Control %q, want immutable", got)
	}
	if got := response.Header.Get("Content-Type"); got != "text/javascript; charset=utf-8" {
		t.Errorf("Content-Type %q", got)
	}
	plain := get(h, "/assets/index-a1.js", "Accept-Encoding", "gzip;q=0")
	if got := plain.Header.Get("Content-Encoding"); got != "" {
		t.Errorf("a client that refuses gzip got Content-Encoding %q", got)
	}
	again := get(h, "/assets/index-a1.js", "Accept-Encoding", "gzip", "If-None-Match", response.Header.Get("ETag"))
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("status %d for a known ETag, want 304", again.StatusCode)
	}
}

func TestWithoutBuiltPagesTheAnswerSaysHowToBuildThem(t *testing.T) {
	s, err := newSite(fstest.MapFS{".gitkeep": {}})
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/", "/meetings/42", "/kiosk", "/console"} {
		response := get(s, target)
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "make web") {
			t.Errorf("%s: status %d, body %.60q", target, response.StatusCode, body)
		}
	}
}

func TestOnlyReadingIsAllowed(t *testing.T) {
	w := httptest.NewRecorder()
	builtSite(t).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
		t.Errorf("status %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestTheEmbeddedFolderIsServable(t *testing.T) {
	if _, err := Handler(); err != nil {
		t.Fatal(err)
	}
}

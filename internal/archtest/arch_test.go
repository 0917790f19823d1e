// Package archtest holds the import rules of the product as a test: which package
// may know which, and why.
package archtest

import (
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "tongxiang/"

// tools may be used by every edge: they decide nothing about media or meetings.
var tools = []string{"internal/apierr", "internal/retry"}

// rules lists, for a package and all below it, what of ours it may import. The
// first rule that matches counts. A package without a rule fails the test, so
// that a new one is given its place on purpose.
var rules = []struct {
	pkg    string
	may    []string
	reason string
}{
	{"internal/media", nil, "media is the vocabulary: it depends on nothing of ours"},
	{"internal/mpegts", []string{"internal/media"}, "the TS core knows frames, not streams or channels"},
	{"internal/rtptrack", []string{"internal/stream", "internal/media"}, "what RTSP carries becomes tracks of the hub; both sides of RTSP share it"},
	{"internal/push", []string{"internal/stream", "internal/media"}, "who may send to a channel is one rule, whatever the protocol"},
	{"internal/stream", []string{"internal/media"}, "the hub knows media, and none of its publishers or readers"},
	{"internal/apierr", nil, "errors for people depend on nothing of ours"},
	{"internal/retry", nil, "back-off depends on nothing of ours"},
	{"internal/search", nil, "how texts become words depends on nothing of ours"},
	{"internal/store", []string{"internal/search"}, "the store holds rows and decides nothing; the words of its search index are another's"},
	{"internal/epg", []string{"internal/mpegts", "internal/store"}, "the guide keeps what the ingest hears; who wants it asks the store, or subscribes"},
	{"internal/auth", []string{"internal/store", "internal/apierr", "internal/stream"}, "accounts know the store and the names of streams, not the media in them"},
	{"signaling/meeting", nil, "meeting rules are pure: no I/O, no media"},
	{"ingest", []string{"internal/stream", "internal/media", "internal/mpegts", "internal/ffmpeg", "internal/rtptrack", "internal/push", "ingest", "internal/retry", "internal/apierr"}, "an edge knows the hub and its own tools (tuner programs are children), no other edge"},
	{"sfu/transport", nil, "the transport knows peers and packets, not what is in them"},
	{"sfu", []string{"internal/stream", "internal/media", "internal/apierr", "sfu"}, "an edge knows the hub and its own tools, no other edge"},
	{"recorder/schedule", nil, "what is recorded when is decided without I/O"},
	{"recorder/retention", nil, "what is removed when is decided without I/O"},
	{"recorder/work", []string{"internal/jobs", "internal/store", "internal/mpegts", "internal/ffmpeg", "internal/playout/fmp4", "recorder/folder"}, "what is made of recordings is made of their folders, not of the hub"},
	{"recorder", []string{"internal/stream", "internal/media", "internal/store", "internal/apierr", "internal/mpegts", "internal/playout/feed", "internal/playout/fmp4", "recorder"}, "an edge knows the hub and its own tools, no other edge"},
	{"signaling", []string{"signaling", "sfu", "internal/stream", "internal/media", "internal/apierr", "internal/store"}, "signaling drives the sfu; the recorder and the programme are reached through what signaling declares"},
	{"internal/playout", []string{"internal/stream", "internal/rtptrack", "internal/push", "internal/media", "internal/mpegts", "internal/apierr", "internal/playout"}, "an output knows the hub and its own tools"},
	{"internal/programme/mix", nil, "mixing is arithmetic"},
	{"internal/programme", []string{"internal/stream", "internal/media", "internal/mpegts", "internal/ffmpeg", "internal/programme/mix"}, "the programme is an ordinary reader and publisher"},
	{"internal/transcode", []string{"internal/stream", "internal/media", "internal/mpegts", "internal/playout/feed", "internal/ffmpeg", "internal/retry", "internal/apierr"}, "a transcode is an ordinary reader and publisher"},
	{"internal/quality", []string{"internal/stream", "internal/media", "internal/mpegts", "internal/ffmpeg"}, "the watch is an ordinary reader; what channels are it is told"},
	{"internal/jobs", []string{"internal/store"}, "the queue knows rows and makers; what they make is theirs"},
	{"internal/pki", nil, "certificates depend on nothing of ours"},
	{"internal/backup", []string{"internal/store"}, "a backup is made of files and of the store"},
	{"internal/ffmpeg", nil, "a child process depends on nothing of ours"},
	{"internal/demo", []string{"internal/retry", "internal/ffmpeg"}, "the demo only feeds the ordinary ingest"},
	{"internal/sheet", nil, "a file for a spreadsheet is made of rows"},
	{"internal/api", []string{"internal/store", "internal/auth", "internal/apierr", "internal/stream", "internal/sheet"}, "the API declares what it needs of the live parts"},
	{"configs", []string{"internal/stream", "internal/playout/ts", "internal/jobs", "recorder/retention"}, "configuration is values and their checks; an output's address is checked by the output, quiet hours by the queue, a period by who keeps it"},
	{"bench", []string{""}, "measurements may look at everything, and nothing may look at them"},
	{"web", nil, "the pages are files"},
	{"internal/server", []string{""}, "the server builds every part"},
	{"bench", nil, "a measurement sees the server from outside"},
	{"internal/archtest", nil, "tests only"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImportsFollowTheDesign(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	seen := 0
	for {
		var p goPackage
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours { // the command itself: it may import all
			continue
		}
		seen++
		check(t, name, p.Imports)
	}
	if seen < len(rules)/2 {
		t.Fatalf("only %d packages seen: the test looks in the wrong place", seen)
	}
}

func check(t *testing.T, name string, imports []string) {
	t.Helper()
	for _, r := range rules {
		if name != r.pkg && !strings.HasPrefix(name, r.pkg+"/") {
			continue
		}
		for _, imp := range imports {
			of, ours := strings.CutPrefix(imp, module)
			if ours && !allowed(of, r.may) {
				t.Errorf("%s imports %s: %s", name, of, r.reason)
			}
		}
		return
	}
	t.Errorf("%s has no import rule: give it one in internal/archtest", name)
}

func allowed(pkg string, may []string) bool {
	for _, m := range append(may, tools...) {
		if m == "" || pkg == m || strings.HasPrefix(pkg, m+"/") {
			return true
		}
	}
	return false
}

// TestMediaPathDoesNotKnowTheWeb keeps HTTP and databases out of what every
// packet passes through.
func TestMediaPathDoesNotKnowTheWeb(t *testing.T) {
	for _, pkg := range []string{"internal/media", "internal/stream", "signaling/meeting"} {
		out, err := exec.Command("go", "list", "-deps", module+pkg).Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", pkg, err)
		}
		for _, dep := range strings.Fields(string(out)) {
			if dep == "net/http" || dep == "database/sql" {
				t.Errorf("%s depends on %s", pkg, dep)
			}
		}
	}
}

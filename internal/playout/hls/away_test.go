package hls

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/playout/playtest"
)

// TestASourceThatIsAwayIsStillDescribed asks for everything while the source is gone,
// between two turns of a short file for instance: what was sent is still there, and
// nothing stands still over it.
func TestASourceThatIsAwayIsStillDescribed(t *testing.T) {
	clip := playtest.Make(t, 4, "320x180", playtest.BFrames)
	r := newRig(t, Config{})
	pub, tracks := r.publish("channels/a", clip)
	clip.Write(tracks, r.clock)
	base := "/hls/channels/a/"
	before := r.ok(base + "index.m3u8")
	pub.Close()
	r.hls.mu.Lock()
	x := r.hls.sessions["channels/a"]
	r.hls.mu.Unlock()
	away := func() bool {
		x.mu.RLock()
		defer x.mu.RUnlock()
		return len(x.mux.lanes) == 0
	}
	for deadline := time.Now().Add(20 * time.Second); !away(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the session did not notice")
		}
	}
	variant := regexp.MustCompile(`(?m)^#EXT-X-STREAM-INF.*CODECS=("[^"]*").*RESOLUTION=(\S+?),`)
	if after := r.ok(base + "index.m3u8"); !slices.Equal(variant.FindStringSubmatch(after)[1:], variant.FindStringSubmatch(before)[1:]) {
		t.Errorf("described as\n%s\nand before as\n%s", after, before)
	}
	old := r.ok(base + "ts.m3u8")
	for line := range strings.Lines(old) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if code, body, _ := r.get(base + line); code != http.StatusOK || len(body) < 188 {
			t.Errorf("%s: %d, %d bytes", line, code, len(body))
		}
	}
}

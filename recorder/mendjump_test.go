package recorder

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/playtest"
	"tongxiang/recorder/folder"
)

// TestIndexMadeAnewIsCutWhereTheClockJumps has a stream whose clock goes back by less
// than what passes for another clock: what is behind the jump is no longer one
// fragment that lasts until the clock is where it was.
func TestIndexMadeAnewIsCutWhereTheClockJumps(t *testing.T) {
	t.Parallel()
	clip := playtest.TS(t, 8, "320x180", playtest.BFrames)
	dir := filepath.Join(t.TempDir(), "r")
	mustWrite(t, filepath.Join(dir, "media.ts"), slices.Concat(clip, clip, clip))
	got, err := folder.Mend(dir, "media.ts", false)
	if err != nil {
		t.Fatal(err)
	}
	if got.Duration < 23*time.Second || got.Duration > 25*time.Second {
		t.Errorf("%v, want three times 8 s", got.Duration)
	}
	end, at := int64(0), time.Duration(0)
	for _, e := range got.Index {
		if e.Offset != end || e.Start() < at || e.End()-e.Start() > 2*time.Second {
			t.Errorf("%+v follows what ends at %d and %v", e, end, at)
		}
		end, at = e.Offset+e.Length, e.Start()
	}
	for _, turn := range []int64{1, 2} {
		begin := turn * int64(len(clip)) // a name of the service may come first, and belongs to nobody
		if !slices.ContainsFunc(got.Index, func(e folder.Entry) bool {
			return e.Sync && e.Offset >= begin && e.Offset <= begin+2*mpegts.PacketSize
		}) {
			t.Errorf("turn %d, at %d, does not begin with a fragment where players may begin: %+v", turn, begin, got.Index)
		}
	}
	if list := string(playlist(got.Index, folder.TS, "../file", false)); strings.Count(list, "#EXT-X-DISCONTINUITY") != 2 || strings.Contains(list, "#EXT-X-GAP") {
		t.Errorf("the player is not told of the jumps, or of too many: %s", list)
	}
	if again, err := folder.Mend(dir, "media.ts", true); err != nil || again.Remade || again.Duration != got.Duration {
		t.Errorf("mended twice: %+v, %v", again, err)
	}
}

package recorder

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

func TestTheMasterPlaylistListsWhatABrowserDecodes(t *testing.T) {
	r := &Recorder{cfg: Config{Dir: t.TempDir()}}
	rec := store.Recording{ID: "x", Format: folder.TS, State: store.RecordingComplete, File: filepath.Join("2026", "03", "01", "x", "media.ts")}
	dir, _ := r.Folder(rec)
	derived := filepath.Join(dir, folder.DerivedName)
	entries := func(head bool) (l []folder.Entry) {
		at := int64(0)
		if head {
			l, at = append(l, folder.Entry{Head: true, Length: 100, CRC: "00000000"}), 100
		}
		for i := range int64(6) { // the last but one is the fattest: 8 kbit in a second
			length := 500 + 500*(i/4)
			l = append(l, folder.Entry{Offset: at, Length: length, TimeUS: i * 1e6, DurationUS: 1e6, Sync: true, CRC: "00000000"})
			at += length
		}
		return l
	}
	err := errors.Join(os.MkdirAll(derived, 0o750), os.WriteFile(filepath.Join(dir, "media.ts"), make([]byte, 4000), 0o600), folder.WriteIndex(dir, "media.ts", entries(false)))
	if err != nil {
		t.Fatal(err)
	}
	if b := r.Master(rec, "full", "low"); b != nil {
		t.Errorf("without a low rendition:\n%s", b)
	}
	if _, err := r.LowPlaylist(rec, "../low"); !errors.Is(err, errNoIndex) {
		t.Errorf("the low playlist: %v", err)
	}
	err = errors.Join(os.WriteFile(filepath.Join(derived, folder.LowName), make([]byte, 4100), 0o600), folder.WriteIndex(derived, folder.LowName, entries(true)))
	if err != nil {
		t.Fatal(err)
	}
	low := "#EXT-X-STREAM-INF:BANDWIDTH=500000,CODECS=\"avc1.4d401e,mp4a.40.2\"\nlow\n"
	for _, tc := range []struct{ video, audio, full string }{
		{"H264", "AAC", "#EXT-X-STREAM-INF:BANDWIDTH=8000,RESOLUTION=720x576\nfull\n"}, // a player looks into a transport stream
		{"MPEG-2", "MP2", ""},
		{"H264", "AC-3", ""},
		{"H265", "AAC", "#EXT-X-STREAM-INF:BANDWIDTH=8000,CODECS=\"hvc1.1.6.L120.90,mp4a.40.2\",RESOLUTION=720x576\nfull\n"},
	} {
		rec.Tracks = []store.RecordingTrack{
			{File: "media.ts", Kind: "video", Codec: tc.video, Width: 720, Height: 576}, {File: "media.ts", Kind: "audio", Codec: tc.audio},
			{File: "site.mp4", Kind: "video", Codec: "VP8"}, {File: "media.ts", Kind: "other", Codec: "teletext"},
		}
		if got := string(r.Master(rec, "full", "low")); !strings.HasSuffix(got, "INDEPENDENT-SEGMENTS\n"+tc.full+low) {
			t.Errorf("%s and %s:\n%s", tc.video, tc.audio, got)
		}
	}
	ts := make([]byte, 4000)
	copy(ts[30:], []byte{0, 0, 1, 9, 0xf0, 0, 0, 1, 0x67, 3, 0, 0, 1, 0x67, 0x64, 0, 0x28}) // no profile is called 3
	if err := os.WriteFile(filepath.Join(dir, "media.ts"), ts, 0o600); err != nil {
		t.Fatal(err)
	}
	rec.Tracks[0].Codec, rec.Tracks[1].Codec = "H264", "AAC"
	if got := string(r.Master(rec, "full", "low")); !strings.Contains(got, `CODECS="avc1.640028,mp4a.40.2",RESOLUTION`) {
		t.Errorf("with a sequence parameter set:\n%s", got)
	}
	b, err := r.LowPlaylist(rec, "../low")
	if err != nil || !strings.Contains(string(b), `#EXT-X-MAP:URI="../low",BYTERANGE="100@0"`) || strings.Count(string(b), "#EXTINF") != 3 {
		t.Errorf("%s, %v", b, err)
	}
	rec.State, rec.Started = store.RecordingRunning, time.Now()
	if b := r.Master(rec, "full", "low"); b != nil {
		t.Errorf("while it runs:\n%s", b)
	}
}

package mpegts

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestAFolderIsPlayedByNameAndFilesBeingWrittenAreLeft(t *testing.T) {
	begin := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	old := begin.Add(-time.Hour)
	f := newFolder()
	look := func(s int, files map[string]mark) []string {
		f.look(files, begin.Add(time.Duration(s)*time.Second))
		return slices.Clone(f.ready)
	}
	expect := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	files := map[string]mark{"b.ts": {10, old}, "a.ts": {10, old}, "c.ts": {5, begin}}
	expect("old files at once", look(0, files), "a.ts", "b.ts")
	files["c.ts"] = mark{9, begin.Add(2 * time.Second)}
	expect("one grows", look(2, files), "a.ts", "b.ts")
	expect("it has stopped, not long ago", look(4, files), "a.ts", "b.ts")
	expect("it has settled", look(5, files), "a.ts", "b.ts", "c.ts")
	files["d.ts"] = mark{5, old} // a copy that keeps its time
	expect("new with an old time", look(6, files), "a.ts", "b.ts", "c.ts")
	expect("it did not grow", look(9, files), "a.ts", "b.ts", "c.ts", "d.ts")
	delete(files, "b.ts")
	expect("one is removed", look(10, files), "a.ts", "c.ts", "d.ts")

	for _, step := range []struct {
		after, want string
		again       bool
	}{{"", "a.ts", false}, {"a.ts", "c.ts", false}, {"b.ts", "c.ts", false}, {"d.ts", "a.ts", true}} {
		if got, again := f.after(step.after); got != step.want || again != step.again {
			t.Errorf("after %q comes %q %v", step.after, got, again)
		}
	}
	f.skip("a.ts", "file_not_ts", "no transport stream")
	expect("a skipped one is not tried again", look(11, files), "c.ts", "d.ts")
	files["a.ts"] = mark{11, begin.Add(12 * time.Second)}
	look(12, files)
	expect("until it is another", look(16, files), "a.ts", "c.ts", "d.ts")
	if f.counts["file_not_ts"] != 1 || f.detail != "a.ts: no transport stream" {
		t.Errorf("%v %q", f.counts, f.detail)
	}
	look(17, nil)
	if next, _ := f.after("a.ts"); next != "" || len(f.seen)+len(f.skipped) != 0 {
		t.Errorf("an empty folder has %q, %v", next, f.seen)
	}
}

func TestOnlyRegularFilesOfAFolderAreListed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.ts", ".hidden.ts", "a.ts~", "节目.ts"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub.ts"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "zero.ts")); err != nil {
		t.Fatal(err)
	}
	files, err := list(dir)
	if err != nil || len(files) != 2 || files["节目.ts"].size != 1 {
		t.Errorf("%v %v", files, err)
	}
	if _, err := list(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there is listed")
	}
}

func TestStreamsAreToldFromOtherFiles(t *testing.T) {
	ts := packets(40)
	spread := func(stride int) (b []byte) {
		for i := 0; i < len(ts); i += 188 {
			b = append(append(b, ts[i:i+188]...), make([]byte, stride-188)...)
		}
		return b
	}
	for name, tc := range map[string]struct {
		b    []byte
		want bool
	}{
		"188": {ts, true}, "192": {spread(192), true}, "204": {spread(204), true}, "after junk": {append(bytes.Repeat([]byte{0x47, 1}, 500), ts...), true},
		"four packets": {ts[:4*188], false}, "text": {bytes.Repeat([]byte("GGGG <html>"), 500), false}, "zeros": {make([]byte, sniffLength), false}, "nothing": {nil, false},
	} {
		if got := isStream(tc.b); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzSniff(f *testing.F) {
	f.Add(packets(5))
	f.Add([]byte("\x00\x00\x00\x18ftypmp42"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if isStream(b) && len(b) < 4*188+1 {
			t.Error("a stream in less than four packets and a byte")
		}
		_ = isContainer(b)
	})
}

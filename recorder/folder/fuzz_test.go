package folder

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzParseIndex: whatever lies in an index, what is believed of it lies in the file
// and in order, and reads back as it was written.
func FuzzParseIndex(f *testing.F) {
	pts := int64(1 << 32)
	good := AppendEntry(nil, Entry{Head: true, Length: 700, CRC: "00000000"})
	good = AppendEntry(good, Entry{Offset: 66000, Length: 900, DurationUS: 1e6, CRC: Hex(0xdeadbeef), Sync: true, Errors: 2, PTS: &pts})
	f.Add(good, int64(100000))
	f.Add(good[:len(good)-9], int64(100000))
	f.Add(append(bytes.Clone(good), good...), int64(100000))
	f.Add([]byte(`{"offset":-5,"length":9223372036854775807,"crc32c":"00000000"}`), int64(5))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		if size < 0 {
			return
		}
		entries := ParseIndex(bytes.NewReader(b), size)
		end := int64(0)
		for i, e := range entries {
			if e.Offset < end || e.Length <= 0 || e.Offset+e.Length > size || e.Head && i > 0 {
				t.Fatalf("entry %d of %+v in %d bytes", i, entries, size)
			}
			end = e.Offset + e.Length
		}
		again := ParseIndex(bytes.NewReader(indexText(entries)), size)
		if len(again) != len(entries) {
			t.Errorf("%d entries, %d when read back", len(entries), len(again))
		}
	})
}

// FuzzRead: a manifest that is accepted names only files in its own folder.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"version":1,"id":"r","format":"fmp4","file":"media.mp4","files":[{"file":"media.mp4","index":"index.jsonl"}]}`))
	f.Add([]byte(`{"version":1,"id":"r","format":"ts","file":"../x"}`))
	f.Add([]byte(`{"version":1,"id":"r","format":"ts","files":[{"file":"a/b","index":".."}]}`))
	dir := filepath.Join(f.TempDir(), "r")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, ManifestName), b, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := Read(dir)
		if err != nil {
			return
		}
		names := []string{m.File}
		for _, x := range m.Files {
			names = append(names, x.Name, x.Index)
		}
		for _, n := range names {
			if n != "" && filepath.Dir(filepath.Join(dir, n)) != dir {
				t.Errorf("%q leads out of the folder", n)
			}
		}
		if m.ID != "r" {
			t.Errorf("id %q", m.ID)
		}
	})
}

// FuzzMend: bytes called media of either kind are mended without panic, never grow,
// and mending them again changes nothing.
func FuzzMend(f *testing.F) {
	ts := bytes.Repeat(append([]byte{0x47, 0x1F, 0xFF, 0x10}, make([]byte, 184)...), 30)
	f.Add(ts, []byte(nil), true)
	f.Add(ts[:1000], AppendEntry(nil, Entry{Length: 188, CRC: "00000000"}), true)
	f.Add([]byte("\x00\x00\x00\x08ftyp"), []byte("{"), false)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, media, index []byte, packets bool) {
		name := "media.mp4"
		if packets {
			name = "media.ts"
		}
		err := errors.Join(os.WriteFile(filepath.Join(dir, name), media, 0o600), os.WriteFile(filepath.Join(dir, IndexName), index, 0o600))
		if err != nil {
			t.Fatal(err)
		}
		e, err := Mend(dir, name, false)
		if err != nil {
			return
		}
		if e.Bytes <= 0 || e.Bytes > int64(len(media)) || e.Duration < 0 {
			t.Fatalf("%d bytes became %+v", len(media), e)
		}
		again, err := Mend(dir, name, true)
		if err != nil || again.Cut != 0 || again.Bytes != e.Bytes {
			t.Errorf("mended twice: %+v, %v; before %+v", again, err, e)
		}
	})
}

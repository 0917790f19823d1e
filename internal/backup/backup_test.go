package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tongxiang/internal/store"
)

// home makes the place of a server that ran: its database, two keys, a configuration.
func home(t *testing.T) (Place, *store.Store) {
	t.Helper()
	dir := t.TempDir()
	at := Place{filepath.Join(dir, databaseEntry), filepath.Join(dir, "keys"), filepath.Join(dir, "server.yaml")}
	if err := os.Mkdir(at.Keys, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		filepath.Join(at.Keys, "ca.key"): "private", filepath.Join(at.Keys, "token.key"): "secret", at.Config: "data: /srv\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	st, err := store.Open(t.Context(), at.Database, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if err := st.SetSetting(t.Context(), "town", "李庄镇"); err != nil {
		t.Fatal(err)
	}
	return at, st
}

// elsewhere is a place where nothing is yet.
func elsewhere(t *testing.T) Place {
	t.Helper()
	dir := t.TempDir()
	return Place{filepath.Join(dir, databaseEntry), filepath.Join(dir, "keys"), filepath.Join(dir, "tongxiang.yaml")}
}

// files lists what lies below the folder of a place.
func files(t *testing.T, at Place) []string {
	t.Helper()
	var found []string
	root := filepath.Dir(at.Database)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(root, path)
			found = append(found, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestWhatWasSavedComesBackElsewhere(t *testing.T) {
	from, st := home(t)
	file := filepath.Join(t.TempDir(), "saved.tar.gz")
	stop, done := make(chan struct{}), make(chan error)
	go func() { // the server goes on writing
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := st.SetSetting(t.Context(), "count", fmt.Sprint(i)); err != nil {
				done <- err
				return
			}
		}
	}()
	saved, err := Write(t.Context(), from, file)
	close(stop)
	if w := <-done; w != nil || err != nil {
		t.Fatal(err, w)
	}
	if saved.Keys != 2 || !saved.Config || saved.Database == 0 || saved.Size == 0 {
		t.Errorf("saved %+v", saved)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || info.Size() != saved.Size {
		t.Errorf("the file is %v, %v", info, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(file)); len(left) != 1 {
		t.Errorf("beside the backup lie %v", left)
	}
	to := elsewhere(t)
	if _, err := Restore(t.Context(), file, to); err != nil {
		t.Fatal(err)
	}
	if got, want := files(t, to), []string{"keys/ca.key", "keys/token.key", "tongxiang.db", "tongxiang.yaml"}; !slices.Equal(got, want) {
		t.Errorf("brought back %v, want %v", got, want)
	}
	if b, err := os.ReadFile(filepath.Join(to.Keys, "ca.key")); err != nil || string(b) != "private" {
		t.Errorf("the key is %q, %v", b, err)
	}
	back, err := store.Open(t.Context(), to.Database, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if v, err := back.Setting(t.Context(), "town"); err != nil || v != "李庄镇" {
		t.Errorf("the setting is %q, %v", v, err)
	}
}

func TestNothingIsReplaced(t *testing.T) {
	from, _ := home(t)
	file := filepath.Join(t.TempDir(), "saved.tar.gz")
	if _, err := Write(t.Context(), from, file); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(file)
	if _, err := Write(t.Context(), from, file); !errors.Is(err, ErrExists) {
		t.Errorf("a second backup to the same file: %v", err)
	}
	if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
		t.Error("the first backup was changed")
	}
	was := files(t, from)
	if _, err := Restore(t.Context(), file, from); !errors.Is(err, ErrExists) {
		t.Errorf("restored over a server: %v", err)
	}
	left := elsewhere(t)
	if err := os.WriteFile(left.Database+"-wal", []byte("changes of another database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), file, left); !errors.Is(err, ErrExists) {
		t.Errorf("restored beside the log of a database that is gone: %v", err)
	}
	keysOnly := elsewhere(t)
	if err := os.CopyFS(keysOnly.Keys, os.DirFS(from.Keys)); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), file, keysOnly); !errors.Is(err, ErrExists) {
		t.Errorf("restored over keys: %v", err)
	}
	if now := files(t, from); !slices.Equal(was, now) {
		t.Errorf("there were %v, now %v", was, now)
	}
}

func TestABackupThatFailsLeavesNothing(t *testing.T) {
	from, _ := home(t)
	dir := t.TempDir()
	for what, broken := range map[string]Place{
		"no database":            {filepath.Join(dir, "missing.db"), from.Keys, ""},
		"no keys":                {from.Database, filepath.Join(dir, "missing"), ""},
		"no database but a text": {from.Config, from.Keys, ""},
	} {
		if _, err := Write(t.Context(), broken, filepath.Join(dir, "saved.tar.gz")); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := Write(ended, from, filepath.Join(dir, "saved.tar.gz")); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestABackupThatIsNotWholeChangesNothing(t *testing.T) {
	from, _ := home(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "saved.tar.gz")
	if _, err := Write(t.Context(), from, file); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("not a database, only as long as one might be")
	cases := map[string][]byte{
		"empty": nil, "text": text, "without its end": whole[:len(whole)-1], "half": whole[:len(whole)/2],
		"a changed byte": changed(whole, len(whole)/2), "a changed checksum": changed(whole, len(whole)-6),
		"no database":           archive(t, entry{keysEntry + "ca.key", tar.TypeReg, text}),
		"a damaged database":    archive(t, entry{databaseEntry, tar.TypeReg, text}),
		"a name that leads out": archive(t, entry{keysEntry + "../../out", tar.TypeReg, text}),
		"a name from the root":  archive(t, entry{"/etc/out", tar.TypeReg, text}),
		"a link":                archive(t, entry{keysEntry + "ca.key", tar.TypeSymlink, nil}),
		"a name twice":          archive(t, entry{databaseEntry, tar.TypeReg, text}, entry{databaseEntry, tar.TypeReg, text}),
	}
	for what, b := range cases {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		to := elsewhere(t)
		if _, err := Restore(t.Context(), file, to); err == nil {
			t.Errorf("%s: no error", what)
		} else if what != "a name twice" && !errors.Is(err, ErrNotBackup) && !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
		if left := files(t, to); len(left) != 0 {
			t.Errorf("%s: left %v", what, left)
		}
	}
}

func changed(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 0x55
	return b
}

type entry struct {
	name string
	kind byte
	data []byte
}

// archive makes an archive as somebody else might.
func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: 0o600, Size: int64(len(e.data)), Linkname: "/etc/passwd"}
		if e.kind == tar.TypeReg {
			h.Linkname = ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{})
	f.Add(archive(f, entry{databaseEntry, tar.TypeReg, []byte("x")}, entry{keysEntry + "ca.key", tar.TypeReg, []byte("y")}))
	f.Add(archive(f, entry{keysEntry + "../out", tar.TypeReg, []byte("x")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		outer := t.TempDir()
		dir := filepath.Join(outer, "work")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_, _ = unpack(t.Context(), bytes.NewReader(b), dir)
		if left, _ := os.ReadDir(outer); len(left) != 1 {
			t.Errorf("it wrote beside its folder: %v", left)
		}
	})
}

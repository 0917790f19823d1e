package recorder

import (
	"fmt"
	"os"
	"path/filepath"

	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

// Path returns the main media file of a recording.
func (r *Recorder) Path(rec store.Recording) string {
	if !filepath.IsLocal(rec.File) {
		return filepath.Join(r.cfg.Dir, "none") // an entry without a file, or one that leads out of the folder
	}
	return filepath.Join(r.cfg.Dir, rec.File)
}

// Open opens a file of a recording: its main media file when name is empty. It does
// not follow a path or a link that leads out of the recordings folder.
func (r *Recorder) Open(rec store.Recording, name string) (*os.File, error) {
	path := rec.File
	if name != "" && !flat(rec) {
		path = filepath.Join(filepath.Dir(rec.File), name)
	}
	f, err := r.root.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open recording %s: %w", rec.ID, err)
	}
	return f, nil
}

// Folder returns the path of a recording's folder; ok is false for a file of versions
// before folders, and for one of which nothing is on disk.
func (r *Recorder) Folder(rec store.Recording) (dir string, ok bool) {
	if rec.File == "" || flat(rec) || !filepath.IsLocal(rec.File) {
		return "", false
	}
	return filepath.Join(r.cfg.Dir, filepath.Dir(rec.File)), true
}

// Usage returns how many bytes lie in a recording's folder beside its main media file;
// see [folder.Usage]. There is nothing beside a file of versions before folders.
func (r *Recorder) Usage(rec store.Recording) (beside, made int64, err error) {
	dir, ok := r.Folder(rec)
	if !ok {
		return 0, 0, nil
	}
	return folder.Usage(dir, filepath.Base(rec.File))
}

// Remove deletes the files of a recording that does not run.
func (r *Recorder) Remove(rec store.Recording) error {
	if rec.File == "" {
		return nil
	}
	if !r.holds() {
		return r.check()
	}
	path := rec.File
	if !flat(rec) {
		path = filepath.Dir(path)
	}
	if err := r.root.RemoveAll(path); err != nil {
		return fmt.Errorf("delete recording %s: %w", rec.ID, err)
	}
	return nil
}

package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Usage returns how many bytes lie in the folder of a recording beside its main media
// file: sites' own files, indexes and the manifest, and what jobs made, below derived/.
// Symbolic links are not followed; what is removed meanwhile does not count.
func Usage(dir, main string) (beside, made int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != dir {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || !d.Type().IsRegular() || name == main {
			return err
		}
		info, err := d.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case filepath.Dir(name) == ".":
			beside += info.Size()
		default:
			made += info.Size()
		}
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("look at what lies in %s: %w", filepath.Base(dir), err)
	}
	return beside, made, nil
}

package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Found is what lies in the folder of all recordings.
type Found struct {
	// Path is below the folder of all recordings: of a recording's folder, or of a
	// file of versions before 1.
	Path string
	ID   string
	Flat bool
}

// Left is what is there and is none of ours; it is not touched.
type Left struct{ Path, Why string }

var (
	number  = regexp.MustCompile(`^[0-9]{2,4}$`)
	idShape = regexp.MustCompile(`^([0-9]{8}-[0-9]{6})-[a-z0-9]{8}$`)
)

// Walk lists the recordings below root, by path, and calls found for each. Symbolic
// links are not followed. What is none of ours goes to left. An error of found ends it.
func Walk(ctx context.Context, root string, found func(Found) error, left func(Left)) error {
	return walk(ctx, root, "", 0, found, left)
}

// days is how deep the folders of recordings lie: year, month, day.
const days = 3

func walk(ctx context.Context, root, dir string, depth int, found func(Found) error, left func(Left)) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	entries, err := os.ReadDir(filepath.Join(root, dir))
	if err != nil {
		if depth == 0 {
			return fmt.Errorf("read the recordings folder: %w", err)
		}
		left(Left{dir, "cannot be read: " + err.Error()})
		return nil
	}
	for _, e := range entries {
		name, path := e.Name(), filepath.Join(dir, e.Name())
		switch {
		case e.Type()&fs.ModeSymlink != 0:
			left(Left{path, "a symbolic link"})
		case name[0] == '.':
			if depth > 0 || name != LockName && !strings.HasPrefix(name, ".check-") && !strings.HasPrefix(name, ".speed-") {
				left(Left{path, "hidden"})
			}
		case depth < days && e.IsDir() && number.MatchString(name):
			if err := walk(ctx, root, path, depth+1, found, left); err != nil {
				return err
			}
		case depth == days && e.IsDir():
			if err := found(Found{Path: path, ID: name}); err != nil {
				return err
			}
		case depth == days && e.Type().IsRegular() && idShape.MatchString(strings.TrimSuffix(name, ".mp4")) && strings.HasSuffix(name, ".mp4"):
			if err := found(Found{Path: path, ID: strings.TrimSuffix(name, ".mp4"), Flat: true}); err != nil {
				return err
			}
		default:
			left(Left{path, "not a recording"})
		}
	}
	return nil
}

// Began returns the time of the request that an id tells, in the server's time zone.
func Began(id string) (time.Time, bool) {
	m := idShape.FindStringSubmatch(id)
	if m == nil {
		return time.Time{}, false
	}
	t, err := time.ParseInLocation("20060102-150405", m[1], time.Local)
	return t, err == nil
}

// Strangers lists what is in the folder of a recording and is none of its parts.
func Strangers(dir string, m Manifest) ([]Left, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Base(dir), err)
	}
	known := []string{ManifestName, DerivedName}
	for _, f := range m.Files {
		known = append(known, f.Name, f.Index)
	}
	if m.File != "" {
		known = append(known, m.File, IndexOf(m.File))
	}
	var out []Left
	for _, e := range entries {
		switch {
		case !slices.Contains(known, e.Name()):
			out = append(out, Left{e.Name(), "not part of the recording"})
		case e.Type()&fs.ModeSymlink != 0:
			out = append(out, Left{e.Name(), "a symbolic link"})
		}
	}
	return out, nil
}

// Guess returns a manifest for the folder of a recording that has none, from its
// media file alone: the disk was full or the power went before it was written.
func Guess(dir string) (Manifest, error) {
	id := filepath.Base(dir)
	began, ok := Began(id)
	if !ok {
		return Manifest{}, fmt.Errorf("%w: no %s", ErrNotRecording, ManifestName)
	}
	for _, format := range []string{FMP4, TS} {
		name := MediaName(format)
		info, err := os.Lstat(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue
		}
		if err != nil {
			return Manifest{}, fmt.Errorf("look at %s: %w", name, err)
		}
		return Manifest{
			Version: Version, ID: id, Title: id, Format: format, State: "recording", Started: began.UTC(), Media: began.UTC(), File: name,
			Files: []File{{Name: name, Index: IndexOf(name)}},
		}, nil
	}
	return Manifest{}, fmt.Errorf("%w: no %s", ErrNotRecording, ManifestName)
}

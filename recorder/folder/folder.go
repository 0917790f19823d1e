// Package folder is how a recording lies on disk: one folder with its manifest, its
// media and an index of each media file. docs/formats/recording.md defines it. The
// library can be made anew from folders alone.
//
//	2026/07/20/20260720-081500-k3v7mq2a/
//	    recording.json   Manifest, written whole or not at all
//	    media.mp4        or media.ts
//	    index.jsonl      one Entry a line: where each fragment lies, with its checksum
//	    site-li.mp4, site-li.index.jsonl …     when every site's tracks were wanted
//	    derived/         what jobs make of it; deleting it loses nothing
//
// Nothing here starts a goroutine but [Lock]. Functions that read a folder do not
// follow symbolic links.
package folder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

// Names within a folder.
const (
	ManifestName = "recording.json"
	IndexName    = "index.jsonl"
	DerivedName  = "derived"
	LowName      = "low.mp4" // below DerivedName: the low rendition, with its index
	// Version is that of the layout which is written; a higher one is not read.
	Version = 1
)

// Formats of media files.
const (
	FMP4 = "fmp4" // fragmented MP4 (ISO/IEC 14496-12)
	TS   = "ts"   // MPEG transport stream, the programme's packets as received
)

// MediaName returns the name of the main media file of a format.
func MediaName(format string) string {
	if format == TS {
		return "media.ts"
	}
	return "media.mp4"
}

// IndexOf returns the name of the index of a media file.
func IndexOf(media string) string {
	stem := strings.TrimSuffix(media, filepath.Ext(media))
	if stem == "media" {
		return IndexName
	}
	return stem + "." + IndexName
}

// Errors that callers decide on.
var (
	// ErrNotRecording: the folder or file is none of ours; it is to be left alone.
	ErrNotRecording = errors.New("not a recording")
	// ErrNewer: the manifest was written by a later version.
	ErrNewer = errors.New("written by a newer version")
)

// maxManifest bounds what is read as a manifest. Gaps are bounded to a thousand.
const maxManifest = 4 << 20

// Manifest is recording.json: all that is known of a recording.
type Manifest struct {
	Version  int        `json:"version"`
	ID       string     `json:"id"` // also the folder's name
	Stream   string     `json:"stream"`
	Title    string     `json:"title"`
	Class    string     `json:"class,omitempty"`
	Format   string     `json:"format"`
	State    string     `json:"state"`
	Reason   string     `json:"reason,omitempty"` // stable code
	Detail   string     `json:"detail,omitempty"`
	Schedule string     `json:"schedule,omitempty"`
	Event    string     `json:"event,omitempty"`
	Started  time.Time  `json:"started"`
	Ended    *time.Time `json:"ended,omitempty"`
	// Media is when the first picture or sound of File reached the server.
	Media time.Time `json:"media"`
	// DurationMS and Bytes are of File, as of the last time that this was written.
	DurationMS int64  `json:"duration_ms"`
	Bytes      int64  `json:"bytes"`
	File       string `json:"file"` // the main media file, below the folder
	Files      []File `json:"files"`
	// Gaps are on the time line of File.
	Gaps []store.Gap `json:"gaps"`
	// Continues and Next join the parts of one recording whose source changed its tracks.
	Continues string `json:"continues,omitempty"`
	Next      string `json:"next,omitempty"`
	// Library is what the library adds; the recorder keeps it as it is.
	Library json.RawMessage `json:"library,omitempty"`
}

// File is one media file of a recording.
type File struct {
	Name   string `json:"file"`
	Index  string `json:"index"`
	Stream string `json:"stream"`
	// OffsetMS is where the file's time 0 lies on the time line of the main file.
	OffsetMS int64                  `json:"offset_ms"`
	Tracks   []store.RecordingTrack `json:"tracks"`
}

// Path returns the folder of a recording below that of all recordings.
func Path(id string, began time.Time) string {
	return filepath.Join(began.Format("2006"), began.Format("01"), began.Format("02"), id)
}

// Describe returns the manifest of a library entry; files are the recorder's to add.
func Describe(r store.Recording) Manifest {
	return Manifest{
		Version: Version, ID: r.ID, Stream: r.Stream, Title: r.Title, Class: r.Class, Format: r.Format,
		State: string(r.State), Reason: r.Reason, Detail: r.Detail, Schedule: r.Schedule, Event: r.Event,
		Started: r.Started.UTC(), Ended: r.Ended, DurationMS: r.Duration.Milliseconds(), Bytes: r.Bytes,
		File: filepath.Base(r.File), Gaps: r.Gaps,
	}
}

// Recording returns the library entry of a manifest that lies in dir, a path below
// that of all recordings.
func (m Manifest) Recording(dir string) store.Recording {
	r := store.Recording{
		ID: m.ID, Stream: m.Stream, Title: m.Title, Class: m.Class, Format: m.Format, State: store.RecordingState(m.State),
		Reason: m.Reason, Detail: m.Detail, Schedule: m.Schedule, Event: m.Event, Started: m.Started, Ended: m.Ended,
		Duration: time.Duration(m.DurationMS) * time.Millisecond, Bytes: m.Bytes, Gaps: m.Gaps,
	}
	k := m.Kept()
	r.Retention, r.Expires, r.Hold, r.Deleted, r.People, r.Units = k.Retention, k.Expires, k.Hold, k.Deleted, k.People, k.Units
	if m.File != "" {
		r.File = filepath.Join(dir, m.File)
	}
	for _, f := range m.Files {
		r.Tracks = append(r.Tracks, f.Tracks...)
	}
	return r
}

// check says what is wrong with a manifest that was read from a folder called name.
func (m Manifest) check(name string) error {
	switch {
	case m.Version > Version:
		return fmt.Errorf("%w: version %d", ErrNewer, m.Version)
	case m.Version < 1 || m.ID != name || stream.CheckID(m.ID) != nil:
		return fmt.Errorf("%w: the manifest names %q", ErrNotRecording, m.ID)
	case m.Format != FMP4 && m.Format != TS:
		return fmt.Errorf("%w: format %q", ErrNotRecording, m.Format)
	case m.File != "" && !plain(m.File):
		return fmt.Errorf("%w: media file %q", ErrNotRecording, m.File)
	}
	for _, f := range m.Files {
		if !plain(f.Name) || !plain(f.Index) {
			return fmt.Errorf("%w: media file %q", ErrNotRecording, f.Name)
		}
	}
	return nil
}

// plain reports whether a name is that of a file in the folder itself.
func plain(name string) bool {
	return name != "" && name == filepath.Base(name) && filepath.IsLocal(name) && name[0] != '.'
}

// Read reads the manifest of the folder dir. A folder without one, and one whose
// manifest is not ours, is [ErrNotRecording].
func Read(dir string) (Manifest, error) {
	var m Manifest
	f, err := openRegular(filepath.Join(dir, ManifestName), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%w: no %s", ErrNotRecording, ManifestName)
	}
	if err != nil {
		return m, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return m, fmt.Errorf("read %s: %w", ManifestName, err)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("%w: %s: %w", ErrNotRecording, ManifestName, err)
	}
	return m, m.check(filepath.Base(dir))
}

// Write writes the manifest of the folder dir: whole or not at all, and safe when
// it returns. What the library keeps in it stays when m has nothing for it.
func Write(dir string, m Manifest) error {
	m.Version = Version
	if m.Gaps == nil {
		m.Gaps = []store.Gap{}
	}
	if m.Files == nil {
		m.Files = []File{}
	}
	if len(m.Library) == 0 {
		if old, err := Read(dir); err == nil {
			m.Library = old.Library
		}
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", ManifestName, err)
	}
	return writeWhole(dir, ManifestName, append(b, '\n'))
}

// writeWhole replaces a file: written beside it, synced, renamed, and the name synced.
func writeWhole(dir, name string, b []byte) (err error) {
	f, err := os.CreateTemp(dir, "."+name+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // it is of no use, and the error says why
		}
	}()
	_, err = f.Write(b)
	if err == nil {
		err = f.Chmod(0o640)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return SyncDir(dir)
}

// SyncDir makes the names in a folder safe.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder %s: %w", filepath.Base(dir), err)
	}
	err = errors.Join(f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("sync folder %s: %w", filepath.Base(dir), err)
	}
	return nil
}

// openRegular opens a file that is one: no symbolic link, folder or device.
func openRegular(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|noFollow, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(path), err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is not a file", ErrNotRecording, filepath.Base(path))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

package recorder

import (
	"fmt"

	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

// Keep writes the title, the class and what the library knows of a recording into its
// manifest, so that a library made anew from the folders has it. Of one that runs it
// does nothing: the caller does it again after [Config.Ended]. One without a folder
// has only its entry.
func (r *Recorder) Keep(rec store.Recording, body string, chapters []store.Chapter) error {
	dir, ok := r.Folder(rec)
	if !ok || r.Active(rec.ID) {
		return nil
	}
	if !r.holds() {
		return r.check()
	}
	m, err := folder.Read(dir)
	if err != nil {
		return fmt.Errorf("read the manifest of recording %s: %w", rec.ID, err)
	}
	m.Title, m.Class = rec.Title, rec.Class
	err = m.Keep(folder.Kept{
		Retention: rec.Retention, Expires: rec.Expires, Hold: rec.Hold, Deleted: rec.Deleted,
		People: rec.People, Units: rec.Units, Chapters: chapters, Text: body,
	})
	if err == nil {
		err = folder.Write(dir, m)
	}
	if err != nil {
		return fmt.Errorf("write the manifest of recording %s: %w", rec.ID, err)
	}
	return nil
}

// Kept returns what the manifest of a recording says beside its entry: when its media
// begin, and the library's texts. One without a manifest has none.
func (r *Recorder) Kept(rec store.Recording) (m folder.Manifest, ok bool) {
	dir, ok := r.Folder(rec)
	if !ok {
		return m, false
	}
	m, err := folder.Read(dir)
	return m, err == nil
}

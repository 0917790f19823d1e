package recorder

import (
	"fmt"
	"path/filepath"

	"tongxiang/recorder/folder"
)

// syncing puts on disk what was written, again and again, until dirty is closed.
func (d *disk) syncing() {
	defer close(d.synced)
	named := false
	for range d.dirty {
		d.mu.Lock()
		from, to := d.unsafe.from, d.unsafe.to
		d.unsafe.to = 0
		d.mu.Unlock()
		d.slow.Store(monotonic())
		err := d.f.Sync()
		if err == nil && !named {
			err = d.syncNames()
			named = err == nil
		}
		d.slow.Store(0)
		if err == nil {
			continue
		}
		// What the kernel could not put on disk it forgets: it may be missing after a
		// power cut, and the next sync would not say so.
		d.mu.Lock()
		d.err = fmt.Errorf("write the recording: %w", err)
		if to > 0 {
			d.lost = append(d.lost, gap(from, to, diskReason(err)))
		}
		d.mu.Unlock()
	}
}

// syncNames makes the names of the file and of its folders, up to that of all
// recordings, as safe as its bytes.
func (d *disk) syncNames() error {
	dir := d.dir
	for range folderDepth + 1 {
		if err := folder.SyncDir(dir); err != nil {
			return err
		}
		dir = filepath.Dir(dir)
	}
	return nil
}

// folderDepth is how deep the folder of a recording lies: year, month, day, id.
const folderDepth = 4

package folder

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// LockName is the file that says who writes to a folder of recordings.
const LockName = ".lock"

const (
	// heartbeat is how often the holder says that it is there.
	heartbeat = 5 * time.Second
	// staleAfter is when a holder on another host is believed to be gone: more than a
	// disk that stalls.
	staleAfter = time.Minute
)

// ErrInUse: another server writes to the folder.
var ErrInUse = errors.New("another server writes to the recordings folder")

// Holder is who writes to a folder, as .lock says it.
type Holder struct {
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	Instance  string    `json:"instance"` // different for every start
	Started   time.Time `json:"started"`
	Heartbeat time.Time `json:"heartbeat"`
}

// String names the holder for people.
func (h Holder) String() string {
	return fmt.Sprintf("%s, process %d, since %s", h.Host, h.PID, h.Started.Format(time.RFC3339))
}

// Lock is the right to write to a folder of recordings. Its goroutine, beat, ends
// with Unlock.
type Lock struct {
	f     *os.File
	me    Holder
	taken atomic.Bool
	stop  chan struct{}
	once  sync.Once
	done  chan struct{}
}

// Acquire takes the folder dir for one server. When another has it, the error is
// [ErrInUse] and the holder says who. The flock(2) guards one host and file systems
// that share it, the heartbeat the others.
func Acquire(dir string, now time.Time) (*Lock, Holder, error) {
	f, err := os.OpenFile(filepath.Join(dir, LockName), os.O_CREATE|os.O_RDWR|noFollow, 0o640)
	if err != nil {
		return nil, Holder{}, fmt.Errorf("lock the recordings folder: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	held := errors.Is(err, unix.EWOULDBLOCK)
	if err != nil && !held && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.ENOLCK) {
		return nil, Holder{}, errors.Join(fmt.Errorf("lock the recordings folder: %w", err), f.Close())
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, Holder{}, errors.Join(fmt.Errorf("lock the recordings folder: %w", err), f.Close())
	}
	other := readHolder(f)
	if held || other.inUse(host, now) {
		return nil, other, errors.Join(ErrInUse, f.Close())
	}
	l := &Lock{
		f: f, stop: make(chan struct{}), done: make(chan struct{}),
		me: Holder{Host: host, PID: os.Getpid(), Instance: rand.Text(), Started: now.UTC().Truncate(time.Second), Heartbeat: now.UTC()},
	}
	if err := l.write(l.me); err != nil {
		return nil, Holder{}, errors.Join(err, f.Close())
	}
	go l.beat()
	return l, l.me, nil
}

// inUse reports whether a holder whose flock we do not see is to be respected: one
// on another host that was there a moment ago, by either clock.
func (h Holder) inUse(host string, now time.Time) bool {
	age := now.Sub(h.Heartbeat)
	return h.Host != "" && h.Host != host && age < staleAfter && age > -24*time.Hour
}

func readHolder(f *os.File) Holder {
	var h Holder
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 4096))
	if err != nil || json.Unmarshal(b, &h) != nil {
		return Holder{} // torn or empty: nobody
	}
	return h
}

func (l *Lock) write(h Holder) error {
	b, err := json.Marshal(h)
	if err == nil {
		b = append(b, '\n')
		if _, err = l.f.WriteAt(b, 0); err == nil {
			err = l.f.Truncate(int64(len(b)))
		}
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", LockName, err)
	}
	return nil
}

// beat writes the heartbeat until Unlock, unless somebody else took the folder.
func (l *Lock) beat() {
	defer close(l.done)
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case now := <-tick.C:
			if h := readHolder(l.f); h.Instance != "" && h.Instance != l.me.Instance {
				l.taken.Store(true)
				return
			}
			h := l.me
			h.Heartbeat = now.UTC()
			// On a disk that is full or away the heartbeat waits; so do recordings.
			_ = l.write(h)
		}
	}
}

// Taken reports whether another server took the folder, because this one did not say
// for a minute that it is there. What is written after that may meet its writing.
func (l *Lock) Taken() bool { return l.taken.Load() }

// Unlock gives the folder back. It is safe to call twice.
func (l *Lock) Unlock() error {
	var err error
	l.once.Do(func() {
		close(l.stop)
		select {
		case <-l.done:
			if !l.taken.Load() {
				err = l.f.Truncate(0)
			}
		case <-time.After(time.Second): // the disk does not answer: the kernel gives the lock back with the process
			return
		}
		err = errors.Join(err, l.f.Close())
	})
	return err
}

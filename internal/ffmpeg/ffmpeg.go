// Package ffmpeg runs outside programs as children that end with us and whose last
// words are kept: ffmpeg, and the tuner programs that an operator declares.
package ffmpeg

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// stopPatience is how long a child may take to end before it is killed.
const stopPatience = 2 * time.Second

// Command returns a child that is asked to end when ctx does, killed two seconds
// later, and killed by the kernel when this process dies. Its standard error goes
// into the returned words. The caller starts it and waits for it.
func Command(ctx context.Context, path string, args ...string) (*exec.Cmd, *Words) {
	said := new(Words)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stderr = said
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopPatience
	cmd.SysProcAttr = dieWithParent()
	return cmd, said
}

// Words keeps the last two kilobytes that a child wrote. It is safe for concurrent use.
type Words struct {
	mu sync.Mutex
	b  []byte
}

const maxWords = 2048

// Write implements io.Writer; it never fails.
func (w *Words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b = append(w.b, p...)
	if over := len(w.b) - maxWords; over > 0 {
		w.b = append(w.b[:0], w.b[over:]...)
	}
	return len(p), nil
}

// String returns what is kept.
func (w *Words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.TrimSpace(string(w.b))
}

// LastLine returns the last line that is kept and says something. Programs that
// show a progress end their lines with a carriage return.
func (w *Words) LastLine() string {
	lines := strings.FieldsFunc(w.String(), func(r rune) bool { return r == '\n' || r == '\r' })
	for i := len(lines) - 1; i >= 0; i-- {
		if l := strings.TrimSpace(lines[i]); l != "" {
			return l
		}
	}
	return ""
}

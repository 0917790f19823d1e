package scheduler

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// ledger writes rows in a goroutine of its own, run, so that a store that does not
// answer holds up no recording. Of each key the newest row counts; there are no more
// keys than occurrences of two days. A row that cannot be written is tried again.
type ledger struct {
	log  *slog.Logger
	wake chan struct{}
	done chan struct{}

	mu      sync.Mutex // guards what follows
	pending map[string]func(context.Context) error
	order   []string
	closed  bool
}

func newLedger(log *slog.Logger) *ledger {
	return &ledger{log: log, wake: make(chan struct{}, 1), done: make(chan struct{}), pending: make(map[string]func(context.Context) error)}
}

// put has something written. It does not block.
func (l *ledger) put(key string, write func(context.Context) error) {
	l.mu.Lock()
	if _, ok := l.pending[key]; !ok {
		l.order = append(l.order, key)
	}
	l.pending[key] = write
	l.mu.Unlock()
	l.nudge()
}

func (l *ledger) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// close writes what waits, once, and ends the goroutine.
func (l *ledger) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.nudge()
	<-l.done
}

func (l *ledger) run() {
	defer close(l.done)
	retry := time.NewTimer(again)
	defer retry.Stop()
	for {
		l.mu.Lock()
		closed := l.closed
		l.mu.Unlock()
		l.drain()
		if closed {
			return
		}
		retry.Reset(again)
		select {
		case <-l.wake:
		case <-retry.C:
		}
	}
}

// drain writes until nothing waits or something cannot be written.
func (l *ledger) drain() {
	for {
		l.mu.Lock()
		if len(l.order) == 0 {
			l.mu.Unlock()
			return
		}
		key := l.order[0]
		write := l.pending[key]
		l.order = l.order[1:]
		delete(l.pending, key)
		l.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := write(ctx)
		cancel()
		if err == nil {
			continue
		}
		l.log.Error("schedule is not in the store", "key", key, "err", err)
		l.mu.Lock()
		if _, newer := l.pending[key]; !newer {
			l.pending[key] = write
			l.order = append(l.order, key)
		}
		l.mu.Unlock()
		return
	}
}

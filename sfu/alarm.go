package sfu

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm rings once after a time, to the microsecond. The runtime's own timers sleep
// in whole milliseconds (epoll_wait), of which a packet that is held back for less
// than three would feel up to one. A timerfd is a file to the same poller, and wakes
// it when it is due.
//
// set, stop and close belong to one goroutine. A ring that was under way when the
// alarm was set anew or stopped still comes.
type alarm struct {
	fd   int
	file *os.File
	rung chan struct{}
	done chan struct{}
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("timerfd_create: %w", err)
	}
	return &alarm{fd: fd, file: os.NewFile(uintptr(fd), "timerfd"), rung: make(chan struct{}, 1), done: make(chan struct{})}, nil
}

// start begins to listen, until close.
func (a *alarm) start() { go a.listen() }

func (a *alarm) listen() {
	defer close(a.done)
	var times [8]byte
	for {
		if _, err := a.file.Read(times[:]); err != nil {
			return // closed
		}
		select {
		case a.rung <- struct{}{}:
		default:
		}
	}
}

// set has it ring after d, and not when it would have before.
func (a *alarm) set(d time.Duration) {
	// Zero would stop it. It can fail only for values that these are not.
	_ = unix.TimerfdSettime(a.fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))}, nil)
}

func (a *alarm) stop() { _ = unix.TimerfdSettime(a.fd, 0, &unix.ItimerSpec{}, nil) }

// close ends what start began.
func (a *alarm) close() {
	_ = a.file.Close()
	<-a.done
}

package process

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWakesAreCounted(t *testing.T) {
	before, err := ReadWakes(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
	}
	if after, err := ReadWakes(os.Getpid()); err != nil || after-before < 20 {
		t.Errorf("%d, %v, slept 20 times", after-before, err)
	}
	if _, err := ReadWakes(0); err == nil {
		t.Error("there is no process 0, and no error")
	}
}

func TestWhatTheHostTookIsTheEighthOfTheProcessorsFigures(t *testing.T) {
	got, err := stolen("cpu  3342563 1773758 698711 4170719 13427 0 127030 114108 7 9")
	if err != nil || got != 114108*10*time.Millisecond {
		t.Errorf("%v, %v", got, err)
	}
	for _, line := range []string{"", "cpu 1 2 3", "cpu0 1 2 3 4 5 6 7 8 9 10", "cpu 1 2 3 4 5 6 7 x 9 10"} {
		if got, err := stolen(line); err == nil {
			t.Errorf("%q: %v, and no error", line, got)
		}
	}
	if _, err := ReadStolen(); err != nil {
		t.Error(err)
	}
}

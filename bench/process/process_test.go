package process

import (
	"testing"
	"time"
)

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

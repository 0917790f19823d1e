package sfu

import (
	"testing"
	"time"
)

func TestAnAlarmRingsWhenItIsDueAndNotBefore(t *testing.T) {
	a, err := newAlarm()
	if err != nil {
		t.Fatal(err)
	}
	a.start()
	defer a.close()
	for _, d := range []time.Duration{0, 700 * time.Microsecond, 2700 * time.Microsecond, -time.Second} {
		begin := time.Now()
		a.set(time.Hour)
		a.set(d)
		select {
		case <-a.rung:
		case <-time.After(20 * time.Second):
			t.Fatalf("set to %v it does not ring", d)
		}
		if took := time.Since(begin); took < d {
			t.Errorf("set to %v it rings after %v", d, took)
		}
	}
}

func TestAnAlarmThatWasStoppedDoesNotRing(t *testing.T) {
	t.Parallel()
	a, err := newAlarm()
	if err != nil {
		t.Fatal(err)
	}
	a.start()
	defer a.close()
	a.set(time.Hour)
	a.stop()
	a.set(time.Millisecond)
	<-a.rung
	a.set(time.Second)
	a.stop()
	select {
	case <-a.rung:
		t.Error("it rings")
	case <-time.After(1200 * time.Millisecond):
	}
}

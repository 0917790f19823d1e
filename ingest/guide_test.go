package ingest

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tongxiang/internal/media"
	core "tongxiang/internal/mpegts"
)

// listener writes down what it hears.
type listener struct{ heard []string }

func (l *listener) Event(channel string, e core.Event, schedule bool) {
	l.heard = append(l.heard, fmt.Sprintf("%s %s %v", channel, e.Title, schedule))
}

func (l *listener) Now(channel string, n core.NowNext) {
	l.heard = append(l.heard, channel+" now "+n.Present.Title)
}

func (l *listener) take() string {
	s := fmt.Sprint(l.heard)
	l.heard = nil
	return s
}

func TestAnotherMultiplexSpeaksOnlyWhereTheOwnOneIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l listener
		var names identities
		time.Sleep(time.Second)
		a := &channel{id: "a", guide: &l, names: &names, clock: media.NewClock()}
		twin := &channel{id: "twin", guide: &l, names: &names, clock: a.clock}
		time.Sleep(time.Second)
		names.set(a, identity{1, 2, 3})
		names.set(a, identity{1, 2, 3})
		if n := len(names.guides(1, 2, 3)); n != 1 {
			t.Fatalf("%d guides", n)
		}
		other := names.guides(1, 2, 3)[0]
		e := core.Event{Title: "E"}
		other.Event(e, true)
		other.Event(e, false)
		other.Now(core.NowNext{Present: &e})
		if got := l.take(); got != "[a E true a E false a now E]" {
			t.Errorf("alone: %s", got)
		}
		a.hear(news{event: e, schedule: false}, true)
		l.take()
		other.Event(e, true)
		other.Event(e, false)
		if got := l.take(); got != "[a E true]" {
			t.Errorf("the own one says what is on now: %s", got)
		}
		time.Sleep(ownGuide)
		other.Event(e, false)
		if got := l.take(); got != "[a E false]" {
			t.Errorf("the own one has been silent: %s", got)
		}
		names.set(twin, identity{1, 2, 3})
		if n := len(names.guides(1, 2, 3)); n != 2 {
			t.Errorf("%d guides for a service that is two channels", n)
		}
		names.set(a, identity{1, 2, 4})
		names.set(twin, identity{})
		if len(names.guides(1, 2, 3)) != 0 || len(names.guides(1, 2, 4)) != 1 || len(names.of) != 1 {
			t.Errorf("%v", names.of)
		}
	})
}

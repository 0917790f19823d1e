package server

import (
	"errors"
	"log/slog"
	"net"
	"slices"
	"syscall"
	"testing"

	"tongxiang/internal/auth"
	"tongxiang/internal/store"
)

func TestAMeetingSurvivesARestartOfTheServer(t *testing.T) {
	cfg := config(t, t.TempDir())
	r := start(t, cfg)
	id := r.meeting()
	member := auth.TokenRequest{Subject: "li", Display: "李明", Role: auth.Member}
	s := r.dial(id, r.token(member))
	s.send(`{"type":"hello","v":1,"lang":"en","muted":true}`)
	welcome := s.until("welcome")
	resume, _ := welcome["resume"].(string)
	if resume == "" {
		t.Fatalf("no resume token in %v", welcome)
	}
	s.send(`{"type":"hand","id":"h","raised":true}`)
	s.until("ok")
	s.send(`{"type":"chat","id":"c","text":"水位 12.4 米"}`)
	s.until("ok")
	r.stop()

	r = start(t, cfg)
	s = r.dial(id, r.token(member))
	s.send(`{"type":"hello","v":1,"resume":"` + resume + `"}`)
	welcome = s.until("welcome")
	if welcome["resumed"] != true {
		t.Fatalf("the seat was not resumed: %v", welcome)
	}
	me := participant(t, welcome, "li")
	if me["muted"] != true || me["hand"] == nil || me["hand"] == false {
		t.Errorf("state after the restart: %v", me)
	}
}

// participant returns one from the state of a welcome.
func participant(t *testing.T, welcome map[string]any, id string) map[string]any {
	t.Helper()
	state, ok := welcome["state"].(map[string]any)
	if !ok {
		state = welcome
	}
	list, _ := state["participants"].([]any)
	for _, p := range list {
		if m, ok := p.(map[string]any); ok && m["id"] == id {
			return m
		}
	}
	t.Fatalf("no %s in %v", id, welcome)
	return nil
}

func TestASeatThatARestartCutIsGivenUpThoughNobodyComesBack(t *testing.T) {
	cfg := config(t, t.TempDir())
	r := start(t, cfg)
	id := r.meeting()
	s := r.dial(id, r.token(auth.TokenRequest{Subject: "li", Role: auth.Member}))
	s.send(`{"type":"hello","v":1}`)
	s.until("welcome")
	r.stop()

	r = start(t, cfg)
	// The log knows at once that the seat was cut; that it expires a minute later
	// is the state machine's, and tested there.
	eventually(t, "the cut in the log", func() bool {
		events, err := r.s.store.MeetingEvents(t.Context(), id, 0)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(events, func(e store.MeetingEvent) bool { return e.Kind == "restarted" })
	})
}

func TestASecondServerOnTheSameFolderIsRefused(t *testing.T) {
	cfg := config(t, t.TempDir())
	r := start(t, cfg)
	second, err := New(t.Context(), cfg, "test", slog.New(slog.DiscardHandler))
	if !errors.Is(err, store.ErrInUse) {
		t.Errorf("error is %v", err)
	}
	if err := second.Close(); err != nil {
		t.Errorf("close what was not built: %v", err)
	}
	if status, body := r.do("GET", "/readyz", "", "", ""); status != 200 {
		t.Errorf("the first answers %d %s", status, body)
	}
}

func TestAFirstStartThatFailsMakesNoAccountWhosePasswordNobodySaw(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := config(t, t.TempDir())
	free := cfg.HTTP.Listen
	cfg.HTTP.Listen = taken.Addr().String()
	if _, err := New(t.Context(), cfg, "test", slog.New(slog.DiscardHandler)); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("error is %v", err)
	}
	cfg.HTTP.Listen = free
	if r := start(t, cfg); r.s.First.Name == "" || r.s.First.Password == "" {
		t.Error("the second start does not show the first administrator's password")
	}
}

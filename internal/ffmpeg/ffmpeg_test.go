package ffmpeg

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

func TestChildEndsWithItsContextAndItsLastWordsAreKept(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	cmd, said := Command(ctx, "sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; echo last >&2; exec sleep 600")
	if err := cmd.Start(); err != nil {
		t.Fatalf("start a shell: %v", err)
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.HasSuffix(said.String(), "last"); {
		if time.Now().After(deadline) {
			t.Fatalf("it said %q", said)
		}
		<-time.After(5 * time.Millisecond)
	}
	if n := len(said.String()); n > maxWords {
		t.Errorf("%d bytes kept", n)
	}
	stop()
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
}

func TestAGroupEndsAsAWhole(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	cmd, said := Command(ctx, "sh", "-c", "trap '' TERM; sleep 600 & echo $! >&2; wait; wait")
	Group(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start a shell: %v", err)
	}
	for deadline := time.Now().Add(20 * time.Second); said.LastLine() == ""; {
		if time.Now().After(deadline) {
			t.Fatal("it said nothing")
		}
		<-time.After(5 * time.Millisecond)
	}
	stop()
	_ = cmd.Wait()
	EndGroup(cmd)
	for deadline := time.Now().Add(20 * time.Second); ; {
		b, err := os.ReadFile("/proc/" + said.LastLine() + "/stat")
		if err != nil || strings.Contains(string(b), ") Z ") { // gone, or waiting for init to notice
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the child's child %s is alive: %s", said.LastLine(), b)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestTheLastLineIsTheOneThatSaysSomething(t *testing.T) {
	var w Words
	_, _ = w.Write([]byte("first\nLock   (0x1f) Signal= 70%\rLock   (0x1f) Signal= 71%\r\n  \n"))
	if l := w.LastLine(); l != "Lock   (0x1f) Signal= 71%" {
		t.Errorf("%q", l)
	}
	if l := new(Words).LastLine(); l != "" {
		t.Errorf("%q of nothing", l)
	}
}

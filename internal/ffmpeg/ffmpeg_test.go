package ffmpeg

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestChildEndsWithItsContextAndItsLastWordsAreKept(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	cmd, said := Command(ctx, "sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; echo last >&2; exec sleep 600")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
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

package mpegts

import (
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
)

func TestOnlyDeclaredProgramsRunAndValuesStayWholeArguments(t *testing.T) {
	programs := map[string][]string{
		"zap":   {"dvbv5-zap", "-c", "/etc/channels.conf", "-o", "-", "{channel}"},
		"fixed": {"cat", "/dev/null"},
	}
	for in, want := range map[string][]string{
		"exec:zap?channel=CCTV-1":                  {"dvbv5-zap", "-c", "/etc/channels.conf", "-o", "-", "CCTV-1"},
		"exec:zap?channel=a%20b%3B%20rm%20-rf%20/": {"dvbv5-zap", "-c", "/etc/channels.conf", "-o", "-", "a b; rm -rf /"},
		"exec:zap?channel=%7Bchannel%7D":           {"dvbv5-zap", "-c", "/etc/channels.conf", "-o", "-", "{channel}"},
		"exec:fixed":                               {"cat", "/dev/null"},
	} {
		got, err := command(parse(t, in), programs)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q %v", in, got, err)
		}
	}
	for _, in := range []string{
		"exec:", "exec:sh", "exec:/bin/sh", "exec:sh?-c=reboot", "exec:zap", "exec:zap?channel=", "exec:zap?channel=-x",
		"exec:zap?channel=a&other=b", "exec:fixed?x=y", "exec:zap?channel=" + strings.Repeat("x", 257), "exec:zap?channel=a%00b",
	} {
		if got, err := command(parse(t, in), programs); err == nil {
			t.Errorf("%s runs %q", in, got)
		}
		m := &Muxes{Programs: programs}
		if _, err := m.New(parse(t, in), 0); source.CauseOf(err) != source.CauseBadAddress {
			t.Errorf("%s: %v", in, err)
		}
	}
	if got := programs["zap"][5]; got != "{channel}" {
		t.Errorf("the declaration was changed to %q", got)
	}
}

func TestAProgramSaysWhyItEnded(t *testing.T) {
	for name, tc := range map[string]struct {
		script string
		cause  source.Cause
		want   string
	}{
		"fails":     {"echo one >&2; echo 'no lock on 12.5 GHz' >&2; exit 3", source.CauseEnded, "exit status 3: no lock on 12.5 GHz"},
		"ends":      {"printf data", source.CauseEnded, "it ended by itself"},
		"not there": {"", source.CauseNotFound, "executable file not found"},
		"is killed": {"kill -9 $$", source.CauseEnded, "signal: killed"},
	} {
		args := []string{"sh", "-c", tc.script}
		if tc.script == "" {
			args = []string{"no-such-tuner-program"}
		}
		err := runExec(args)(t.Context(), nil, &source.Output{Clock: media.NewClock()}, new(collector))
		if source.CauseOf(err) != tc.cause || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAProgramSeesNoneOfOurSettings(t *testing.T) {
	t.Setenv("TONGXIANG_STORE_PASSWORD", "secret")
	var c collector
	_ = runExec([]string{"env"})(t.Context(), nil, &source.Output{Clock: media.NewClock()}, &c)
	if !strings.Contains(string(c.b), "PATH=") || strings.Contains(string(c.b), "secret") {
		t.Errorf("it sees %s", c.b)
	}
}

func TestAProgramThatIgnoresItsEndIsEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var c collector
	ended := make(chan error, 1)
	go func() {
		ended <- runExec([]string{"sh", "-c", "trap '' TERM INT PIPE; while :; do echo x; sleep 0.01; done"})(ctx, nil, &source.Output{Clock: media.NewClock()}, &c)
	}()
	eventually(t, "it writes", func() bool { return c.len() > 0 })
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it was not ended")
	}
}

func TestStandardInputIsReadOnceAndLetGo(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	run := func(ctx context.Context, c *collector) chan error {
		ended := make(chan error, 1)
		go func() { ended <- runStdin(r)(ctx, nil, &source.Output{Clock: media.NewClock()}, c) }()
		return ended
	}
	ctx, cancel := context.WithCancel(t.Context())
	var first, second collector
	ended := run(ctx, &first)
	_, _ = io.WriteString(w, "one")
	eventually(t, "the first bytes", func() bool { return first.len() == 3 })
	cancel() // a channel is removed while nothing comes
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ended = run(t.Context(), &second)
	_, _ = io.WriteString(w, "two")
	w.Close()
	if err := <-ended; source.CauseOf(err) != source.CauseEnded || string(second.b) != "two" {
		t.Errorf("%v, %q", err, second.b)
	}
	if err := <-run(t.Context(), &second); source.CauseOf(err) != source.CauseEnded {
		t.Errorf("after its end: %v", err)
	}
}

func FuzzCommand(f *testing.F) {
	f.Add("exec:zap?channel=a")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.Parse(s)
		if err != nil {
			return
		}
		got, err := command(u, map[string][]string{"zap": {"p", "-a", "{x}", "{y}"}})
		if err == nil && (len(got) != 4 || got[0] != "p" || got[1] != "-a" || strings.HasPrefix(got[2], "-")) {
			t.Errorf("%q runs %q", s, got)
		}
	})
}

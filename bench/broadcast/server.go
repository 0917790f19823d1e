package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"tongxiang/bench/multiplex"
	"tongxiang/bench/process"
	"tongxiang/configs"
	product "tongxiang/internal/server"
)

// server is the program under test, in a process of its own.
type server struct {
	cmd    *exec.Cmd
	binary string
	config string
	dir    string
	url    string
	bearer string
	http   *http.Client
}

// startServer runs the server with a channel for every programme. The caller closes it.
func (o options) startServer(ctx context.Context) (_ *server, err error) {
	dir, err := os.MkdirTemp("", "bench-broadcast-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the server: %w", err)
	}
	s := &server{binary: o.server, dir: dir, config: filepath.Join(dir, "tongxiang.yaml")}
	s.http = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 512}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	port, err := freePort()
	if err != nil {
		return s, err
	}
	s.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	var config strings.Builder
	fmt.Fprintf(&config, "data: %s\nlog: warn\nhttp: {listen: \"127.0.0.1:%d\"}\nhttps: {listen: \"\"}\nwebrtc: {udp: \"127.0.0.1:0\", tcp: \"127.0.0.1:0\"}\nrtsp: {listen: \"\"}\nquality: {cpu: 0}\nchannels:\n",
		filepath.Join(dir, "data"), port)
	for mux := range o.muxes {
		source, err := o.source(mux)
		if err != nil {
			return s, err
		}
		for service := range multiplex.Services {
			fmt.Fprintf(&config, "  - {id: %s, name: %q, source: %q, program: %d}\n",
				channelID(mux, service), multiplex.Name(mux, service), source, multiplex.ServiceID(mux, service))
		}
	}
	if err := os.WriteFile(s.config, []byte(config.String()), 0o600); err != nil {
		return s, fmt.Errorf("write the server's configuration: %w", err)
	}
	log, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		return s, fmt.Errorf("open the server's log: %w", err)
	}
	defer log.Close() // the child has its own
	s.cmd = exec.Command(s.binary, "serve", "--config", s.config)
	if o.profile != "" {
		self, err := os.Executable()
		if err != nil {
			return s, err
		}
		s.cmd = exec.Command(self, "-serve", s.config, "-profile", o.profile)
	}
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it must not outlive a measurement that was killed
	if err := process.StartOn(o.serverCore, o.nice, s.cmd); err != nil {
		s.cmd = nil
		return s, fmt.Errorf("start %s: %w", s.binary, err)
	}
	if err := s.ready(ctx); err != nil {
		said, _ := os.ReadFile(log.Name())
		return s, fmt.Errorf("%w; the server said: %s", err, said)
	}
	s.bearer, err = s.token(ctx, "administrator")
	return s, err
}

// profiled is the server inside this program, so that its profile can be taken.
func (o options) profiled(ctx context.Context) error {
	cfg, err := configs.Load(o.serve, os.Environ())
	if err != nil {
		return err
	}
	s, err := product.New(ctx, cfg, "bench", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	f, err := os.Create(o.profile)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return errors.Join(err, s.Close(), f.Close())
	}
	err = s.Run(ctx)
	pprof.StopCPUProfile()
	return errors.Join(err, s.Close(), f.Close())
}

func (s *server) ready(ctx context.Context) error {
	for range 400 {
		if res, err := s.get(ctx, "/readyz", ""); err == nil {
			return res.Body.Close()
		}
		if err := process.Pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("not ready within 20 s")
}

// live waits until all channels are.
func (s *server) live(ctx context.Context, want int) error {
	live := 0
	for range 600 {
		res, err := s.get(ctx, "/api/v1/channels?limit=500", s.bearer)
		if err != nil {
			return err
		}
		var list struct {
			Items []struct {
				State string `json:"state"`
			} `json:"items"`
		}
		err = json.NewDecoder(res.Body).Decode(&list)
		_ = res.Body.Close()
		if err != nil {
			return fmt.Errorf("read the list of channels: %w", err)
		}
		live = 0
		for _, c := range list.Items {
			if c.State == "live" {
				live++
			}
		}
		if live == want {
			return nil
		}
		if err := process.Pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("%d of %d channels are live after a minute", live, want)
}

// token has the server's own command make a bearer token.
func (s *server) token(ctx context.Context, role string) (string, error) {
	out, err := exec.CommandContext(ctx, s.binary, "token", "--config", s.config, "--subject", "bench", "--role", role).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("make a token: %w: %s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// close stops the server and removes what it wrote.
func (s *server) close() {
	if s.cmd != nil {
		if err := process.Stop(s.cmd, 15*time.Second); err != nil {
			fmt.Fprintln(os.Stderr, "broadcast: the server:", err)
		}
	}
	s.http.CloseIdleConnections()
	_ = os.RemoveAll(s.dir)
}

// freePort returns a TCP port that is free now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	at, _ := l.Addr().(*net.TCPAddr)
	return at.Port, nil
}

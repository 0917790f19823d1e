package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tongxiang/bench/process"
)

// meetingID is the meeting in which everything happens.
const meetingID = "bench"

// server is the program under test, in a process of its own on a core of its own.
type server struct {
	cmd    *exec.Cmd
	binary string
	config string
	dir    string
	url    string
	http   *http.Client
	log    *os.File
}

// startServer runs the binary with a configuration on free loopback ports and
// convenes the meeting. The caller closes it.
func startServer(ctx context.Context, o options) (_ *server, err error) {
	s, err := newServer(o.binary)
	if err != nil {
		return nil, err
	}
	s.config = filepath.Join(s.dir, "tongxiang.yaml")
	defer func() {
		if err != nil {
			_ = s.close() // the error that matters is the first
		}
	}()
	ports, err := freePorts(3)
	if err != nil {
		return s, err
	}
	s.url = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	config := fmt.Sprintf("data: %s\nlog: warn\nhttp: {listen: \"127.0.0.1:%d\"}\nhttps: {listen: \"\"}\nwebrtc: {udp: \"127.0.0.1:%d\", tcp: \"127.0.0.1:%d\"}\nrtsp: {listen: \"\"}\n",
		filepath.Join(s.dir, "data"), ports[0], ports[1], ports[2])
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		return s, fmt.Errorf("write the server's configuration: %w", err)
	}
	if err := s.run(ctx, o, "serve", "--config", s.config); err != nil {
		return s, err
	}
	return s, s.convene(ctx)
}

// newServer is a server that does not run yet, with a folder of its own.
func newServer(binary string) (*server, error) {
	dir, err := os.MkdirTemp("", "bench-sfu-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the server: %w", err)
	}
	return &server{
		binary: binary, dir: dir,
		http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}, nil
}

// run starts the binary on the server's core, and waits until it answers.
func (s *server) run(ctx context.Context, o options, args ...string) error {
	var err error
	if s.log, err = os.Create(filepath.Join(s.dir, "server.log")); err != nil {
		return fmt.Errorf("open the server's log: %w", err)
	}
	s.cmd = exec.Command(s.binary, args...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	// It must not outlive a load that was killed.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := process.StartOn(o.serverCore, o.nice, s.cmd); err != nil {
		s.cmd = nil
		return fmt.Errorf("start %s: %w", s.binary, err)
	}
	return s.ready(ctx)
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// ready waits until the server answers.
func (s *server) ready(ctx context.Context) error {
	for range 200 {
		if res, err := s.http.Get(s.url + "/readyz"); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		if err := process.Pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	said, _ := os.ReadFile(s.log.Name())
	return fmt.Errorf("the server was not ready within 10 s; it said: %s", said)
}

// convene opens the meeting.
func (s *server) convene(ctx context.Context) error {
	token, err := s.token(ctx, "bench", "administrator", "")
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"id": meetingID, "title": "bench"})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/api/v1/meetings", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("convene the meeting: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		said, _ := io.ReadAll(res.Body)
		return fmt.Errorf("convene the meeting: %s: %s", res.Status, said)
	}
	return nil
}

// token has the server's own command make a bearer token.
func (s *server) token(ctx context.Context, subject, role, scope string) (string, error) {
	args := []string{"token", "--config", s.config, "--subject", subject, "--role", role}
	if scope != "" {
		args = append(args, "--stream", scope)
	}
	out, err := exec.CommandContext(ctx, s.binary, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("make a token for %s: %w: %s", subject, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// close stops the server and removes what it wrote.
func (s *server) close() error {
	var err error
	if s.cmd != nil {
		err = process.Stop(s.cmd, 10*time.Second)
	}
	s.http.CloseIdleConnections()
	if s.log != nil {
		_ = s.log.Close()
	}
	return firstOf(err, os.RemoveAll(s.dir))
}

func firstOf(errs ...error) error {
	for _, e := range errs {
		if e != nil {
			return e
		}
	}
	return nil
}

// freePorts returns ports that are free for TCP and UDP now.
func freePorts(n int) ([]int, error) {
	var out []int
	for len(out) < n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		at, _ := l.Addr().(*net.TCPAddr)
		u, err := net.ListenUDP("udp", &net.UDPAddr{IP: at.IP, Port: at.Port})
		if err != nil {
			continue
		}
		defer u.Close()
		out = append(out, at.Port)
	}
	return out, nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

	"tongxiang/bench/multiplex"
	"tongxiang/recorder/folder"
)

// channels is how many are recorded: all of one multiplex, and one of another.
const channels = 8

func channelID(i int) string { return fmt.Sprintf("c%d", i+1) }

// server is the program under test.
type server struct {
	binary, dir, config string
	url, bearer         string
	cmd                 *exec.Cmd
	http                *http.Client
	first               *os.File // log
}

func newServer(o options) (*server, error) {
	dir, err := os.MkdirTemp("", "bench-crash-")
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	s := &server{
		binary: o.server, dir: dir, config: filepath.Join(dir, "tongxiang.yaml"), url: "http://" + address,
		http: &http.Client{Timeout: 20 * time.Second},
	}
	var b strings.Builder
	fmt.Fprintf(&b, "data: %s\nlog: warn\nhttp: {listen: %q}\nhttps: {listen: \"\"}\nwebrtc: {udp: \"127.0.0.1:0\", tcp: \"127.0.0.1:0\"}\nrtsp: {listen: \"\"}\nquality: {cpu: 0}\nchannels:\n",
		filepath.Join(dir, "data"), address)
	for i := range channels {
		mux, service := i/multiplex.Services, i%multiplex.Services
		fmt.Fprintf(&b, "  - {id: %s, name: %q, source: \"udp://127.0.0.1:%d\", program: %d}\n",
			channelID(i), multiplex.Name(mux, service), o.port+mux, multiplex.ServiceID(mux, service))
	}
	if err := os.WriteFile(s.config, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	s.first, err = os.Create(filepath.Join(dir, "server.log"))
	return s, err
}

// start runs the server and waits until it is ready.
func (s *server) start(ctx context.Context) error {
	if s.cmd != nil {
		return nil
	}
	cmd := exec.Command(s.binary, "serve", "--config", s.config)
	cmd.Stdout, cmd.Stderr = s.first, s.first
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it must not outlive a measurement that was killed
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd = cmd
	for range 600 {
		res, err := s.http.Get(s.url + "/readyz")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return s.login(ctx)
			}
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	said, _ := os.ReadFile(s.first.Name())
	return fmt.Errorf("not ready within 30 s: %s", said)
}

func (s *server) login(ctx context.Context) error {
	if s.bearer != "" {
		return nil
	}
	out, err := exec.CommandContext(ctx, s.binary, "token", "--config", s.config, "--subject", "bench", "--role", "administrator").CombinedOutput()
	if err != nil {
		return fmt.Errorf("make a token: %w: %s", err, out)
	}
	s.bearer = strings.TrimSpace(string(out))
	return nil
}

// kill is kill -9.
func (s *server) kill() error {
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = s.cmd.Wait() // it says that it was killed
	s.cmd = nil
	s.http.CloseIdleConnections()
	return nil
}

func (s *server) close() {
	if s.cmd != nil {
		_ = s.kill()
	}
	_ = s.first.Close()
	_ = os.RemoveAll(s.dir)
}

// live waits until all channels are.
func (s *server) live(ctx context.Context) error {
	return s.until(ctx, "all channels are live", func() (bool, error) {
		var list struct{ Items []struct{ State string } }
		if err := s.get(ctx, "/api/v1/channels?limit=500", &list); err != nil {
			return false, err
		}
		n := 0
		for _, c := range list.Items {
			if c.State == "live" {
				n++
			}
		}
		return n == channels, nil
	})
}

func (s *server) until(ctx context.Context, what string, ok func() (bool, error)) error {
	for range 600 {
		if done, err := ok(); err != nil || done {
			return err
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("waited 30 s until %s", what)
}

// view is a recording as the API tells it.
type view struct {
	ID, Stream, Format, State, Code, Reason string
	Duration                                float64
	Bytes                                   int64
	Gaps                                    []json.RawMessage
}

// recordingOf waits for a recording of a stream that runs.
func (s *server) recordingOf(ctx context.Context, stream string) (id string, err error) {
	err = s.until(ctx, stream+" is recorded", func() (bool, error) {
		var list struct{ Items []view }
		if err := s.get(ctx, "/api/v1/recordings?stream="+stream, &list); err != nil {
			return false, err
		}
		if len(list.Items) > 0 {
			id = list.Items[0].ID
		}
		return id != "", nil
	})
	return id, err
}

// begun waits until something is on disk.
func (s *server) begun(ctx context.Context, id string) error {
	return s.until(ctx, "recording "+id+" has begun", func() (bool, error) {
		var v view
		err := s.get(ctx, "/api/v1/recordings/"+id, &v)
		return v.Duration > 0, err
	})
}

// look compares what is on disk with the moment of the kill.
func (s *server) look(ctx context.Context, ids map[string]string, killed time.Time) (files []file, wrong []string) {
	for id, stream := range ids {
		bad := func(format string, args ...any) {
			wrong = append(wrong, fmt.Sprintf("%s (%s): ", id, stream)+fmt.Sprintf(format, args...))
		}
		var v view
		if err := s.get(ctx, "/api/v1/recordings/"+id, &v); err != nil {
			bad("not in the library: %v", err)
			continue
		}
		dirs, err := filepath.Glob(filepath.Join(s.dir, "data", "recordings", "*", "*", "*", id))
		if err != nil || len(dirs) != 1 {
			bad("%d folders", len(dirs))
			continue
		}
		m, err := folder.Read(dirs[0])
		if err != nil {
			bad("%v", err)
			continue
		}
		f := file{stream: stream, format: v.Format, gaps: len(v.Gaps)}
		if strings.HasPrefix(stream, "meetings/") {
			f.format = "meeting"
		}
		// Both clocks are this machine's.
		f.lost = killed.Sub(m.Media) - time.Duration(v.Duration*float64(time.Second))
		files = append(files, f)
		if v.State != "interrupted" || m.State != "interrupted" || v.Code != "interrupted" {
			bad("state %s, %s in the folder", v.State, m.State)
		}
		if f.lost > 2*time.Second || f.lost < -time.Second {
			bad("%v lost", f.lost)
		}
		for _, part := range m.Files {
			if err := reads(ctx, filepath.Join(dirs[0], part.Name)); err != nil {
				bad("%s: %v", part.Name, err)
			}
			if _, err := os.Stat(filepath.Join(dirs[0], part.Index)); err != nil {
				bad("%v", err)
			}
		}
		if f.format == "meeting" && len(m.Files) != 3 {
			bad("%d files, want the programme's and two sites'", len(m.Files))
		}
	}
	return files, wrong
}

// reads has ffprobe read a whole file: it must know how long it lasts and say nothing.
func reads(ctx context.Context, path string) error {
	cmd := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-count_packets", "-show_entries", "format=duration:stream=nb_read_packets", "-of", "json", path)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	var p struct {
		Format struct{ Duration string }
	}
	if err == nil {
		err = json.Unmarshal(out, &p)
	}
	if err != nil || said.Len() > 0 || p.Format.Duration == "" {
		return fmt.Errorf("ffprobe: %w: %s%q", err, said.String(), p.Format.Duration)
	}
	return nil
}

// library counts the recordings that the library has.
func (s *server) library(ctx context.Context, want int) (total, missing int, err error) {
	if err := s.start(ctx); err != nil {
		return 0, 0, err
	}
	var list struct{ Total int }
	err = s.get(ctx, "/api/v1/recordings?limit=1", &list)
	return list.Total, max(want-list.Total, 0), err
}

func (s *server) do(ctx context.Context, method, path, kind, bearer string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	res, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		said, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
		return nil, errors.Join(fmt.Errorf("%s %s: %s: %s", method, path, res.Status, said), res.Body.Close())
	}
	return res, nil
}

func (s *server) get(ctx context.Context, path string, into any) error {
	res, err := s.do(ctx, http.MethodGet, path, "", s.bearer, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(into)
}

func (s *server) post(ctx context.Context, path string, body, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	res, err := s.do(ctx, http.MethodPost, path, "application/json", s.bearer, bytes.NewReader(b))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if into == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(into)
}

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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// node is a server of our own, with channels that play one file over and over.
type node struct {
	dir, base, token string
	cmd              *exec.Cmd
	log              bytes.Buffer
}

// sourceArguments make the programme: standard definition as from a satellite, with
// B-frames, two starts a second, AAC; 1.5 Mbit/s.
const sourceArguments = "-v error -f lavfi -i testsrc2=rate=25:size=720x576 -f lavfi -i sine=sample_rate=48000" +
	" -c:v libx264 -preset superfast -threads 2 -pix_fmt yuv420p -bf 2 -g 25 -sc_threshold 0 -b:v 1300k -maxrate 1300k -bufsize 650k" +
	" -c:a aac -b:a 96k -f mpegts"

// startNode builds and starts a server and waits until its channels are live. The
// programme outlasts the measurement, so that it does not begin anew in it.
func startNode(ctx context.Context, channels int, length time.Duration) (n *node, err error) {
	n = &node{}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	if n.dir, err = os.MkdirTemp("", "tongxiang-kiosks-"); err != nil {
		return n, err
	}
	file := filepath.Join(n.dir, "programme.ts")
	whole := 2*length + 3*time.Minute
	args := append(strings.Fields(sourceArguments), "-t", strconv.Itoa(int(whole.Seconds())), file)
	if out, err := exec.CommandContext(ctx, "ffmpeg", args...).CombinedOutput(); err != nil {
		return n, fmt.Errorf("make the programme: %w\n%s", err, out)
	}
	binary := filepath.Join(n.dir, "tongxiang")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return n, fmt.Errorf("build the server: %w\n%s", err, out)
	}
	port, err := freePort()
	if err != nil {
		return n, err
	}
	var config strings.Builder
	fmt.Fprintf(&config, "data: %s\nhttp: {listen: \"127.0.0.1:%d\"}\nhttps: {listen: \"\"}\nwebrtc: {udp: \"127.0.0.1:0\", tcp: \"\", addresses: [127.0.0.1]}\n"+
		"rtsp: {listen: \"\"}\nquality: {cpu: 0}\nchannels:\n", filepath.Join(n.dir, "data"), port)
	for i := range channels {
		fmt.Fprintf(&config, "  - {id: c%d, name: 频道%d, source: \"file://%s\"}\n", i, i, file)
	}
	path := filepath.Join(n.dir, "bench.yaml")
	if err := os.WriteFile(path, []byte(config.String()), 0o600); err != nil {
		return n, err
	}
	n.base = fmt.Sprintf("http://127.0.0.1:%d", port)
	n.cmd = exec.Command(binary, "serve", "--config", path)
	n.cmd.Stderr = &n.log
	var said bytes.Buffer
	n.cmd.Stdout = &said
	if err := n.cmd.Start(); err != nil {
		return n, err
	}
	return n, n.ready(ctx, &said, channels)
}

// ready waits for the server and its channels and fetches a token.
func (n *node) ready(ctx context.Context, said *bytes.Buffer, channels int) error {
	deadline := time.Now().Add(2 * time.Minute)
	for {
		err := n.tryToken(said)
		if err == nil {
			var live int
			if live, err = n.live(); err == nil && live >= channels {
				return nil
			}
			err = errors.Join(err, fmt.Errorf("%d of %d channels are live", live, channels))
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("the server is not ready: %w\n%s", err, n.log.String())
		}
		<-time.After(200 * time.Millisecond)
	}
}

var passwordLine = regexp.MustCompile(`(?m)^ {2}password: (\S+)`)

func (n *node) tryToken(said *bytes.Buffer) error {
	if n.token != "" {
		return nil
	}
	m := passwordLine.FindStringSubmatch(said.String())
	if m == nil {
		return errors.New("the server has not said its password")
	}
	body := fmt.Sprintf(`{"name":"admin","password":%q}`, m[1])
	res, err := http.Post(n.base+"/api/v1/sessions", "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var s struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
		return err
	}
	n.token = s.Token
	return nil
}

func (n *node) live() (int, error) {
	req, err := http.NewRequest(http.MethodGet, n.base+"/api/v1/channels", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+n.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return bytes.Count(b, []byte(`"state":"live"`)), err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// close ends the server and removes what was made.
func (n *node) close() {
	if n.cmd != nil && n.cmd.Process != nil {
		_ = n.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
		_ = n.cmd.Wait()                          // how it ended is of no interest
	}
	if n.dir != "" {
		_ = os.RemoveAll(n.dir) // what stays is in the system's temporary folder
	}
}

// sample is what the server has cost so far.
type sample struct {
	at       time.Time
	cpu      time.Duration
	rss      float64 // MB
	sessions float64
	held     float64 // bytes
}

// sample reads the process and its metrics; zero for a server that is not ours.
func (n *node) sample(ctx context.Context) sample {
	s := sample{at: time.Now()}
	if n == nil {
		return s
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.cmd.Process.Pid))
	if err == nil {
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		s.cpu = time.Duration(number(f[11])+number(f[12])) * 10 * time.Millisecond
		s.rss = float64(number(f[21])) * float64(os.Getpagesize()) / 1e6
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.base+"/metrics", nil)
	if err != nil {
		return s
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return s
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return s
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 2 {
			continue
		}
		v, _ := strconv.ParseFloat(f[1], 64) // comments have more words
		switch f[0] {
		case "tongxiang_hls_sessions":
			s.sessions = v
		case "tongxiang_hls_held_bytes":
			s.held = v
		}
	}
	return s
}

// result is a row of the table.
type result struct {
	clients, kiosks, segments, late, holes, refused int
	behind                                          []time.Duration
	before, after                                   sample
	bytes                                           int64
	errs                                            []string
}

func summarise(clients []*client, kiosks int, before, after sample) result {
	r := result{clients: len(clients), kiosks: kiosks, before: before, after: after}
	for _, c := range clients {
		r.segments += c.segments
		r.late += c.late
		r.holes += c.holes
		r.refused += c.refused
		r.bytes += c.bytes
		r.behind = append(r.behind, c.behind...)
		r.errs = append(r.errs, c.errs...)
	}
	slices.Sort(r.behind)
	return r
}

func (r result) row() string {
	at := func(q float64) int64 {
		if len(r.behind) == 0 {
			return 0
		}
		return r.behind[min(int(q*float64(len(r.behind))), len(r.behind)-1)].Milliseconds()
	}
	elapsed := r.after.at.Sub(r.before.at)
	cores := float64(r.after.cpu-r.before.cpu) / float64(elapsed)
	text := fmt.Sprintf("| %d | %d | %d | %d | %d | %d | %d / %d / %d | %.0f | %.0f | %.0f | %.2f | %.2f | %.0f |",
		r.clients, r.kiosks, r.segments, r.late, r.holes, r.refused, at(0.5), at(0.99), at(1),
		r.after.sessions, r.after.held/1e6, r.after.rss, cores, 1000*cores/float64(r.kiosks), float64(8*r.bytes)/elapsed.Seconds()/1e6)
	if len(r.errs) > 0 {
		text += "\n" + strings.Join(r.errs[:min(len(r.errs), 5)], "\n")
	}
	return text
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tongxiang/bench/multiplex"
	"tongxiang/bench/process"
)

// channel is what one channel got.
type channel struct {
	id       string
	pictures int
}

func channelID(mux, service int) string { return fmt.Sprintf("m%d-%d", mux+1, service+1) }

// measure runs server and sender and reads what the window cost.
func (o options) measure(ctx context.Context) (_ *report, err error) {
	s, err := o.startServer(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var said bytes.Buffer
	send := exec.Command(self, append([]string{"-send"}, o.args()...)...)
	send.Stdout, send.Stderr = &said, os.Stderr
	send.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := process.StartOn(o.senderCore, o.nice, send); err != nil {
		return nil, fmt.Errorf("start the sender: %w", err)
	}
	sending := true
	defer func() {
		if sending {
			_ = process.Stop(send, 5*time.Second)
		}
	}()
	if err := s.live(ctx, o.muxes*multiplex.Services); err != nil {
		return nil, err
	}
	var clients *hlsClients
	if o.hls {
		clients = followAll(ctx, s, o)
		defer clients.close()
	}
	var recs *recordings
	if o.record != "" {
		if recs, err = o.recordAll(ctx, s); err != nil {
			return nil, err
		}
	}
	kiosks, kiosksSaid, err := o.startKiosks(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := process.Pause(ctx, o.settle); err != nil {
		return nil, err
	}

	r := &report{o: o, errors: make(map[string]uint64)}
	before, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	senderBefore, err := process.ReadUsage(send.Process.Pid)
	if err != nil {
		return nil, err
	}
	if clients != nil {
		clients.reset()
	}
	if err := process.Pause(ctx, o.window); err != nil {
		return nil, err
	}
	after, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	senderAfter, err := process.ReadUsage(send.Process.Pid)
	if err != nil {
		return nil, err
	}
	if clients != nil {
		r.hls = clients.count()
	}
	if recs != nil {
		r.recorded = &recorded{bytes: after.recorded - before.recorded, lost: after.lost - before.lost}
		if err := recs.end(ctx, s, r.recorded); err != nil {
			return nil, err
		}
	}
	if kiosks != nil {
		_ = process.Stop(kiosks, 20*time.Second) // how it ends is its own affair; what it said counts
		r.kiosksSaid = kiosksSaid.String()
	}
	r.wall = after.usage.At.Sub(before.usage.At)
	r.cpu, r.waited = after.usage.CPU-before.usage.CPU, after.usage.Waited-before.usage.Waited
	r.senderCPU = senderAfter.CPU - senderBefore.CPU
	r.rss, r.goroutines, r.heap, r.gcs = after.rss, after.goroutines, after.heap, after.gcs-before.gcs
	r.drops = after.drops - before.drops
	for id, n := range after.pictures {
		r.channels = append(r.channels, channel{id, int(n - before.pictures[id])})
		if after.starts[id] > 1 {
			r.attempts++
		}
	}
	for name, n := range after.errors {
		if d := n - before.errors[name]; d > 0 {
			r.errors[name] = d
		}
	}
	sending = false
	if err := process.Stop(send, 5*time.Second); err != nil {
		return nil, fmt.Errorf("the sender: %w", err)
	}
	if err := json.Unmarshal(said.Bytes(), &r.sent); err != nil {
		return nil, fmt.Errorf("what the sender said: %w", err)
	}
	return r, nil
}

// args hands this program's settings on to the sender.
func (o options) args() []string {
	return []string{"-dir", o.dir, "-to", o.to, "-muxes", strconv.Itoa(o.muxes), "-sender-core", strconv.Itoa(o.senderCore), fmt.Sprintf("-hls=%t", o.hls)}
}

// startKiosks runs the command of -kiosks on the sender's core.
func (o options) startKiosks(ctx context.Context, s *server) (*exec.Cmd, *bytes.Buffer, error) {
	if o.kiosks == "" {
		return nil, nil, nil
	}
	token, err := s.token(ctx, "kiosk")
	if err != nil {
		return nil, nil, err
	}
	said := new(bytes.Buffer)
	cmd := exec.Command("sh", "-c", o.kiosks)
	cmd.Env = append(os.Environ(), "TONGXIANG_URL="+s.url, "TONGXIANG_TOKEN="+token, "TONGXIANG_CHANNEL="+channelID(0, 0))
	cmd.Stdout, cmd.Stderr = said, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := process.StartOn(o.senderCore, o.nice, cmd); err != nil {
		return nil, nil, fmt.Errorf("start %q: %w", o.kiosks, err)
	}
	return cmd, said, nil
}

// snapshot is everything that is read at one moment.
type snapshot struct {
	usage      process.Usage
	rss        int
	goroutines float64
	heap       float64
	gcs        float64
	drops      uint64
	recorded   float64
	lost       float64
	pictures   map[string]float64
	starts     map[string]float64
	errors     map[string]uint64
}

func (s *server) snapshot(ctx context.Context) (*snapshot, error) {
	n := &snapshot{pictures: make(map[string]float64), starts: make(map[string]float64), errors: make(map[string]uint64)}
	var err error
	if n.rss, err = process.ReadRSS(s.cmd.Process.Pid); err != nil {
		return nil, err
	}
	if n.drops, err = socketDrops(s.cmd.Process.Pid); err != nil {
		return nil, err
	}
	if err := s.channelErrors(ctx, n.errors); err != nil {
		return nil, err
	}
	if err := s.metrics(ctx, func(name, labels string, v float64) {
		switch name {
		case "go_goroutines":
			n.goroutines = v
		case "go_memstats_heap_inuse_bytes":
			n.heap = v
		case "go_gc_duration_seconds_count":
			n.gcs = v
		case "tongxiang_recorded_bytes_total":
			n.recorded = v
		case "tongxiang_recorded_fragments_lost_total":
			n.lost = v
		case "tongxiang_channel_starts_total":
			n.starts[label(labels, "channel")] = v
		case "tongxiang_track_items_total":
			if id, ok := strings.CutPrefix(label(labels, "stream"), "channels/"); ok && !strings.Contains(id, "/") && label(labels, "track") == "video" {
				n.pictures[id] = v
			}
		}
	}); err != nil {
		return nil, err
	}
	n.usage, err = process.ReadUsage(s.cmd.Process.Pid)
	return n, err
}

// metrics calls f for each value of /metrics.
func (s *server) metrics(ctx context.Context, f func(name, labels string, v float64)) error {
	res, err := s.get(ctx, "/metrics", "")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		l := lines.Text()
		at := strings.LastIndexByte(l, ' ')
		if strings.HasPrefix(l, "#") || at < 0 {
			continue
		}
		v, err := strconv.ParseFloat(l[at+1:], 64)
		if err != nil {
			continue
		}
		name, labels, _ := strings.Cut(l[:at], "{")
		f(name, labels, v)
	}
	return nil
}

// label returns the value of a label.
func label(labels, name string) string {
	_, rest, _ := strings.Cut(labels, name+`="`)
	v, _, _ := strings.Cut(rest, `"`)
	return v
}

// channelErrors adds up what the channels' sources counted, as the API tells it. Those
// of one multiplex are the same for all its channels, so one of each is asked.
func (s *server) channelErrors(ctx context.Context, sums map[string]uint64) error {
	res, err := s.get(ctx, "/api/v1/channels?limit=500", s.bearer)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var list struct {
		Items []struct {
			ID     string            `json:"id"`
			Errors map[string]uint64 `json:"errors"`
		} `json:"items"`
	}
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil {
		return fmt.Errorf("read the list of channels: %w", err)
	}
	for _, c := range list.Items {
		if !strings.HasSuffix(c.ID, "-1") {
			continue
		}
		for name, n := range c.Errors {
			sums[name] += n
		}
	}
	return nil
}

func (s *server) get(ctx context.Context, path, bearer string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return nil, err
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", path, res.Status)
	}
	return res, nil
}

// socketDrops adds up what the kernel dropped at the sockets of a process's network.
func socketDrops(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/udp", pid))
	if err != nil {
		return 0, fmt.Errorf("read what the kernel dropped: %w", err)
	}
	sum := uint64(0)
	for i, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		f := strings.Fields(line)
		if i == 0 || len(f) < 13 {
			continue
		}
		n, err := strconv.ParseUint(f[len(f)-1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read what the kernel dropped: %q: %w", line, err)
		}
		sum += n
	}
	return sum, nil
}

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// player does what an HLS player does.
type player struct {
	client   *http.Client
	cookie   string
	head     []byte
	segments []segment
	listed   int           // bytes of playlists as sent
	ready    time.Duration // from the first request until a first segment could be asked for
	trip     time.Duration
}

type segment struct {
	url        string
	from, to   time.Duration
	first, end int64 // bytes
}

// thin is a connection of a thin line: what comes is handed on at its rate.
type thin struct {
	net.Conn
	rate float64 // bytes a second
	free time.Time
}

func (c *thin) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), 1460)])
	if now := time.Now(); c.free.Before(now) {
		c.free = now
	}
	c.free = c.free.Add(time.Duration(float64(n) / c.rate * float64(time.Second)))
	time.Sleep(time.Until(c.free))
	return n, err
}

// open reads the playlists of a quality.
func open(ctx context.Context, n *node, quality string, rate int, trip time.Duration) (*player, error) {
	p := &player{cookie: n.cookie, trip: trip}
	p.client = &http.Client{Transport: &http.Transport{
		DisableCompression: true, MaxConnsPerHost: 1,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &thin{Conn: c, rate: float64(rate) / 8}, c.(*net.TCPConn).SetReadBuffer(64 << 10)
		},
	}}
	began := time.Now()
	base, err := url.Parse(n.url + "/api/v1/recordings/" + n.id + "/hls/index.m3u8")
	if err != nil {
		return nil, err
	}
	master, err := p.list(ctx, base.String())
	if err != nil {
		return nil, err
	}
	if !strings.Contains(master, quality+".m3u8") {
		return nil, fmt.Errorf("no %s in\n%s", quality, master)
	}
	at, err := base.Parse(quality + ".m3u8")
	if err != nil {
		return nil, err
	}
	media, err := p.list(ctx, at.String())
	if err != nil {
		return nil, err
	}
	if err := p.parse(ctx, at, media); err != nil {
		return nil, err
	}
	p.ready = time.Since(began)
	return p, nil
}

func (p *player) list(ctx context.Context, at string) (string, error) {
	b, err := p.get(ctx, at, "")
	if err != nil {
		return "", err
	}
	p.listed += len(b)
	if len(b) > 2 && b[0] == 0x1f {
		z, err := gunzip(b)
		return string(z), err
	}
	return string(b), nil
}

func (p *player) parse(ctx context.Context, base *url.URL, text string) (err error) {
	var s segment
	now := time.Duration(0)
	for _, l := range strings.Split(text, "\n") {
		value, isLength := strings.CutPrefix(l, "#EXTINF:")
		bytes, isRange := strings.CutPrefix(l, "#EXT-X-BYTERANGE:")
		switch {
		case strings.HasPrefix(l, "#EXT-X-MAP:"):
			parts := strings.Split(l, `"`)
			at, err := base.Parse(parts[1])
			if err != nil {
				return err
			}
			first, end, err := span(parts[3])
			if err != nil {
				return err
			}
			if p.head, err = p.get(ctx, at.String(), fmt.Sprintf("bytes=%d-%d", first, end-1)); err != nil {
				return err
			}
		case isLength:
			seconds, err := strconv.ParseFloat(strings.TrimSuffix(value, ","), 64)
			if err != nil {
				return err
			}
			s.from, s.to = now, now+time.Duration(seconds*float64(time.Second))
			now = s.to
		case isRange:
			if s.first, s.end, err = span(bytes); err != nil {
				return err
			}
		case l != "" && l[0] != '#':
			at, err := base.Parse(l)
			if err != nil {
				return err
			}
			s.url = at.String()
			p.segments = append(p.segments, s)
		}
	}
	return nil
}

// span reads "length@offset".
func span(s string) (first, end int64, err error) {
	length, offset, _ := strings.Cut(s, "@")
	n, err := strconv.ParseInt(length, 10, 64)
	if err != nil {
		return 0, 0, err
	}
	first, err = strconv.ParseInt(offset, 10, 64)
	return first, first + n, err
}

func (p *player) get(ctx context.Context, at, bytes string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", at, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Cookie", p.cookie)
	if bytes != "" {
		req.Header.Set("Range", bytes)
	} else {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	time.Sleep(p.trip)
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode >= 300 {
		return nil, fmt.Errorf("get %s: %s %w", at, resp.Status, err)
	}
	return b, nil
}

// jump fetches the segment in which a time lies and decodes its picture.
func (p *player) jump(ctx context.Context, to time.Duration) (fetched, shown time.Duration, size int, err error) {
	began := time.Now()
	for _, s := range p.segments {
		if to < s.from || to >= s.to {
			continue
		}
		b, err := p.get(ctx, s.url, fmt.Sprintf("bytes=%d-%d", s.first, s.end-1))
		if err != nil {
			return 0, 0, 0, err
		}
		fetched = time.Since(began)
		cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-i", "pipe:0", "-an", "-ss", fmt.Sprint((to-s.from).Seconds()*0.9), "-frames:v", "1", "-f", "rawvideo", "pipe:1")
		cmd.Stdin = bytes.NewReader(append(bytes.Clone(p.head), b...))
		picture, err := cmd.Output()
		if err != nil || len(picture) == 0 {
			return 0, 0, 0, fmt.Errorf("no picture at %v: %d bytes, %w", to, len(picture), err)
		}
		return fetched, time.Since(began), len(b), nil
	}
	return 0, 0, 0, fmt.Errorf("%v is in no segment", to)
}

func gunzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

package main

import (
	"bufio"
	"context"
	"io"
	"net/url"
	"strings"
	"sync"
	"time"

	"tongxiang/bench/multiplex"
	"tongxiang/bench/process"
)

// hlsCount is what the clients got.
type hlsCount struct {
	Pieces, Bytes, Bad int64
	Behind, Worst      time.Duration // of the newest segment's end by its EXT-X-PROGRAM-DATE-TIME
}

// hlsClients follow one playlist of each channel, as a player that does not use
// parts: it asks for the playlist every target duration and takes each new segment.
type hlsClients struct {
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu     sync.Mutex // guards n and behind
	n      hlsCount
	behind []time.Duration
}

// followAll begins to follow every channel. The caller closes it.
func followAll(ctx context.Context, s *server, o options) *hlsClients {
	ctx, cancel := context.WithCancel(ctx)
	c := &hlsClients{cancel: cancel}
	for mux := range o.muxes {
		for service := range multiplex.Services {
			c.wait.Go(func() { c.follow(ctx, s, "/hls/channels/"+channelID(mux, service)+"/index.m3u8") })
		}
	}
	return c
}

func (c *hlsClients) close() {
	c.cancel()
	c.wait.Wait()
}

func (c *hlsClients) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n, c.behind = hlsCount{}, nil
}

func (c *hlsClients) count() hlsCount {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.n
	sum := time.Duration(0)
	for _, b := range c.behind {
		sum += b
		n.Worst = max(n.Worst, b)
	}
	if len(c.behind) > 0 {
		n.Behind = sum / time.Duration(len(c.behind))
	}
	return n
}

// follow is the goroutine of one channel.
func (c *hlsClients) follow(ctx context.Context, s *server, master string) {
	var media []string // playlists: picture and sound
	seen := make(map[string]bool)
	for ctx.Err() == nil {
		if media == nil {
			for _, u := range c.playlist(ctx, s, master).uris {
				if strings.Contains(u, ".m3u8") {
					media = append(media, u)
				}
			}
		}
		for _, m := range media {
			p := c.playlist(ctx, s, m)
			first := len(seen) == 0
			for _, u := range p.uris {
				if seen[u] || strings.Contains(u, ".m3u8") {
					continue
				}
				seen[u] = true
				if !first {
					c.fetch(ctx, s, u)
				}
			}
			if !p.end.IsZero() {
				c.mu.Lock()
				c.behind = append(c.behind, time.Since(p.end))
				c.mu.Unlock()
			}
		}
		if process.Pause(ctx, time.Second) != nil {
			return
		}
	}
}

// playlist is what is taken from one.
type playlist struct {
	uris []string  // of segments and of other playlists, made absolute
	end  time.Time // of the newest segment
}

func (c *hlsClients) playlist(ctx context.Context, s *server, path string) playlist {
	var p playlist
	body := c.body(ctx, s, path)
	if body == nil {
		return p
	}
	defer body.Close()
	base, err := url.Parse(path)
	if err != nil {
		return p
	}
	// Of the variants only the first: the programme as it is. The low rates behind it are
	// transcodes, of which a node does some and not two for each of 49 channels.
	variants := 0
	resolve := func(ref string) {
		if u, err := base.Parse(ref); err == nil {
			p.uris = append(p.uris, u.String())
		}
	}
	for lines := bufio.NewScanner(body); lines.Scan(); {
		l := lines.Text()
		switch {
		case strings.HasPrefix(l, "#EXT-X-PROGRAM-DATE-TIME:"):
			p.end, _ = time.Parse(time.RFC3339Nano, strings.TrimPrefix(l, "#EXT-X-PROGRAM-DATE-TIME:"))
		case strings.HasPrefix(l, "#EXTINF:"):
			d, _, _ := strings.Cut(strings.TrimPrefix(l, "#EXTINF:"), ",")
			if long, err := time.ParseDuration(d + "s"); err == nil && !p.end.IsZero() {
				p.end = p.end.Add(long)
			}
		case strings.HasPrefix(l, "#EXT-X-MEDIA:"):
			if _, ref, ok := strings.Cut(l, `URI="`); ok {
				ref, _, _ = strings.Cut(ref, `"`)
				resolve(ref)
			}
		case strings.HasPrefix(l, "#EXT-X-STREAM-INF:"):
			variants++
		case l != "" && !strings.HasPrefix(l, "#") && variants <= 1:
			resolve(l)
		}
	}
	return p
}

func (c *hlsClients) fetch(ctx context.Context, s *server, path string) {
	body := c.body(ctx, s, path)
	if body == nil {
		return
	}
	defer body.Close()
	n, err := io.Copy(io.Discard, body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n.Pieces++
	c.n.Bytes += n
	if err != nil {
		c.n.Bad++
	}
}

// body asks for something; nil and counted when it does not come.
func (c *hlsClients) body(ctx context.Context, s *server, path string) io.ReadCloser {
	res, err := s.get(ctx, path, s.bearer)
	if err != nil {
		if ctx.Err() == nil {
			c.mu.Lock()
			c.n.Bad++
			c.mu.Unlock()
		}
		return nil
	}
	return res.Body
}

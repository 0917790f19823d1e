package hls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/retry"
)

const (
	// maxSegment is how much of a segment is taken: 10 s of 25 Mbit/s.
	maxSegment = 32 << 20
	// playlistPatience and segmentPatience bound one request.
	playlistPatience = 10 * time.Second
	segmentPatience  = 30 * time.Second
	// loadTries is how often in a row a playlist may fail to load, and segmentsLost
	// how many segments in a row may.
	loadTries    = 3
	segmentsLost = 5
)

// Foreign is the error of a stream that has to be read by another program.
type Foreign struct {
	// Inputs are the addresses of its picture and, when that comes apart, its sound,
	// without user name and password. User has these when all of the stream is at
	// the host that they are for, else nil.
	Inputs []string
	User   *url.Userinfo
	Why    string
}

// Error says why.
func (f *Foreign) Error() string { return f.Why }

// Client pulls one stream.
type Client struct {
	HTTP *http.Client
	URL  *url.URL
	// Bandwidth is the most that a variant may have, in bits a second; 0: any.
	Bandwidth int
	// Play takes the segments in order and returns when it has done with one, or
	// with the error that ends the client. anew: it does not continue the last.
	Play func(segment []byte, anew bool) error
	// Tell takes the counters when one has moved.
	Tell func(source.Link)

	window window
	lost   uint64 // segments that could not be loaded
	cut    uint64 // segments longer than maxSegment
	failed uint64 // playlists that could not be loaded
	told   uint64
}

// loaded is a segment on its way from the loading to the playing goroutine.
type loaded struct {
	b    []byte
	anew bool
}

// Run pulls until ctx or the stream ends. The error is a [source.Error] or [Foreign].
// One goroutine loads, so that a segment is there when the one before has been played.
func (c *Client) Run(ctx context.Context) error {
	p, err := c.load(ctx)
	if err != nil {
		return err
	}
	if len(p.Variants) > 0 {
		v := p.Best(c.Bandwidth)
		if v.Audio != nil {
			return c.foreign(ctx, "picture and sound come apart", v.URL, v.Audio)
		}
		c.URL = v.URL
		if p, err = c.load(ctx); err != nil {
			return err
		}
		if len(p.Variants) > 0 {
			return source.Because(source.CauseUnplayable, errors.New("a master playlist leads to another"))
		}
	}
	if p.Foreign != "" {
		return c.foreign(ctx, p.Foreign, c.URL)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready := make(chan loaded) // one waits here, one is played
	ended := make(chan error, 1)
	go func() {
		defer close(ready)
		ended <- c.follow(ctx, p, ready)
	}()
	for s := range ready {
		if err := c.Play(s.b, s.anew); err != nil {
			cancel()
			for range ready { // until the loader has ended
			}
			<-ended
			return err
		}
	}
	return <-ended
}

// foreign returns a [Foreign] after a look at its playlists.
func (c *Client) foreign(ctx context.Context, why string, playlists ...*url.URL) error {
	f := &Foreign{Why: why, User: playlists[0].User}
	for _, u := range playlists {
		c.URL = u
		p, err := c.load(ctx)
		if err != nil {
			return err
		}
		if p.elsewhere || u.Host != playlists[0].Host {
			f.User = nil
		}
		bare := *u
		bare.User = nil
		f.Inputs = append(f.Inputs, bare.String())
	}
	return f
}

// follow loads segments and the playlist again and again until ctx or the stream ends.
func (c *Client) follow(ctx context.Context, p *Playlist, out chan<- loaded) error {
	lost, failed := 0, 0
	broken := false
	for {
		fresh := c.window.take(p, time.Now())
		for _, s := range fresh {
			b, err := c.segment(ctx, s)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				c.lost++
				c.tell()
				broken = true
				if lost++; lost >= segmentsLost {
					return source.Because(source.CauseUnreachable, fmt.Errorf("%d segments in a row: %w", lost, err))
				}
				continue
			}
			lost = 0
			select {
			case out <- loaded{b, s.Discontinuity || broken}:
				broken = false
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if p.Ended {
			return source.Because(source.CauseEnded, errors.New("end of the playlist"))
		}
		wait, stale := c.window.pause(p, len(fresh) > 0, time.Now())
		if stale {
			return source.Because(source.CauseEnded, fmt.Errorf("the playlist has not changed for %v", staleAfter*p.Target))
		}
		c.tell()
		for {
			if !retry.Sleep(ctx, wait) {
				return ctx.Err()
			}
			next, err := c.load(ctx)
			if err == nil {
				p, failed = next, 0
				break
			}
			c.failed++
			c.tell()
			if failed++; failed >= loadTries || ctx.Err() != nil {
				return err
			}
		}
		if p.Foreign != "" {
			return source.Because(source.CauseEnded, fmt.Errorf("the stream changed to %s", p.Foreign))
		}
	}
}

// load loads the playlist.
func (c *Client) load(ctx context.Context) (*Playlist, error) {
	ctx, cancel := context.WithTimeout(ctx, playlistPatience)
	defer cancel()
	b, from, err := c.get(ctx, c.URL, Segment{}, maxPlaylist)
	switch {
	case errors.Is(err, errCut):
		return nil, source.Because(source.CauseUnplayable, errTooLong)
	case err != nil:
		return nil, err
	}
	p, err := Parse(b, from)
	if err != nil {
		return nil, source.Because(source.CauseUnplayable, fmt.Errorf("%s: %w", from.Host, err))
	}
	return p, nil
}

// segment loads a segment, at the second try when the first fails.
func (c *Client) segment(ctx context.Context, s Segment) (b []byte, err error) {
	for try := range 2 {
		if try > 0 && !retry.Sleep(ctx, time.Second/4) {
			return nil, ctx.Err()
		}
		limited, cancel := context.WithTimeout(ctx, segmentPatience)
		b, _, err = c.get(limited, s.URL, s, maxSegment)
		cancel()
		if errors.Is(err, errCut) {
			c.cut++
			return b, nil
		}
		if err == nil || ctx.Err() != nil || source.CauseOf(err) == source.CauseNotFound {
			return b, err
		}
	}
	return nil, err
}

// errCut says that a body was longer than the limit.
var errCut = errors.New("longer than the limit")

// get loads a resource, or the part of it that a segment names, up to a limit. It
// returns the address at which it was found.
func (c *Client) get(ctx context.Context, u *url.URL, part Segment, limit int64) ([]byte, *url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, u, source.Because(source.CauseBadAddress, err)
	}
	if part.Length > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", part.Offset, part.Offset+part.Length-1))
		limit = min(limit, part.Length)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, u, source.Because(source.CauseUnreachable, err)
	}
	defer resp.Body.Close()
	if err := Status(resp, part.Length > 0); err != nil {
		return nil, u, err
	}
	body := io.Reader(resp.Body)
	if part.Length > 0 && resp.StatusCode == http.StatusOK { // the server knows no ranges
		if _, err := io.CopyN(io.Discard, body, min(part.Offset, maxSegment)); err != nil {
			return nil, u, source.Because(source.CauseUnreachable, err)
		}
	}
	var buf bytes.Buffer
	n, err := buf.ReadFrom(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, u, source.Because(source.CauseUnreachable, err)
	}
	b := buf.Bytes()
	if n > limit {
		b = b[:limit]
		if part.Length == 0 {
			err = errCut
		}
	}
	from := resp.Request.URL
	if from.User == nil && from.Host == u.Host {
		// The user name of the address goes along to what the playlist names.
		safe := *from
		safe.User = u.User
		from = &safe
	}
	return b, from, err
}

// Status returns the cause of an answer that is not the wanted one.
func Status(resp *http.Response, part bool) error {
	switch code := resp.StatusCode; {
	case code == http.StatusOK, part && code == http.StatusPartialContent:
		return nil
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return source.Because(source.CauseCredentials, errors.New(resp.Status))
	case code == http.StatusNotFound, code == http.StatusGone:
		return source.Because(source.CauseNotFound, errors.New(resp.Status))
	}
	return source.Because(source.CauseRefused, errors.New(resp.Status))
}

// tell passes the counters on when one has moved. Only the loading goroutine calls it.
func (c *Client) tell() {
	if sum := c.lost + c.cut + c.failed + c.window.skipped; sum != c.told {
		c.told = sum
		c.Tell(source.Link{Errors: map[string]uint64{
			"hls_segment_lost": c.lost, "hls_segment_cut": c.cut, "hls_playlist": c.failed, "hls_segment_missed": c.window.skipped,
		}})
	}
}

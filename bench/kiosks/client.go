package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// client is one player. It belongs to the goroutine that runs it.
type client struct {
	http   *http.Client
	base   string // of the stream
	token  string
	from   time.Time // what happens before is not counted
	target time.Duration

	segments, late, holes, refused int
	bytes                          int64
	behind                         []time.Duration // of each segment when it was complete
	errs                           []string
}

func newClient(server, token, stream string, from time.Time) *client {
	return &client{
		// A browser holds its connections; each kiosk has its own.
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2, MaxConnsPerHost: 2}, Timeout: 20 * time.Second},
		base: server + "/hls/" + stream + "/", token: token, from: from, target: time.Second,
	}
}

// run plays until ctx ends, beginning anew as a kiosk does when something fails.
func (c *client) run(ctx context.Context) {
	defer c.http.CloseIdleConnections()
	for ctx.Err() == nil {
		if err := c.play(ctx); err != nil && ctx.Err() == nil {
			if time.Now().After(c.from) {
				c.refused++
			}
			if len(c.errs) < 3 {
				c.errs = append(c.errs, err.Error())
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

// play is one player: from the multivariant playlist to the first fault.
func (c *client) play(ctx context.Context) error {
	main, err := c.get(ctx, "index.m3u8")
	if err != nil {
		return err
	}
	list := ""
	for line := range strings.Lines(string(main)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			list = line // the first is the stream itself
			break
		}
	}
	query, last, counted := "", place{}, uint64(0)
	for ctx.Err() == nil {
		text, err := c.get(ctx, list+query)
		if err != nil {
			return err
		}
		p := parse(string(text))
		c.target = max(p.target, time.Second)
		for _, part := range p.parts {
			if last.name != "" && !last.before(part) {
				continue
			}
			if last.name != "" && !last.next(part) && time.Now().After(c.from) {
				c.holes++
			}
			b, err := c.get(ctx, part.name)
			if err != nil {
				return err
			}
			if now := time.Now(); now.After(c.from) {
				c.bytes += int64(len(b))
			}
			last = part
		}
		for n := max(counted+1, last.segment-min(last.segment, 3)); n <= last.segment; n++ {
			if s, ok := p.ends[n]; ok && (n < last.segment || last.part == s.parts-1) {
				c.done(s.at)
				counted = n
			}
		}
		if p.next == "" {
			return fmt.Errorf("%s has no preload hint", list)
		}
		query = p.next
	}
	return nil
}

// done counts a segment whose last part has come; at is when its end reached the server.
func (c *client) done(at time.Time) {
	now := time.Now()
	if now.Before(c.from) {
		return
	}
	c.segments++
	c.behind = append(c.behind, now.Sub(at))
	if now.Sub(at) > c.target {
		c.late++
	}
}

func (c *client) get(ctx context.Context, name string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+name, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %d %s", name, res.StatusCode, b)
	}
	return b, err
}

// place is where a part lies in its stream.
type place struct {
	name    string
	segment uint64
	part    int
	whole   int // parts of the segment before, when it is known to be complete; else 0
}

func (p place) before(q place) bool {
	return q.segment > p.segment || q.segment == p.segment && q.part > p.part
}

// next reports whether q follows p without a hole.
func (p place) next(q place) bool {
	return q.segment == p.segment && q.part == p.part+1 ||
		q.segment == p.segment+1 && q.part == 0 && (q.whole == 0 || q.whole == p.part+1)
}

// listing is what a media playlist says.
type listing struct {
	target time.Duration
	parts  []place
	ends   map[uint64]ended // complete segments, by number
	next   string           // the query of the next blocking request
}

// ended is a complete segment.
type ended struct {
	at    time.Time // when its end reached the server, by its date and duration
	parts int       // that are listed of it
}

// parse reads a media playlist of ours. It is no general parser: 300 players on the
// server's own machine must not cost more than the server.
func parse(text string) listing {
	l := listing{ends: make(map[uint64]ended)}
	var date time.Time
	var length time.Duration
	parts, before := 0, 0
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		tag, rest, _ := strings.Cut(line, ":")
		switch {
		case tag == "#EXT-X-PART":
			_, uri, _ := strings.Cut(rest, `URI="`)
			uri, _, _ = strings.Cut(uri, `"`)
			p := placeOf(uri)
			if p.part == 0 {
				p.whole = before
			}
			parts++
			l.parts = append(l.parts, p)
		case tag == "#EXT-X-PRELOAD-HINT":
			_, uri, _ := strings.Cut(rest, `URI="`)
			p := placeOf(strings.TrimSuffix(uri, `"`))
			l.next = fmt.Sprintf("?_HLS_msn=%d&_HLS_part=%d", p.segment, p.part)
		case tag == "#EXT-X-PROGRAM-DATE-TIME":
			date, _ = time.Parse(time.RFC3339, rest) // zero: the segment then counts as late
		case tag == "#EXTINF":
			length = seconds(strings.TrimSuffix(rest, ","))
		case tag == "#EXT-X-TARGETDURATION":
			l.target = seconds(rest)
		case line != "" && line[0] != '#':
			l.ends[placeOf(line).segment] = ended{date.Add(length), parts}
			before, parts = parts, 0
		}
	}
	return l
}

// placeOf reads a file's name: session-segment.part.mp4 or session-segment.mp4.
func placeOf(name string) place {
	_, rest, _ := strings.Cut(strings.TrimSuffix(name, ".mp4"), "-")
	segment, part, _ := strings.Cut(rest, ".")
	return place{name: name, segment: number(segment), part: int(number(part))}
}

// number reads digits that a pattern has found.
func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64) // too large: 0, which is no segment of ours
	return n
}

func seconds(s string) time.Duration {
	f, _ := strconv.ParseFloat(s, 64) // what is no number is no time
	return time.Duration(f * float64(time.Second))
}

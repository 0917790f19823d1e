// Package srt receives what one sender sends by SRT, the protocol with
// retransmissions in which studios and encoders pass transport streams on
// (draft-sharabayko-srt): as the caller of a sender, or as the listener that a
// sender calls.
//
// The protocol itself is gosrt's. Its goroutines end with the connection; see dial
// for the one that has to be waited for.
package srt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"tongxiang/ingest/source"
)

const (
	// connectPatience is how long a sender may take to answer.
	connectPatience = 3 * time.Second
	// idlePatience is how long a connection may carry nothing, not even a sign of life.
	idlePatience = 5 * time.Second
	// maxLatency is the longest delay that an address may ask for: a satellite link
	// needs 2 s, and gosrt keeps so much in memory.
	maxLatency = 10 * time.Second
	// tellEvery is how often the counters of the link are told.
	tellEvery = time.Second
)

// Address is what an srt:// address says.
type Address struct {
	host       string // host:port
	listen     bool
	streamID   string
	passphrase string
	keyLength  int // bytes
	latency    time.Duration
}

// Parse reads an address:
//
//	srt://host:port?mode=caller&streamid=a&passphrase=secret…&pbkeylen=16&latency=120
//	srt://:port?mode=listener…
//
// The mode is caller where there is a host and listener where there is none. The
// latency is in milliseconds. Without a passphrase nothing is encrypted; with one,
// nothing else is accepted. A listener with a stream id takes no sender with another.
func Parse(u *url.URL) (Address, error) {
	q := u.Query()
	a := Address{
		host: u.Host, listen: u.Hostname() == "", keyLength: 16, latency: 120 * time.Millisecond,
		streamID: q.Get("streamid"), passphrase: q.Get("passphrase"),
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || port == 0 {
		return a, fmt.Errorf("port %q is not 1 to 65535", u.Port())
	}
	switch mode := q.Get("mode"); mode {
	case "":
	case "caller":
		a.listen = false
	case "listener":
		a.listen = true
	default:
		return a, fmt.Errorf("mode=%q: want caller or listener", mode)
	}
	if u.Hostname() == "" && !a.listen {
		return a, errors.New("a caller needs a host")
	}
	if h := u.Hostname(); a.listen && h != "" && net.ParseIP(h) == nil {
		return a, fmt.Errorf("a listener listens at an IP address of this machine, not at %q", h)
	}
	if n := len(a.passphrase); n > 0 && (n < gosrt.MIN_PASSPHRASE_SIZE || n > gosrt.MAX_PASSPHRASE_SIZE) {
		return a, fmt.Errorf("the passphrase has %d bytes, want %d to %d", n, gosrt.MIN_PASSPHRASE_SIZE, gosrt.MAX_PASSPHRASE_SIZE)
	}
	if n := len(a.streamID); n > gosrt.MAX_STREAMID_SIZE {
		return a, fmt.Errorf("the streamid has %d bytes, want %d at most", n, gosrt.MAX_STREAMID_SIZE)
	}
	if v := q.Get("pbkeylen"); v != "" && v != "0" {
		n, err := strconv.Atoi(v)
		if err != nil || n != 16 && n != 24 && n != 32 {
			return a, fmt.Errorf("pbkeylen=%q: want 16, 24 or 32", v)
		}
		a.keyLength = n
	}
	if v := q.Get("latency"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || time.Duration(n)*time.Millisecond > maxLatency {
			return a, fmt.Errorf("latency=%q: want 0 to %d milliseconds", v, maxLatency.Milliseconds())
		}
		a.latency = time.Duration(n) * time.Millisecond
	}
	return a, nil
}

func (a Address) config() gosrt.Config {
	c := gosrt.DefaultConfig()
	c.ConnectionTimeout, c.PeerIdleTimeout = connectPatience, idlePatience
	c.Latency = a.latency
	c.StreamId = a.streamID
	c.Passphrase, c.PBKeylen = a.passphrase, a.keyLength
	return c
}

// Output is where a link writes. Its functions are called from one goroutine,
// except Tell.
type Output struct {
	// Feed takes the payload of a packet, in order; it may not keep the bytes.
	Feed func(b []byte)
	// Fresh says that another sender begins.
	Fresh func()
	// Tell takes the state of the link. It may be called from any goroutine.
	Tell func(source.Link)
}

// Run receives until ctx ends; a caller's Run also ends with its sender, and its
// error is a [source.Error].
func (a Address) Run(ctx context.Context, out Output) error {
	if a.listen {
		return a.listener(ctx, out)
	}
	conn, err := a.dial(ctx)
	if err != nil {
		return err
	}
	err = receive(ctx, conn, func(b []byte, errors map[string]uint64) {
		if b != nil {
			out.Feed(b)
			return
		}
		out.Tell(source.Link{Errors: errors})
	})
	drain(conn)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return source.Because(source.CauseEnded, fmt.Errorf("%s ended the stream: %w", a.host, err))
}

// receive passes the packets of a connection to f, and once a second the counters
// instead of bytes. It closes the connection and returns why it ended.
func receive(ctx context.Context, conn gosrt.Conn, f func(b []byte, errors map[string]uint64)) error {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	b := make([]byte, gosrt.MAX_MSS_SIZE)
	var told time.Time
	for {
		n, err := conn.Read(b)
		if err != nil {
			f(nil, counters(conn))
			return err
		}
		f(b[:n], nil)
		if now := time.Now(); now.Sub(told) > tellEvery {
			told = now
			f(nil, counters(conn))
		}
	}
}

// counters returns what went wrong on a link so far.
func counters(conn gosrt.Conn) map[string]uint64 {
	var s gosrt.Statistics
	conn.Stats(&s)
	return map[string]uint64{
		"srt_lost":          s.Accumulated.PktRecvLoss,
		"srt_retransmitted": s.Accumulated.PktRecvRetrans,
		"srt_dropped":       s.Accumulated.PktRecvDrop,
		"srt_undecrypted":   s.Accumulated.PktRecvUndecrypt,
	}
}

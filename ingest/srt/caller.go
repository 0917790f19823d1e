package srt

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"tongxiang/ingest/source"
)

// dial calls the sender. When ctx ends, it returns at once; the attempt ends by
// itself within some seconds.
func (a Address) dial(ctx context.Context) (gosrt.Conn, error) {
	type result struct {
		conn gosrt.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		c := a.config()
		patience := new(patience)
		c.Logger = patience
		conn, err := gosrt.DialWithContext(ctx, "srt", a.host, c)
		patience.connected.Store(true)
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, refusal(r.err)
		}
		return r.conn, nil
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				r.conn.Close()
				drain(r.conn)
			}
		}()
		return nil, ctx.Err()
	}
}

// refusal turns what gosrt says of a call that failed into a cause.
func refusal(err error) error {
	_, code, found := strings.Cut(err.Error(), "REJECT (")
	if !found {
		return source.Because(source.CauseUnreachable, err)
	}
	// gosrt writes the code to the base of 32.
	n, e := strconv.ParseUint(strings.TrimSuffix(code, ")"), 32, 32)
	if e != nil {
		return source.Because(source.CauseRefused, err)
	}
	switch gosrt.RejectionReason(n) {
	case gosrt.REJ_BADSECRET, gosrt.REJ_UNSECURE:
		return source.Because(source.CausePassphrase, fmt.Errorf("the sender refused the passphrase (%d)", n))
	case gosrt.REJX_UNAUTHORIZED, gosrt.REJX_FORBIDDEN:
		return source.Because(source.CauseCredentials, fmt.Errorf("the sender refused the stream id (%d)", n))
	case gosrt.REJX_NOTFOUND:
		return source.Because(source.CauseNotFound, fmt.Errorf("the sender has no such stream id (%d)", n))
	}
	return source.Because(source.CauseRefused, fmt.Errorf("the sender refused the call (%d)", n))
}

// patience keeps gosrt from leaving a goroutine behind with each call that failed.
// Its dialer's reader hands its end over on a channel, and Close looks at that
// channel once, right after it closed the socket: too early. Close logs before it
// closes, and by then the reader has been told; it looks every readEvery. That
// Close waits so long matters to nobody, a failed call is followed by a pause.
type patience struct{ connected atomic.Bool }

// readEvery is gosrt's own deadline for reading, and a little more.
const readEvery = 3*time.Second + 200*time.Millisecond

// HasTopic implements gosrt.Logger: there is no log.
func (p *patience) HasTopic(string) bool { return false }

// Print implements gosrt.Logger.
func (p *patience) Print(topic string, _ uint32, _ int, message func() string) {
	if topic == "dial" && !p.connected.Load() && message() == "closing socket" {
		<-time.After(readEvery)
	}
}

// Listen implements gosrt.Logger.
func (p *patience) Listen() <-chan gosrt.Log { return nil }

// Close implements gosrt.Logger.
func (p *patience) Close() {}

// drain waits for the reader of a dialer that was closed: it hands its end over to
// whoever reads next.
func drain(conn gosrt.Conn) {
	b := make([]byte, 1)
	for range 100 {
		if _, err := conn.Read(b); errors.Is(err, gosrt.ErrClientClosed) {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
}

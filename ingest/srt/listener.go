package srt

import (
	"context"
	"fmt"
	"maps"
	"net"
	"sync"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"tongxiang/ingest/source"
)

// listener waits for senders, one after the other, until ctx ends.
func (a Address) listener(ctx context.Context, out Output) error {
	ln, err := gosrt.Listen("srt", a.host, a.config())
	if err != nil {
		return source.Because(source.CauseUnreachable, fmt.Errorf("listen at %s: %w", a.host, err))
	}
	d := &door{address: a, out: out, calls: make(chan gosrt.Conn), counts: map[string]uint64{}}
	d.tell(nil)
	ended := make(chan error, 1)
	go func() { ended <- d.answer(ctx, ln) }()
	defer func() {
		ln.Close()
		<-ended
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			ended <- err // for the deferred wait
			return source.Because(source.CauseFailed, fmt.Errorf("listen at %s: %w", a.host, err))
		case conn := <-d.calls:
			out.Fresh()
			// That a sender left is no error: the next may come.
			_ = receive(ctx, conn, func(b []byte, errors map[string]uint64) {
				if b != nil {
					d.hear()
					out.Feed(b)
					return
				}
				d.tell(errors)
			})
			d.left(conn)
		}
	}
}

// deadAfter is how long a sender may send nothing and still keep its place: one
// that lost its power says no farewell, and comes back before its idlePatience ends.
const deadAfter = 1500 * time.Millisecond

// door lets one sender in at a time.
type door struct {
	address Address
	out     Output
	calls   chan gosrt.Conn

	mu     sync.Mutex // guards what follows
	inside net.Addr
	conn   gosrt.Conn // of who is inside, once it was accepted
	heard  time.Time
	counts map[string]uint64 // of refusals, and of the links that ended
	now    map[string]uint64 // of the link at hand
	cause  source.Cause      // why the last one was refused, while nobody is in
	detail string
}

// answer decides about every call until the listener is closed.
func (d *door) answer(ctx context.Context, ln gosrt.Listener) error {
	for {
		req, err := ln.Accept2()
		if err != nil {
			return err
		}
		if d.refuse(req) {
			continue
		}
		conn, err := req.Accept()
		if err != nil {
			d.left(nil)
			continue
		}
		d.mu.Lock()
		d.conn = conn
		d.mu.Unlock()
		select {
		case d.calls <- conn:
		case <-ctx.Done():
			conn.Close()
		}
	}
}

// refuse decides about one call, and takes the place when it lets it in.
func (d *door) refuse(req gosrt.ConnRequest) bool {
	why := d.judge(req)
	from := req.RemoteAddr()
	d.mu.Lock()
	switch {
	case why == nil:
		if d.conn != nil {
			d.conn.Close() // it is dead; its place goes to the next
		}
		d.inside, d.conn, d.heard = from, nil, time.Now()
		d.cause, d.detail = source.CauseNone, ""
	case d.inside == nil:
		d.cause, d.detail = why.cause, fmt.Sprintf("refused %s: %s", from, why.text)
	}
	if why != nil {
		d.counts[why.name]++
	}
	d.mu.Unlock()
	if why != nil {
		req.Reject(why.reject)
	}
	d.tell(nil)
	return why != nil
}

// verdict is why a call is refused.
type verdict struct {
	name   string // of the counter
	cause  source.Cause
	text   string
	reject gosrt.RejectionReason
}

// judge looks at one call; nil: it may come in.
func (d *door) judge(req gosrt.ConnRequest) *verdict {
	secret := d.address.passphrase != ""
	switch {
	case secret && !req.IsEncrypted():
		return &verdict{"srt_refused_passphrase", source.CausePassphrase, "no passphrase", gosrt.REJ_UNSECURE}
	case !secret && req.IsEncrypted():
		return &verdict{"srt_refused_passphrase", source.CausePassphrase, "a passphrase where none is set here", gosrt.REJ_UNSECURE}
	case secret && req.SetPassphrase(d.address.passphrase) != nil:
		return &verdict{"srt_refused_passphrase", source.CausePassphrase, "wrong passphrase", gosrt.REJ_BADSECRET}
	case d.address.streamID != "" && req.StreamId() != d.address.streamID:
		return &verdict{"srt_refused_streamid", source.CauseCredentials, "another stream id", gosrt.REJX_FORBIDDEN}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside != nil && (d.conn == nil || time.Since(d.heard) < deadAfter) {
		return &verdict{"srt_refused_second", source.CauseRefused, fmt.Sprintf("%s sends already", d.inside), gosrt.REJ_RESOURCE}
	}
	return nil
}

// hear notes a sign of life.
func (d *door) hear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heard = time.Now()
}

// left notes that a sender is gone; its place may be taken by another already.
func (d *door) left(conn gosrt.Conn) {
	d.mu.Lock()
	for name, n := range d.now {
		d.counts[name] += n
	}
	d.now = nil
	if d.conn == conn {
		d.inside, d.conn = nil, nil
	}
	d.mu.Unlock()
	d.tell(nil)
}

// tell passes on how things are; now, when there is one, is the count of the link at hand.
func (d *door) tell(now map[string]uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now != nil {
		d.now = now
	}
	all := maps.Clone(d.counts)
	for name, n := range d.now {
		all[name] += n
	}
	d.out.Tell(source.Link{Errors: all, Waiting: true, Cause: d.cause, Detail: d.detail})
}

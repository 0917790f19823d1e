// Package source is the contract between a channel and what it plays: one
// [Source] for each protocol, and the [Output] that a channel gives it to write to.
package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"syscall"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/stream"
)

// Source brings one programme in. It is made once for each attempt.
type Source interface {
	// Run connects and writes to out until ctx or the source ends. It owns the
	// goroutines that it starts and has waited for them when it returns. It
	// returns an error unless ctx ended; see [Error].
	Run(ctx context.Context, out *Output) error
}

// Output is where a source writes. A channel makes one for each attempt and decides
// what becomes of what is written: it goes on air, or it waits.
type Output struct {
	Publisher *stream.Publisher
	// Timeline is for transport streams.
	Timeline *media.Timeline
	Clock    media.Clock
	Log      *slog.Logger
	// Report tells the channel what the source carries, when that becomes known
	// or changes. It does not block and may be called from any goroutine.
	Report func(Report)
	// Raw takes the packets of a transport stream's programme while somebody wants them.
	Raw   Raw
	Guide Guide

	bytes   atomic.Uint64
	arrival atomic.Int64 // of the newest bytes
	clock   atomic.Int64 // of the newest clock reference
	media   atomic.Int64 // of the newest frame or packet written
	latest  atomic.Int64 // highest media.Time written

	sequences map[stream.Label]int64 // see Sequence
}

// sequenceGap separates the packets of one connection from those of the next, so
// that a picture that was cut off is seen to be.
const sequenceGap = 16

// Sequence returns the sequence number with which a source of packets begins a
// track: behind all that were written under the label before. Only Run may call
// it, and SetSequence.
func (o *Output) Sequence(l stream.Label) int64 { return o.sequences[l] }

// SetSequence notes the highest sequence number that was written to a track.
func (o *Output) SetSequence(l stream.Label, highest int64) {
	if o.sequences == nil {
		o.sequences = make(map[stream.Label]int64)
	}
	o.sequences[l] = max(o.sequences[l], highest+sequenceGap)
}

// Received counts bytes that arrived at a moment of the clock.
func (o *Output) Received(n int, arrival int64) {
	o.bytes.Add(uint64(n))
	o.arrival.Store(arrival)
}

// Referenced notes that a clock reference (PCR) of the programme arrived. A source
// that never calls it has no such clock, and is not judged by it.
func (o *Output) Referenced(arrival int64) { o.clock.Store(arrival) }

// LastReference returns when a clock reference last arrived; 0: never.
func (o *Output) LastReference() int64 { return o.clock.Load() }

// Written notes that media with a time was written at a moment of the clock.
func (o *Output) Written(t media.Time, arrival int64) {
	o.media.Store(arrival)
	for {
		old := o.latest.Load()
		if int64(t) <= old || o.latest.CompareAndSwap(old, int64(t)) {
			return
		}
	}
}

// Bytes returns how many bytes arrived so far.
func (o *Output) Bytes() uint64 { return o.bytes.Load() }

// LastBytes returns when bytes last arrived; 0: never.
func (o *Output) LastBytes() int64 { return o.arrival.Load() }

// LastMedia returns when media was last written; 0: never.
func (o *Output) LastMedia() int64 { return o.media.Load() }

// Latest returns the highest time written: a source that makes its own times goes on behind it.
func (o *Output) Latest() media.Time { return media.Time(o.latest.Load()) }

// Guide takes what a source says beside its media. Any of the functions may be nil;
// they are called from the source's goroutine and do not block.
type Guide struct {
	// Event is an entry of the programme guide, new or changed. schedule says that it
	// came with the schedule, which does not know what runs, and not as what is on
	// now or next.
	Event func(e mpegts.Event, schedule bool)
	// Now is what is on now and what comes next.
	Now func(mpegts.NowNext)
	// Time is what the broadcaster's clock says at this moment.
	Time func(utc time.Time)
	// Elsewhere returns the guides of channels in other multiplexes that are this
	// service: a multiplex may carry the guide of its whole network.
	Elsewhere func(network, stream, service uint16) []Guide
}

// Report is what a source carries.
type Report struct {
	Service  string // its name, when the source says one
	Provider string // likewise
	Program  int    // program_number; 0 when there is none
	// Network and Stream are original_network_id and transport_stream_id, by which
	// other multiplexes speak of the programme; 0 when they are not known.
	Network, Stream uint16
	Streams         []Stream // pictures and sounds; others are left out
	// Errors are the source's own counts of what went wrong so far, by name.
	Errors map[string]uint64
	// Waiting, Cause and Detail are those of [Link].
	Waiting bool
	Cause   Cause
	Detail  string
	// Transport is what was measured of the programme's transport stream; nil when
	// the source is none. It is not changed afterwards.
	Transport *mpegts.Measure
}

// Link is what a transport says of the way to its sender.
type Link struct {
	// Errors are the link's own counts of what went wrong so far, by name.
	Errors map[string]uint64
	// Waiting: the source is open and its sender comes when it likes. To open it
	// anew would only close the door for a while.
	Waiting bool
	// Cause and Detail say why nothing arrives, where the source knows: a sender
	// that was refused, files that cannot be played.
	Cause  Cause
	Detail string
}

// Stream is one picture or sound of a source.
type Stream struct {
	Format    media.Format
	Known     bool // the stream's own headers were read, so Format is complete
	Published bool // it is a track of the channel
	Scrambled bool
	PID       int
}

// Redact returns an address for people and logs: without its password, and without
// the passphrase of an SRT link.
func Redact(u *url.URL) string {
	safe := *u
	if q := u.Query(); q.Has("passphrase") {
		q.Set("passphrase", "xxxxx")
		safe.RawQuery = q.Encode()
	}
	return safe.Redacted()
}

// Cause is the stable code of why a source does not play.
type Cause string

// The causes.
const (
	CauseNone        Cause = ""
	CauseBadAddress  Cause = "bad_source_address"
	CauseUnreachable Cause = "source_unreachable"
	CauseRefused     Cause = "source_refused"     // the other side answered with an error
	CauseCredentials Cause = "source_credentials" // user name or password
	CausePassphrase  Cause = "source_passphrase"  // of an encrypted link
	CauseNotFound    Cause = "source_not_found"   // no such file, path or programme
	CauseNoPackets   Cause = "no_packets"         // nothing arrives
	CauseNoMedia     Cause = "no_media"           // bytes arrive, but no picture and no sound
	CauseEnded       Cause = "source_ended"       // the other side closed it
	CauseMismatch    Cause = "source_mismatch"    // it sends something else than it announces
	CauseUnplayable  Cause = "source_unplayable"  // see the reason with the streams
	CauseInUse       Cause = "source_in_use"      // another program listens at the address
	CauseNotTS       Cause = "not_transport_stream"
	CauseFailed      Cause = "source_failed" // anything else
)

// Error is why a source ended, with the code that the channel shows.
type Error struct {
	Cause Cause
	Err   error
}

// Error returns the code and the error behind it.
func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Cause, e.Err) }

// Unwrap returns the error behind it.
func (e *Error) Unwrap() error { return e.Err }

// Because returns an [Error].
func Because(c Cause, err error) error { return &Error{Cause: c, Err: err} }

// CauseOf returns the code of an error, [CauseFailed] when it has none.
func CauseOf(err error) Cause {
	var e *Error
	switch {
	case err == nil:
		return CauseNone
	case errors.Is(err, syscall.EADDRINUSE):
		return CauseInUse
	case errors.As(err, &e):
		return e.Cause
	}
	return CauseFailed
}

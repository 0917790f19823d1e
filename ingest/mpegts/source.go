// Package mpegts brings one programme of a transport stream in: from UDP and RTP,
// unicast and multicast, over HTTP, or from a file that is played in a loop.
//
// A multiplex is read once for all channels that take a programme of it ([Muxes]):
// one goroutine reads, demuxes and writes the tracks of all of them.
package mpegts

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"

	"tongxiang/ingest/source"
	"tongxiang/ingest/srt"
	core "tongxiang/internal/mpegts"
)

// Source is a transport stream at an address.
type Source struct {
	muxes   *Muxes
	url     *url.URL
	program int
	open    func(ctx context.Context, s *Source, out *source.Output, feed feeder) error
}

// New returns a source that shares its multiplex with nobody; see [Muxes.New].
func New(u *url.URL, program int) (*Source, error) { return new(Muxes).New(u, program) }

// New returns the source of an address:
//
//	udp://[interface@]host:port?interface=eth0&source=10.0.0.1   a group to join, or an address to listen at
//	rtp://…                                                       the same, with RTP headers
//	srt://host:port?mode=caller&passphrase=…                      a link with retransmissions; see ingest/srt
//	http://… https://…                                            a stream of any length, or HLS
//	file:///path?loop=0                                           played at its own pace, again and again
//	folder:///path                                                its files, one after another by name
//	exec:name?parameter=value                                     what a declared program writes
//	stdin:                                                        standard input, once
//
// program is the program_number to bring in; 0: the first that has a picture or a
// sound that can be played. The error is a [source.Error].
func (m *Muxes) New(u *url.URL, program int) (*Source, error) {
	s := &Source{muxes: m, url: u, program: program}
	if program < 0 || program > 0xFFFF {
		return nil, source.Because(source.CauseBadAddress, fmt.Errorf("programme %d: a program_number is 1 to 65535", program))
	}
	switch u.Scheme {
	case "udp", "rtp":
		if _, err := parseUDP(u); err != nil {
			return nil, source.Because(source.CauseBadAddress, err)
		}
		s.open = runUDP
	case "srt":
		a, err := srt.Parse(u)
		if err != nil {
			return nil, source.Because(source.CauseBadAddress, err)
		}
		s.open = runSRT(a)
	case "http", "https":
		if _, _, err := bandwidth(u); err != nil {
			return nil, source.Because(source.CauseBadAddress, err)
		}
		s.open = runHTTP
	case "file", "folder":
		if Path(u) == "" {
			return nil, source.Because(source.CauseBadAddress, fmt.Errorf("%q has no path", u))
		}
		if _, err := flag(u, "loop", true); err != nil {
			return nil, source.Because(source.CauseBadAddress, err)
		}
		s.open = runFile
		if u.Scheme == "folder" {
			s.open = runFolder
		}
	case "exec":
		args, err := command(u, m.Programs)
		if err != nil {
			return nil, source.Because(source.CauseBadAddress, err)
		}
		s.open = runExec(args)
	case "stdin":
		s.open = runStdin(os.Stdin)
	default:
		return nil, source.Because(source.CauseBadAddress, fmt.Errorf("scheme %q is not one of udp, rtp, srt, http, https, file, folder, exec, stdin", u.Scheme))
	}
	return s, nil
}

// runSRT reads an SRT link.
func runSRT(a srt.Address) func(context.Context, *Source, *source.Output, feeder) error {
	return func(ctx context.Context, _ *Source, out *source.Output, feed feeder) error {
		return a.Run(ctx, srt.Output{
			Feed: func(b []byte) { feed.feed(b, out.Clock.Now()) }, Fresh: feed.restart, Tell: feed.link,
		})
	}
}

// Run implements [source.Source].
func (s *Source) Run(ctx context.Context, out *source.Output) error { return s.muxes.run(ctx, s, out) }

// feeder takes what a transport reads.
type feeder interface {
	// feed takes bytes that arrived at a moment of the clock.
	feed(b []byte, arrival int64)
	// restart says that what follows does not continue what came before.
	restart()
	// pace returns the newest clock reference in ticks of 27 MHz and whether there
	// was one since the last restart.
	pace() (int64, bool)
	// link takes what a transport says of itself; the newest counts.
	link(l source.Link)
}

// flag reads a switch of an address: 0, 1, true, false.
func flag(u *url.URL, name string, otherwise bool) (bool, error) {
	v := u.Query().Get(name)
	if v == "" {
		return otherwise, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, fmt.Errorf("%s=%q: want 0 or 1", name, v)
	}
	return b, nil
}

// counts returns the counters worth showing beside a channel: the demultiplexer's
// and the transport's.
func counts(s core.Stats, transport map[string]uint64) map[string]uint64 {
	m := make(map[string]uint64)
	for name, n := range transport {
		if n > 0 {
			m[name] = n
		}
	}
	for name, n := range map[string]uint64{
		"sync_loss": s.SyncLosses, "continuity": s.Continuity, "transport_error": s.TransportErrors,
		"crc": s.CRCErrors, "bad_section": s.BadSections, "bad_pes": s.BadPES, "bad_unit": s.BadUnits,
		"bad_adaptation": s.BadAdaptation,
		"duplicate":      s.Duplicates,
	} {
		if n > 0 {
			m[name] = n
		}
	}
	return m
}

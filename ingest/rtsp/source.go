// Package rtsp pulls a camera, an encoder or another server by RTSP (RFC 2326),
// over TCP, UDP or multicast, with the credentials in the address.
//
// The client library owns the goroutines that read: one with TCP, one for each
// track with UDP. Each track is written by one of them.
package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"tongxiang/ingest/source"
)

// patience is how long a server may take for one answer, and how long a stream
// may be silent before the connection counts as dead.
const patience = 4 * time.Second

// Source is a stream at an rtsp:// or rtsps:// address.
type Source struct {
	url       *base.URL
	transport *gortsplib.Transport // nil: UDP, and TCP when that does not work
	verify    bool                 // the certificate of rtsps
	program   int                  // of a transport stream in RTP
	quirks    *Quirks
}

// transports are the values of the switch.
var transports = map[string]*gortsplib.Transport{
	"":          pointer(gortsplib.TransportTCP),
	"tcp":       pointer(gortsplib.TransportTCP),
	"udp":       nil,
	"udp-only":  pointer(gortsplib.TransportUDP),
	"multicast": pointer(gortsplib.TransportUDPMulticast),
}

func pointer(t gortsplib.Transport) *gortsplib.Transport { return &t }

// New returns the source of an address such as
//
//	rtsp://user:password@10.0.0.9:554/stream?transport=udp
//
// with two switches that are not sent to the server; further parameters of the
// query are the server's:
//
//	transport  tcp (default); udp, which goes over to TCP when the server refuses it
//	           or nothing arrives for 4 s; udp-only; multicast
//	verify     0: take any certificate of an rtsps server
//
// program is the program_number when the server sends a transport stream; 0: the
// first that plays. The error is a [source.Error].
func New(u *url.URL, program int) (*Source, error) {
	bad := func(err error) error { return source.Because(source.CauseBadAddress, err) }
	clean, q := *u, u.Query()
	s := &Source{verify: q.Get("verify") != "0", program: program, quirks: new(Quirks)}
	var ok bool
	if s.transport, ok = transports[q.Get("transport")]; !ok {
		return nil, bad(fmt.Errorf("transport %q is not one of tcp, udp, udp-only, multicast", q.Get("transport")))
	}
	if q.Has("transport") || q.Has("verify") {
		q.Del("transport")
		q.Del("verify")
		clean.RawQuery = q.Encode()
	}
	if u.Hostname() == "" {
		return nil, bad(fmt.Errorf("%q has no host", u.Redacted()))
	}
	var err error
	if s.url, err = base.ParseURL(clean.String()); err != nil {
		return nil, bad(err)
	}
	return s, nil
}

// Run implements [source.Source].
func (s *Source) Run(ctx context.Context, out *source.Output) error {
	err := s.run(ctx, out)
	if errors.Is(err, errKeepAlive) {
		err = s.run(ctx, out)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (s *Source) run(ctx context.Context, out *source.Output) error {
	dialer := net.Dialer{Timeout: patience}
	c := &gortsplib.Client{
		Scheme: s.url.Scheme, Host: s.url.Host, Transport: s.transport,
		ReadTimeout: patience, WriteTimeout: patience, InitialUDPReadTimeout: patience,
		UDPReadBufferSize: 1 << 20, UserAgent: "Tongxiang",
		DialContext: dialer.DialContext,
		TLSConfig:   &tls.Config{InsecureSkipVerify: !s.verify, MinVersion: tls.VersionTLS12},
		OnTransportSwitch: func(err error) {
			out.Log.Info("rtsp goes over to TCP", "err", err)
		},
	}
	r := newReceiver(out)
	c.OnPacketsLost = r.lost
	c.OnDecodeError = r.bad
	k := &keeper{quirks: s.quirks, host: s.url.Host, end: r.accuse}
	k.attach(c)
	if err := c.Start2(); err != nil {
		return classify(err)
	}
	// Closing ends whatever the client waits for, so a server that stops in
	// mid-handshake is left when ctx ends.
	stop := context.AfterFunc(ctx, c.Close)
	ended := make(chan error, 1)
	defer func() {
		stop()
		c.Close() // waits for the reading goroutines
		r.finish()
	}()
	desc, _, err := c.Describe(s.url)
	if err != nil {
		return classify(err)
	}
	medias := r.choose(desc, s.program)
	r.report()
	if len(medias) == 0 {
		// It stays so until the server's description changes: ask again later.
		return source.Because(source.CauseUnplayable, errors.New("no picture or sound that is known"))
	}
	for _, m := range medias {
		if _, err := c.Setup(desc.BaseURL, m, 0, 0); err != nil {
			return classify(err)
		}
	}
	r.bind(c)
	r.publish()
	if _, err := c.Play(nil); err != nil {
		return classify(err)
	}
	k.playing.Store(true)
	go func() { ended <- c.Wait() }() // ends with Close
	select {
	case err := <-ended:
		return classify(err)
	case err := <-r.wrong:
		c.Close()
		<-ended
		return source.Because(source.CauseMismatch, err)
	}
}

// choose picks the streams to set up: one picture, and the sounds; or one transport
// stream, which has all of it.
func (r *receiver) choose(desc *description.Session, program int) []*description.Media {
	var medias []*description.Media
	for _, m := range desc.Medias {
		if m.IsBackChannel {
			continue
		}
		if r.add(m) {
			medias = append(medias, m)
		}
	}
	if len(medias) == 0 {
		if r.ts = findMultiplex(desc, r.out, program); r.ts != nil {
			r.other = nil
			medias = append(medias, r.ts.media)
		}
	}
	return medias
}

// classify names the cause of a client's error.
func classify(err error) error {
	var status liberrors.ErrClientBadStatusCode
	var auth liberrors.ErrClientAuthSetup
	var op *net.OpError
	switch {
	case err == nil:
		return source.Because(source.CauseEnded, errors.New("the server ended the stream"))
	case errors.As(err, &auth):
		return source.Because(source.CauseCredentials, err)
	case errors.As(err, &status):
		switch status.Code {
		case base.StatusUnauthorized, base.StatusForbidden:
			return source.Because(source.CauseCredentials, err)
		case base.StatusNotFound, base.StatusGone:
			return source.Because(source.CauseNotFound, err)
		}
		return source.Because(source.CauseRefused, err)
	case errors.As(err, &op) && op.Op == "dial":
		return source.Because(source.CauseUnreachable, err)
	case isSilence(err):
		return source.Because(source.CauseNoPackets, err)
	}
	return source.Because(source.CauseEnded, err)
}

func isSilence(err error) bool {
	var udp liberrors.ErrClientUDPTimeout
	var tcp liberrors.ErrClientTCPTimeout
	var request liberrors.ErrClientRequestTimedOut
	return errors.As(err, &udp) || errors.As(err, &tcp) || errors.As(err, &request)
}

// Package rtsp pulls a camera, an encoder or another server by RTSP (RFC 2326),
// over TCP or UDP, with the credentials in the address.
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
	transport *gortsplib.Transport
	params    Params
}

// Params are the switches of an address, which are not sent to the server.
type Params struct {
	Transport string // tcp (default), udp or multicast
	Verify    bool   // check the certificate of rtsps; default true
}

// New returns the source of an address such as
// rtsp://user:password@10.0.0.9:554/stream?transport=udp. Further parameters of the
// query belong to the server. The error is a [source.Error].
func New(u *url.URL) (*Source, error) {
	bad := func(err error) error { return source.Because(source.CauseBadAddress, err) }
	clean, q := *u, u.Query()
	p := Params{Transport: q.Get("transport"), Verify: q.Get("verify") != "0"}
	s := &Source{params: p}
	switch p.Transport {
	case "", "tcp":
		t := gortsplib.TransportTCP
		s.transport = &t
	case "udp":
		t := gortsplib.TransportUDP
		s.transport = &t
	case "multicast":
		t := gortsplib.TransportUDPMulticast
		s.transport = &t
	default:
		return nil, bad(fmt.Errorf("transport %q is not one of tcp, udp, multicast", p.Transport))
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
		TLSConfig:   &tls.Config{InsecureSkipVerify: !s.params.Verify, MinVersion: tls.VersionTLS12},
	}
	r := newReceiver(out)
	c.OnPacketsLost = r.lost
	c.OnDecodeError = func(error) { r.malformed.Add(1) }
	if err := c.Start2(); err != nil {
		return classify(err)
	}
	// Closing ends whatever the client waits for, so a server that stops in
	// mid-handshake is left when ctx ends.
	stop := context.AfterFunc(ctx, c.Close)
	defer func() {
		stop()
		c.Close() // waits for the reading goroutines
		r.finish()
	}()
	desc, _, err := c.Describe(s.url)
	if err != nil {
		return classify(err)
	}
	medias := r.choose(desc)
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
	return classify(c.Wait())
}

// choose picks the streams to set up: one picture, and the sounds.
func (r *receiver) choose(desc *description.Session) []*description.Media {
	var medias []*description.Media
	for _, m := range desc.Medias {
		if m.IsBackChannel {
			continue
		}
		if r.add(m) {
			medias = append(medias, m)
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

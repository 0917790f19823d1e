// Package onvif brings cameras in by their address alone: it asks the camera, by ONVIF
// (Core and Media Service Specification, profile S), where its RTSP stream is, and
// leaves the rest to the RTSP source. A camera that was given another path, port or
// encoder by its own web page is so found again at the next attempt.
//
// The client is ours: it is three SOAP calls. The Go libraries for ONVIF generate all
// of its services and bring a web framework along.
//
// It starts no goroutine.
package onvif

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"tongxiang/ingest/rtsp"
	"tongxiang/ingest/source"
)

// Source is a camera at an onvif:// address.
type Source struct {
	device  device
	profile string     // token or name; empty: the first with a picture
	query   url.Values // the switches of the RTSP source
	user    *url.Userinfo
	quirks  *rtsp.Quirks
}

// New returns the source of an address
//
//	onvif://user:password@host[:port]/[profile]?transport=udp
//
// where port is that of the camera's web page (default 80), profile the token or the
// name of a media profile, and the query as in [rtsp.New]. The error is a [source.Error].
func New(u *url.URL, quirks *rtsp.Quirks) (*Source, error) {
	bad := func(err error) error { return source.Because(source.CauseBadAddress, err) }
	if u.Hostname() == "" {
		return nil, bad(fmt.Errorf("%q has no host", u.Redacted()))
	}
	s := &Source{profile: strings.Trim(u.Path, "/"), query: u.Query(), user: u.User, quirks: quirks}
	// A wrong switch is an error of the address, not of an attempt.
	if _, err := rtsp.New(&url.URL{Scheme: "rtsp", Host: "x", RawQuery: u.RawQuery}, 0); err != nil {
		return nil, err
	}
	s.device.client, s.device.host = newClient(), u.Host
	if s.user != nil {
		s.device.user = s.user.Username()
		s.device.password, _ = s.user.Password()
	}
	return s, nil
}

// Run implements [source.Source].
func (s *Source) Run(ctx context.Context, out *source.Output) error {
	u, err := s.find(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	out.Log.Info("onvif camera found", "stream", u.Redacted())
	src, err := s.quirks.New(u, 0)
	if err != nil {
		return source.Because(source.CauseRefused, fmt.Errorf("the camera's stream address: %w", err))
	}
	return src.Run(ctx, out)
}

// find asks the camera for the address of its stream.
func (s *Source) find(ctx context.Context) (*url.URL, error) {
	d := s.device // its clock is asked anew each time
	d.readClock(ctx)
	service, err := d.mediaService(ctx)
	if err != nil {
		return nil, classify(fmt.Errorf("ask for the media service: %w", err))
	}
	profiles, err := d.profiles(ctx, service)
	if err != nil {
		return nil, classify(fmt.Errorf("ask for the profiles: %w", err))
	}
	p, err := choose(profiles, s.profile)
	if err != nil {
		return nil, source.Because(source.CauseNotFound, err)
	}
	address, err := d.streamURI(ctx, service, p.Token)
	if err != nil {
		return nil, classify(fmt.Errorf("ask for the stream of %q: %w", p.Token, err))
	}
	u, err := s.reachable(address)
	if err != nil {
		return nil, source.Because(source.CauseRefused, fmt.Errorf("the camera's stream address: %w", err))
	}
	return u, nil
}

// choose returns the profile that was asked for, by token or by name; for "" the
// first that has a picture.
func choose(profiles []profile, want string) (profile, error) {
	var names []string
	for _, p := range profiles {
		names = append(names, p.Token)
		if want == "" && p.Video != nil || want != "" && (p.Token == want || strings.EqualFold(p.Name, want)) {
			return p, nil
		}
	}
	if want == "" {
		return profile{}, fmt.Errorf("none of the profiles has a picture: %s", strings.Join(names, ", "))
	}
	return profile{}, fmt.Errorf("no profile %q; there are: %s", want, strings.Join(names, ", "))
}

// reachable returns the stream's address as we reach the camera: behind an address
// translation it does not know its own. User and switches are those of ours.
func (s *Source) reachable(address string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil {
		return nil, errors.New("not a URL")
	}
	if u.Scheme != "rtsp" && u.Scheme != "rtsps" {
		return nil, fmt.Errorf("scheme %q is not rtsp", u.Scheme)
	}
	host := s.device.hostname()
	if port := u.Port(); port != "" {
		host = net.JoinHostPort(host, port)
	} else if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	u.Host, u.User = host, s.user
	q := u.Query()
	for name, values := range s.query {
		q[name] = values
	}
	if len(s.query) > 0 {
		u.RawQuery = q.Encode()
	}
	return u, nil
}

// classify names the cause of a failed call.
func classify(err error) error {
	var op *net.OpError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errCredentials):
		return source.Because(source.CauseCredentials, err)
	case errors.As(err, &op) && op.Op == "dial", errors.As(err, &timeout) && timeout.Timeout():
		return source.Because(source.CauseUnreachable, err)
	}
	return source.Because(source.CauseRefused, err)
}

package mpegts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"tongxiang/ingest/source"
)

// httpPatience is how long a server may take to accept and to begin its answer.
const httpPatience = 4 * time.Second

// runHTTP reads a body that ends when it likes.
func runHTTP(ctx context.Context, s *Source, out *source.Output, feed feeder) error {
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: httpPatience}).DialContext,
		TLSHandshakeTimeout:   httpPatience,
		ResponseHeaderTimeout: httpPatience,
		DisableCompression:    true,
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url.String(), nil)
	if err != nil {
		return source.Because(source.CauseBadAddress, err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return source.Because(source.CauseUnreachable, err)
	}
	defer resp.Body.Close()
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return source.Because(source.CauseCredentials, errors.New(resp.Status))
	case code == http.StatusNotFound || code == http.StatusGone:
		return source.Because(source.CauseNotFound, errors.New(resp.Status))
	case code != http.StatusOK:
		return source.Because(source.CauseRefused, errors.New(resp.Status))
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			feed.feed(buf[:n], out.Clock.Now())
		}
		switch {
		case errors.Is(err, io.EOF):
			return source.Because(source.CauseEnded, fmt.Errorf("%s ended the stream", s.url.Host))
		case err != nil:
			return source.Because(source.CauseUnreachable, err)
		}
	}
}

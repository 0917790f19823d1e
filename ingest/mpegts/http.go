package mpegts

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tongxiang/ingest/hls"
	"tongxiang/ingest/source"
)

// httpPatience is how long a server may take to accept and to begin its answer.
const httpPatience = 4 * time.Second

// httpClient returns a client that bears no silence before an answer. Its transport
// is to be told when it is no longer used.
func httpClient() (*http.Client, *http.Transport) {
	t := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: httpPatience}).DialContext,
		TLSHandshakeTimeout:   httpPatience,
		ResponseHeaderTimeout: httpPatience,
		DisableCompression:    true,
		MaxIdleConnsPerHost:   2,
	}
	return &http.Client{Transport: t}, t
}

// bandwidth takes the limit for the variants of an HLS stream out of an address:
// the server does not see it.
func bandwidth(u *url.URL) (address *url.URL, limit int, err error) {
	q := u.Query()
	v := q.Get("bandwidth")
	if v == "" || !isPlaylistName(u) {
		return u, 0, nil
	}
	if limit, err = strconv.Atoi(v); err != nil || limit <= 0 {
		return u, 0, fmt.Errorf("bandwidth=%q: want bits a second", v)
	}
	q.Del("bandwidth")
	short := *u
	short.RawQuery = q.Encode()
	return &short, limit, nil
}

func isPlaylistName(u *url.URL) bool {
	return strings.HasSuffix(u.Path, ".m3u8") || strings.HasSuffix(u.Path, ".m3u")
}

// runHTTP reads a body that ends when it likes, or follows the playlist that it is.
func runHTTP(ctx context.Context, s *Source, out *source.Output, feed feeder) error {
	u, limit, err := bandwidth(s.url)
	if err != nil {
		return source.Because(source.CauseBadAddress, err)
	}
	client, transport := httpClient()
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return source.Because(source.CauseBadAddress, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return source.Because(source.CauseUnreachable, err)
	}
	defer resp.Body.Close()
	if err := hls.Status(resp, false); err != nil {
		return err
	}
	body := bufio.NewReaderSize(resp.Body, 64<<10)
	if isPlaylist(resp, body) {
		resp.Body.Close()
		return runHLS(ctx, &hls.Client{HTTP: client, URL: u, Bandwidth: limit}, s.muxes.FFmpeg, out, feed)
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			feed.feed(buf[:n], out.Clock.Now())
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, io.EOF):
			return source.Because(source.CauseEnded, fmt.Errorf("%s ended the stream", s.url.Host))
		case err != nil:
			return source.Because(source.CauseUnreachable, err)
		}
	}
}

// isPlaylist reports whether an answer is an HLS playlist, by its type, its name or
// its first bytes.
func isPlaylist(resp *http.Response, body *bufio.Reader) bool {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // no type is none of these
	switch strings.ToLower(kind) {
	case "application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl", "audio/x-mpegurl":
		return true
	case "video/mp2t", "video/mpeg":
		return false
	}
	if isPlaylistName(resp.Request.URL) {
		return true
	}
	head, _ := body.Peek(7) // a shorter body is none
	return string(head) == "#EXTM3U"
}

// notStreams is how many segments in a row may be no transport stream.
const notStreams = 3

// runHLS plays the segments of a playlist at their own pace.
func runHLS(ctx context.Context, c *hls.Client, converter string, out *source.Output, feed feeder) error {
	p, odd := new(pacer), 0
	c.Tell = feed.link
	c.Play = func(b []byte, anew bool) error {
		if !isStream(b[:min(len(b), sniffLength)]) {
			if odd++; odd >= notStreams {
				return source.Because(source.CauseUnplayable, errors.New("the segments are no transport stream"))
			}
			return nil
		}
		odd = 0
		if anew {
			feed.restart()
			*p = pacer{}
		}
		_, err := playOnce(ctx, bytes.NewReader(b), p, out, feed)
		return err
	}
	err := c.Run(ctx)
	var foreign *hls.Foreign
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.As(err, &foreign):
		return err
	case converter == "":
		return source.Because(source.CauseUnplayable, fmt.Errorf("%w: ffmpeg is needed to play it", err))
	}
	err = child(ctx, pullWith(converter, foreign), func(r io.Reader) error {
		_, err := playOnce(ctx, r, new(pacer), out, feed)
		if err == nil {
			err = io.EOF
		}
		return err
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		err = errors.New("end of the stream")
	}
	return source.Because(source.CauseEnded, fmt.Errorf("%s: %w", foreign.Why, err))
}

// pullWith is the command that makes a transport stream of an HLS stream that is
// none: its picture, and its sounds from the same or from the second input.
func pullWith(converter string, f *hls.Foreign) []string {
	args := []string{converter, "-nostdin", "-hide_banner", "-loglevel", "error"}
	for _, in := range f.Inputs {
		args = append(args, "-protocol_whitelist", "http,https,tcp,tls,crypto", "-rw_timeout", "10000000")
		if f.User != nil {
			// In an address, ffmpeg would use them for the playlist only.
			password, _ := f.User.Password() // none is an empty one
			both := base64.StdEncoding.EncodeToString([]byte(f.User.Username() + ":" + password))
			args = append(args, "-headers", "Authorization: Basic "+both+"\r\n")
		}
		args = append(args, "-i", in)
	}
	return append(args, "-map", "0:v:0?", "-map", fmt.Sprintf("%d:a?", len(f.Inputs)-1), "-c", "copy",
		"-pat_period", "0.1", "-pcr_period", "20", "-f", "mpegts", "-")
}

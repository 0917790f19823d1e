package onvif

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// patience is how long a camera may take for one answer.
	patience = 4 * time.Second
	// maxAnswer bounds an answer. The profiles of a recorder with 64 cameras are some 200 kB.
	maxAnswer = 1 << 20
	// devicePath is where every device answers (ONVIF Core 5.1.1).
	devicePath = "/onvif/device_service"

	nsDevice = "http://www.onvif.org/ver10/device/wsdl"
	nsMedia  = "http://www.onvif.org/ver10/media/wsdl"
)

// errCredentials: the device wants another user name or password.
var errCredentials = errors.New("not authorized")

// device is one camera, or a recorder.
type device struct {
	client         *http.Client
	host           string // with the port of its web page, when that is not 80
	user, password string
	skew           time.Duration // its clock minus ours
}

func (d *device) hostname() string {
	u := url.URL{Host: d.host}
	return u.Hostname()
}

// profile is a media profile.
type profile struct {
	Token string `xml:"token,attr"`
	Name  string `xml:"Name"`
	Video *struct {
		Encoding string `xml:"Encoding"`
	} `xml:"VideoEncoderConfiguration"`
}

// envelope is what an answer holds, of whatever call; elements are matched by their
// local names, since cameras choose prefixes as they like.
type envelope struct {
	Body struct {
		Fault *struct {
			Code struct {
				Value   string `xml:"Value"`
				Subcode struct {
					Value string `xml:"Value"`
				} `xml:"Subcode"`
			} `xml:"Code"`
			Reason struct {
				Text string `xml:"Text"`
			} `xml:"Reason"`
			String string `xml:"faultstring"` // SOAP 1.1
		} `xml:"Fault"`
		Clock struct {
			UTC struct {
				Time struct{ Hour, Minute, Second int } `xml:"Time"`
				Date struct{ Year, Month, Day int }     `xml:"Date"`
			} `xml:"SystemDateAndTime>UTCDateTime"`
		} `xml:"GetSystemDateAndTimeResponse"`
		Capabilities struct {
			Media string `xml:"Capabilities>Media>XAddr"`
		} `xml:"GetCapabilitiesResponse"`
		Profiles struct {
			List []profile `xml:"Profiles"`
		} `xml:"GetProfilesResponse"`
		Stream struct {
			URI string `xml:"MediaUri>Uri"`
		} `xml:"GetStreamUriResponse"`
	} `xml:"Body"`
}

// parse reads an answer. A fault is an error.
func parse(b []byte) (*envelope, error) {
	var e envelope
	if err := xml.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("no SOAP answer: %w", err)
	}
	f := e.Body.Fault
	if f == nil {
		return &e, nil
	}
	code, text := f.Code.Subcode.Value, f.Reason.Text
	if code == "" {
		code = f.Code.Value
	}
	if text == "" {
		text = f.String
	}
	_, local, prefixed := strings.Cut(code, ":")
	if !prefixed {
		local = code
	}
	if local == "NotAuthorized" || local == "FailedAuthentication" {
		return nil, fmt.Errorf("%w: %.200s", errCredentials, text)
	}
	return nil, fmt.Errorf("the device refuses: %.60s: %.200s", code, text)
}

// readClock learns how far the camera's clock is off: it takes no token that is more
// than a few seconds old. A camera that does not tell is taken to be right.
func (d *device) readClock(ctx context.Context) {
	e, err := d.call(ctx, d.service(devicePath), `<GetSystemDateAndTime xmlns="`+nsDevice+`"/>`, false)
	if err != nil {
		return // the next call says what is wrong
	}
	t := e.Body.Clock.UTC
	if t.Date.Year < 1970 || t.Date.Year > 9999 {
		return
	}
	at := time.Date(t.Date.Year, time.Month(t.Date.Month), t.Date.Day, t.Time.Hour, t.Time.Minute, t.Time.Second, 0, time.UTC)
	d.skew = time.Until(at)
}

// mediaService returns the address of the media service.
func (d *device) mediaService(ctx context.Context) (string, error) {
	e, err := d.call(ctx, d.service(devicePath), `<GetCapabilities xmlns="`+nsDevice+`"><Category>Media</Category></GetCapabilities>`, true)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(strings.TrimSpace(e.Body.Capabilities.Media))
	if err != nil || u.Path == "" {
		return "", errors.New("the device has no media service")
	}
	return d.service(u.RequestURI()), nil
}

// service returns the address of a path at the device as we reach it.
func (d *device) service(path string) string { return "http://" + d.host + path }

func (d *device) profiles(ctx context.Context, service string) ([]profile, error) {
	e, err := d.call(ctx, service, `<GetProfiles xmlns="`+nsMedia+`"/>`, true)
	if err != nil {
		return nil, err
	}
	if len(e.Body.Profiles.List) == 0 {
		return nil, errors.New("the device has no profiles")
	}
	return e.Body.Profiles.List, nil
}

func (d *device) streamURI(ctx context.Context, service, token string) (string, error) {
	e, err := d.call(ctx, service, `<GetStreamUri xmlns="`+nsMedia+`"><StreamSetup>`+
		`<Stream xmlns="http://www.onvif.org/ver10/schema">RTP-Unicast</Stream>`+
		`<Transport xmlns="http://www.onvif.org/ver10/schema"><Protocol>RTSP</Protocol></Transport>`+
		`</StreamSetup><ProfileToken>`+escape(token)+`</ProfileToken></GetStreamUri>`, true)
	if err != nil {
		return "", err
	}
	if e.Body.Stream.URI == "" {
		return "", errors.New("the device names no address")
	}
	return e.Body.Stream.URI, nil
}

func escape(s string) string {
	var b strings.Builder
	// A strings.Builder takes everything.
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

// newClient returns a client that asks the device itself: no proxy, no way elsewhere.
func newClient() *http.Client {
	return &http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: patience}).DialContext, DisableKeepAlives: true, ResponseHeaderTimeout: patience,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// call makes one SOAP 1.2 request.
func (d *device) call(ctx context.Context, address, body string, sign bool) (*envelope, error) {
	header := ""
	if sign && d.user != "" {
		header = d.token(time.Now())
	}
	text := `<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header>` +
		header + `</s:Header><s:Body>` + body + `</s:Body></s:Envelope>`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/soap+xml; charset=utf-8")
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer bytes.Buffer
	n, err := io.Copy(&answer, io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if n > maxAnswer {
		return nil, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	e, err := parse(answer.Bytes())
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return nil, errCredentials
	case err != nil && resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("status %d: %w", resp.StatusCode, err)
	}
	return e, err
}

// token returns the WS-Security header of a user (OASIS Username Token Profile 1.0,
// 3.1): the password is sent as the digest of a nonce, the time and itself.
func (d *device) token(now time.Time) string {
	nonce := make([]byte, 16)
	rand.Read(nonce) // never returns an error, see crypto/rand
	created := now.Add(d.skew).UTC().Format("2006-01-02T15:04:05.000Z")
	const (
		wsse = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
		wsu  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
		kind = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
	)
	return `<Security s:mustUnderstand="1" xmlns="` + wsse + `"><UsernameToken><Username>` + escape(d.user) + `</Username>` +
		`<Password Type="` + kind + `">` + digest(nonce, created, d.password) + `</Password>` +
		`<Nonce>` + base64.StdEncoding.EncodeToString(nonce) + `</Nonce>` +
		`<Created xmlns="` + wsu + `">` + created + `</Created></UsernameToken></Security>`
}

func digest(nonce []byte, created, password string) string {
	h := sha1.New() // as the profile demands
	h.Write(nonce)
	h.Write([]byte(created + password))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

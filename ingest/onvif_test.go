package ingest

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tongxiang/internal/media"
)

// onvifCamera is the web side of a camera: it checks credentials as cameras do.
type onvifCamera struct {
	uri     string            // of the stream, as the camera believes it is
	skew    time.Duration     // of its clock
	answers map[string]string // in place of the right ones, by call

	mu    sync.Mutex
	asked []string
}

const onvifHead = `<?xml version="1.0"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope" xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:trt="http://www.onvif.org/ver10/media/wsdl" xmlns:tds="http://www.onvif.org/ver10/device/wsdl"><SOAP-ENV:Body>`

func onvifFault(code, text string) string {
	return onvifHead + `<SOAP-ENV:Fault><SOAP-ENV:Code><SOAP-ENV:Value>SOAP-ENV:Sender</SOAP-ENV:Value><SOAP-ENV:Subcode><SOAP-ENV:Value>` + code +
		`</SOAP-ENV:Value></SOAP-ENV:Subcode></SOAP-ENV:Code><SOAP-ENV:Reason><SOAP-ENV:Text xml:lang="en">` + text + `</SOAP-ENV:Text></SOAP-ENV:Reason></SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>`
}

func (c *onvifCamera) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var q struct {
		Header struct {
			User    string `xml:"Security>UsernameToken>Username"`
			Digest  string `xml:"Security>UsernameToken>Password"`
			Nonce   string `xml:"Security>UsernameToken>Nonce"`
			Created string `xml:"Security>UsernameToken>Created"`
		} `xml:"Header"`
		Body struct {
			Call struct{ XMLName xml.Name } `xml:",any"`
		} `xml:"Body"`
	}
	if err := xml.Unmarshal(body, &q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	call := q.Body.Call.XMLName.Local
	c.mu.Lock()
	c.asked = append(c.asked, r.URL.Path+" "+call)
	c.mu.Unlock()
	now := time.Now().Add(c.skew).UTC()
	if call != "GetSystemDateAndTime" {
		nonce, err := base64.StdEncoding.DecodeString(q.Header.Nonce)
		sum := sha1.Sum([]byte(string(nonce) + q.Header.Created + cameraPassword))
		at, err2 := time.Parse(time.RFC3339, q.Header.Created)
		if err != nil || err2 != nil || q.Header.User != cameraUser || q.Header.Digest != base64.StdEncoding.EncodeToString(sum[:]) || now.Sub(at).Abs() > 5*time.Second {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, onvifFault("ter:NotAuthorized", "Sender not authorized"))
			return
		}
	}
	if a, ok := c.answers[call]; ok {
		fmt.Fprint(w, a)
		return
	}
	answer := ""
	switch call {
	case "GetSystemDateAndTime":
		answer = fmt.Sprintf(`<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:UTCDateTime><tt:Time><tt:Hour>%d</tt:Hour><tt:Minute>%d</tt:Minute><tt:Second>%d</tt:Second></tt:Time><tt:Date><tt:Year>%d</tt:Year><tt:Month>%d</tt:Month><tt:Day>%d</tt:Day></tt:Date></tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>`,
			now.Hour(), now.Minute(), now.Second(), now.Year(), now.Month(), now.Day())
	case "GetCapabilities":
		// As cameras do behind an address translation.
		answer = `<tds:GetCapabilitiesResponse><tds:Capabilities><tt:Media><tt:XAddr>http://192.168.1.64/onvif/Media</tt:XAddr></tt:Media></tds:Capabilities></tds:GetCapabilitiesResponse>`
	case "GetProfiles":
		answer = `<trt:GetProfilesResponse><trt:Profiles token="P0"><tt:Name>metadata</tt:Name></trt:Profiles>` +
			`<trt:Profiles token="P1" fixed="true"><tt:Name>mainStream</tt:Name><tt:VideoEncoderConfiguration token="v"><tt:Name>v</tt:Name><tt:Encoding>H264</tt:Encoding></tt:VideoEncoderConfiguration></trt:Profiles>` +
			`<trt:Profiles token="P2"><tt:Name>subStream</tt:Name><tt:VideoEncoderConfiguration token="w"><tt:Encoding>H264</tt:Encoding></tt:VideoEncoderConfiguration></trt:Profiles></trt:GetProfilesResponse>`
	case "GetStreamUri":
		uri := c.uri
		if !strings.Contains(string(body), "<ProfileToken>P1</ProfileToken>") {
			uri = strings.Replace(uri, "/live/1", "/live/2", 1)
		}
		answer = `<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>` + uri + `</tt:Uri></trt:MediaUri></trt:GetStreamUriResponse>`
	}
	fmt.Fprint(w, onvifHead+answer+`</SOAP-ENV:Body></SOAP-ENV:Envelope>`)
}

func startONVIF(t *testing.T, c *onvifCamera) (host string) {
	t.Helper()
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestONVIFCameraIsFoundByItsAddress has a camera whose clock is two days off and that
// believes to be at another address.
func TestONVIFCameraIsFoundByItsAddress(t *testing.T) {
	rtspSide := startCamera(t, "127.0.0.1:0", opusSound())
	_, port, _ := strings.Cut(rtspSide.address(), ":")
	web := &onvifCamera{uri: "rtsp://192.168.1.64:" + port + "/live/1", skew: -48 * time.Hour}
	host := startONVIF(t, web)
	for name, path := range map[string]string{"first": "", "token": "/P1", "name": "/mainstream", "udp": "/?transport=udp"} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.add(ChannelConfig{ID: "cam", Source: "onvif://" + cameraUserURL + host + path})
			s := h.wait("cam", "live", func(s Status) bool { return s.State == Live && len(s.Formats) == 2 })
			if s.Formats[0].Format.Codec != media.H264 {
				t.Errorf("formats %+v", s.Formats)
			}
			if strings.Contains(s.Source, "p@ss") || strings.Contains(s.Source, "p%40ss") {
				t.Errorf("the password is shown: %s", s.Source)
			}
		})
	}
}

func TestONVIFCameraThatCannotBeUsedSaysWhy(t *testing.T) {
	good := &onvifCamera{uri: "rtsp://127.0.0.1:1/live/1"}
	wrong := func(call, answer string) string {
		return startONVIF(t, &onvifCamera{uri: good.uri, answers: map[string]string{call: answer}})
	}
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	h := newHouse(t)
	i := 0
	for name, tc := range map[string]struct{ source, code string }{
		"password":      {"onvif://me:wrong@" + startONVIF(t, good), "source_credentials"},
		"no user":       {"onvif://" + startONVIF(t, good), "source_credentials"},
		"profile":       {"onvif://" + cameraUserURL + startONVIF(t, good) + "/P9", "source_not_found"},
		"web page only": {"onvif://" + cameraUserURL + wrong("GetCapabilities", "<html><body>Login</body></html>"), "source_refused"},
		"no XML":        {"onvif://" + cameraUserURL + wrong("GetProfiles", strings.Repeat("<a>", 100_000)), "source_refused"},
		"endless":       {"onvif://" + cameraUserURL + wrong("GetProfiles", onvifHead+strings.Repeat("a", 2<<20)), "source_refused"},
		"fault":         {"onvif://" + cameraUserURL + wrong("GetStreamUri", onvifFault("ter:NoProfile", "none")), "source_refused"},
		"elsewhere":     {"onvif://" + cameraUserURL + wrong("GetStreamUri", onvifHead+`<GetStreamUriResponse><MediaUri><Uri>file:///etc/passwd</Uri></MediaUri></GetStreamUriResponse></SOAP-ENV:Body></SOAP-ENV:Envelope>`), "source_refused"},
		"nobody":        {"onvif://127.0.0.1:1", "source_unreachable"},
		"silence":       {"onvif://" + silent.Listener.Addr().String(), "source_unreachable"},
		"its stream":    {"onvif://" + cameraUserURL + startONVIF(t, good), "source_unreachable"},
	} {
		i++
		id := fmt.Sprintf("c%d", i)
		h.add(ChannelConfig{ID: id, Source: tc.source})
		s := h.wait(id, name+" "+tc.code, func(s Status) bool { return s.Reason.Code == tc.code })
		if strings.Contains(s.Reason.Detail, "wrong@") || strings.Contains(s.Reason.Detail, "p@ss") {
			t.Errorf("%s: the password is shown: %s", name, s.Reason.Detail)
		}
	}
	for _, address := range []string{"onvif://", "onvif://h?transport=pigeon"} {
		if err := h.channels.Add(ChannelConfig{ID: "x", Source: address}); err == nil {
			t.Errorf("%q is taken", address)
		}
	}
}

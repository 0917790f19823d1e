package sfu

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

const (
	twccURI  = sdp.TransportCCURI
	midURI   = sdp.SDESMidURI
	ridURI   = sdp.SDESRTPStreamIDURI
	rridURI  = sdp.SDESRepairRTPStreamIDURI
	levelURI = sdp.AudioLevelURI
)

func isLoopback(ip net.IP) bool { return ip.IsLoopback() && ip.To4() != nil }

func port(p uint16) string { return strconv.Itoa(int(p)) }

func pointer(r *webrtc.RTPReceiver) string { return fmt.Sprintf("%p", r) }

// rtxOf returns the SSRC and payload type of a source's retransmissions.
func rtxOf(t *testing.T, s *testSource) (uint32, uint8) {
	t.Helper()
	p := s.sender.GetParameters()
	for _, c := range p.Codecs {
		if c.MimeType == webrtc.MimeTypeRTX {
			return uint32(p.Encodings[0].RTX.SSRC), uint8(c.PayloadType)
		}
	}
	t.Fatal("RTX was not negotiated")
	return 0, 0
}

// writeRaw sends a packet under its own SSRC and payload type, which a track would change.
func writeRaw(t *testing.T, s *testSource, p *rtp.Packet) {
	t.Helper()
	if _, err := s.raw.WriteRTP(&p.Header, p.Payload); err != nil {
		t.Error(err)
	}
}

// tappedTrack is a track whose writer tests may use directly.
type tappedTrack struct {
	*webrtc.TrackLocalStaticRTP
	source *testSource
}

// Bind keeps the writer.
func (b tappedTrack) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	b.source.raw = c.WriteStream()
	return b.TrackLocalStaticRTP.Bind(c)
}

// awaitPromise makes an evaluation wait for what its promise becomes.
func awaitPromise(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// restarted returns an offer with other ICE credentials and without candidates.
func restarted(offer string, f fragment) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(offer, "\r\n"), "\r\n") {
		switch {
		case strings.HasPrefix(line, "a=ice-ufrag:"):
			line = "a=ice-ufrag:" + f.ufrag
		case strings.HasPrefix(line, "a=ice-pwd:"):
			line = "a=ice-pwd:" + f.pwd
		case strings.HasPrefix(line, "a=candidate:"), line == "a=end-of-candidates":
			continue
		}
		b.WriteString(line)
		b.WriteString("\r\n")
	}
	return b.String()
}

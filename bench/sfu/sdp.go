package main

import (
	"fmt"
	"net/netip"
	"strings"
)

// Payload types and streams of all offers.
const (
	ptVideo   = 102
	ptRTX     = 103
	ptAudio   = 111
	extLevel  = 1
	ssrcVideo = 1001
	ssrcAudio = 1002
)

// offerFor returns an offer as small as a browser's would be without what no
// server needs: video and audio m-lines of H.264 with RTX and of Opus.
func offerFor(p *peer, direction string, video, audio int) string {
	var b strings.Builder
	b.WriteString("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE")
	for i := range video + audio {
		fmt.Fprintf(&b, " %d", i)
	}
	b.WriteString("\r\na=msid-semantic: WMS *\r\n")
	for i := range video + audio {
		if i < video {
			fmt.Fprintf(&b, "m=video 9 UDP/TLS/RTP/SAVPF %d %d\r\n", ptVideo, ptRTX)
		} else {
			fmt.Fprintf(&b, "m=audio 9 UDP/TLS/RTP/SAVPF %d\r\n", ptAudio)
		}
		fmt.Fprintf(&b, "c=IN IP4 0.0.0.0\r\na=mid:%d\r\na=%s\r\na=rtcp-mux\r\na=ice-ufrag:%s\r\na=ice-pwd:%s\r\na=fingerprint:sha-256 %s\r\na=setup:actpass\r\n",
			i, direction, p.ufrag, p.pwd, p.identity.fingerprint)
		if i < video {
			fmt.Fprintf(&b, "a=rtpmap:%d H264/90000\r\na=fmtp:%[1]d level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\na=rtcp-fb:%[1]d nack\r\na=rtcp-fb:%[1]d nack pli\r\na=rtcp-fb:%[1]d ccm fir\r\na=rtpmap:%d rtx/90000\r\na=fmtp:%[2]d apt=%[1]d\r\n", ptVideo, ptRTX)
		} else {
			fmt.Fprintf(&b, "a=extmap:%d urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=rtpmap:%d opus/48000/2\r\na=fmtp:%[2]d minptime=10;useinbandfec=1\r\n", extLevel, ptAudio)
		}
		if direction == "sendonly" {
			ssrc := ssrcVideo
			if i >= video {
				ssrc = ssrcAudio
			}
			fmt.Fprintf(&b, "a=msid:bench track%d\r\na=ssrc:%d cname:bench\r\n", i, ssrc)
		}
	}
	return b.String()
}

// answer is what the client needs of the server's answer.
type answer struct {
	ufrag, pwd string
	at         netip.AddrPort
	ssrc       uint32 // of the first m-line; 0 when the answer does not say
}

func readAnswer(s string) (answer, error) {
	var a answer
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "a=ice-ufrag:"):
			a.ufrag = line[len("a=ice-ufrag:"):]
		case strings.HasPrefix(line, "a=ice-pwd:"):
			a.pwd = line[len("a=ice-pwd:"):]
		case strings.HasPrefix(line, "a=ssrc:") && a.ssrc == 0:
			if _, err := fmt.Sscanf(line, "a=ssrc:%d", &a.ssrc); err != nil {
				return a, fmt.Errorf("read %q: %w", line, err)
			}
		case strings.HasPrefix(line, "a=candidate:"):
			f := strings.Fields(line)
			if len(f) < 8 || !strings.EqualFold(f[2], "udp") || a.at.IsValid() {
				continue
			}
			at, err := netip.ParseAddrPort(f[4] + ":" + f[5])
			if err != nil {
				return a, fmt.Errorf("read candidate %q: %w", line, err)
			}
			a.at = at
		}
	}
	if a.ufrag == "" || a.pwd == "" || !a.at.IsValid() {
		return a, fmt.Errorf("the answer has no ICE credentials or no UDP candidate: %q", s)
	}
	return a, nil
}

package sfu

import (
	"fmt"
	"strings"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"tongxiang/internal/media"
)

// h264Profiles are the profile-level-ids that we name in answers, all with
// packetization-mode 1. pion compares profile_idc and constraints and ignores the
// level; Safari offers 640c34 and 42e034, which therefore fit as well.
var h264Profiles = []string{"42e01f", "42001f", "4d001f", "640c1f", "64001f"}

// mediaEngine returns what a peer may negotiate. ingest says that the peer
// publishes; without vp8 only H.264 remains, which makes a publisher that offers
// both use it.
func mediaEngine(ingest, vp8 bool) (*webrtc.MediaEngine, error) {
	m := &webrtc.MediaEngine{}
	feedback := []webrtc.RTCPFeedback{
		{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}, {Type: "transport-cc"},
	}
	pt := webrtc.PayloadType(96)
	video := func(mime, fmtp string) error {
		err := m.RegisterCodec(webrtc.RTPCodecParameters{
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: mime, ClockRate: 90000, SDPFmtpLine: fmtp, RTCPFeedback: feedback},
			PayloadType:        pt,
		}, webrtc.RTPCodecTypeVideo)
		if err != nil {
			return fmt.Errorf("register %s: %w", mime, err)
		}
		err = m.RegisterCodec(webrtc.RTPCodecParameters{
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: fmt.Sprintf("apt=%d", pt)},
			PayloadType:        pt + 1,
		}, webrtc.RTPCodecTypeVideo)
		if err != nil {
			return fmt.Errorf("register rtx of %s: %w", mime, err)
		}
		pt += 2
		return nil
	}
	for _, id := range h264Profiles {
		if err := video(webrtc.MimeTypeH264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id="+id); err != nil {
			return nil, err
		}
	}
	if vp8 {
		if err := video(webrtc.MimeTypeVP8, ""); err != nil {
			return nil, err
		}
	}
	err := m.RegisterCodec(webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1",
			RTCPFeedback: []webrtc.RTCPFeedback{{Type: "transport-cc"}},
		},
		PayloadType: 111,
	}, webrtc.RTPCodecTypeAudio)
	if err != nil {
		return nil, fmt.Errorf("register Opus: %w", err)
	}
	both := []string{sdp.TransportCCURI, sdp.SDESMidURI}
	if ingest {
		both = append(both, sdp.AudioLevelURI)
	}
	for _, uri := range both {
		if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri}, webrtc.RTPCodecTypeAudio); err != nil {
			return nil, fmt.Errorf("register extension %s: %w", uri, err)
		}
	}
	for _, uri := range []string{sdp.TransportCCURI, sdp.SDESMidURI, sdp.SDESRTPStreamIDURI, sdp.SDESRepairRTPStreamIDURI} {
		if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri}, webrtc.RTPCodecTypeVideo); err != nil {
			return nil, fmt.Errorf("register extension %s: %w", uri, err)
		}
	}
	return m, nil
}

// codecOf names a negotiated codec; 0 for what is not media, such as RTX.
func codecOf(mime string) media.Codec {
	switch {
	case strings.EqualFold(mime, webrtc.MimeTypeH264):
		return media.H264
	case strings.EqualFold(mime, webrtc.MimeTypeVP8):
		return media.VP8
	case strings.EqualFold(mime, webrtc.MimeTypeOpus):
		return media.Opus
	}
	return 0
}

// clockRate returns the RTP clock rate of a codec that browsers exchange.
func clockRate(c media.Codec) int {
	if c == media.Opus {
		return 48000
	}
	return 90000
}

// payloadTypes is what was negotiated for one m-line.
type payloadTypes struct {
	media map[media.Codec]uint8
	codec [128]media.Codec // by payload type; 0: none of ours
	rtx   [128]uint8       // payload type of the retransmissions of one; 0: none
	twcc  uint8            // header extension ids; 0: not negotiated
	level uint8
}

func negotiated(params webrtc.RTPParameters) payloadTypes {
	p := payloadTypes{media: make(map[media.Codec]uint8)}
	for _, c := range params.Codecs {
		if c.PayloadType > 127 {
			continue
		}
		k := codecOf(c.MimeType)
		if k == 0 {
			var apt uint8
			if n, err := fmt.Sscanf(c.SDPFmtpLine, "apt=%d", &apt); n == 1 && err == nil && apt < 128 {
				p.rtx[apt] = uint8(c.PayloadType)
			}
			continue
		}
		p.codec[c.PayloadType] = k
		if _, have := p.media[k]; !have {
			p.media[k] = uint8(c.PayloadType)
		}
	}
	for _, e := range params.HeaderExtensions {
		if e.ID < 1 || e.ID > 14 {
			continue
		}
		switch e.URI {
		case sdp.TransportCCURI:
			p.twcc = uint8(e.ID)
		case sdp.AudioLevelURI:
			p.level = uint8(e.ID)
		}
	}
	return p
}

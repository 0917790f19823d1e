package sfu

import (
	"strings"

	"github.com/pion/sdp/v3"

	"tongxiang/internal/media"
)

// codecOf names one of our codecs by its a=rtpmap and a=fmtp; 0: none of ours.
// H.264 must have packetization-mode 1 and be Baseline, Main or High of any
// level: what browsers offer (Safari 640c34 and 42e034 among it) all plays.
func codecOf(k media.Kind, rtpmap, fmtp string) media.Codec {
	switch name := strings.ToLower(rtpmap); {
	case k == media.Video && name == "vp8/90000":
		return media.VP8
	case k == media.Audio && name == "opus/48000/2":
		return media.Opus
	case k == media.Video && name == "h264/90000":
		mode, _ := parameter(fmtp, "packetization-mode")
		profile, given := parameter(fmtp, "profile-level-id")
		known := !given || len(profile) == 6 && (strings.HasPrefix(profile, "42") ||
			strings.HasPrefix(strings.ToLower(profile), "4d") || strings.HasPrefix(profile, "64"))
		if mode == "1" && known {
			return media.H264
		}
	}
	return 0
}

// answerFmtp returns the parameters that the answer gives a codec. The profile of
// H.264 is the offer's own (RFC 6184 section 8.2.2).
func answerFmtp(c media.Codec, offered string) string {
	switch c {
	case media.Opus:
		return "minptime=10;useinbandfec=1"
	case media.H264:
		profile, given := parameter(offered, "profile-level-id")
		if !given {
			return "level-asymmetry-allowed=1;packetization-mode=1"
		}
		return "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=" + profile
	}
	return ""
}

// ourFeedback is the RTCP feedback that we send and understand (RFC 4585, RFC 5104).
func ourFeedback(k media.Kind) []string {
	if k == media.Audio {
		return []string{"transport-cc"}
	}
	return []string{"nack", "nack pli", "ccm fir", "transport-cc"}
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
	media  [8]uint8         // payload type by codec; 0: not negotiated
	codec  [128]media.Codec // by payload type; 0: none of ours
	rtx    [128]uint8       // payload type of the retransmissions of one; 0: none
	repair [128]uint8       // payload type that this one repairs; 0: none

	// header extension ids; 0: not negotiated
	twcc, level, mid, rid, rrid uint8
}

// of returns the payload type of a codec; 0: not negotiated.
func (p *payloadTypes) of(c media.Codec) uint8 {
	if int(c) < len(p.media) {
		return p.media[c]
	}
	return 0
}

// use takes over the payload types of codecs, of several for one the first.
func (p *payloadTypes) use(codecs []codecLine) {
	p.media, p.codec, p.rtx, p.repair = [8]uint8{}, [128]media.Codec{}, [128]uint8{}, [128]uint8{}
	for _, c := range codecs {
		p.codec[c.pt] = c.codec
		if int(c.codec) < len(p.media) && p.media[c.codec] == 0 {
			p.media[c.codec] = c.pt
		}
		if c.rtx != 0 {
			p.rtx[c.pt], p.repair[c.rtx] = c.rtx, c.pt
		}
	}
}

// learn notes the id of a header extension. It is false for one that is not ours.
func (p *payloadTypes) learn(uri string, id uint8, k media.Kind) bool {
	var to *uint8
	switch uri {
	case sdp.TransportCCURI:
		to = &p.twcc
	case sdp.SDESMidURI:
		to = &p.mid
	case sdp.AudioLevelURI:
		if k == media.Audio {
			to = &p.level
		}
	case sdp.SDESRTPStreamIDURI:
		to = &p.rid
	case sdp.SDESRepairRTPStreamIDURI:
		to = &p.rrid
	}
	if to == nil || *to != 0 {
		return false
	}
	*to = id
	return true
}

// share takes over the extension ids that another m-line of the bundle has (RFC
// 8843 section 9.1: one id means the same everywhere).
func (p *payloadTypes) share(o *payloadTypes) {
	for _, x := range []struct{ to, from *uint8 }{
		{&p.twcc, &o.twcc}, {&p.level, &o.level}, {&p.mid, &o.mid}, {&p.rid, &o.rid}, {&p.rrid, &o.rrid},
	} {
		if *x.to == 0 {
			*x.to = *x.from
		}
	}
}

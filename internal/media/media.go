// Package media says what travels through the hub: codecs, formats, packets,
// frames and the clock they share, and what can be known by looking at one of
// them. It imports nothing of ours, starts no goroutine and does no I/O.
//
// Two forms exist. A [Packet] is RTP as it arrived, parsed once. A [Frame] is an
// access unit with times. A publisher writes the form it has; internal/stream
// derives the other once per track when somebody asks for it.
//
// Packets and frames are immutable from the moment they are written to a track:
// any number of readers share them, and the garbage collector frees them.
package media

import "fmt"

// Kind is what a track carries: a picture or a sound.
type Kind uint8

// The kinds of track.
const (
	Video Kind = iota + 1
	Audio
)

// String returns "video" or "audio".
func (k Kind) String() string {
	switch k {
	case Video:
		return "video"
	case Audio:
		return "audio"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Codec names how a track is coded.
type Codec uint8

// The codecs that the product can name. Naming one does not mean that a browser
// can play it: see [Codec.Browser].
const (
	H264       Codec = iota + 1 // ITU-T H.264
	H265                        // ITU-T H.265 (HEVC)
	VP8                         // RFC 6386
	MPEG2Video                  // ISO/IEC 13818-2, and MPEG-1 video
	MPEG4Video                  // ISO/IEC 14496-2
	AVS                         // GB/T 20090 family, AVS+ among it
	Opus                        // RFC 6716
	AAC                         // ISO/IEC 14496-3; Format.Config is the AudioSpecificConfig
	MPEGAudio                   // ISO/IEC 11172-3 and 13818-3, layers I to III
	AC3                         // ETSI TS 102 366
	EAC3                        // ETSI TS 102 366 annex E
	PCMA                        // ITU-T G.711 A-law
	PCMU                        // ITU-T G.711 µ-law
	Unknown                     // present in the stream, not known to us; Format.Note says what
)

type codecInfo struct {
	name    string
	kind    Kind
	browser bool
}

var codecs = [...]codecInfo{
	H264:       {"H264", Video, true},
	H265:       {"H265", Video, false},
	VP8:        {"VP8", Video, true},
	MPEG2Video: {"MPEG-2", Video, false},
	MPEG4Video: {"MPEG-4", Video, false},
	AVS:        {"AVS", Video, false},
	Opus:       {"Opus", Audio, true},
	AAC:        {"AAC", Audio, true},
	MPEGAudio:  {"MP2", Audio, false},
	AC3:        {"AC-3", Audio, false},
	EAC3:       {"E-AC-3", Audio, false},
	PCMA:       {"PCMA", Audio, true},
	PCMU:       {"PCMU", Audio, true},
	Unknown:    {"unknown", 0, false},
}

func (c Codec) info() codecInfo {
	if int(c) < len(codecs) {
		return codecs[c]
	}
	return codecs[Unknown]
}

// String returns the codec's usual name, such as "H264" or "AC-3".
func (c Codec) String() string { return c.info().name }

// Kind returns whether the codec is one for pictures or for sound; 0 for [Unknown].
func (c Codec) Kind() Kind { return c.info().kind }

// Browser reports whether a current Chromium without extra codecs can decode it
// in some way, by WebRTC or by Media Source Extensions.
func (c Codec) Browser() bool { return c.info().browser }

// Format is how a track is coded, as far as it is known. It is a value: a
// publisher that learns more publishes a new one.
type Format struct {
	Codec     Codec
	ClockRate int     // ticks a second of the RTP timestamp; 90000 for video
	Channels  int     // of sound; 0 when unknown
	Rate      int     // samples a second of sound; 0 when unknown
	Width     int     // of the picture in samples, after cropping; 0 when unknown
	Height    int     // likewise
	FPS       float64 // pictures a second when the stream says so, else 0
	Profile   string  // "Constrained Baseline", "High", "LC"; empty when unknown
	Aspect    float64 // width to height of the picture as it is to be shown; 0 when unknown

	// Interlaced is set when pictures may be coded as fields.
	Interlaced bool
	// Reordered is set when pictures are decoded in another order than they
	// are shown (B-frames): such a track cannot go out by WebRTC untouched.
	Reordered bool
	// NoIDR is set when decoding can start at pictures of this H.264 stream, and
	// none of them is an IDR (open GOP, recovery points). Chromium's decoder gives
	// up on what such pictures refer to before them, so it must not get them untouched.
	NoIDR bool

	// Config is the codec's set-up outside the frames: for AAC the
	// AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1). Immutable.
	Config []byte
	// Params are the parameter sets, each a NAL unit without start code:
	// SPS, PPS for H.264; VPS, SPS, PPS for HEVC. Sync frames also carry
	// them in band. Immutable.
	Params [][]byte

	Language string // ISO 639-2, when the stream says so
	Note     string // for Unknown: what the stream calls it
}

// Packet is one RTP packet as it arrived, parsed once at the door. The header
// that a viewer receives is made per viewer; Payload is shared by all.
type Packet struct {
	// Sequence is the RTP sequence number, unwrapped to 64 bits. A packet
	// that was repaired arrives late, so a ring is in order of arrival, not
	// of Sequence.
	Sequence int64
	// Timestamp is the RTP timestamp, unwrapped, in ticks of Format.ClockRate.
	Timestamp int64
	// Time is Timestamp on the clock of the stream, shared by its tracks.
	Time Time
	// Arrival is when the packet reached us, on this process's monotonic
	// clock, in nanoseconds ([Clock] says since when).
	Arrival int64
	// Payload is the RTP payload without header, extensions and padding.
	Payload []byte

	Codec  Codec // may change in mid-track (H.264 and VP8 in one slot)
	Marker bool  // RTP marker: the last packet of a picture
	Start  bool  // the first packet of a picture
	Sync   bool  // the first packet of a picture at which decoding can start; true for all sound
	Repair bool  // came by retransmission, so it may be late; never a reason to switch layers
	Gap    bool  // in a run of transport packets: its clock does not go on from the run before

	// AudioLevel is RFC 6464's level in -dBov, 0 (loudest) to 127 (silent),
	// valid when HasLevel. Voice is its voice-activity flag.
	AudioLevel uint8
	HasLevel   bool
	Voice      bool
}

// SyncPoint reports whether a reader may start here.
func (p *Packet) SyncPoint() bool { return p.Sync && !p.Repair }

// Frame is one access unit: a picture, or one or more frames of sound that came
// together.
type Frame struct {
	// PTS and DTS are on the clock of the stream, shared by its tracks, as
	// carried by the source (never re-estimated). DTS equals PTS without B-frames.
	PTS, DTS Time
	// Units is the payload: for H.264 and HEVC the NAL units without start
	// codes (a sync frame has its parameter sets in front), for VP8 and
	// MPEG-2 one element, for sound one element per codec frame (AAC without ADTS).
	Units [][]byte
	// Arrival is when the last byte reached us, in nanoseconds as in [Packet].
	Arrival int64

	// Sync marks a picture at which decoding can start: an IDR, or a picture
	// with a recovery point (H.264 D.2.8) or an open GOP's I. True for all sound.
	Sync bool
	// IDR marks a sync frame before which nothing is referred to.
	IDR bool
	// Corrupt marks a frame of which bytes are known to be missing.
	Corrupt bool
	// Gap marks the first frame after time was lost or the source began anew.
	Gap bool
}

// SyncPoint reports whether a reader may start here.
func (f *Frame) SyncPoint() bool { return f.Sync }

// Size returns the number of payload bytes.
func (f *Frame) Size() int {
	n := 0
	for _, u := range f.Units {
		n += len(u)
	}
	return n
}

package mpegts

import (
	"fmt"

	"tongxiang/internal/media"
)

// aacRates are the sampling frequencies by index (ISO/IEC 14496-3 table 1.18).
func aacRate(index byte) int {
	rates := [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	if int(index) < len(rates) {
		return rates[index]
	}
	return 0
}

// adts is AAC in the audio data transport stream (ISO/IEC 14496-3 1.A.2).
type adts struct {
	key    [2]byte
	format *media.Format // of key
}

func (s *adts) frame(b []byte) (soundFrame, bool) {
	if b[0] != 0xFF || len(b) > 1 && b[1]&0xF6 != 0xF0 {
		return soundFrame{}, false
	}
	if len(b) < 7 {
		return soundFrame{}, true
	}
	head := 9
	if b[1]&1 != 0 { // protection_absent
		head = 7
	}
	size := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	rate := aacRate(b[2] >> 2 & 0x0F)
	if size <= head || rate == 0 || b[6]&3 != 0 { // several blocks in one frame are not used in broadcast
		return soundFrame{}, false
	}
	key := [2]byte{b[2] & 0xFD, b[3] & 0xC0}
	if s.format == nil || s.key != key {
		object, index := b[2]>>6+1, b[2]>>2&0x0F
		channels := b[2]&1<<2 | b[3]>>6
		s.key = key
		s.format = &media.Format{
			Codec: media.AAC, ClockRate: rate, Rate: rate, Channels: aacChannels(channels), Profile: aacProfile(object),
			// AudioSpecificConfig: 5 bits of object type, 4 of frequency, 4 of channels.
			Config: []byte{object<<3 | index>>1, index<<7 | channels<<3},
		}
	}
	return soundFrame{size: size, head: head, samples: 1024, format: s.format}, true
}

// aacChannels returns how many channels a channel configuration has; 0 when the
// frames tell (dual mono, as the Japanese send it).
func aacChannels(config byte) int {
	if config == 7 {
		return 8
	}
	return int(config)
}

func aacProfile(object byte) string {
	switch object {
	case 1:
		return "Main"
	case 2:
		return "LC"
	case 5:
		return "HE-AAC"
	case 29:
		return "HE-AACv2"
	}
	return fmt.Sprintf("object type %d", object)
}

// mpegAudio is ISO/IEC 11172-3 and 13818-3, layers I to III.
type mpegAudio struct {
	format *media.Format // the latest
}

func (s *mpegAudio) frame(b []byte) (soundFrame, bool) {
	if b[0] != 0xFF || len(b) > 1 && b[1]&0xE0 != 0xE0 {
		return soundFrame{}, false
	}
	if len(b) < 4 {
		return soundFrame{}, true
	}
	version, layer := b[1]>>3&3, 4-(b[1]>>1&3) // version: 3 MPEG-1, 2 MPEG-2, 0 MPEG-2.5
	bitrate, freq := b[2]>>4, b[2]>>2&3
	if version == 1 || layer == 4 || bitrate == 0 || bitrate == 15 || freq == 3 {
		return soundFrame{}, false
	}
	rate := [...]int{44100, 48000, 32000}[freq]
	switch version {
	case 2:
		rate /= 2
	case 0:
		rate /= 4
	}
	kbps := mpegAudioBitrate(version == 3, layer, bitrate)
	pad := int(b[2] >> 1 & 1)
	samples, size := 1152, 0
	switch {
	case layer == 1:
		samples = 384
		size = (12*kbps*1000/rate + pad) * 4
	case layer == 3 && version != 3:
		samples = 576
		size = 72*kbps*1000/rate + pad
	default:
		size = 144*kbps*1000/rate + pad
	}
	channels := 2
	if b[3]>>6 == 3 {
		channels = 1
	}
	profile := [...]string{"Layer I", "Layer II", "Layer III"}[layer-1]
	if f := s.format; f == nil || f.Rate != rate || f.Channels != channels || f.Profile != profile {
		s.format = &media.Format{Codec: media.MPEGAudio, ClockRate: Ticks, Rate: rate, Channels: channels, Profile: profile}
	}
	return soundFrame{size: size, samples: samples, format: s.format}, true
}

// mpegAudioBitrate returns kilobits a second (11172-3 2.4.2.3, 13818-3 2.4.2.3).
func mpegAudioBitrate(mpeg1 bool, layer, index byte) int {
	tables := [5][15]int{
		{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
	}
	switch {
	case mpeg1:
		return tables[layer-1][index]
	case layer == 1:
		return tables[3][index]
	}
	return tables[4][index]
}

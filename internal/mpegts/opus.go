package mpegts

import "tongxiang/internal/media"

// opus is Opus in a transport stream (the ETSI draft that ffmpeg and GStreamer
// follow): a control header in front of each packet.
type opus struct{ format *media.Format }

func newOpus(channels int) *opus {
	return &opus{&media.Format{Codec: media.Opus, ClockRate: 48000, Rate: 48000, Channels: channels}}
}

func (o *opus) frame(b []byte) (soundFrame, bool) {
	if b[0] != 0x7F || len(b) > 1 && b[1]&0xE0 != 0xE0 {
		return soundFrame{}, false
	}
	if len(b) < 2 {
		return soundFrame{}, true
	}
	n, size := 2, 0
	for { // au_size: bytes of 255 are added up until one is smaller
		if n >= len(b) {
			return soundFrame{}, true
		}
		v := b[n]
		n++
		if size += int(v); v != 0xFF {
			break
		}
		if size > maxSound/2 {
			return soundFrame{}, false
		}
	}
	if b[1]&0x10 != 0 { // start_trim
		n += 2
	}
	if b[1]&0x08 != 0 { // end_trim
		n += 2
	}
	if b[1]&0x04 != 0 { // control extension
		if n >= len(b) {
			return soundFrame{}, true
		}
		n += 1 + int(b[n])
	}
	if size == 0 {
		return soundFrame{}, false
	}
	f := soundFrame{size: n + size, head: n, format: o.format}
	if n < len(b) {
		f.samples = opusSamples(b[n:])
	}
	return f, true
}

// opusSamples returns how many samples at 48 kHz a packet holds (RFC 6716 3.1, 3.2).
func opusSamples(b []byte) int {
	var one int
	switch config := b[0] >> 3; {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		one = [...]int{480, 960, 1920, 2880}[config&3]
	case config < 16: // hybrid: 10, 20 ms
		one = 480 << (config & 1)
	default: // CELT: 2.5, 5, 10, 20 ms
		one = 120 << (config & 3)
	}
	switch b[0] & 3 {
	case 0:
		return one
	case 1, 2:
		return 2 * one
	}
	if len(b) < 2 {
		return one
	}
	return int(b[1]&0x3F) * one
}

// initialFormat is what is known of a stream before its own headers were read.
func initialFormat(i identity) media.Format {
	f := media.Format{Codec: i.codec, Note: i.note, ClockRate: Ticks}
	if i.codec == media.Opus {
		f.ClockRate, f.Rate, f.Channels = 48000, 48000, 2
		if i.chans > 0 {
			f.Channels = i.chans
		}
	}
	return f
}

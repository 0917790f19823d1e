package ts

import "tongxiang/internal/media"

// The system target decoder (ISO/IEC 13818-1 2.4.2) says how fast and how far ahead
// a receiver can take bytes. It is followed per elementary stream: a transport
// buffer of 512 bytes that leaks at a rate, and the buffer behind it that an access
// unit leaves at its decode time. The multiplexing buffer between them is not told apart.

// bucket is a transport buffer: opens says when one more packet fits.
type bucket struct {
	empty stc // when it will have leaked out
	cost  stc // time to leak one packet; 0: no limit
	limit stc // time to leak what the buffer holds beside one more packet
}

// set makes it leak at rate bits a second.
func (b *bucket) set(rate int64) {
	const size = 512
	b.cost = stc(packetSize * 8 * stcRate / rate)
	b.limit = stc((size - packetSize) * 8 * stcRate / rate)
}

func (b *bucket) opens() stc { return b.empty - b.limit }

func (b *bucket) take(now stc) { b.empty = max(b.empty, now) + b.cost }

// decoder is the buffer that access units wait in for their time. The zero value
// has no limit.
type decoder struct {
	size int // bytes; 0: no limit
	fill int
	wait [128]leaving // a ring
	head int
	n    int
}

// leaving is when bytes leave the buffer.
type leaving struct {
	at    stc
	bytes int
}

// room reports whether n more bytes fit now.
func (d *decoder) room(now stc, n int) bool {
	for d.n > 0 && d.wait[d.head].at <= now {
		d.fill -= d.wait[d.head].bytes
		d.head = (d.head + 1) % len(d.wait)
		d.n--
	}
	return d.size == 0 || d.fill+n <= d.size
}

// enter counts bytes that arrive.
func (d *decoder) enter(n int) { d.fill += n }

// leave says when bytes of an access unit, arrived or not, will be taken out.
func (d *decoder) leave(at stc, n int) {
	if d.n == len(d.wait) { // the newest two leave together, later rather than sooner
		last := &d.wait[(d.head+d.n-1)%len(d.wait)]
		last.at, last.bytes = max(last.at, at), last.bytes+n
		return
	}
	d.wait[(d.head+d.n)%len(d.wait)] = leaving{at, n}
	d.n++
}

func (d *decoder) clear() { d.fill, d.head, d.n = 0, 0, 0 }

// limits returns the rate at which the transport buffer of a format leaks, in bits
// a second, and the size of the decoder's buffer in bytes.
func limits(f media.Format) (rate int64, size int) {
	switch f.Codec {
	case media.H264:
		return h264Limits(f.Params)
	case media.H265:
		return h265Limits(f.Params)
	case media.MPEG2Video:
		// 13818-2 tables 8-13 and 8-14: main level, else high. 1.2 times the rate
		// (13818-1 2.4.2.3).
		if f.Height <= 576 && f.Width <= 720 {
			return 18_000_000, 1_835_008 / 8
		}
		return 96_000_000, 9_781_248 / 8
	case media.AAC:
		if f.Channels > 2 {
			return 5_529_600, 8976 // 13818-1 2.4.2.3, 3 to 8 channels
		}
	case media.AC3, media.EAC3:
		return 2_000_000, 5696 // ETSI TS 101 154 6.2.1
	}
	return 2_000_000, 3584
}

// h264Limits reads the level (ITU-T H.264 table A-1, in units of 1000 bits; NAL
// factor 1200, as 13818-1 2.14.3.1 has it). Encoders write the level of the picture's
// size whatever their bit rate, so nothing below 3.1 is believed: every receiver
// decodes that.
func h264Limits(params [][]byte) (int64, int) {
	level := byte(41)
	for _, u := range params {
		if len(u) >= 4 && media.H264Type(u) == media.H264SPS {
			level = u[3]
		}
	}
	type row struct {
		level   byte
		br, cpb int64
	}
	table := [...]row{
		{31, 14000, 14000}, {32, 20000, 20000}, {40, 20000, 25000}, {41, 50000, 62500}, {42, 50000, 62500}, {50, 135000, 135000}, {51, 240000, 240000}, {52, 240000, 240000},
	}
	br, cpb := int64(240000), int64(240000)
	for _, r := range table {
		if r.level >= level {
			br, cpb = r.br, r.cpb
			break
		}
	}
	return br * 1200 * 12 / 10, int(cpb * 1200 / 8)
}

// h265Limits takes the main tier's highest level below 5.2 for every stream (ITU-T
// H.265 table A.8): the level lies behind a structure of variable length, and
// pictures larger than that are not broadcast here.
func h265Limits([][]byte) (int64, int) { return 40_000_000 * 12 / 10, 40_000 * 1100 / 8 }

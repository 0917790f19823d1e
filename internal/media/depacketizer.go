package media

import "fmt"

// Depacketizer turns the RTP packets of one track into frames; it is the inverse of
// [Packetizer], for packets from anywhere.
//
// Packets may arrive late, repaired or twice: they are put in order within 256
// packets or 500 ms of arrival, whichever comes first, and what is missing then is
// given up. It belongs to one goroutine.
type Depacketizer struct {
	format Format
	order  reorder
	gap    bool // the next frame is the first after something was lost
	out    []*Frame
	give   func(*Packet, bool) // made once, so that Push allocates no closure

	// of pictures
	pic      []*Packet
	broken   bool // a packet of pic is missing
	skip     bool // the start of the picture in progress is missing
	skipping int64
	sets     parameterSets
	dts      decodeTimes

	// of sound that is cut into fragments
	part     []byte
	partTime Time
	partSize int
}

// NewDepacketizer returns a depacketizer for a format. The error wraps [ErrUnsupported].
func NewDepacketizer(f Format) (*Depacketizer, error) {
	d := &Depacketizer{format: f, sets: parameterSets{codec: f.Codec}}
	switch f.Codec {
	case H264, H265, VP8:
		d.give = d.video
		d.sets.learn(f.Params)
		d.dts = newDecodeTimes(f)
	case MPEG2Video:
		d.give = d.video
		d.dts = mpeg2DecodeTimes(f)
	case AC3:
		d.give = d.ac3
	case AAC:
		d.give = d.aac
	case MPEGAudio:
		d.give = d.mpegAudio
	case Opus, PCMA, PCMU:
		d.give = d.plain
	default:
		return nil, fmt.Errorf("depacketize %s: %w", f.Codec, ErrUnsupported)
	}
	return d, nil
}

// Push returns the frames that a packet completes, in decoding order; often none.
//
// A picture ends with its Marker or when the timestamp changes. One with missing
// packets is returned as Corrupt when its start is there, with a last NAL unit that
// may be cut short; otherwise it is left out. The first frame behind lost packets
// has Gap set. Packets without payload only count as received.
//
// PTS is Packet.Time of the first packet. DTS equals PTS; when Format.Reordered, it
// is derived from the PTS of the frames before, see [Format] and decodeTimes.
// H.264 and H.265 sync frames have their parameter sets in front.
//
// The slice is valid until the next Push; the frames are the caller's. Units may
// share memory with the packets' payloads.
func (d *Depacketizer) Push(p *Packet) []*Frame {
	d.out = d.out[:0]
	d.order.push(p, d.give)
	return d.out
}

// emit returns a frame to the caller of Push.
func (d *Depacketizer) emit(f *Frame) {
	f.Gap = d.gap
	d.gap = false
	d.out = append(d.out, f)
}

// video takes packets in order and collects pictures.
func (d *Depacketizer) video(p *Packet, lost bool) {
	if p.Codec != 0 && p.Codec != d.format.Codec { // another codec in this slot: not ours to show
		d.finish(false)
		d.gap = true
		return
	}
	if len(p.Payload) == 0 {
		if lost {
			d.broken = d.broken || len(d.pic) > 0
			d.gap = true
		}
		return
	}
	open := len(d.pic) > 0
	switch {
	case open && p.Timestamp == d.pic[0].Timestamp:
		d.broken = d.broken || lost
	case open:
		// No marker was seen: it was lost, or the sender sets none.
		d.finish(lost)
		fallthrough
	default:
		d.gap = d.gap || lost
		if d.skip && p.Timestamp == d.skipping {
			break // more of a picture whose start is missing
		}
		d.skip = !Inspect(d.format.Codec, p.Payload).Start
		d.skipping = p.Timestamp
	}
	if d.skip {
		d.gap = true
		if p.Marker {
			d.skip = false
		}
		return
	}
	d.pic = append(d.pic, p)
	if p.Marker || len(d.pic) >= maxPicturePackets {
		d.finish(len(d.pic) >= maxPicturePackets && !p.Marker)
	}
}

// maxPicturePackets bounds a picture without end: 8 MiB in packets of 1 kB.
const maxPicturePackets = 8192

// finish emits the picture in progress; cut says that its end is missing.
func (d *Depacketizer) finish(cut bool) {
	if len(d.pic) == 0 {
		return
	}
	f := &Frame{PTS: d.pic[0].Time, Corrupt: d.broken || cut}
	for _, p := range d.pic {
		f.Arrival = max(f.Arrival, p.Arrival)
	}
	var ok bool
	switch d.format.Codec {
	case H264:
		f.Units, ok = depacketizeH264(d.pic)
	case H265:
		f.Units, ok = depacketizeH265(d.pic)
	case VP8:
		f.Units, ok = depacketizeVP8(d.pic)
	case MPEG2Video:
		f.Units, ok = depacketizeMPEG2(d.pic)
	}
	clear(d.pic) // the packets are the ring's, not ours to keep alive
	d.pic, d.broken = d.pic[:0], false
	f.Corrupt = f.Corrupt || !ok
	if len(f.Units) == 0 {
		d.gap = true
		return
	}
	d.describe(f)
	f.DTS = d.dts.next(f.PTS)
	d.emit(f)
}

// describe finds out whether a picture is a sync point and completes it.
func (d *Depacketizer) describe(f *Frame) {
	switch d.format.Codec {
	case H264:
		f.Sync, f.IDR = H264Sync(f.Units)
	case H265:
		f.Sync, f.IDR = H265Sync(f.Units)
	case MPEG2Video:
		f.Sync = mpeg2Sync(f.Units[0])
		return
	case VP8:
		f.Sync = VP8Key(f.Units[0])
		f.IDR = f.Sync
		return
	}
	if !f.Corrupt {
		d.sets.learn(f.Units)
	}
	if f.Sync {
		f.Units = WithParameterSets(d.format.Codec, f.Units, d.sets.sets)
	}
}

package media

import "encoding/binary"

// Inspection is what one RTP payload says by itself.
type Inspection struct {
	// Start: the payload can begin a picture. Several payloads of a picture can
	// (SPS, then IDR); [Inspector] knows which one does.
	Start bool
	// Sync: a decoder can begin at this payload. Several payloads of one
	// picture can say so; [Inspector] marks only the first.
	Sync bool
}

// Inspect looks at one RTP payload, once for each packet at the door. It allocates
// nothing. Payloads that are empty or cut short are neither Start nor Sync.
//
// H.264 (RFC 6184): single NAL units, STAP-A and the first fragment of FU-A. Sync
// is an SPS, an IDR slice or a recovery point; never a slice of type 1, which is
// how whole pictures of small simulcast layers arrive. H.265 (RFC 7798) likewise.
// VP8 (RFC 7741): Start is the S bit of partition 0. MPEG-2 (RFC 2250): Sync is a
// sequence header. All sound is Start and Sync.
func Inspect(codec Codec, payload []byte) Inspection {
	if len(payload) == 0 {
		return Inspection{}
	}
	if codec.Kind() == Audio {
		return Inspection{true, true}
	}
	start, kind := inspectKind(codec, payload)
	return Inspection{start, kind != noSync}
}

// inspectKind looks at a payload of a picture.
func inspectKind(codec Codec, p []byte) (start bool, kind syncKind) {
	switch codec {
	case H264:
		return inspectH264(p)
	case H265:
		return inspectH265(p)
	case MPEG2Video:
		return inspectMPEG2(p)
	case VP8:
		d, ok := parseVP8(p)
		if start = ok && d.Start && d.Partition == 0; start && VP8Key(p[d.Size:]) {
			kind = syncBare
		}
	}
	return start, kind
}

// syncKind says what makes a payload a place to start.
type syncKind uint8

const (
	noSync   syncKind = iota
	syncBare          // a key slice or recovery point: the parameter sets came before, or never come in band
	syncSets          // parameter sets
)

// bareIf returns the kind of a key slice: only the first slice of a picture is a
// place to start.
func bareIf(first bool) syncKind {
	if first {
		return syncBare
	}
	return noSync
}

func inspectH264(p []byte) (start bool, kind syncKind) {
	switch H264Type(p) {
	case H264STAPA:
		for rest := p[1:]; len(rest) > 2; {
			n := int(binary.BigEndian.Uint16(rest))
			rest = rest[2:]
			if n == 0 || n > len(rest) {
				break
			}
			s, k := inspectH264Unit(rest[:n])
			start, kind = start || s, max(kind, k)
			rest = rest[n:]
		}
		return start, kind
	case H264FUA:
		if len(p) < 3 || p[1]&0x80 == 0 {
			return false, noSync
		}
		switch H264NAL(p[1] & 0x1f) {
		case H264IDR:
			first := p[2]&0x80 != 0
			return first, bareIf(first)
		case H264Slice, H264PartitionA:
			return p[2]&0x80 != 0, noSync
		case H264SPS:
			return true, syncSets
		case H264SEI, H264PPS:
			return true, noSync
		}
		return false, noSync
	}
	return inspectH264Unit(p)
}

func inspectH264Unit(u []byte) (start bool, kind syncKind) {
	if len(u) < 2 {
		return false, noSync
	}
	// ue(v) of first_mb_in_slice is a single bit 1 for macroblock 0, the first
	// slice of its picture.
	first := u[1]&0x80 != 0
	switch H264Type(u) {
	case H264IDR:
		return first, bareIf(first)
	case H264Slice, H264PartitionA:
		return first, noSync
	case H264SPS:
		return true, syncSets
	case H264PPS, H264AUD:
		return true, noSync
	case H264SEI:
		if found, _ := recoveryPoint(u[1:]); found {
			return true, syncBare
		}
		return true, noSync
	}
	return false, noSync
}

func inspectH265(p []byte) (start bool, kind syncKind) {
	switch H265Type(p) {
	case H265AP:
		for rest := p[2:]; len(rest) > 2; {
			n := int(binary.BigEndian.Uint16(rest))
			rest = rest[2:]
			if n == 0 || n > len(rest) {
				break
			}
			s, k := inspectH265Unit(H265Type(rest[:n]), rest[:n])
			start, kind = start || s, max(kind, k)
			rest = rest[n:]
		}
		return start, kind
	case H265FU:
		if len(p) < 4 || p[2]&0x80 == 0 {
			return false, noSync
		}
		// The unit's second header byte is the payload's, so the slice data
		// begin at offset 2 of what follows the first.
		return inspectH265Unit(H265NAL(p[2]&0x3f), p[1:])
	}
	return inspectH265Unit(H265Type(p), p)
}

// inspectH265Unit looks at a unit of type t whose slice header begins at u[2].
func inspectH265Unit(t H265NAL, u []byte) (start bool, kind syncKind) {
	if len(u) < 3 {
		return false, noSync
	}
	switch {
	case t <= H265LastSlice:
		first := u[2]&0x80 != 0 // first_slice_segment_in_pic_flag
		if t >= H265FirstIRAP && t <= H265LastIRAP {
			return first, bareIf(first)
		}
		return first, noSync
	case t == H265VPS, t == H265SPS:
		return true, syncSets
	case t == H265PPS, t == H265AUD:
		return true, noSync
	case t == H265SEI:
		if found, _ := recoveryPoint(u[2:]); found {
			return true, syncBare
		}
		return true, noSync
	}
	return false, noSync
}

// Inspector fills Start and Sync of a track's packets. It remembers the picture
// in progress, because a picture may begin with several packets that each could be
// its start: Chromium sends SPS and PPS in one packet, then the IDR in others, all
// with one RTP timestamp. The first of them is the sync point, the IDR then is not
// another one.
//
// It belongs to the goroutine that writes the track; the zero value is ready.
type Inspector struct {
	picture int64 // timestamp of the newest picture
	begun   bool  // a packet was seen
	started bool  // its Start was given
	synced  bool  // its Sync was given
	holed   bool  // a packet before one of its packets is missing
	newest  int64 // highest sequence seen
	inBand  bool  // the track sends its parameter sets in band
}

// lateSpan is how far behind the newest packet one can be and still be late rather
// than the beginning of something new. It is more than any retransmission cache.
const lateSpan = 1 << 14

// Inspect sets p.Start and p.Sync from p.Codec, Payload, Timestamp and Sequence,
// before p is written to its track. It allocates nothing.
//
// A packet of a picture that is no longer the newest is late: never a place to
// start. A key slice of a picture with a hole in front is no place to start either
// when parameter sets come in band: they may have been in the lost packet.
func (s *Inspector) Inspect(p *Packet) {
	p.Start, p.Sync = false, false
	if p.Codec.Kind() == Audio {
		p.Start = len(p.Payload) > 0
		p.Sync = p.Start
		return
	}
	// Sequence and not Timestamp says what is late: with B-frames timestamps go
	// back and forth.
	fresh := !s.begun || p.Sequence > s.newest || p.Sequence < s.newest-lateSpan
	follows := s.begun && p.Sequence == s.newest+1
	if fresh {
		s.newest = p.Sequence
	}
	if len(p.Payload) == 0 { // padding: takes a sequence number, says nothing
		s.holed = s.holed || !follows
		s.begun = true
		return
	}
	switch {
	case fresh && (!s.begun || p.Timestamp != s.picture):
		s.picture, s.started, s.synced, s.holed = p.Timestamp, false, false, !follows
	case p.Timestamp != s.picture:
		return
	case fresh:
		s.holed = s.holed || !follows
	}
	s.begun = true

	start, kind := inspectKind(p.Codec, p.Payload)
	s.inBand = s.inBand || kind == syncSets
	if kind == syncBare && s.inBand && s.holed {
		kind = noSync
	}
	if start && !s.started {
		p.Start, s.started = true, true
	}
	if kind != noSync && !s.synced {
		p.Sync, s.synced = true, true
	}
}

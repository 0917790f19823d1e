package media

// mpeg2Body returns the bytes of a payload behind its MPEG video-specific header
// (RFC 2250 3.4), which the T bit makes longer; nil when there are none.
func mpeg2Body(p []byte) []byte {
	if len(p) < mpeg2Header {
		return nil
	}
	if p[0]&0x04 != 0 {
		if len(p) < 2*mpeg2Header {
			return nil
		}
		return p[2*mpeg2Header:]
	}
	return p[mpeg2Header:]
}

// inspectMPEG2 looks at a payload: a picture begins with one of its headers, and
// decoding can start at a sequence header.
func inspectMPEG2(p []byte) (start bool, kind syncKind) {
	b := mpeg2Body(p)
	if len(b) < 4 || b[0] != 0 || b[1] != 0 || b[2] != 1 {
		return false, noSync
	}
	switch b[3] {
	case mpeg2Sequence:
		return true, syncSets
	case mpeg2Group, mpeg2Picture:
		return true, noSync
	}
	return false, noSync
}

// depacketizeMPEG2 returns the one unit of a picture's packets. Behind a missing
// packet it goes on with the next slice that begins: decoders conceal the ones between.
func depacketizeMPEG2(pic []*Packet) (units [][]byte, ok bool) {
	size := 0
	for _, p := range pic {
		size += len(p.Payload)
	}
	frame := make([]byte, 0, size)
	ok = true
	skip := false
	for i, p := range pic {
		b := mpeg2Body(p.Payload)
		if i > 0 && p.Sequence != pic[i-1].Sequence+1 {
			ok, skip = false, true
		}
		if len(b) == 0 {
			ok, skip = false, true
			continue
		}
		if skip = skip && (len(b) < 4 || b[0] != 0 || b[1] != 0 || b[2] != 1); skip {
			continue
		}
		frame = append(frame, b...)
	}
	if len(frame) == 0 {
		return nil, false
	}
	return [][]byte{frame}, ok
}

// mpeg2Sync reports whether decoding can start at a picture: it has a sequence header.
func mpeg2Sync(unit []byte) bool {
	for piece := range mpeg2Pieces(unit) {
		switch code := piece[3]; {
		case code == mpeg2Sequence:
			return true
		case code > mpeg2Picture && code <= mpeg2LastPart:
			return false
		}
	}
	return false
}

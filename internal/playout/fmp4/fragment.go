package fmp4

import "encoding/binary"

// Sample flags (ISO/IEC 14496-12 8.8.3.1).
const (
	flagsSync    = 0x02000000 // depends on no other
	flagsNonSync = 0x01010000 // depends on others, is not a start
)

const (
	boxHeader  = 8
	mfhdSize   = boxHeader + 8
	tfhdSize   = boxHeader + 8
	tfdtSize   = boxHeader + 12
	trunHeader = boxHeader + 12
	trunEntry  = 16
)

// Run is the consecutive samples of one track in a fragment.
type Run struct {
	Track   int // from 1
	Samples []Sample
}

// AppendFragment appends a fragment (moof and mdat) to dst: the samples of each
// run in turn. Runs without samples are left out; without any sample dst is
// returned as it is.
func AppendFragment(dst []byte, sequence uint32, runs []Run) []byte {
	moof, mdat := boxHeader+mfhdSize, boxHeader
	for _, r := range runs {
		if len(r.Samples) == 0 {
			continue
		}
		moof += boxHeader + tfhdSize + tfdtSize + trunHeader + trunEntry*len(r.Samples)
		for i := range r.Samples {
			mdat += r.Samples[i].Size
		}
	}
	if mdat == boxHeader {
		return dst
	}
	be := binary.BigEndian
	dst = appendBox(dst, moof, "moof")
	dst = appendBox(dst, mfhdSize, "mfhd")
	dst = be.AppendUint32(dst, 0)
	dst = be.AppendUint32(dst, sequence)
	offset := moof + boxHeader
	for _, r := range runs {
		if len(r.Samples) == 0 {
			continue
		}
		trun := trunHeader + trunEntry*len(r.Samples)
		dst = appendBox(dst, boxHeader+tfhdSize+tfdtSize+trun, "traf")
		dst = appendBox(dst, tfhdSize, "tfhd")
		dst = be.AppendUint32(dst, 0x020000) // default-base-is-moof
		dst = be.AppendUint32(dst, uint32(r.Track))
		dst = appendBox(dst, tfdtSize, "tfdt")
		dst = be.AppendUint32(dst, 1<<24)
		dst = be.AppendUint64(dst, uint64(max(r.Samples[0].DTS, 0)))
		dst = appendBox(dst, trun, "trun")
		dst = be.AppendUint32(dst, 1<<24|0xF01) // version 1; data offset, then duration, size, flags, composition offset each
		dst = be.AppendUint32(dst, uint32(len(r.Samples)))
		dst = be.AppendUint32(dst, uint32(offset))
		for i := range r.Samples {
			s := &r.Samples[i]
			flags := uint32(flagsNonSync)
			if s.Sync {
				flags = flagsSync
			}
			dst = be.AppendUint32(dst, s.Duration)
			dst = be.AppendUint32(dst, uint32(s.Size))
			dst = be.AppendUint32(dst, flags)
			dst = be.AppendUint32(dst, uint32(s.Shift))
			offset += s.Size
		}
	}
	dst = appendBox(dst, mdat, "mdat")
	for _, r := range runs {
		for i := range r.Samples {
			s := &r.Samples[i]
			for _, u := range s.Units {
				if s.framed {
					dst = be.AppendUint32(dst, uint32(len(u)))
				}
				dst = append(dst, u...)
			}
		}
	}
	return dst
}

func appendBox(dst []byte, size int, kind string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(size))
	return append(dst, kind...)
}

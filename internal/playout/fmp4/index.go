package fmp4

import (
	"encoding/binary"
	"time"
)

// IndexSpace is how many bytes a recording keeps free behind its initialisation
// segment for the index that is written when it ends. It holds 5,456 entries.
const IndexSpace = 64 << 10

const (
	sidxHead  = boxHeader + 32
	sidxEntry = 12
	maxSidx   = (IndexSpace - sidxHead - boxHeader) / sidxEntry
)

// Fragment is where a fragment lies in its file.
type Fragment struct {
	// Offset is of its first byte, from the start of the file.
	Offset int64
	// Start is where its first sample lies on the file's time axis.
	Start time.Duration
	// Sync says that its first sample is one where a player may begin.
	Sync bool
	// Length is of the moof and the mdat, End is where its last sample ends.
	Length int64
	End    time.Duration
	// CRC is the CRC-32C of its bytes when Checked is set; see [AppendCheck].
	CRC     uint32
	Checked bool
	behind  int64 // where the next one may begin
}

// Space returns the box that [Index] overwrites: IndexSpace bytes that players skip.
// It promises that every fragment is closed by [AppendCheck].
func Space() []byte {
	b := make([]byte, IndexSpace)
	binary.BigEndian.PutUint32(b, IndexSpace)
	copy(b[4:], "free")
	copy(b[8:], checkMark)
	return b
}

// Index returns the segment index (ISO/IEC 14496-12 8.16.3) of a file's fragments,
// so that players know its length and seek without reading it through. It goes
// over the box that [Space] made: body at at+8 first; head at at when body is on
// disk. Head is eight bytes in one sector, so that a crash leaves either the free
// box or the whole index. The fragments follow the space without a hole, bytes is
// where the last one ends in the file and end where it ends in time. Without
// fragments both results are nil.
//
// Entries join several fragments when there are more than fit.
func Index(fragments []Fragment, end time.Duration, bytes int64, f Format) (head, body []byte) {
	if len(fragments) == 0 {
		return nil, nil
	}
	group := (len(fragments) + maxSidx - 1) / maxSidx
	count := (len(fragments) + group - 1) / group
	size := sidxHead + count*sidxEntry
	be := binary.BigEndian
	ticks := func(d time.Duration) int64 {
		scale := int64(f.Timescale)
		return int64(d/time.Second)*scale + int64(d%time.Second)*scale/int64(time.Second)
	}
	head = appendBox(nil, size, "sidx")
	body = be.AppendUint32(make([]byte, 0, IndexSpace), 1<<24) // version 1
	body = be.AppendUint32(body, uint32(f.Track))
	body = be.AppendUint32(body, uint32(f.Timescale))
	body = be.AppendUint64(body, uint64(max(ticks(fragments[0].Start), 0)))
	body = be.AppendUint64(body, uint64(IndexSpace-size)) // from the end of this box to the first fragment
	body = be.AppendUint32(body, uint32(count))
	for i := 0; i < len(fragments); i += group {
		from := fragments[i]
		nextAt, nextTime := bytes, end
		if i+group < len(fragments) {
			nextAt, nextTime = fragments[i+group].Offset, fragments[i+group].Start
		}
		sap := uint32(0)
		if from.Sync {
			sap = 1<<31 | 1<<28 // begins with a sync sample, type 1
		}
		body = be.AppendUint32(body, uint32(nextAt-from.Offset)&0x7fffffff)
		body = be.AppendUint32(body, uint32(max(ticks(nextTime)-ticks(from.Start), 0)))
		body = be.AppendUint32(body, sap)
	}
	if rest := IndexSpace - size; rest > 0 {
		body = appendBox(body, rest, "free")
	}
	return head, body
}

// Format says whose times an index is in.
type Format struct {
	Track     int // from 1
	Timescale int // ticks a second, see [Timescale]
}

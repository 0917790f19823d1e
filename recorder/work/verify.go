package work

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"tongxiang/internal/jobs"
	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

// Verified is verify.json: what the comparison of a recording with its index found.
type Verified struct {
	At        time.Time `json:"at"`
	OK        bool      `json:"ok"`
	Fragments int       `json:"fragments"`
	Bytes     int64     `json:"bytes"` // that were compared
	// Damaged are times of which the bytes are not what they were, joined where they touch.
	Damaged []Span `json:"damaged"`
	// Unindexed is how many bytes at the end no line of the index tells of: a torn end,
	// or an index that is torn.
	Unindexed int64 `json:"unindexed_bytes,omitempty"`
	// Missing is how many bytes the library tells of that are not there.
	Missing int64 `json:"missing_bytes,omitempty"`
}

// Span is a range of a recording's time line.
type Span struct {
	FromMS int64 `json:"from_ms"`
	ToMS   int64 `json:"to_ms"`
}

// maxSpans bounds the list of what is damaged; what is beyond is joined to the last.
const maxSpans = 1000

// verify compares every fragment with its checksum. The result is noted, and what is
// damaged makes the job fail, so that somebody looks at it.
func (s *Shop) verify(ctx context.Context, rec store.Recording, _ store.Job, progress func(float64)) (any, error) {
	if err := ended(rec); err != nil {
		return nil, err
	}
	src, err := s.open(rec)
	if err != nil {
		return nil, err
	}
	defer src.close()
	v := Verified{At: s.now().UTC(), Damaged: []Span{}}
	total := bytesOf(src.index)
	buf := make([]byte, 1<<20)
	var end int64
	for _, e := range src.index {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		crc, err := checksum(src, e, buf)
		if err != nil {
			return nil, err
		}
		v.Fragments++
		v.Bytes += e.Length
		end = e.Offset + e.Length
		if folder.Hex(crc) != e.CRC {
			v.damaged(e)
		}
		progress(float64(v.Bytes) / float64(max(total, 1)))
	}
	if rest := src.size - end; rest > closing {
		v.Unindexed = rest
	}
	v.Missing = max(rec.Bytes-src.size, 0)
	v.OK = len(v.Damaged) == 0 && v.Unindexed == 0 && v.Missing == 0
	dir, err := src.derived(jobs.Verify)
	if err != nil {
		return nil, err
	}
	size, err := write(dir, jobs.Verify, VerifyName, func(w io.Writer) error { return json.NewEncoder(w).Encode(v) })
	if err != nil {
		return nil, err
	}
	if err := s.note(ctx, rec, jobs.Verify, size, v); err != nil {
		return nil, err
	}
	if !v.OK {
		return nil, &jobs.Failure{Code: jobs.CodeDamaged, Final: true, Detail: fmt.Sprintf("%d of %d fragments' bytes: %v damaged, %d bytes at the end not indexed, %d missing",
			v.Fragments, len(src.index), v.Damaged, v.Unindexed, v.Missing)}
	}
	return v, nil
}

// closing is the box behind the last fragment of an MP4 file, which the index does not tell of.
const closing = 20

func (v *Verified) damaged(e folder.Entry) {
	from, to := e.Start().Milliseconds(), e.End().Milliseconds()
	if n := len(v.Damaged); n > 0 && (from <= v.Damaged[n-1].ToMS+hole.Milliseconds() || n >= maxSpans) {
		v.Damaged[n-1].ToMS = max(v.Damaged[n-1].ToMS, to)
		return
	}
	v.Damaged = append(v.Damaged, Span{from, to})
}

// checksum reads a fragment through buf.
func checksum(src *source, e folder.Entry, buf []byte) (uint32, error) {
	r := io.NewSectionReader(src.file, e.Offset, e.Length)
	crc := uint32(0)
	for {
		n, err := r.Read(buf)
		crc = folder.Update(crc, buf[:n])
		if err == io.EOF {
			return crc, nil
		}
		if err != nil {
			return 0, fmt.Errorf("read at %d: %w", e.Offset, err)
		}
	}
}

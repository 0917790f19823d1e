package folder

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Entry is a line of an index: where a fragment of the media file lies.
type Entry struct {
	// Head marks the first line of an fMP4 file's index: its initialisation segment.
	Head   bool  `json:"head,omitempty"`
	Offset int64 `json:"offset"` // of the first byte
	Length int64 `json:"length"` // bytes
	// TimeUS and DurationUS are on the file's time line, in microseconds.
	TimeUS     int64 `json:"time_us"`
	DurationUS int64 `json:"duration_us"`
	// CRC is the CRC-32C (Castagnoli, RFC 3720 B.4) of the bytes, eight hex digits.
	CRC string `json:"crc32c"`
	// Sync says that a player may begin here.
	Sync bool `json:"sync"`
	// Errors counts continuity errors in a fragment of a transport stream.
	Errors int `json:"errors,omitempty"`
	// PTS is the first presentation time in a fragment of a transport stream, as carried: 33 bits of 90 kHz.
	PTS *int64 `json:"pts,omitempty"`
}

// Start returns where the fragment begins on the file's time line.
func (e Entry) Start() time.Duration { return time.Duration(e.TimeUS) * time.Microsecond }

// End returns where it ends.
func (e Entry) End() time.Duration {
	return time.Duration(e.TimeUS+e.DurationUS) * time.Microsecond
}

// castagnoli is the table of CRC-32C; processors compute it.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns the CRC-32C of bytes.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Update returns the CRC-32C of bytes that follow those of crc.
func Update(crc uint32, b []byte) uint32 { return crc32.Update(crc, castagnoli, b) }

// Hex returns a checksum as it stands in an index.
func Hex(crc uint32) string {
	const digits = "0123456789abcdef"
	var b [8]byte
	for i := range b {
		b[i] = digits[crc>>(28-4*i)&15]
	}
	return string(b[:])
}

// maxLine bounds a line of an index; one of ours has 150 bytes.
const maxLine = 4096

// AppendEntry appends a line to dst.
func AppendEntry(dst []byte, e Entry) []byte {
	dst = append(dst, '{')
	if e.Head {
		dst = append(dst, `"head":true,`...)
	}
	num := func(name string, v int64) {
		dst = append(dst, '"')
		dst = append(dst, name...)
		dst = append(dst, `":`...)
		dst = strconv.AppendInt(dst, v, 10)
		dst = append(dst, ',')
	}
	num("offset", e.Offset)
	num("length", e.Length)
	num("time_us", e.TimeUS)
	num("duration_us", e.DurationUS)
	if e.Errors > 0 {
		num("errors", int64(e.Errors))
	}
	if e.PTS != nil {
		num("pts", *e.PTS)
	}
	dst = append(dst, `"crc32c":"`...)
	dst = append(dst, e.CRC...)
	dst = append(dst, `","sync":`...)
	dst = strconv.AppendBool(dst, e.Sync)
	return append(dst, "}\n"...)
}

// ParseIndex reads lines until one is not whole or contradicts those before it: a
// torn end is normal, and nothing behind it can be believed. size is that of the
// media file.
func ParseIndex(r io.Reader, size int64) []Entry {
	var out []Entry
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 512), maxLine)
	end, at := int64(0), int64(0)
	for lines.Scan() {
		var e Entry
		if json.Unmarshal(lines.Bytes(), &e) != nil || len(e.CRC) != 8 {
			break
		}
		switch {
		case e.Length <= 0 || e.Offset < end || e.Offset > size || e.Length > size-e.Offset,
			e.Head != (len(out) == 0 && e.Head), e.DurationUS < 0, e.TimeUS < at-maxBack:
			return out
		}
		end, at = e.Offset+e.Length, e.TimeUS
		out = append(out, e)
	}
	return out
}

// maxBack is how far a fragment may begin before the one ahead of it, in
// microseconds: sound that came late.
const maxBack = 10_000_000

// ReadIndex reads the index of a media file in dir; none is an empty one.
func ReadIndex(dir, media string) ([]Entry, error) {
	info, err := os.Lstat(filepath.Join(dir, media))
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", media, err)
	}
	f, err := openRegular(filepath.Join(dir, IndexOf(media)), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ParseIndex(f, info.Size()), nil
}

// WriteIndex replaces the index of a media file in dir.
func WriteIndex(dir, media string, entries []Entry) error {
	return writeWhole(dir, IndexOf(media), indexText(entries))
}

// replaceIndex is WriteIndex where the index says anything else.
func replaceIndex(dir, media string, entries []Entry) (replaced bool, err error) {
	text := indexText(entries)
	if f, err := openRegular(filepath.Join(dir, IndexOf(media)), os.O_RDONLY); err == nil {
		old, err := io.ReadAll(io.LimitReader(f, int64(len(text))+1))
		if err = errors.Join(err, f.Close()); err == nil && bytes.Equal(old, text) {
			return false, nil
		}
	}
	return true, writeWhole(dir, IndexOf(media), text)
}

func indexText(entries []Entry) []byte {
	var b []byte
	for _, e := range entries {
		b = AppendEntry(b, e)
	}
	return b
}

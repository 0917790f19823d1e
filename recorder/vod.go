package recorder

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

var errNoIndex = apierr.New(http.StatusNotFound, "recording_no_index",
	"This recording has no index yet; play its file.", "该录制尚无索引，请直接播放文件。")

const (
	// vodSegment is how long a segment of a playlist is at least, where it can end at a
	// sync point; vodLongest where it cannot.
	vodSegment = 4 * time.Second
	vodLongest = 12 * time.Second
)

// Playlist returns the HLS playlist (RFC 8216) of a recording: segments are ranges of
// its media file, which is at uri; gaps are EXT-X-GAP, so that the seek bar tells the
// recording's own time. Of one that is being made it grows.
func (r *Recorder) Playlist(rec store.Recording, uri string) ([]byte, error) {
	dir, ok := r.Folder(rec)
	if !ok {
		return nil, errNoIndex
	}
	index, err := folder.ReadIndex(dir, filepath.Base(rec.File))
	if err != nil {
		return nil, errNoIndex.Because(err)
	}
	b := playlist(index, rec.Format, uri, rec.State.Active())
	if b == nil {
		return nil, errNoIndex.Because(errors.New("the index is empty"))
	}
	return b, nil
}

// playlist is pure; nil when there is nothing to play.
func playlist(index []folder.Entry, format, uri string, live bool) []byte {
	return playlistOf(index, format, uri, live, vodSegment)
}

func playlistOf(index []folder.Entry, format, uri string, live bool, least time.Duration) []byte {
	segments := segmentsOf(index, least)
	if len(segments) == 0 {
		return nil
	}
	longest := time.Duration(0)
	for _, s := range segments {
		longest = max(longest, s.length)
	}
	var b strings.Builder
	kind := "VOD"
	if live {
		kind = "EVENT"
	}
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:%s\n#EXT-X-INDEPENDENT-SEGMENTS\n",
		int(math.Ceil(longest.Seconds())), kind)
	if format == folder.FMP4 && index[0].Head {
		fmt.Fprintf(&b, "#EXT-X-MAP:URI=%q,BYTERANGE=\"%d@%d\"\n", uri, index[0].Length, index[0].Offset)
	}
	for _, s := range segments {
		if s.jump && format == folder.TS {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		fmt.Fprintf(&b, "#EXTINF:%.6f,\n", s.length.Seconds())
		if s.gap {
			fmt.Fprintf(&b, "#EXT-X-GAP\n%s\n", uri)
			continue
		}
		fmt.Fprintf(&b, "#EXT-X-BYTERANGE:%d@%d\n%s\n", s.end-s.offset, s.offset, uri)
	}
	if !live {
		b.WriteString("#EXT-X-ENDLIST\n")
	}
	return []byte(b.String())
}

// segment is a piece of a playlist.
type segment struct {
	offset, end int64
	length      time.Duration
	gap         bool
	jump        bool // its times do not go on from those before
}

// segmentsOf joins fragments to segments that begin at sync points and are as long as
// least, where they can be.
func segmentsOf(index []folder.Entry, least time.Duration) []segment {
	var out []segment
	var cur *segment
	var last *folder.Entry
	var start, end time.Duration
	finish := func(at time.Duration) {
		if cur != nil {
			cur.length = max(at-start, time.Millisecond)
			out = append(out, *cur)
			cur = nil
		}
	}
	for i := range index {
		e := &index[i]
		if e.Head {
			continue
		}
		jump := last != nil && clockJump(*last, *e)
		switch missing := e.Start() - end; {
		case last != nil && missing > hole:
			finish(end)
			out = append(out, segment{length: missing, gap: true})
			jump = true
		case cur != nil && (jump || e.Sync && e.Start()-start >= least || e.Start()-start >= vodLongest):
			finish(e.Start())
		}
		if cur == nil {
			cur = &segment{offset: e.Offset, jump: jump}
			start = e.Start()
		}
		cur.end = e.Offset + e.Length
		end = max(end, e.End())
		last = e
	}
	finish(end)
	return out
}

// clockJump reports whether the clock of a transport stream stepped between two
// fragments.
func clockJump(a, b folder.Entry) bool {
	if a.PTS == nil || b.PTS == nil {
		return false
	}
	media := time.Duration(mpegts.Forward(*a.PTS, *b.PTS)) * time.Second / mpegts.Ticks
	return (media - (b.Start() - a.Start())).Abs() > time.Second
}

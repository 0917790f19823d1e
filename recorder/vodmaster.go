package recorder

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

const (
	// lowSegment has each fragment of the low rendition be a segment: two seconds, less
	// what its sound begins before its picture. It is what a player fetches to seek,
	// half a second of a line of 2 Mbit/s.
	lowSegment = 1500 * time.Millisecond
	// lowBandwidth and lowCodecs are what recorder/work promises.
	lowBandwidth = 500_000
	lowCodecs    = "avc1.4d401e,mp4a.40.2"
)

// LowPlaylist is [Recorder.Playlist] for the low rendition of a recording.
func (r *Recorder) LowPlaylist(rec store.Recording, uri string) ([]byte, error) {
	index, err := r.low(rec)
	if err != nil {
		return nil, errNoIndex.Because(err)
	}
	return playlistOf(index, folder.FMP4, uri, false, lowSegment), nil
}

// low returns the index of a recording's low rendition.
func (r *Recorder) low(rec store.Recording) ([]folder.Entry, error) {
	dir, ok := r.Folder(rec)
	if !ok {
		return nil, errNoIndex
	}
	index, err := folder.ReadIndex(filepath.Join(dir, folder.DerivedName), folder.LowName)
	if err == nil && len(index) < 2 {
		err = errors.New("the index of the low rendition is empty")
	}
	return index, err
}

// Master returns the multivariant playlist of a recording: the low rendition and the
// recording itself, each at its uri. What no browser decodes is left out. It is nil
// while there is no low rendition: then the recording's own playlist is all there is.
func (r *Recorder) Master(rec store.Recording, full, low string) []byte {
	if rec.State.Active() {
		return nil
	}
	if _, err := r.low(rec); err != nil {
		return nil
	}
	var b bytes.Buffer
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	if dir, ok := r.Folder(rec); ok {
		index, err := folder.ReadIndex(dir, filepath.Base(rec.File))
		if codecs, plays := codecsOf(rec, dir, index); err == nil && plays {
			fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d", bandwidth(index))
			if codecs != "" {
				fmt.Fprintf(&b, ",CODECS=%q", codecs)
			}
			for _, t := range mainTracks(rec) {
				if t.Kind == "video" && t.Width > 0 && t.Height > 0 {
					fmt.Fprintf(&b, ",RESOLUTION=%dx%d", t.Width, t.Height)
					break
				}
			}
			b.WriteString("\n" + full + "\n")
		}
	}
	fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,CODECS=%q\n%s\n", lowBandwidth, lowCodecs, low)
	return b.Bytes()
}

// mainTracks returns the tracks of the main media file.
func mainTracks(rec store.Recording) []store.RecordingTrack {
	var out []store.RecordingTrack
	for _, t := range rec.Tracks {
		if t.File == "" || t.File == filepath.Base(rec.File) {
			out = append(out, t)
		}
	}
	return out
}

// codecsOf names the codecs of a recording as RFC 6381 does, as far as they are known;
// plays is false when no browser decodes one of them.
func codecsOf(rec store.Recording, dir string, index []folder.Entry) (codecs string, plays bool) {
	var names []string
	for _, t := range mainTracks(rec) {
		switch {
		case t.Kind == "other":
		case t.Codec == "H264":
			names = append(names, avcName(dir, rec, index))
		case t.Codec == "AAC":
			names = append(names, "mp4a.40.2")
		case t.Codec == "Opus" && rec.Format == folder.FMP4:
			names = append(names, "opus")
		case t.Codec == "H265":
			names = append(names, "hvc1.1.6.L120.90")
		default:
			return "", false
		}
	}
	if slices.Contains(names, "") {
		return "", true // a player looks into the first segment
	}
	return strings.Join(names, ","), len(names) > 0
}

// avcName reads profile and level from the avcC box (ISO/IEC 14496-15 5.3.3.1.2) of
// an initialisation segment, or from the sequence parameter set with which a transport
// stream begins; empty when there is none. A player that is not told them leaves the
// variant out, or does not know what it changes to.
func avcName(dir string, rec store.Recording, index []folder.Entry) string {
	at := slices.IndexFunc(index, func(e folder.Entry) bool { return e.Head || e.Sync })
	if at < 0 || index[at].Head && index[at].Length > 1<<20 {
		return ""
	}
	f, err := os.Open(filepath.Join(dir, filepath.Base(rec.File)))
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, min(index[at].Length, 1<<20))
	if _, err := f.ReadAt(b, index[at].Offset); err != nil {
		return ""
	}
	if !index[at].Head {
		return spsName(b)
	}
	i := bytes.Index(b, []byte("avcC"))
	if i < 0 || i+8 > len(b) {
		return ""
	}
	return fmt.Sprintf("avc1.%02x%02x%02x", b[i+5], b[i+6], b[i+7])
}

// avcProfiles are the profile_idc of ITU-T H.264 annex A that a sender may use.
var avcProfiles = []byte{66, 77, 88, 100, 110, 122, 244}

// spsName finds the first sequence parameter set (ITU-T H.264 7.3.2.1.1) in bytes of a
// stream: its first three bytes are profile, constraints and level.
func spsName(b []byte) string {
	for {
		i := bytes.Index(b, []byte{0, 0, 1})
		if i < 0 || i+7 > len(b) {
			return ""
		}
		if b[i+3]&0x9f == 7 && slices.Contains(avcProfiles, b[i+4]) {
			return fmt.Sprintf("avc1.%02x%02x%02x", b[i+4], b[i+5], b[i+6])
		}
		b = b[i+3:]
	}
}

// bandwidth is the bit rate of the fattest segment (RFC 8216 4.3.4.2).
func bandwidth(index []folder.Entry) int64 {
	most := int64(0)
	for _, s := range segmentsOf(index, vodSegment) {
		if !s.gap {
			most = max(most, int64(float64(s.end-s.offset)*8/max(s.length.Seconds(), 0.5)))
		}
	}
	return max(most, 1)
}

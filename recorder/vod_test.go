package recorder

import (
	"strings"
	"testing"
	"time"

	"tongxiang/recorder/folder"
)

func TestPlaylistHasSegmentsFromSyncPointsAndGapsInTheirPlace(t *testing.T) {
	at := int64(1000)
	var index []folder.Entry
	add := func(start, length time.Duration, sync bool, pts int64) {
		e := folder.Entry{Offset: at, Length: 100, TimeUS: start.Microseconds(), DurationUS: length.Microseconds(), Sync: sync}
		if pts >= 0 {
			e.PTS = &pts
		}
		index = append(index, e)
		at += 120
	}
	second := time.Second
	for i := range 6 { // one a second, every second one is a place to begin
		add(time.Duration(i)*second, second, i%2 == 0, int64(i)*90000)
	}
	add(16*second, second, true, 16*90000) // ten seconds of nothing
	add(17*second, second, true, 17*90000)
	add(18*second, second, true, 5) // the source's clock began anew
	t.Run("fmp4", func(t *testing.T) {
		head := folder.Entry{Head: true, Length: 700}
		got := string(playlist(append([]folder.Entry{head}, index...), folder.FMP4, "../file", false))
		want := `#EXTM3U
#EXT-X-VERSION:8
#EXT-X-TARGETDURATION:10
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="../file",BYTERANGE="700@0"
#EXTINF:4.000000,
#EXT-X-BYTERANGE:460@1000
../file
#EXTINF:2.000000,
#EXT-X-BYTERANGE:220@1480
../file
#EXTINF:10.000000,
#EXT-X-GAP
../file
#EXTINF:2.000000,
#EXT-X-BYTERANGE:220@1720
../file
#EXTINF:1.000000,
#EXT-X-BYTERANGE:100@1960
../file
#EXT-X-ENDLIST
`
		if got != want {
			t.Errorf("got\n%s", got)
		}
	})
	t.Run("ts", func(t *testing.T) {
		got := string(playlist(index, folder.TS, "../file", true))
		if strings.Contains(got, "EXT-X-MAP") || strings.Contains(got, "ENDLIST") || !strings.Contains(got, "PLAYLIST-TYPE:EVENT") || strings.Count(got, "#EXT-X-DISCONTINUITY\n") != 2 {
			t.Errorf("got\n%s", got)
		}
	})
	if playlist(nil, folder.TS, "x", false) != nil {
		t.Error("a playlist of nothing")
	}
}

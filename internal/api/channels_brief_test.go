package api

import (
	"testing"
	"time"
)

func TestBriefChannelsKeepWhatAWallShows(t *testing.T) {
	at := time.Now()
	loud := -23.0
	q := &ChannelQuality{
		Alarms: []string{"black"}, Raised: map[string]time.Time{"black": at}, Loudness: &loud, ThumbnailAt: &at,
		TR101290: map[string]uint64{"sync_loss": 1}, PIDs: []PID{{PID: 256}},
	}
	v := channelView{
		ID: "a", Name: "A", State: "live", Bitrate: 4, OnBackup: true, Source: "udp://1.2.3.4:5",
		Sources: []Source{{Address: "udp://1.2.3.4:5"}}, Tracks: []Track{{Kind: "video"}}, Now: &epgView{Title: "x"}, Quality: q,
	}
	b := v.brief()
	if b.ID != "a" || b.Name != "A" || b.State != "live" || b.Bitrate != 4 || !b.OnBackup || b.Quality.Loudness != &loud ||
		b.Quality.ThumbnailAt != &at || b.Quality.Alarms[0] != "black" || b.Quality.Raised["black"] != at {
		t.Errorf("the wall misses something: %+v %+v", b, b.Quality)
	}
	if b.Source != "" || b.Sources != nil || b.Now != nil || b.Quality.PIDs != nil || b.Quality.TR101290 != nil || b.Tracks == nil || len(b.Tracks) != 0 {
		t.Errorf("not brief: %+v %+v", b, b.Quality)
	}
	if q.PIDs == nil || q.TR101290 == nil {
		t.Error("the analysis lost its own numbers")
	}
}

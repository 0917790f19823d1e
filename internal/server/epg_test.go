package server

import (
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/mpegts/sitest"
	"tongxiang/internal/playout/playtest"
)

// TestTheGuideOfAMultiplexIsInTheAPI sends a programme with a guide and a clock that
// is wrong, and asks for them as pages do.
func TestTheGuideOfAMultiplexIsInTheAPI(t *testing.T) {
	port := freePort(t)
	clip := playtest.TS(t, 2, "320x180", playtest.Plain)
	var w sitest.Writer
	now := time.Now().UTC().Truncate(time.Second)
	event := func(id uint16, from time.Duration, running byte, title string) sitest.Event {
		return sitest.Event{ID: id, Start: now.Add(from), Duration: time.Hour, Running: running, Title: title}
	}
	// ffmpeg's service is 1 of transport stream 1 of network 0xFF01.
	own := sitest.Table{Network: 0xFF01, Stream: 1, Service: 1}
	table := func(id, number byte) sitest.Table { t := own; t.ID, t.Number = id, number; return t }
	information := func() []byte {
		b := w.EIT(table(0x4E, 0), event(10, -30*time.Minute, 4, "新闻联播"))
		b = append(b, w.EIT(table(0x4E, 1), event(11, 30*time.Minute, 1, "天气预报"))...)
		b = append(b, w.EIT(table(0x50, 0), event(10, -30*time.Minute, 0, "新闻联播"), event(11, 30*time.Minute, 0, "天气预报"), event(12, 90*time.Minute, 0, "焦点访谈"))...)
		other := table(0x60, 0)
		other.Service = 77
		b = append(b, w.EIT(other, event(13, 0, 0, "别的频道"))...)
		return append(b, w.TDT(time.Now().Add(-time.Minute))...)
	}
	conn, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-ended; _ = conn.Close() })
	go func() {
		defer close(ended)
		tick := time.NewTicker(4 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			at := n * 7 * 188 % len(clip)
			_, _ = conn.Write(clip[at:min(at+7*188, len(clip))]) // nobody may be listening yet
			if n%100 == 0 {
				for b := information(); len(b) > 0; b = b[min(7*188, len(b)):] {
					_, _ = conn.Write(b[:min(7*188, len(b))])
				}
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()

	r := start(t, config(t, t.TempDir()))
	r.api("POST", "/channels", map[string]any{"id": "c", "name": "测试", "source": "udp://" + conn.RemoteAddr().String()}, nil)
	type item struct {
		Channel string    `json:"channel"`
		ID      int       `json:"event_id"`
		Title   string    `json:"title"`
		Start   time.Time `json:"start"`
		Running bool      `json:"running"`
		Status  string    `json:"status"`
	}
	var list struct {
		Items []item `json:"items"`
		Total int    `json:"total"`
	}
	eventually(t, "three events in the store", func() bool { r.api("GET", "/epg?channel=c", nil, &list); return list.Total == 3 })
	first := list.Items[0]
	if first.ID != 10 || first.Title != "新闻联播" || !first.Running || first.Status != "running" || !first.Start.Equal(now.Add(-30*time.Minute)) {
		t.Errorf("%+v", first)
	}
	for query, want := range map[string]int{
		"q=" + url.QueryEscape("新闻"): 1, "q=" + url.QueryEscape("访谈"): 1, "q=%25": 0, "channel=nobody": 0, "limit=1&offset=2": 1,
		"from=" + now.Add(time.Hour).Format(time.RFC3339): 2, "to=" + now.Format(time.RFC3339): 1,
	} {
		r.api("GET", "/epg?"+query, nil, &list)
		if len(list.Items) != want {
			t.Errorf("%s: %d events, want %d", query, len(list.Items), want)
		}
	}
	status, body := r.do("GET", "/api/v1/epg?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", r.admin(), "", "")
	refused(t, status, body, "end_before_start")
	status, body = r.do("GET", "/api/v1/epg?from=yesterday", r.admin(), "", "")
	refused(t, status, body, "invalid")

	var ch struct {
		Now, Next   *item
		ClockOffset *int64                  `json:"clock_offset_ms"`
		Warnings    []struct{ Code string } `json:"warnings"`
	}
	r.api("GET", "/channels/c", nil, &ch)
	if ch.Now == nil || ch.Now.Title != "新闻联播" || ch.Next == nil || ch.Next.Title != "天气预报" {
		t.Errorf("now %+v, next %+v", ch.Now, ch.Next)
	}
	if ch.ClockOffset == nil || *ch.ClockOffset < 59_000 || *ch.ClockOffset > 65_000 || len(ch.Warnings) != 1 || ch.Warnings[0].Code != "clock_offset" {
		t.Errorf("%+v", ch)
	}
	if _, text := r.do("GET", "/metrics", "", "", ""); !strings.Contains(text, `tongxiang_channel_clock_offset_seconds{channel="c"} 6`) || !strings.Contains(text, "tongxiang_epg_events 3") {
		t.Error("the metrics do not tell")
	}
	r.api("DELETE", "/channels/c", nil, nil)
	eventually(t, "the guide of the removed channel gone", func() bool { r.api("GET", "/epg", nil, &list); return list.Total == 0 })
}

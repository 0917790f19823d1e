package library

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/store"
)

var nine = time.Date(2026, 7, 20, 9, 0, 0, 0, time.UTC)

func in(d time.Duration) time.Time { return nine.Add(d) }

func event(d time.Duration, kind, data string) store.MeetingEvent {
	return store.MeetingEvent{At: in(d), Kind: kind, Data: []byte(data)}
}

func joined(d time.Duration, id, name string) store.MeetingEvent {
	return event(d, "joined", fmt.Sprintf(`{"participant":{"id":%q,"name":%q}}`, id, name))
}

func TestMeetingIsDescribedByItsLog(t *testing.T) {
	d := describe(sources{
		from: in(time.Minute), to: in(time.Hour),
		events: []store.MeetingEvent{
			joined(0, "a", "张伟"), joined(0, "gone", "早退"), joined(0, "site", "青山镇会议室"),
			event(10*time.Second, "chat", `{"from":"a","name":"张伟","text":"开始前"}`),
			event(20*time.Second, "left", `{"participant":"gone","reason":"left"}`),
			event(2*time.Minute, "chat", `{"from":"a","name":"张伟","text":"水库水位"}`),
			joined(3*time.Minute, "b", "李雷"), joined(3*time.Minute, "b2", "李雷"),
			event(3*time.Minute, "joined", `{"participant":{"id":"enc","name":"编码","encoder":true}}`),
			event(4*time.Minute, "of a later version", `{"participant":7}`), event(4*time.Minute, "chat", `{`), event(4*time.Minute, "joined", `{"participant":"b"}`),
			event(2*time.Hour, "chat", `{"from":"a","name":"张伟","text":"结束后"}`),
		},
		shots: []store.MeetingShot{
			{At: in(0), Participant: "a"},
			{At: in(5 * time.Minute), Participant: "b"},
			{At: in(5*time.Minute + 5*time.Second), Participant: "a"}, // b said one word
			{At: in(10 * time.Minute), Participant: "a", Screen: true},
			{At: in(20 * time.Minute)},
			{At: in(20*time.Minute + 5*time.Second), Participant: "unknown"},
			{At: in(time.Hour - time.Second), Participant: "b"}, {At: in(2 * time.Hour), Participant: "a"},
		},
	})
	want := description{
		people: []string{"张伟", "李雷"}, units: []string{"青山镇会议室", "编码"}, body: "张伟：水库水位\n",
		chapters: []store.Chapter{
			{AtMS: 0, Kind: "speaker", Title: "张伟", Who: "a"},
			{AtMS: 540_000, Kind: "screen", Title: "张伟 共享屏幕", Who: "a"},
			{AtMS: 1_145_000, Kind: "speaker", Title: "unknown", Who: "unknown"},
		},
	}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("got\n%+v, want\n%+v", d, want)
	}
}

func TestSharedScreensAreChaptersWhenNothingElseIsKnown(t *testing.T) {
	d := describe(sources{from: nine, to: in(time.Hour), events: []store.MeetingEvent{
		joined(0, "a", "张伟"), event(time.Minute, "screen", `{"participant":"a","on":true}`), event(2*time.Minute, "screen", `{"participant":"a","on":false}`),
	}})
	if want := []store.Chapter{{AtMS: 60_000, Kind: "screen", Title: "张伟 共享屏幕", Who: "a"}}; !reflect.DeepEqual(d.chapters, want) {
		t.Errorf("%+v", d.chapters)
	}
}

func TestChannelIsDescribedByItsGuide(t *testing.T) {
	d := describe(sources{from: nine, to: in(time.Hour), captions: "字幕", guide: []store.EPGEvent{
		{Start: in(-time.Hour), End: nine, Title: "以前"}, {Start: in(-time.Minute), End: in(20 * time.Minute), Title: "新闻联播", Summary: "要闻"},
		{Start: in(20 * time.Minute), End: in(2 * time.Hour), Title: "小麦栽培", Text: "纹枯病"}, {Start: in(time.Hour), End: in(2 * time.Hour), Title: "以后"},
	}})
	want := description{body: "新闻联播\n要闻\n小麦栽培\n纹枯病\n字幕\n", chapters: []store.Chapter{
		{Kind: "programme", Title: "新闻联播"}, {AtMS: 1_200_000, Kind: "programme", Title: "小麦栽培"},
	}}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("got\n%+v, want\n%+v", d, want)
	}
}

func TestDescriptionsAreBounded(t *testing.T) {
	s := sources{from: nine, to: in(1000 * time.Hour)}
	for i := range 5000 {
		at := time.Duration(i) * time.Minute
		s.events = append(s.events, event(at, "chat", fmt.Sprintf(`{"name":"a","text":%q}`, strings.Repeat("长", 100))))
		s.shots = append(s.shots, store.MeetingShot{At: in(at), Participant: fmt.Sprint(i)})
	}
	if d := describe(s); len(d.body) > maxBody || len(d.chapters) != maxChapters {
		t.Errorf("%d bytes, %d chapters", len(d.body), len(d.chapters))
	}
}

package schedule

import (
	"testing"
	"time"
)

func TestRulesAreSaidInWords(t *testing.T) {
	shanghai := zone(t, "Asia/Shanghai")
	for _, c := range []struct{ rrule, en, zh string }{
		{"", "2026-12-02 09:00–10:00, once", "2026-12-02 09:00–10:00，仅一次"},
		{"FREQ=DAILY", "Every day 09:00–10:00", "每天 09:00–10:00"},
		{"RRULE:FREQ=DAILY;COUNT=3", "Every day 09:00–10:00, 3 times", "每天 09:00–10:00，共 3 次"},
		{"FREQ=DAILY;INTERVAL=3", "Every 3 days 09:00–10:00", "每 3 天 09:00–10:00"},
		{"FREQ=WEEKLY", "Every Wed 09:00–10:00", "每周三 09:00–10:00"},
		{"FREQ=WEEKLY;BYDAY=FR,MO", "Every Mon, Fri 09:00–10:00", "每周一、周五 09:00–10:00"},
		{"FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "Mon–Fri 09:00–10:00", "周一至周五 09:00–10:00"},
		{"FREQ=DAILY;BYDAY=SA,SU", "Every Sat, Sun 09:00–10:00", "每周六、周日 09:00–10:00"},
		{"FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU", "Every day 09:00–10:00", "每天 09:00–10:00"},
		{"FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "Every 2 weeks on Mon 09:00–10:00", "每 2 周的周一 09:00–10:00"},
		// The end of the day in the rule's zone, as the page sends it.
		{"FREQ=WEEKLY;BYDAY=WE;UNTIL=20270301T155959Z", "Every Wed 09:00–10:00, until 2027-03-01", "每周三 09:00–10:00，至 2027-03-01"},
		{"FREQ=MONTHLY", "Every month on day 2 09:00–10:00", "每月 2 日 09:00–10:00"},
		{"FREQ=MONTHLY;BYMONTHDAY=1,15", "Every month on day 1, 15 09:00–10:00", "每月 1、15 日 09:00–10:00"},
		{"FREQ=MONTHLY;BYMONTHDAY=-1", "Every month on the last day 09:00–10:00", "每月最后一天 09:00–10:00"},
		{"FREQ=MONTHLY;BYMONTHDAY=-2", "Every month on day 2 from the end 09:00–10:00", "每月倒数第 2 天 09:00–10:00"},
		{"FREQ=MONTHLY;BYDAY=1MO", "Every month on the first Mon 09:00–10:00", "每月第一个周一 09:00–10:00"},
		{"FREQ=MONTHLY;INTERVAL=2;BYDAY=-1FR", "Every 2 months on the last Fri 09:00–10:00", "每 2 个月的最后一个周五 09:00–10:00"},
		{"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "Every year on 29 Feb 09:00–10:00", "每年 2 月 29 日 09:00–10:00"},
		{"FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=1", "By the rule FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=1, 09:00–10:00", "按规则 FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=1，09:00–10:00"},
		{"every day", "By the rule every day", "按规则 every day"},
	} {
		r := Rule{Zone: shanghai, Start: in(t, shanghai, "2026-12-02 09:00"), End: in(t, shanghai, "2026-12-02 10:00"), RRule: c.rrule}
		if en, zh := r.Words(); en != c.en || zh != c.zh {
			t.Errorf("%q:\n%s\n%s\nwant\n%s\n%s", c.rrule, en, zh, c.en, c.zh)
		}
	}
	night := Rule{Zone: shanghai, Start: in(t, shanghai, "2026-12-31 23:30"), End: in(t, shanghai, "2027-01-01 00:30"), RRule: "FREQ=DAILY"}
	if en, zh := night.Words(); en != "Every day 23:30–00:30 (next day)" || zh != "每天 23:30–00:30（次日）" {
		t.Errorf("over midnight: %s %s", en, zh)
	}
	long := Rule{Zone: shanghai, Start: in(t, shanghai, "2026-12-30 23:30"), End: in(t, shanghai, "2027-01-02 00:30")}
	if en, zh := long.Words(); en != "2026-12-30 23:30–00:30 (3 days later), once" || zh != "2026-12-30 23:30–00:30（3 天后），仅一次" {
		t.Errorf("over three midnights: %s %s", en, zh)
	}
	event := Rule{Zone: shanghai, Event: EventID{Stream: "channels/c", ID: 1}}
	if en, zh := event.Words(); en != "One programme, as the guide moves it" || zh != "跟随节目单中的一个节目" {
		t.Errorf("an event: %s %s", en, zh)
	}
	series := Rule{Zone: shanghai, Match: &Match{
		Title: "小麦栽培", Weekdays: []time.Weekday{time.Sunday, time.Monday}, From: 19 * time.Hour, To: 23*time.Hour + 30*time.Minute, Duplicates: SkipRecorded,
	}}
	if en, zh := series.Words(); en != "Every programme titled “小麦栽培”, on Mon, Sun, beginning 19:00–23:30, not what was recorded before" ||
		zh != "所有名为“小麦栽培”的节目，限周一、周日，19:00–23:30 开始的，录过的不再录" {
		t.Errorf("a title: %s %s", en, zh)
	}
}

func TestTheFollowingTimeIsFoundHoweverFarItIs(t *testing.T) {
	shanghai := zone(t, "Asia/Shanghai")
	for _, c := range []struct{ rrule, after, want string }{
		{"", "2026-11-01 00:00", "2026-12-02 09:00"},
		{"", "2026-12-02 09:00", "2026-12-02 09:00"},
		{"", "2026-12-02 09:01", ""},
		{"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2026-12-03 00:00", "2028-02-29 09:00"},
		{"FREQ=WEEKLY;COUNT=2", "2026-12-02 10:00", "2026-12-09 09:00"},
		{"FREQ=WEEKLY;COUNT=2", "2026-12-10 00:00", ""},
	} {
		r := Rule{Zone: shanghai, Start: in(t, shanghai, "2026-12-02 09:00"), End: in(t, shanghai, "2026-12-02 10:00"), RRule: c.rrule}
		start, end, ok := r.Following(in(t, shanghai, c.after))
		if got := start.In(shanghai).Format("2006-01-02 15:04"); ok != (c.want != "") || ok && (got != c.want || end.Sub(start) != time.Hour) {
			t.Errorf("%q after %s: %s %v, want %s", c.rrule, c.after, got, ok, c.want)
		}
	}
	if _, _, ok := (&Rule{Zone: shanghai, Match: &Match{Title: "x"}}).Following(time.Time{}); ok {
		t.Error("a title has times of its own")
	}
}

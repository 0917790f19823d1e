package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

// Words returns what a rule says in words, for people, with the times of its zone:
// 每周一、周三 09:00–10:00, Every Mon, Wed 09:00–10:00. What there are no words for is
// written as the RRULE that it is. The names of channels are not in it.
func (r *Rule) Words() (en, zh string) {
	return words{english(), false}.rule(r), words{chinese(), true}.rule(r)
}

// wording is what one language says. %s and %d stand for what is counted or named.
type wording struct {
	days                                             [7]string // from Monday on
	months                                           [12]string
	everyDay, workdays, daysN, weekly, weeksN        string
	monthly, monthsN, monthDay, lastDay, dayFromLast string
	nthDay, lastNth, yearly                          string
	nth                                              [5]string
	once, times, until, between, raw                 string
	overnight, daysLater                             string
	join, comma                                      string
	follows, titled, onDays, begins, skips, onceADay string
}

func english() wording {
	return wording{
		days:     [7]string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"},
		months:   [12]string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"},
		everyDay: "Every day", workdays: "Mon–Fri", daysN: "Every %d days", weekly: "Every %s", weeksN: "Every %d weeks on %s",
		monthly: "Every month on %s", monthsN: "Every %d months on %s", monthDay: "day %s", lastDay: "the last day", dayFromLast: "day %d from the end",
		nthDay: "the %s %s", lastNth: "the last %s", yearly: "Every year on %[2]s %[1]s",
		nth:  [5]string{"first", "second", "third", "fourth", "fifth"},
		once: "once", times: ", %d times", until: ", until %s", overnight: " (next day)", daysLater: " (%d days later)", between: "%s–%s", raw: "By the rule %s", join: ", ", comma: ", ",
		follows: "One programme, as the guide moves it", titled: "Every programme titled “%s”", onDays: ", on %s", begins: ", beginning %s",
		skips: ", not what was recorded before", onceADay: ", once a day",
	}
}

func chinese() wording {
	return wording{
		days:     [7]string{"周一", "周二", "周三", "周四", "周五", "周六", "周日"},
		months:   [12]string{"1 月", "2 月", "3 月", "4 月", "5 月", "6 月", "7 月", "8 月", "9 月", "10 月", "11 月", "12 月"},
		everyDay: "每天", workdays: "周一至周五", daysN: "每 %d 天", weekly: "每%s", weeksN: "每 %d 周的%s",
		monthly: "每月%s", monthsN: "每 %d 个月的%s", monthDay: " %s 日", lastDay: "最后一天", dayFromLast: "倒数第 %d 天",
		nthDay: "第%s个%s", lastNth: "最后一个%s", yearly: "每年 %s%s",
		nth:  [5]string{"一", "二", "三", "四", "五"},
		once: "仅一次", times: "，共 %d 次", until: "，至 %s", overnight: "（次日）", daysLater: "（%d 天后）", between: "%s–%s", raw: "按规则 %s", join: "、", comma: "，",
		follows: "跟随节目单中的一个节目", titled: "所有名为“%s”的节目", onDays: "，限%s", begins: "，%s 开始的",
		skips: "，录过的不再录", onceADay: "，一天只录一次",
	}
}

// words puts one language's words together.
type words struct {
	wording
	tight bool // there is no space between words
}

func (w words) rule(r *Rule) string {
	switch {
	case r.Match != nil:
		return w.match(r.Match)
	case r.Event != EventID{}:
		return w.follows
	case r.RRule == "":
		return r.Start.In(r.Zone).Format("2006-01-02 ") + w.span(r) + w.comma + w.once
	}
	text := strings.TrimPrefix(strings.TrimSpace(r.RRule), "RRULE:")
	o, err := rrule.StrToROption(text)
	if err != nil {
		return fmt.Sprintf(w.raw, text)
	}
	often := w.often(o, wallOf(r.Start, r.Zone))
	if often == "" {
		return fmt.Sprintf(w.raw, text) + w.comma + w.span(r)
	}
	often += " " + w.span(r)
	if o.Count > 0 {
		often += fmt.Sprintf(w.times, o.Count)
	}
	if !o.Until.IsZero() {
		last := o.Until
		if strings.Contains(strings.ToUpper(text), "Z") {
			last = wallOf(last, r.Zone)
		}
		often += fmt.Sprintf(w.until, last.Format("2006-01-02"))
	}
	return often
}

// span is the time of day.
func (w words) span(r *Rule) string {
	start, end := r.Start.In(r.Zone), r.End.In(r.Zone)
	s := fmt.Sprintf(w.between, start.Format("15:04"), end.Format("15:04"))
	const day = 24 * time.Hour // as a clock on the wall counts, which no change of the time shortens
	switch days := int(wallOf(end, r.Zone).Truncate(day).Sub(wallOf(start, r.Zone).Truncate(day)) / day); {
	case days == 1:
		s += w.overnight
	case days > 1:
		s += fmt.Sprintf(w.daysLater, days)
	}
	return s
}

// often is how often a recurrence applies; empty: there are no words for it.
func (w words) often(o *rrule.ROption, first wall) string {
	if len(o.Bysetpos)+len(o.Byyearday)+len(o.Byweekno)+len(o.Byeaster)+len(o.Byhour)+len(o.Byminute)+len(o.Bysecond) > 0 {
		return ""
	}
	n := max(1, o.Interval)
	switch o.Freq {
	case rrule.DAILY:
		if len(o.Bymonthday)+len(o.Bymonth) > 0 || n > 1 && len(o.Byweekday) > 0 {
			return ""
		}
		if n > 1 {
			return fmt.Sprintf(w.daysN, n)
		}
		return w.week(o, nil, 1)
	case rrule.WEEKLY:
		if len(o.Bymonthday)+len(o.Bymonth) > 0 {
			return ""
		}
		return w.week(o, []int{(int(first.Weekday()) + 6) % 7}, n)
	case rrule.MONTHLY:
		on := w.inMonth(o, first)
		switch {
		case len(o.Bymonth) > 0 || on == "":
			return ""
		case n > 1:
			return fmt.Sprintf(w.monthsN, n, on)
		}
		return fmt.Sprintf(w.monthly, on)
	case rrule.YEARLY:
		if n > 1 || len(o.Byweekday) > 0 || len(o.Bymonth) > 1 || len(o.Bymonthday) > 1 || len(o.Bymonthday) == 1 && (o.Bymonthday[0] < 0 || len(o.Bymonth) == 0) {
			return ""
		}
		month, day := int(first.Month()), strconv.Itoa(first.Day())
		if len(o.Bymonth) == 1 {
			month = o.Bymonth[0]
		}
		if len(o.Bymonthday) == 1 {
			day = strconv.Itoa(o.Bymonthday[0])
		}
		if w.tight {
			day = fmt.Sprintf(w.monthDay, day)
		}
		return fmt.Sprintf(w.yearly, w.months[month-1], day)
	}
	return ""
}

// week names the days of a week; without any it is those given, or each.
func (w words) week(o *rrule.ROption, without []int, n int) string {
	days := without
	if len(o.Byweekday) > 0 {
		days = nil
	}
	for _, d := range o.Byweekday {
		if d.N() != 0 {
			return ""
		}
		days = append(days, d.Day())
	}
	slices.Sort(days)
	days = slices.Compact(days)
	switch {
	case n > 1:
		return fmt.Sprintf(w.weeksN, n, w.named(days))
	case len(days) == 0 || len(days) == 7:
		return w.everyDay
	case slices.Equal(days, []int{0, 1, 2, 3, 4}):
		return w.workdays
	}
	return fmt.Sprintf(w.weekly, w.named(days))
}

func (w words) named(days []int) string {
	out := make([]string, len(days))
	for i, d := range days {
		out[i] = w.days[d]
	}
	return strings.Join(out, w.join)
}

// inMonth names the days of a month.
func (w words) inMonth(o *rrule.ROption, first wall) string {
	if len(o.Byweekday) > 0 {
		if len(o.Byweekday) > 1 || len(o.Bymonthday) > 0 {
			return ""
		}
		d := o.Byweekday[0]
		switch n := d.N(); {
		case n == -1:
			return fmt.Sprintf(w.lastNth, w.days[d.Day()])
		case n >= 1 && n <= len(w.nth):
			return fmt.Sprintf(w.nthDay, w.nth[n-1], w.days[d.Day()])
		}
		return ""
	}
	if len(o.Bymonthday) == 1 && o.Bymonthday[0] == -1 {
		return w.lastDay
	}
	if len(o.Bymonthday) == 1 && o.Bymonthday[0] < 0 {
		return fmt.Sprintf(w.dayFromLast, -o.Bymonthday[0])
	}
	days := []string{strconv.Itoa(first.Day())}
	if len(o.Bymonthday) > 0 {
		days = nil
	}
	for _, d := range o.Bymonthday {
		if d < 0 {
			return ""
		}
		days = append(days, strconv.Itoa(d))
	}
	return fmt.Sprintf(w.monthDay, strings.Join(days, w.join))
}

func (w words) match(m *Match) string {
	s := fmt.Sprintf(w.titled, m.Title)
	if len(m.Weekdays) > 0 {
		var days []int
		for _, d := range m.Weekdays {
			days = append(days, (int(d)+6)%7)
		}
		slices.Sort(days)
		s += fmt.Sprintf(w.onDays, w.named(days))
	}
	if m.From != 0 || m.To != 0 {
		s += fmt.Sprintf(w.begins, fmt.Sprintf(w.between, ofDay(m.From), ofDay(m.To)))
	}
	switch m.Duplicates {
	case SkipRecorded:
		s += w.skips
	case SkipTitleDay:
		s += w.onceADay
	}
	return s
}

// ofDay is a time of day: 19:00.
func ofDay(d time.Duration) string {
	return time.Time{}.Add(d).Format("15:04")
}

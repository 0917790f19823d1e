package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	ics "github.com/arran4/golang-ical"
	"github.com/xuri/excelize/v2"

	"tongxiang/internal/auth"
	"tongxiang/internal/mpegts/sitest"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
)

type occurrence struct {
	Key        string    `json:"key"`
	Schedule   string    `json:"schedule"`
	Title      string    `json:"title"`
	Start      time.Time `json:"start"`
	End        time.Time `json:"end"`
	RecordFrom time.Time `json:"record_from"`
	RecordTo   time.Time `json:"record_to"`
	State      string    `json:"state"`
	Reason     *struct{ Code, EN, ZH string }
	LostTo     *struct{ Title string } `json:"lost_to"`
	Recording  string                  `json:"recording"`
	Recordings []string                `json:"recordings"`
}

func (o occurrence) String() string {
	s := o.Title + " " + o.State
	if o.Reason != nil {
		s += "(" + o.Reason.Code + ")"
	}
	return s
}

// plan returns what the API says of the hours around now.
func (r *rig) plan(query string) []occurrence {
	r.t.Helper()
	var list struct{ Items []occurrence }
	r.api("GET", "/schedules/plan?"+query, nil, &list)
	return list.Items
}

func around(now time.Time) string {
	return "from=" + now.Add(-time.Hour).UTC().Format(time.RFC3339) + "&to=" + now.Add(24*time.Hour).UTC().Format(time.RFC3339)
}

func TestASchedulesLifeInTheAPI(t *testing.T) {
	r := start(t, config(t, t.TempDir()))
	r.api("POST", "/channels", map[string]any{"id": "c", "name": "中央一套", "source": "udp://127.0.0.1:" + strconv.Itoa(freePort(t))}, nil)
	from := time.Now().UTC().Add(2 * time.Hour).Truncate(time.Second)
	var x struct {
		ID, Stream, Title, Priority, Format, RRule string
		Start, End                                 time.Time
		Before                                     float64 `json:"padding_before"`
		After                                      float64 `json:"padding_after"`
		Enabled, Recording                         bool
	}
	// The shape that scripts rely on.
	r.api("POST", "/schedules", map[string]any{
		"stream": "channels/c", "title": "周培训", "start": from, "end": from.Add(time.Hour), "rrule": "FREQ=DAILY;COUNT=3",
		"padding_before": 60, "padding_after": "5m",
	}, &x)
	if x.Stream != "channels/c" || x.Title != "周培训" || x.Priority != "training" || x.Format != "fmp4" || !x.Start.Equal(from) || !x.Enabled || x.Recording || x.Before != 60 || x.After != 300 {
		t.Errorf("%+v", x)
	}
	days := "to=" + from.Add(80*time.Hour).Format(time.RFC3339)
	plan := r.plan(days)
	if len(plan) != 3 || plan[0].String() != "周培训 planned" || !plan[0].RecordFrom.Equal(from.Add(-time.Minute)) || !plan[2].RecordTo.Equal(from.Add(49*time.Hour+5*time.Minute)) {
		t.Errorf("%v", plan)
	}
	var seen struct{ Items, Conflicts []occurrence }
	r.api("POST", "/schedules/preview", map[string]any{"stream": "channels/c", "start": from, "end": from.Add(time.Hour)}, &seen)
	if len(seen.Items) != 1 || seen.Items[0].String() != "中央一套 planned" || len(seen.Conflicts) != 0 {
		t.Errorf("%+v", seen)
	}
	if got := r.plan(days); len(got) != 3 {
		t.Errorf("a preview was saved: %v", got)
	}
	var outlook struct {
		Items []struct {
			ID         string
			Rule       struct{ EN, ZH string }
			Next, Last *occurrence
		}
	}
	r.api("GET", "/schedules?outlook=true", nil, &outlook)
	if len(outlook.Items) != 1 || outlook.Items[0].Next == nil || !outlook.Items[0].Next.Start.Equal(from) || outlook.Items[0].Last != nil || !strings.HasSuffix(outlook.Items[0].Rule.ZH, "，共 3 次") {
		t.Errorf("%+v", outlook)
	}
	status, file := r.do("GET", "/api/v1/exports/schedules?format=csv", r.admin(), "", "")
	if status != http.StatusOK || !strings.Contains(file, "周培训,中央一套,") {
		t.Errorf("%d %s", status, file)
	}
	r.api("PATCH", "/schedules/"+x.ID, map[string]any{"title": "改名", "enabled": false}, &x)
	if plan = r.plan(days); len(plan) != 3 || plan[0].String() != "改名 skipped(disabled)" || plan[0].Reason.ZH == "" {
		t.Errorf("%v", plan)
	}
	x.RRule = ""
	r.api("PATCH", "/schedules/"+x.ID, map[string]any{"enabled": true, "rrule": ""}, &x)
	if plan = r.plan(days); len(plan) != 1 || x.RRule != "" {
		t.Errorf("%v", plan)
	}
	var list struct {
		Items []struct{ ID string }
		Total int
	}
	r.api("GET", "/schedules?stream=channels/c&enabled=true", nil, &list)
	if list.Total != 1 || list.Items[0].ID != x.ID {
		t.Errorf("%+v", list)
	}
	r.api("DELETE", "/schedules/"+x.ID, nil, nil)
	status, body := r.do("GET", "/api/v1/schedules/"+x.ID, r.admin(), "", "")
	refused(t, status, body, "not_found")
	entries, _, err := r.s.store.Audit(t.Context(), store.AuditFilter{Target: x.ID}, store.Page{})
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, e := range entries {
		actions = append(actions, e.Action)
	}
	if got := strings.Join(actions, " "); got != "schedule.delete schedule.change schedule.change schedule.create" {
		t.Errorf("audit: %s", got)
	}
}

func TestSchedulesThatCannotBeAreRefusedAtTheirField(t *testing.T) {
	r := start(t, config(t, t.TempDir()))
	r.api("POST", "/channels", map[string]any{"id": "c", "name": "一套", "source": "udp://127.0.0.1:" + strconv.Itoa(freePort(t))}, nil)
	m := r.meeting()
	from := time.Now().UTC().Add(time.Hour)
	for _, c := range []struct {
		name, edit, code, field string
	}{
		{"no such channel", `{"stream":"channels/x"}`, "schedule_stream", "body.stream"},
		{"no such meeting", `{"stream":"meetings/x"}`, "schedule_stream", "body.stream"},
		{"a participant", `{"stream":"meetings/` + m + `/li"}`, "schedule_stream", "body.stream"},
		{"no stream", `{"stream":""}`, "schedule_stream", "body.stream"},
		{"a path", `{"stream":"../../etc"}`, "schedule_stream", "body.stream"},
		{"end before start", `{"end":"2020-01-01T00:00:00Z"}`, "schedule_times", "body.end"},
		{"a year long", `{"end":"2099-01-01T00:00:00Z"}`, "schedule_times", "body.end"},
		{"over", `{"start":"2020-01-01T00:00:00Z","end":"2020-01-01T01:00:00Z"}`, "schedule_past", "body.end"},
		{"over, recurring", `{"start":"2020-01-01T00:00:00Z","end":"2020-01-01T01:00:00Z","rrule":"FREQ=DAILY;COUNT=5"}`, "schedule_past", "body.rrule"},
		{"before all calendars", `{"start":"0001-01-01T00:00:00Z","end":"0001-01-01T01:00:00Z","rrule":"FREQ=DAILY"}`, "schedule_times", "body.end"},
		{"no recurrence", `{"rrule":"every day"}`, "bad_rrule", "body.rrule"},
		{"every second", `{"rrule":"FREQ=SECONDLY"}`, "rrule_too_dense", "body.rrule"},
		{"every second, of a day", `{"rrule":"FREQ=DAILY;BYSECOND=0,1,2,3"}`, "rrule_too_dense", "body.rrule"},
		{"never", `{"rrule":"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}`, "schedule_never", "body.rrule"},
		{"padding of a day", `{"padding_after":90000}`, "schedule_padding", "body.padding_after"},
		{"padding below 0", `{"padding_before":"-5m"}`, "invalid", "body.padding_before"},
		{"no zone", `{"zone":"Mars/Olympus"}`, "schedule_zone", "body.zone"},
		{"a zone that is a path", `{"zone":"../../etc/passwd"}`, "schedule_zone", "body.zone"},
		{"no class", `{"class":"fun"}`, "schedule_class", "body.class"},
		{"no priority", `{"priority":"highest"}`, "schedule_priority", "body.priority"},
		{"a meeting as received", `{"stream":"meetings/` + m + `","format":"ts"}`, "schedule_format", "body.format"},
		{"no event", `{"event":77}`, "schedule_event", "body.event"},
		{"a title of nothing", `{"match":{"title":"——"}}`, "schedule_title", "body.match.title"},
		{"a title and a recurrence", `{"match":{"title":"联播"},"rrule":"FREQ=DAILY"}`, "schedule_mixed", "body.match"},
		{"no weekday", `{"match":{"title":"联播","weekdays":["MO","XX"]}}`, "schedule_match", "body.match.weekdays[1]"},
		{"no time of day", `{"match":{"title":"联播","from":"25:00"}}`, "schedule_match", "body.match.from"},
		{"no channel to look on", `{"match":{"title":"联播","channels":["c","x"]}}`, "schedule_stream", "body.match.channels[1]"},
	} {
		b := map[string]any{"stream": "channels/c", "title": "x", "start": from, "end": from.Add(time.Hour)}
		if err := json.Unmarshal([]byte(c.edit), &b); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/api/v1/schedules", "/api/v1/schedules/preview"} {
			status, answer := r.do("POST", path, r.admin(), "application/json", string(text))
			var p struct {
				Code   string
				Errors []struct{ Location, Message string }
			}
			if err := json.Unmarshal([]byte(answer), &p); err != nil {
				t.Fatal(err)
			}
			if status != http.StatusUnprocessableEntity || p.Code != c.code || len(p.Errors) == 0 || p.Errors[0].Location != c.field || p.Errors[0].Message == "" {
				t.Errorf("%s: %d %s", c.name, status, answer)
			}
		}
	}
	if got := r.plan(""); len(got) != 0 {
		t.Errorf("something was saved: %v", got)
	}
	for query, code := range map[string]string{
		"from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": "schedule_window", "from=2026-01-02T00:00:00Z&to=2036-01-01T00:00:00Z": "schedule_window",
		"from=yesterday": "invalid", "format=pdf": "invalid",
	} {
		status, body := r.do("GET", "/api/v1/schedules/plan?"+query, r.admin(), "", "")
		refused(t, status, body, code)
	}
	for _, role := range []auth.Role{auth.Chair, auth.Member, auth.Viewer, auth.Kiosk} {
		token := r.token(auth.TokenRequest{Subject: "x", Role: role})
		for _, c := range [][2]string{{"GET", "/schedules"}, {"GET", "/schedules/plan"}, {"POST", "/schedules"}, {"POST", "/schedules/preview"}, {"DELETE", "/schedules/x"}} {
			status, body := r.do(c[0], "/api/v1"+c[1], token, "application/json", "{}")
			refused(t, status, body, "forbidden")
		}
	}
	if status, body := r.do("GET", "/api/v1/schedules/plan", r.token(auth.TokenRequest{Subject: "op", Role: auth.Operator}), "", ""); status != http.StatusOK {
		t.Errorf("an operator: %d %s", status, body)
	}
}

func TestThePlanIsExportedForASpreadsheet(t *testing.T) {
	r := start(t, config(t, t.TempDir()))
	r.api("POST", "/channels", map[string]any{"id": "c", "name": "中央一套", "source": "udp://127.0.0.1:" + strconv.Itoa(freePort(t))}, nil)
	from := time.Now().Add(time.Hour).Truncate(time.Second)
	r.api("POST", "/schedules", map[string]any{"stream": "channels/c", "title": "=1+1", "start": from, "end": from.Add(time.Hour), "class": "news"}, nil)
	_, text := r.do("GET", "/api/v1/schedules/plan?format=csv", r.admin(), "", "")
	want := "\ufeffStart,End,Channel,Title,Priority,State,Reason,Recorded from,Recorded to,Recording\r\n" +
		fmt.Sprintf("%[1]s,%[2]s,中央一套,'=1+1,news,planned,,%[1]s,%[2]s,\r\n", from.Format("2006-01-02 15:04:05"), from.Add(time.Hour).Format("2006-01-02 15:04:05"))
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	_, book := r.do("GET", "/api/v1/schedules/plan?format=xlsx", r.admin(), "", "")
	f, err := excelize.OpenReader(strings.NewReader(book))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if v, err := f.GetCellValue("Schedule", "D2"); err != nil || v != "=1+1" {
		t.Errorf("%q, %v", v, err)
	}
}

func TestTheRoomOfTheDiskIsPartOfThePlan(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.Recorder.DiskSpeed = 1 // MiB a second: one stream of 5 Mbit/s, and not two
	r := start(t, cfg)
	for _, id := range []string{"a", "b"} {
		r.api("POST", "/channels", map[string]any{"id": id, "name": id, "source": "udp://127.0.0.1:" + strconv.Itoa(freePort(t))}, nil)
	}
	from := time.Now().Add(time.Hour)
	ask := func(stream, title, priority string) map[string]any {
		return map[string]any{"stream": "channels/" + stream, "title": title, "priority": priority, "start": from, "end": from.Add(time.Hour)}
	}
	r.api("POST", "/schedules", ask("a", "新闻", "news"), nil)
	var seen struct{ Items, Conflicts []occurrence }
	r.api("POST", "/schedules/preview", ask("b", "应急", "emergency"), &seen)
	if len(seen.Items) != 1 || seen.Items[0].State != "planned" || len(seen.Conflicts) != 1 || seen.Conflicts[0].String() != "新闻 conflict(no_disk_speed)" ||
		seen.Conflicts[0].LostTo == nil || seen.Conflicts[0].LostTo.Title != "应急" {
		t.Errorf("%+v", seen)
	}
	if plan := r.plan(""); len(plan) != 1 || plan[0].State != "planned" {
		t.Errorf("%v", plan)
	}
}

// onAir sends a clip of a minute in real time, with a guide, and says at which time
// of it (PTS, seconds) what is sent at a moment is.
type onAir struct {
	began time.Time
	first float64 // PTS of the first picture

	mu      sync.Mutex // guards what follows
	version byte
	events  [2]sitest.Event // present and following
}

func (a *onAir) guide(present, following sitest.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version = (a.version + 1) & 31
	a.events = [2]sitest.Event{present, following}
}

// pts returns the presentation time of what is sent at a moment.
func (a *onAir) pts(at time.Time) float64 { return a.first + at.Sub(a.began).Seconds() }

func putOnAir(t *testing.T, clip []byte, length time.Duration, port int) *onAir {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	a := &onAir{began: time.Now(), first: 1.4} // ffmpeg's multiplexer begins there
	stop, ended := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-ended; _ = conn.Close() })
	go func() {
		defer close(ended)
		var w sitest.Writer
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for at, n := 0, 0; ; n++ {
			due := int(float64(len(clip))*min(time.Since(a.began).Seconds()/length.Seconds(), 1)) / 188 * 188
			for ; at < due; at += 7 * 188 {
				_, _ = conn.Write(clip[at:min(at+7*188, len(clip))]) // nobody may be listening yet
			}
			if n%20 == 0 {
				a.mu.Lock()
				for i, e := range a.events {
					_, _ = conn.Write(w.EIT(sitest.Table{ID: 0x4E, Network: 0xFF01, Stream: 1, Service: 1, Version: a.version, Number: byte(i)}, e))
				}
				a.mu.Unlock()
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	return a
}

// pictures returns the presentation times of the pictures of a recording, in seconds.
func (r *rig) pictures(id string) []float64 {
	r.t.Helper()
	status, file := r.do("GET", "/api/v1/recordings/"+id+"/file", r.admin(), "", "")
	if status != http.StatusOK {
		r.t.Fatalf("file of %s: %d", id, status)
	}
	path := filepath.Join(r.t.TempDir(), "recording.ts")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		r.t.Fatal(err)
	}
	out := playtest.Run(r.t, nil, "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0", path)
	var l []float64
	for _, f := range bytes.Fields(out) {
		v, err := strconv.ParseFloat(strings.TrimRight(string(f), ","), 64)
		if err != nil {
			r.t.Fatal(err)
		}
		l = append(l, v)
	}
	return l
}

// whole checks that a recording has every picture between two times.
func whole(t *testing.T, pictures []float64, from, to float64) {
	t.Helper()
	seen := make(map[int]bool, len(pictures))
	for _, p := range pictures {
		seen[int(p*25+0.5)] = true // the number of the picture
	}
	missing := 0
	for n := int(from*25) + 1; n < int(to*25); n++ {
		if !seen[n] {
			missing++
		}
	}
	if missing > 0 || len(pictures) == 0 {
		t.Errorf("%d of %d pictures between %.1f s and %.1f s are missing", missing, int((to-from)*25), from, to)
	}
}

// TestProgrammesThatMoveAndPauseAreRecordedWhole plays a broadcaster whose minutes are
// seconds: one programme is put off by fifteen before it begins and extended while it
// runs, the other is interrupted by the news and goes on behind its announced end.
func TestProgrammesThatMoveAndPauseAreRecordedWhole(t *testing.T) {
	clip := playtest.TS(t, 60, "320x180", playtest.Plain)
	r := start(t, config(t, t.TempDir()))
	air := map[string]*onAir{}
	for _, id := range []string{"moves", "pauses"} {
		port := freePort(t)
		r.api("POST", "/channels", map[string]any{"id": id, "name": id, "source": "udp://127.0.0.1:" + strconv.Itoa(port)}, nil)
		air[id] = putOnAir(t, clip, time.Minute, port)
	}
	zero := air["moves"].began.UTC().Truncate(time.Second).Add(time.Second)
	at := func(second int) time.Time { return zero.Add(time.Duration(second) * time.Second) }
	event := func(id uint16, title string, from, length int, running byte) sitest.Event {
		return sitest.Event{ID: id, Title: title, Start: at(from), Duration: time.Duration(length) * time.Second, Running: running}
	}
	before, after := event(1, "别的", -60, 66, 4), event(99, "后来", 3600, 60, 1)
	air["moves"].guide(before, event(10, "球赛", 8, 8, 1))
	air["pauses"].guide(before, event(20, "电影", 10, 8, 1))
	for id, n := range map[string]int{"moves": 10, "pauses": 20} {
		eventually(t, "the event in the guide", func() bool {
			l, _, err := r.s.store.EPG(t.Context(), store.EPGFilter{Channel: id}, store.Page{})
			return err == nil && len(l) == 2
		})
		r.api("POST", "/schedules", map[string]any{"stream": "channels/" + id, "event": n, "format": "ts", "padding_before": 2, "padding_after": 2}, nil)
	}
	for _, step := range []struct {
		second int
		do     func()
	}{
		{4, func() { air["moves"].guide(before, event(10, "球赛", 23, 8, 1)) }}, // put off by fifteen
		{10, func() { air["pauses"].guide(event(20, "电影", 10, 8, 4), after) }},
		{14, func() { air["pauses"].guide(event(20, "电影", 10, 8, 3), after) }}, // the news
		{23, func() { air["moves"].guide(event(10, "球赛", 23, 8, 4), after) }},
		{26, func() { air["moves"].guide(event(10, "球赛", 23, 15, 4), after) }}, // longer
		{27, func() { air["pauses"].guide(event(20, "电影", 10, 8, 4), after) }}, // behind its end
		{34, func() { air["pauses"].guide(event(20, "电影", 10, 8, 1), after) }}, // and over
		{38, func() { air["moves"].guide(event(10, "球赛", 23, 15, 1), after) }}, // over, too
	} {
		<-time.After(time.Until(at(step.second)))
		step.do()
	}
	done := map[string]occurrence{}
	eventually(t, "both recordings done", func() bool {
		for _, o := range r.plan(around(zero)) {
			if o.State == "done" {
				done[o.Title] = o
			}
		}
		return len(done) == 2
	})
	for title, x := range map[string]struct {
		air      *onAir
		from, to int
	}{"球赛": {air["moves"], 23, 38}, "电影": {air["pauses"], 10, 34}} {
		o := done[title]
		if o.Reason != nil || len(o.Recordings) != 1 {
			t.Errorf("%s: %v, %v", title, o, o.Recordings)
		}
		pictures := r.pictures(o.Recording)
		// The clip is sent evenly by bytes, which is half a second off at times.
		whole(t, pictures, x.air.pts(at(x.from))-0.5, x.air.pts(at(x.to)))
		if early := x.air.pts(at(x.from - 2 - 4)); len(pictures) > 0 && pictures[0] < early {
			t.Errorf("%s was recorded from %.1f s on, long before its time", title, pictures[0])
		}
	}
}

func TestAScheduledRecordingGoesOnAfterARestartAndEndsWithItsSchedule(t *testing.T) {
	clip := playtest.TS(t, 60, "320x180", playtest.Plain)
	cfg := config(t, t.TempDir())
	port := freePort(t)
	putOnAir(t, clip, time.Minute, port)
	r := start(t, cfg)
	r.api("POST", "/channels", map[string]any{"id": "c", "name": "一套", "source": "udp://127.0.0.1:" + strconv.Itoa(port)}, nil)
	now := time.Now().UTC()
	var x struct{ ID string }
	r.api("POST", "/schedules", map[string]any{"stream": "channels/c", "title": "课", "start": now.Add(-time.Second), "end": now.Add(time.Hour)}, &x)
	written := func(before string) (o occurrence) { // by another recording than that one
		eventually(t, "something recorded", func() bool {
			plan := r.plan(around(now))
			if len(plan) != 1 || plan[0].State != "recording" || plan[0].Recording == before {
				return false
			}
			o = plan[0]
			var rec struct {
				Bytes    int64
				Schedule string
			}
			r.api("GET", "/recordings/"+o.Recording, nil, &rec)
			return rec.Bytes > 0 && rec.Schedule == x.ID
		})
		return o
	}
	first := written("")
	r.stop()
	r = start(t, cfg)
	second := written(first.Recording)
	if second.Key != first.Key || len(second.Recordings) != 2 || second.Recordings[0] != first.Recording || second.Reason == nil || second.Reason.Code != "interrupted" {
		t.Errorf("%+v after %+v", second, first)
	}
	for _, change := range [][3]string{{"DELETE", "", ""}, {"PATCH", "", `{"enabled":false}`}, {"PATCH", "", `{"start":"` + now.Add(-time.Minute).Format(time.RFC3339) + `"}`}} {
		status, body := r.do(change[0], "/api/v1/schedules/"+x.ID, r.admin(), "application/json", change[2])
		refused(t, status, body, "schedule_recording")
	}
	end := now.Add(2 * time.Hour)
	r.api("PATCH", "/schedules/"+x.ID, map[string]any{"end": end}, nil) // in its course
	eventually(t, "another end", func() bool {
		plan := r.plan(around(now))
		return len(plan) == 1 && plan[0].RecordTo.Equal(end.Truncate(time.Second))
	})
	r.api("DELETE", "/schedules/"+x.ID+"?stop=true", nil, nil)
	eventually(t, "the end of the recording", func() bool {
		plan := r.plan(around(now))
		return len(plan) == 1 && plan[0].String() == "课 done(schedule_removed)"
	})
	for _, id := range second.Recordings {
		if len(r.pictures(id)) == 0 {
			t.Errorf("%s has no pictures", id)
		}
	}
	if _, text := r.do("GET", "/metrics", "", "", ""); !strings.Contains(text, "tongxiang_scheduled_recordings 0") {
		t.Error("the metrics do not tell")
	}
}

func TestOneOccurrenceIsLeftOutAndThePlanIsACalendar(t *testing.T) {
	r := start(t, config(t, t.TempDir()))
	r.api("POST", "/channels", map[string]any{"id": "c", "name": "中央一套", "source": "udp://127.0.0.1:" + strconv.Itoa(freePort(t))}, nil)
	from := time.Now().UTC().Add(2 * time.Hour).Truncate(time.Second)
	var x struct{ ID string }
	title := "防汛抗旱；形势分析，会商研判\\和乡镇干部值班值守工作培训（第三期）" // longer than a line of iCalendar
	r.api("POST", "/schedules", map[string]any{
		"stream": "channels/c", "title": title, "start": from, "end": from.Add(time.Hour), "rrule": "FREQ=DAILY;COUNT=3", "padding_after": 300,
	}, &x)
	var o occurrence
	second := from.AddDate(0, 0, 1)
	r.api("POST", "/schedules/"+x.ID+"/skip", map[string]any{"start": second}, &o)
	if o.State != "skipped" || o.Reason == nil || o.Reason.Code != "skipped" || o.Reason.ZH == "" || !o.Start.Equal(second) {
		t.Errorf("%+v", o)
	}
	days := "to=" + from.Add(80*time.Hour).Format(time.RFC3339)
	states := func() (out []string) {
		for _, o := range r.plan(days) {
			out = append(out, o.State)
		}
		return out
	}
	if got := states(); !slices.Equal(got, []string{"planned", "skipped", "planned"}) {
		t.Errorf("%v", got)
	}
	status, body := r.do("GET", "/api/v1/schedules/plan.ics", r.admin(), "", "")
	c, err := ics.ParseCalendar(strings.NewReader(body))
	if status != 200 || err != nil || len(c.Events()) != 3 {
		t.Fatalf("%d, %v, %s", status, err, body)
	}
	for i, e := range c.Events() {
		at, err := e.GetStartAt()
		if err != nil || !at.Equal(from.AddDate(0, 0, i)) {
			t.Errorf("event %d begins at %v, %v", i, at, err)
		}
		if got := ics.FromText(e.GetProperty(ics.ComponentPropertySummary).Value); got != title {
			t.Errorf("title %q", got)
		}
		if place := e.GetProperty(ics.ComponentPropertyLocation).Value; place != "中央一套" {
			t.Errorf("place %q", place)
		}
		if cancelled := e.GetProperty(ics.ComponentPropertyStatus).Value == "CANCELLED"; cancelled != (i == 1) {
			t.Errorf("event %d: %s", i, e.GetProperty(ics.ComponentPropertyStatus).Value)
		}
	}
	for _, line := range strings.Split(body, "\r\n") {
		if len(line) > 75 || !utf8.ValidString(line) {
			t.Errorf("line of %d bytes: %q", len(line), line)
		}
	}
	r.api("POST", "/schedules/"+x.ID+"/skip", map[string]any{"start": second, "skip": false}, &o)
	if got := states(); o.State != "planned" || !slices.Equal(got, []string{"planned", "planned", "planned"}) {
		t.Errorf("%s, %v", o.State, got)
	}
	status, body = r.do("POST", "/api/v1/schedules/"+x.ID+"/skip", r.admin(), "application/json", `{"start":"2026-01-01T00:00:00Z"}`)
	refused(t, status, body, "occurrence_not_found")
	status, body = r.do("POST", "/api/v1/schedules/none/skip", r.admin(), "application/json", `{"start":"2026-01-01T00:00:00Z"}`)
	refused(t, status, body, "not_found")
}

package store_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"tongxiang/internal/store"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

func after(d time.Duration) *time.Time { t := noon.Add(d); return &t }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error %v, want %v", err, target)
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got\n%+v, want\n%+v", got, want)
	}
}

func user(name string) store.User {
	return store.User{ID: store.NewID(), Name: name, Display: "李雷", Role: "member", PasswordHash: "h", Created: noon, Changed: noon}
}

func TestUserLivesFromCreationToDeletion(t *testing.T) { both(t, testUserLivesFromCreationToDeletion) }

func testUserLivesFromCreationToDeletion(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	u := user("lilei")
	check(t, s.CreateUser(ctx, u))
	twin := user("lilei")
	want(t, s.CreateUser(ctx, twin), store.ErrConflict)

	u.Display, u.Role, u.Disabled, u.Changed = "李磊", "chair", true, noon.Add(time.Hour)
	check(t, s.UpdateUser(ctx, u))
	got, err := s.User(ctx, u.ID)
	check(t, err)
	same(t, got, u)
	got, err = s.UserByName(ctx, "lilei")
	check(t, err)
	same(t, got, u)

	check(t, s.RehashUser(ctx, u.ID, "another", "no")) // changed meanwhile
	check(t, s.RehashUser(ctx, u.ID, "h", "h2"))
	u.PasswordHash = "h2"
	got, err = s.User(ctx, u.ID)
	check(t, err)
	same(t, got, u)

	hmm := user("hanmeimei")
	check(t, s.CreateUser(ctx, hmm))
	hmm.Name = "lilei"
	want(t, s.UpdateUser(ctx, hmm), store.ErrConflict)
	l, total, err := s.Users(ctx, "chair", store.Page{})
	check(t, err)
	same(t, l, []store.User{u})
	same(t, total, 1)

	check(t, s.DeleteUser(ctx, u.ID))
	want(t, s.DeleteUser(ctx, u.ID), store.ErrNotFound)
	want(t, s.UpdateUser(ctx, u), store.ErrNotFound)
	_, err = s.User(ctx, u.ID)
	want(t, err, store.ErrNotFound)
}

func TestFirstUserIsMadeOnceByManyStarters(t *testing.T) {
	both(t, testFirstUserIsMadeOnceByManyStarters)
}

func testFirstUserIsMadeOnceByManyStarters(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	var wg sync.WaitGroup
	made := make(chan bool, 8)
	for range 8 {
		wg.Go(func() {
			ok, err := s.CreateFirstUser(ctx, user("admin"))
			if err != nil {
				t.Error(err)
			}
			made <- ok
		})
	}
	wg.Wait()
	close(made)
	n := 0
	for ok := range made {
		if ok {
			n++
		}
	}
	same(t, n, 1)
	_, total, err := s.Users(ctx, "", store.Page{})
	check(t, err)
	same(t, total, 1)
}

func TestSessionEndsWithLogoutExpiryOrItsUser(t *testing.T) {
	both(t, testSessionEndsWithLogoutExpiryOrItsUser)
}

func testSessionEndsWithLogoutExpiryOrItsUser(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	u := user("lilei")
	check(t, s.CreateUser(ctx, u))
	session := func(hash string, expires time.Duration) store.Session {
		x := store.Session{Hash: hash, User: u.ID, Created: noon, Expires: noon.Add(expires), Address: "10.1.2.3", Agent: "Firefox"}
		check(t, s.CreateSession(ctx, x))
		return x
	}
	a, _, _, _ := session("a", time.Hour), session("b", time.Minute), session("c", time.Hour), session("d", time.Hour)
	want(t, s.CreateSession(ctx, store.Session{Hash: "x", User: "nobody", Created: noon, Expires: noon}), store.ErrNotFound)

	gotS, gotU, err := s.SessionUser(ctx, "a")
	check(t, err)
	same(t, gotS, a)
	same(t, gotU, u)

	n, err := s.DeleteExpiredSessions(ctx, noon.Add(2*time.Minute))
	check(t, err)
	same(t, n, int64(1))
	check(t, s.DeleteSession(ctx, "c"))
	check(t, s.DeleteSession(ctx, "c"))
	check(t, s.ExtendSession(ctx, "a", noon.Add(3*time.Hour)))
	want(t, s.ExtendSession(ctx, "c", noon), store.ErrNotFound)
	check(t, s.DeleteSessionsOf(ctx, u.ID, "a"))
	l, err := s.Sessions(ctx, u.ID)
	check(t, err)
	a.Expires = noon.Add(3 * time.Hour)
	same(t, l, []store.Session{a})

	check(t, s.DeleteUser(ctx, u.ID))
	_, _, err = s.SessionUser(ctx, "a")
	want(t, err, store.ErrNotFound)
}

func TestMeetingLivesFromCreationToDeletion(t *testing.T) {
	both(t, testMeetingLivesFromCreationToDeletion)
}

func testMeetingLivesFromCreationToDeletion(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	m := store.Meeting{ID: "42", Title: "防汛会商", Start: after(time.Hour), CreatedBy: "u", Created: noon}
	check(t, s.CreateMeeting(ctx, m))
	want(t, s.CreateMeeting(ctx, m), store.ErrConflict)
	m.Title, m.Start, m.End, m.Closed = "防汛视频会商", nil, after(2*time.Hour), after(3*time.Hour)
	check(t, s.UpdateMeeting(ctx, m))
	got, err := s.Meeting(ctx, "42")
	check(t, err)
	same(t, got, m)

	open := store.Meeting{ID: "43", Title: "例会", CreatedBy: "u", Created: noon.Add(time.Minute)}
	check(t, s.CreateMeeting(ctx, open))
	for _, c := range []struct {
		f    store.MeetingFilter
		want []store.Meeting
	}{
		{store.MeetingFilter{}, []store.Meeting{open, m}},
		{store.MeetingFilter{Open: true}, []store.Meeting{open}},
		{store.MeetingFilter{Closed: true}, []store.Meeting{m}},
	} {
		l, total, err := s.Meetings(ctx, c.f, store.Page{})
		check(t, err)
		same(t, l, c.want)
		same(t, total, len(c.want))
	}

	check(t, s.AppendMeetingEvents(ctx, "42", []store.MeetingEvent{{Seq: 1, At: noon, Kind: "joined", Data: []byte("{}")}}))
	check(t, s.DeleteMeeting(ctx, "42"))
	want(t, s.DeleteMeeting(ctx, "42"), store.ErrNotFound)
	want(t, s.UpdateMeeting(ctx, m), store.ErrNotFound)
	l, err := s.MeetingEvents(ctx, "42", 0)
	check(t, err)
	same(t, len(l), 0)
}

func TestMeetingEventsAreAppendedAllOrNone(t *testing.T) {
	both(t, testMeetingEventsAreAppendedAllOrNone)
}

func testMeetingEventsAreAppendedAllOrNone(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	check(t, s.CreateMeeting(ctx, store.Meeting{ID: "42", Title: "x", Created: noon}))
	event := func(seq int64) store.MeetingEvent {
		return store.MeetingEvent{Meeting: "42", Seq: seq, At: noon.Add(time.Duration(seq) * time.Second), Kind: "chat", Data: fmt.Appendf(nil, `{"text":"第%d条 \u0000"}`, seq)}
	}
	check(t, s.AppendMeetingEvents(ctx, "42", nil))
	check(t, s.AppendMeetingEvents(ctx, "42", []store.MeetingEvent{event(1), event(2)}))
	want(t, s.AppendMeetingEvents(ctx, "42", []store.MeetingEvent{event(3), event(2)}), store.ErrConflict)
	want(t, s.AppendMeetingEvents(ctx, "no such", []store.MeetingEvent{event(1)}), store.ErrNotFound)
	want(t, s.AppendMeetingEvents(ctx, "42", []store.MeetingEvent{{Seq: 3, At: noon, Data: []byte("{")}}), store.ErrNotJSON)
	check(t, s.AppendMeetingEvents(ctx, "42", []store.MeetingEvent{event(3)}))

	l, err := s.MeetingEvents(ctx, "42", 0)
	check(t, err)
	same(t, l, []store.MeetingEvent{event(1), event(2), event(3)})
	l, err = s.MeetingEvents(ctx, "42", 2)
	check(t, err)
	same(t, l, []store.MeetingEvent{event(3)})
}

func TestChannelLivesFromCreationToDeletion(t *testing.T) {
	both(t, testChannelLivesFromCreationToDeletion)
}

func testChannelLivesFromCreationToDeletion(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	c := store.Channel{ID: "cctv1", Name: "中央一套", Source: "udp://239.1.1.1:5000", Program: 101, Backup: []string{"rtsp://10.0.0.9/a"}, Position: 2}
	c.Switch = store.Switch{On: []string{}, After: map[string]string{"black": "20s"}, Back: "manual", Standby: true}
	check(t, s.CreateChannel(ctx, c))
	want(t, s.CreateChannel(ctx, c), store.ErrConflict)
	first := store.Channel{ID: "demo", Name: "测试", Source: "udp://127.0.0.1:5500", Backup: []string{}, Position: 1}
	check(t, s.CreateChannel(ctx, first))
	c.Name, c.Backup, c.Program = "CCTV-1", []string{}, 0
	check(t, s.UpdateChannel(ctx, c))
	got, err := s.Channel(ctx, "cctv1")
	check(t, err)
	same(t, got, c)
	l, err := s.Channels(ctx)
	check(t, err)
	same(t, l, []store.Channel{first, c})
	check(t, s.DeleteChannel(ctx, "cctv1"))
	want(t, s.DeleteChannel(ctx, "cctv1"), store.ErrNotFound)
	want(t, s.UpdateChannel(ctx, c), store.ErrNotFound)
	_, err = s.Channel(ctx, "cctv1")
	want(t, err, store.ErrNotFound)
}

func TestRecordingIsPutReplacedListedAndDeleted(t *testing.T) {
	both(t, testRecordingIsPutReplacedListedAndDeleted)
}

func testRecordingIsPutReplacedListedAndDeleted(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	r := store.Recording{
		ID: "r1", Stream: "channels/demo", Title: "测试", Class: "news", State: store.RecordingRunning, Started: noon, File: "r1.mp4",
		Format: "ts", Schedule: "s1", Event: "e1",
	}
	check(t, s.PutRecording(ctx, r))
	r.State, r.Ended, r.Duration, r.Bytes = store.RecordingInterrupted, after(time.Minute), 59*time.Second, 1<<40
	r.Reason, r.Detail = "interrupted", "断电"
	r.Gaps = []store.Gap{{FromMS: 1000, ToMS: 2500, Reason: "disk_full"}, {FromMS: 9000, ToMS: 9100, Reason: "no_signal"}}
	r.Tracks = []store.RecordingTrack{{File: "media.ts", Stream: "channels/demo", Kind: "audio", Codec: "AAC", Language: "chi"}}
	changed := r
	changed.Title, changed.Class, changed.Schedule, changed.Event = "旧", "", "", "" // what people decide stays
	check(t, s.PutRecording(ctx, changed))
	got, err := s.Recording(ctx, "r1")
	check(t, err)
	same(t, got, r)
	other := store.Recording{ID: "r2", Stream: "meetings/42/programme", State: store.RecordingComplete, Started: noon.Add(time.Hour), Format: "fmp4"}
	check(t, s.PutRecording(ctx, other))
	waiting := store.Recording{ID: "r3", Stream: "channels/w", State: store.RecordingWaiting, Reason: "disk_full", Started: noon.Add(-time.Hour), Format: "fmp4"}
	check(t, s.PutRecording(ctx, waiting))
	ids, err := s.RecordingIDs(ctx)
	check(t, err)
	same(t, ids, []string{"r1", "r2", "r3"})
	for _, c := range []struct {
		f    store.RecordingFilter
		want []store.Recording
	}{
		{store.RecordingFilter{}, []store.Recording{other, r, waiting}},
		{store.RecordingFilter{Active: true}, []store.Recording{waiting}},
		{store.RecordingFilter{Stream: "channels/demo"}, []store.Recording{r}},
		{store.RecordingFilter{State: store.RecordingComplete}, []store.Recording{other}},
		{store.RecordingFilter{Stream: "channels/demo", State: store.RecordingComplete}, nil},
	} {
		l, total, err := s.Recordings(ctx, c.f, store.Page{})
		check(t, err)
		same(t, l, c.want)
		same(t, total, len(c.want))
	}
	check(t, s.DeleteRecording(ctx, "r1"))
	want(t, s.DeleteRecording(ctx, "r1"), store.ErrNotFound)
	_, err = s.Recording(ctx, "r1")
	want(t, err, store.ErrNotFound)
}

func TestRevokedDeviceKeepsItsFirstDate(t *testing.T) { both(t, testRevokedDeviceKeepsItsFirstDate) }

func testRevokedDeviceKeepsItsFirstDate(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	d := store.Device{ID: "k1", Name: "青山镇大厅", TokenHash: "h1", Created: noon}
	check(t, s.CreateDevice(ctx, d))
	want(t, s.CreateDevice(ctx, store.Device{ID: "k2", TokenHash: "h1", Created: noon}), store.ErrConflict)
	check(t, s.SeeDevice(ctx, "k1", *after(time.Minute)))
	check(t, s.RevokeDevice(ctx, "k1", *after(time.Hour)))
	check(t, s.RevokeDevice(ctx, "k1", *after(2 * time.Hour)))
	d.Seen, d.Revoked = after(time.Minute), after(time.Hour)
	for _, get := range []func() (store.Device, error){
		func() (store.Device, error) { return s.DeviceByToken(ctx, "h1") },
		func() (store.Device, error) { return s.Device(ctx, "k1") },
	} {
		got, err := get()
		check(t, err)
		same(t, got, d)
	}
	l, total, err := s.Devices(ctx, store.Page{})
	check(t, err)
	same(t, l, []store.Device{d})
	same(t, total, 1)
	want(t, s.SeeDevice(ctx, "k9", noon), store.ErrNotFound)
	want(t, s.RevokeDevice(ctx, "k9", noon), store.ErrNotFound)
}

func TestAuditIsNumberedWithoutGapsByManyWriters(t *testing.T) {
	both(t, testAuditIsNumberedWithoutGapsByManyWriters)
}

func testAuditIsNumberedWithoutGapsByManyWriters(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 5 {
				err := s.AppendAudit(ctx, store.AuditEntry{At: noon.Add(time.Duration(i) * time.Minute), Actor: fmt.Sprint(i), Action: "login", Result: "ok"})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	l, total, err := s.Audit(ctx, store.AuditFilter{}, store.Page{Limit: 100})
	check(t, err)
	same(t, total, 40)
	for i, e := range l {
		same(t, e.Seq, int64(40-i))
	}
	l, total, err = s.Audit(ctx, store.AuditFilter{Actor: "3", Action: "login", From: after(3 * time.Minute), To: after(4 * time.Minute)}, store.Page{Limit: 2})
	check(t, err)
	same(t, total, 5)
	same(t, len(l), 2)
	_, total, err = s.Audit(ctx, store.AuditFilter{Target: "nothing"}, store.Page{})
	check(t, err)
	same(t, total, 0)
}

func TestListsArePaged(t *testing.T) { both(t, testListsArePaged) }

func testListsArePaged(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	for i := range 60 {
		check(t, s.CreateUser(ctx, user(fmt.Sprintf("u%02d", i))))
	}
	for _, c := range []struct {
		p     store.Page
		first string
		n     int
	}{
		{store.Page{}, "u00", store.DefaultPage},
		{store.Page{Limit: 7, Offset: 55}, "u55", 5},
		{store.Page{Limit: 1 << 30, Offset: -3}, "u00", 60},
	} {
		l, total, err := s.Users(ctx, "", c.p)
		check(t, err)
		same(t, []any{l[0].Name, len(l), total}, []any{c.first, c.n, 60})
	}
	l, total, err := s.Users(ctx, "", store.Page{Offset: 60})
	check(t, err)
	same(t, []int{len(l), total}, []int{0, 60})
}

func TestSettingIsSetTwice(t *testing.T) { both(t, testSettingIsSetTwice) }

func testSettingIsSetTwice(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	_, err := s.Setting(ctx, "site")
	want(t, err, store.ErrNotFound)
	check(t, s.SetSetting(ctx, "site", "一"))
	check(t, s.SetSetting(ctx, "site", "二"))
	v, err := s.Setting(ctx, "site")
	check(t, err)
	same(t, v, "二")
	check(t, s.Ping(ctx))
}

func TestStoreIsReopenedWithItsContents(t *testing.T) { both(t, testStoreIsReopenedWithItsContents) }

func testStoreIsReopenedWithItsContents(t *testing.T, db database) {
	d := db.dsn(t)
	log := slog.New(slog.DiscardHandler)
	for i := range 3 {
		s, err := store.Open(t.Context(), d, log)
		check(t, err)
		check(t, s.CreateMeeting(t.Context(), store.Meeting{ID: fmt.Sprint(i), Created: noon}))
		_, total, err := s.Meetings(t.Context(), store.MeetingFilter{}, store.Page{})
		check(t, err)
		same(t, total, i+1)
		check(t, s.Close())
	}
}

func TestReadersAndWritersDoNotDisturbEachOther(t *testing.T) {
	both(t, testReadersAndWritersDoNotDisturbEachOther)
}

func testReadersAndWritersDoNotDisturbEachOther(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	check(t, s.CreateMeeting(ctx, store.Meeting{ID: "m", Created: noon}))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 25 {
				seq := int64(w*25 + i + 1)
				if err := s.AppendMeetingEvents(ctx, "m", []store.MeetingEvent{{Seq: seq, At: noon, Kind: "k", Data: []byte("1")}}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 25 {
				if _, err := s.MeetingEvents(ctx, "m", 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	l, err := s.MeetingEvents(ctx, "m", 0)
	check(t, err)
	same(t, len(l), 100)
}

func TestStoreFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := store.Open(t.Context(), path, slog.New(slog.DiscardHandler))
	check(t, err)
	check(t, s.Ping(t.Context()))
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		fi, err := os.Stat(name)
		check(t, err)
		same(t, fi.Mode().Perm(), os.FileMode(0o600))
	}
	check(t, s.Close())
}

func TestOpenRefusesWhatIsNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	check(t, os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600))
	if _, err := store.Open(t.Context(), path, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("a text file was opened as a store")
	}
}

func TestDataFolderHasOneServer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	a, err := store.LockDir(dir)
	check(t, err)
	_, err = store.LockDir(dir)
	want(t, err, store.ErrInUse)
	check(t, a.Unlock())
	b, err := store.LockDir(dir)
	check(t, err)
	check(t, b.Unlock())
}

func TestOutputsAreKept(t *testing.T) { both(t, testOutputsAreKept) }

func testOutputsAreKept(t *testing.T, db database) {
	s := db.open(t)
	o := store.Output{ID: "up", Stream: "channels/a", Address: "udp://239.1.1.1:5000?ttl=8", Bitrate: 4_000_000_000, Service: 101, Name: "县台", Provider: "通乡"}
	check(t, s.CreateOutput(t.Context(), o))
	want(t, s.CreateOutput(t.Context(), o), store.ErrConflict)
	o.Bitrate, o.Name = 0, "别名"
	check(t, s.UpdateOutput(t.Context(), o))
	if got, err := s.Output(t.Context(), "up"); err != nil || got != o {
		t.Errorf("read %+v, %v", got, err)
	}
	if l, err := s.Outputs(t.Context()); err != nil || len(l) != 1 {
		t.Errorf("listed %v, %v", l, err)
	}
	check(t, s.DeleteOutput(t.Context(), "up"))
	want(t, s.DeleteOutput(t.Context(), "up"), store.ErrNotFound)
	want(t, s.UpdateOutput(t.Context(), o), store.ErrNotFound)
	_, err := s.Output(t.Context(), "up")
	want(t, err, store.ErrNotFound)
}

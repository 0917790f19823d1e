package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

// cheap makes hashing fast; the real cost is tested once.
var cheap = Cost{MemoryKiB: 8, Passes: 1, Lanes: 1}

const goodPassword = "Yu-shui-2026"

type fixture struct {
	*Service
	store *store.Store
	now   time.Time
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	key, err := LoadKey(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{store: st, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	f.Service, err = New(st, key, Config{Cost: cheap, Now: func() time.Time { return f.now }}, log)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) user(t *testing.T, name string, role Role) store.User {
	t.Helper()
	u, err := f.CreateUser(t.Context(), Principal{Name: "test"}, NewUser{Name: name, Password: goodPassword, Role: role})
	check(t, err)
	return u
}

func (f *fixture) signIn(name, password string) (string, Principal, error) {
	return f.SignIn(context.Background(), Login{Name: name, Password: password, Address: "10.0.0.1", Agent: "test"})
}

func (f *fixture) with(token string) (Principal, error) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return f.Authenticate(r)
}

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

func (f *fixture) audited(t *testing.T, action, result string) int {
	t.Helper()
	l, _, err := f.store.Audit(t.Context(), store.AuditFilter{Action: action}, store.Page{Limit: 500})
	check(t, err)
	n := 0
	for _, e := range l {
		if e.Result == result {
			n++
		}
	}
	return n
}

func TestFirstStartMakesOneAdministratorWithARandomPassword(t *testing.T) {
	f := newFixture(t)
	name, password, created, err := f.EnsureAdministrator(t.Context())
	check(t, err)
	if !created || name != AdministratorName || CheckPassword(name, password) != nil {
		t.Fatalf("got %q %q %v", name, password, created)
	}
	_, p, err := f.signIn(" Admin ", password)
	check(t, err)
	if p.Role != Administrator {
		t.Fatalf("role %s", p.Role)
	}
	_, again, created, err := f.EnsureAdministrator(t.Context())
	check(t, err)
	if created || again != "" {
		t.Fatal("a second administrator was made")
	}
}

func TestSessionLastsWhileUsedAndEndsAtLogout(t *testing.T) {
	f := newFixture(t)
	f.user(t, "lilei", Member)
	token, p, err := f.signIn("LiLei", goodPassword)
	check(t, err)
	// Used every 11 hours it slides, up to seven days.
	start := f.now
	for f.now.Before(start.Add(6*24*time.Hour + 12*time.Hour)) {
		f.now = f.now.Add(11 * time.Hour)
		got, err := f.with(token)
		check(t, err)
		if got.ID != p.ID || got.Role != Member || got.Kind != BySession {
			t.Fatalf("got %+v", got)
		}
	}
	f.now = start.Add(7 * 24 * time.Hour)
	_, err = f.with(token)
	want(t, err, ErrExpired)

	token, _, err = f.signIn("lilei", goodPassword)
	check(t, err)
	f.now = f.now.Add(13 * time.Hour)
	_, err = f.with(token)
	want(t, err, ErrExpired)

	token, _, err = f.signIn("lilei", goodPassword)
	check(t, err)
	p, err = f.with(token)
	check(t, err)
	check(t, f.SignOut(t.Context(), p))
	_, err = f.with(token)
	want(t, err, ErrBadToken)
	if n := f.audited(t, "login", "ok"); n != 3 {
		t.Fatalf("%d logins audited", n)
	}
	if n := f.audited(t, "logout", "ok"); n != 1 {
		t.Fatalf("%d logouts audited", n)
	}
}

func TestTokensAreNotStoredInClear(t *testing.T) {
	f := newFixture(t)
	u := f.user(t, "lilei", Member)
	token, _, err := f.signIn("lilei", goodPassword)
	check(t, err)
	l, err := f.store.Sessions(t.Context(), u.ID)
	check(t, err)
	if len(l) != 1 || l[0].Hash != hashToken(token) || strings.Contains(l[0].Hash, token) {
		t.Fatalf("stored %+v", l)
	}
	if !strings.HasPrefix(u.PasswordHash, "$argon2id$v=19$m=8,t=1,p=1$") {
		t.Fatalf("stored %q", u.PasswordHash)
	}
}

func TestFiveFailuresLockAnAccountForFifteenMinutes(t *testing.T) {
	f := newFixture(t)
	f.user(t, "lilei", Member)
	for _, name := range []string{"lilei", "nobody"} { // the same for a name that does not exist
		for range 5 {
			_, _, err := f.signIn(name, "wrong")
			want(t, err, ErrWrongPassword)
		}
		_, _, err := f.signIn(name, goodPassword)
		want(t, err, ErrLocked)
	}
	f.now = f.now.Add(14 * time.Minute)
	_, _, err := f.signIn("lilei", goodPassword)
	want(t, err, ErrLocked)
	f.now = f.now.Add(2 * time.Minute)
	_, _, err = f.signIn("lilei", goodPassword)
	check(t, err)
	if n := f.audited(t, "login", "wrong_password"); n != 10 {
		t.Fatalf("%d failures audited", n)
	}
}

func TestFailuresAreForgottenAfterFiveMinutesAndAfterSuccess(t *testing.T) {
	f := newFixture(t)
	f.user(t, "lilei", Member)
	for range 10 {
		for range 4 {
			_, _, err := f.signIn("lilei", "wrong")
			want(t, err, ErrWrongPassword)
		}
		_, _, err := f.signIn("lilei", goodPassword)
		check(t, err)
		f.now = f.now.Add(6 * time.Minute)
	}
}

func TestManyGuessesAtOnceCannotSlipThrough(t *testing.T) {
	f := newFixture(t)
	f.user(t, "lilei", Member)
	var wg sync.WaitGroup
	var mu sync.Mutex
	checked := 0
	for range 40 {
		wg.Go(func() {
			_, _, err := f.signIn("lilei", "wrong")
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, ErrWrongPassword) {
				checked++
			}
		})
	}
	wg.Wait()
	if checked != accountLimit {
		t.Fatalf("%d passwords were checked, want %d", checked, accountLimit)
	}
}

func TestOneAddressCannotTryManyAccounts(t *testing.T) {
	l, now := newLockout(), time.Now()
	for i := range addressLimit {
		if !l.try(fmt.Sprint(i), "10.0.0.1", now) {
			t.Fatalf("try %d was refused", i)
		}
	}
	if l.try("x", "10.0.0.1", now) {
		t.Fatal("the address was not locked")
	}
	if !l.try("x", "10.0.0.2", now) {
		t.Fatal("another address was locked")
	}
}

func TestLockoutMemoryIsBounded(t *testing.T) {
	l, now := newLockout(), time.Now()
	for i := range lockoutEntries + 100 {
		now = now.Add(time.Microsecond)
		l.try("a", fmt.Sprint(i), now)
	}
	if len(l.entries) > lockoutEntries {
		t.Fatalf("%d entries", len(l.entries))
	}
	if _, ok := l.entries["account a"]; !ok {
		t.Fatal("the busiest account was forgotten")
	}
}

func TestDisabledUserIsOutAtOnceAndLooksLikeAWrongPassword(t *testing.T) {
	f := newFixture(t)
	u := f.user(t, "lilei", Member)
	token, _, err := f.signIn("lilei", goodPassword)
	check(t, err)
	yes := true
	_, err = f.ChangeUser(t.Context(), Principal{}, u.ID, UserChange{Disabled: &yes})
	check(t, err)
	_, err = f.with(token)
	want(t, err, ErrBadToken)
	_, _, err = f.signIn("lilei", goodPassword)
	want(t, err, ErrWrongPassword)
}

func TestLastAdministratorStays(t *testing.T) {
	f := newFixture(t)
	a, b := f.user(t, "first", Administrator), f.user(t, "second", Administrator)
	yes, viewer := true, Viewer
	_, err := f.ChangeUser(t.Context(), Principal{}, b.ID, UserChange{Disabled: &yes})
	check(t, err)
	_, err = f.ChangeUser(t.Context(), Principal{}, a.ID, UserChange{Disabled: &yes})
	want(t, err, ErrLastAdministrator)
	_, err = f.ChangeUser(t.Context(), Principal{}, a.ID, UserChange{Role: &viewer})
	want(t, err, ErrLastAdministrator)
	want(t, f.DeleteUser(t.Context(), Principal{}, a.ID), ErrLastAdministrator)
	check(t, f.DeleteUser(t.Context(), Principal{}, b.ID))
}

func TestAnotherPasswordEndsOtherSessions(t *testing.T) {
	f := newFixture(t)
	f.user(t, "lilei", Member)
	other, _, err := f.signIn("lilei", goodPassword)
	check(t, err)
	mine, _, err := f.signIn("lilei", goodPassword)
	check(t, err)
	p, err := f.with(mine)
	check(t, err)
	want(t, f.ChangeOwnPassword(t.Context(), p, "wrong", "Qing-shan-77"), ErrWrongPassword)
	want(t, f.ChangeOwnPassword(t.Context(), p, goodPassword, "short"), ErrWeakPassword)
	check(t, f.ChangeOwnPassword(t.Context(), p, goodPassword, "Qing-shan-77"))
	_, err = f.with(other)
	want(t, err, ErrBadToken)
	_, err = f.with(mine)
	check(t, err)
	_, _, err = f.signIn("lilei", "Qing-shan-77")
	check(t, err)
}

func TestAccountsAreRefusedWithTheirReason(t *testing.T) {
	f := newFixture(t)
	f.user(t, "lilei", Member)
	for _, c := range []struct {
		n    NewUser
		want error
	}{
		{NewUser{Name: "LILEI", Password: goodPassword, Role: Member}, ErrNameTaken},
		{NewUser{Name: "x", Password: goodPassword, Role: Member}, ErrBadName},
		{NewUser{Name: "li lei", Password: goodPassword, Role: Member}, ErrBadName},
		{NewUser{Name: "wang", Password: goodPassword, Role: "root"}, ErrBadRole},
		{NewUser{Name: "wang", Password: "Ab3", Role: Member}, ErrWeakPassword},
		{NewUser{Name: "wang", Password: "abcdefgh1", Role: Member}, ErrWeakPassword},
		{NewUser{Name: "wang", Password: "Wang-2026-x", Role: Member}, ErrWeakPassword},
		{NewUser{Name: "李雷", Password: goodPassword, Role: Member}, nil},
	} {
		if _, err := f.CreateUser(t.Context(), Principal{}, c.n); !errors.Is(err, c.want) {
			t.Errorf("%+v: error %v, want %v", c.n, err, c.want)
		}
	}
	_, err := f.ChangeUser(t.Context(), Principal{}, "nobody", UserChange{})
	want(t, err, ErrNoUser)
	_, err = f.UserNamed(t.Context(), " LiLei")
	check(t, err)
	_, err = f.UserNamed(t.Context(), "wang")
	want(t, err, ErrNoUser)
}

func TestBearerTokenCarriesRoleAndScope(t *testing.T) {
	f := newFixture(t)
	token, expires, err := f.IssueToken(t.Context(), Principal{ID: "a"}, TokenRequest{Subject: "encoder1", Role: Member, Stream: "meetings/42", TTL: time.Hour})
	check(t, err)
	p, err := f.with(token)
	check(t, err)
	if p.ID != "encoder1" || p.Display != "encoder1" || p.Role != Member || p.Stream != "meetings/42" || !p.Expires.Equal(expires) || p.Kind != ByToken {
		t.Fatalf("got %+v", p)
	}
	if f.audited(t, "token.issue", "ok") != 1 {
		t.Fatal("not audited")
	}
	f.now = f.now.Add(time.Hour + time.Minute)
	_, err = f.with(token)
	want(t, err, ErrExpired)
}

func TestTokenRequestsAreChecked(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		q    TokenRequest
		want error
	}{
		{TokenRequest{Subject: "s", Role: "root", TTL: time.Hour}, ErrBadRole},
		{TokenRequest{Subject: "s", Role: Viewer}, ErrBadLifetime},
		{TokenRequest{Subject: "s", Role: Viewer, TTL: 10 * 365 * 24 * time.Hour}, ErrBadLifetime},
		{TokenRequest{Subject: "s", Role: Viewer, TTL: time.Hour, Stream: "meetings"}, ErrBadScope},
		{TokenRequest{Subject: "s", Role: Viewer, TTL: time.Hour, Stream: "elsewhere/42"}, ErrBadScope},
		{TokenRequest{Role: Viewer, TTL: time.Hour}, ErrBadName},
	} {
		if _, _, err := f.MediaToken(c.q); !errors.Is(err, c.want) {
			t.Errorf("%+v: error %v, want %v", c.q, err, c.want)
		}
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	f := newFixture(t)
	good := claims{RegisteredClaims: jwt.RegisteredClaims{Issuer: issuer, Subject: "s", ExpiresAt: jwt.NewNumericDate(f.now.Add(time.Hour))}, Role: Administrator}
	sign := func(m jwt.SigningMethod, key any, change func(*claims)) string {
		c := good
		change(&c)
		s, err := jwt.NewWithClaims(m, c).SignedString(key)
		check(t, err)
		return s
	}
	same := func(*claims) {}
	if _, err := f.with(sign(jwt.SigningMethodHS256, f.key, same)); err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"other key":     sign(jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), same),
		"no signature":  sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, same),
		"other method":  sign(jwt.SigningMethodHS512, f.key, same),
		"no expiry":     sign(jwt.SigningMethodHS256, f.key, func(c *claims) { c.ExpiresAt = nil }),
		"other issuer":  sign(jwt.SigningMethodHS256, f.key, func(c *claims) { c.Issuer = "x" }),
		"no subject":    sign(jwt.SigningMethodHS256, f.key, func(c *claims) { c.Subject = "" }),
		"unknown role":  sign(jwt.SigningMethodHS256, f.key, func(c *claims) { c.Role = "root" }),
		"bad scope":     sign(jwt.SigningMethodHS256, f.key, func(c *claims) { c.Stream = "../.." }),
		"not a token":   "x",
		"false session": sessionPrefix + "x",
		"false device":  devicePrefix + "x",
	} {
		if _, err := f.with(token); !errors.Is(err, ErrBadToken) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestRevokedKioskIsOutAtOnce(t *testing.T) {
	f := newFixture(t)
	d, token, err := f.CreateDevice(t.Context(), Principal{}, " 青山镇大厅 ")
	check(t, err)
	p, err := f.with(token)
	check(t, err)
	if p.Role != Kiosk || p.ID != d.ID || p.Name != "青山镇大厅" || p.Kind != ByDevice {
		t.Fatalf("got %+v", p)
	}
	got, err := f.store.Device(t.Context(), d.ID)
	check(t, err)
	if got.Seen == nil || !got.Seen.Equal(f.now) {
		t.Fatalf("seen %v", got.Seen)
	}
	check(t, f.RevokeDevice(t.Context(), Principal{}, d.ID))
	_, err = f.with(token)
	want(t, err, ErrBadToken)
	want(t, f.RevokeDevice(t.Context(), Principal{}, "k9"), ErrNoDevice)
}

func TestCookieWorksOnlyFromOurOwnPages(t *testing.T) {
	f := newFixture(t)
	f.user(t, "lilei", Member)
	token, _, err := f.signIn("lilei", goodPassword)
	check(t, err)
	for _, c := range []struct {
		name    string
		method  string
		headers map[string]string
		want    error
	}{
		{"look from anywhere", "GET", map[string]string{"Sec-Fetch-Site": "cross-site"}, nil},
		{"change from our page", "POST", map[string]string{"Sec-Fetch-Site": "same-origin"}, nil},
		{"change from our page by plain HTTP", "DELETE", map[string]string{"Origin": "http://tongxiang.lan"}, nil},
		{"change from a script", "POST", nil, nil},
		{"change from another site", "POST", map[string]string{"Sec-Fetch-Site": "cross-site"}, ErrCrossOrigin},
		{"change from a sibling", "PATCH", map[string]string{"Sec-Fetch-Site": "same-site"}, ErrCrossOrigin},
		{"change from another site by plain HTTP", "POST", map[string]string{"Origin": "http://evil.lan"}, ErrCrossOrigin},
		{"WebSocket from our page", "GET", map[string]string{"Upgrade": "websocket", "Origin": "http://tongxiang.lan"}, nil},
		{"WebSocket from another site", "GET", map[string]string{"Upgrade": "WebSocket", "Origin": "http://evil.lan"}, ErrCrossOrigin},
	} {
		r := httptest.NewRequest(c.method, "http://tongxiang.lan/api", nil)
		r.AddCookie(f.Cookie(token, false))
		for k, v := range c.headers {
			r.Header.Set(k, v)
		}
		if _, err := f.Authenticate(r); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
		r.Header.Del("Cookie")
		r.Header.Set("Authorization", "bearer "+token)
		if _, err := f.Authenticate(r); err != nil {
			t.Errorf("%s with a bearer token: %v", c.name, err)
		}
	}
}

func TestCredentialsAreFoundWhereClientsPutThem(t *testing.T) {
	f := newFixture(t)
	token, _, err := f.MediaToken(TokenRequest{Subject: "s", Role: Viewer, TTL: time.Hour})
	check(t, err)
	r := httptest.NewRequest(http.MethodGet, "/ws", nil)
	_, err = f.Authenticate(r)
	want(t, err, ErrNotSignedIn)
	r.Header.Add("Sec-WebSocket-Protocol", "tongxiang.v1, bearer."+token)
	p, err := f.Authenticate(r)
	check(t, err)
	if p.Address != "192.0.2.1" {
		t.Fatalf("address %q", p.Address)
	}
}

func TestCookieIsKeptFromScriptsAndOtherSites(t *testing.T) {
	f := newFixture(t)
	c := f.Cookie("x", true)
	if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.MaxAge <= 0 {
		t.Fatalf("cookie %+v", c)
	}
	if f.Cookie("x", false).Secure {
		t.Fatal("a Secure cookie would be lost on plain HTTP")
	}
	if f.Cookie("", true).MaxAge >= 0 {
		t.Fatal("an empty cookie must remove the old one")
	}
}

func TestRoleTable(t *testing.T) {
	const (
		channel     = stream.Name("channels/cctv1")
		rendition   = stream.Name("channels/cctv1/webrtc")
		participant = stream.Name("meetings/42/li")
		programme   = stream.Name("meetings/42/programme")
	)
	all := []stream.Name{channel, rendition, participant, programme}
	meeting := []stream.Name{participant, programme}
	air := []stream.Name{channel, rendition, programme}
	for _, c := range []struct {
		role   Role
		action Action
		on     []stream.Name
	}{
		{Administrator, Watch, all}, {Operator, Watch, all}, {Chair, Watch, all}, {Member, Watch, all}, {Viewer, Watch, all}, {Kiosk, Watch, air},
		{Administrator, Publish, all}, {Operator, Publish, all}, {Chair, Publish, meeting}, {Member, Publish, meeting}, {Viewer, Publish, nil}, {Kiosk, Publish, nil},
		{Operator, ManageRecordings, all}, {Chair, ManageRecordings, meeting}, {Member, ManageRecordings, nil}, {Kiosk, SeeRecordings, nil},
		{Chair, DeleteRecordings, nil}, {Operator, DeleteRecordings, all}, {"nobody", Watch, nil},
	} {
		p := Principal{Role: c.role}
		for _, name := range all {
			allowed := false
			for _, on := range c.on {
				allowed = allowed || on == name
			}
			if p.May(c.action, name) != allowed {
				t.Errorf("%s may %s %s: %v", c.role, c.action, name, !allowed)
			}
		}
		if p.May(c.action, "") != (len(c.on) > 0) {
			t.Errorf("%s may %s anything: %v", c.role, c.action, len(c.on) == 0)
		}
	}
	for action, may := range map[Action][]Role{
		ManageUsers: {Administrator}, IssueTokens: {Administrator}, ReadAudit: {Administrator},
		ManageDevices: {Administrator, Operator}, ManageChannels: {Administrator, Operator},
		ManageMeetings: {Administrator, Operator, Chair},
		SeeMeetings:    {Administrator, Operator, Chair, Member, Viewer, Kiosk},
	} {
		for _, role := range Roles() {
			allowed := false
			for _, r := range may {
				allowed = allowed || r == role
			}
			if (Principal{Role: role}).May(action, "") != allowed {
				t.Errorf("%s may %s: %v", role, action, !allowed)
			}
		}
	}
}

func TestScopeLimitsToItsStreams(t *testing.T) {
	p := Principal{Role: Administrator, Stream: "meetings/42"}
	for _, c := range []struct {
		action Action
		name   stream.Name
		want   bool
	}{
		{Watch, "meetings/42", true},
		{Watch, "meetings/42/li", true},
		{Publish, "meetings/42/li", true},
		{Watch, "meetings/421/li", false},
		{Watch, "channels/cctv1", false},
		{Watch, "", false},
		{ManageUsers, "", false},
		{ManageUsers, "meetings/42", false},
		{ManageMeetings, "", false},
	} {
		if got := p.May(c.action, c.name); got != c.want {
			t.Errorf("%s %q: %v", c.action, c.name, got)
		}
	}
}

func TestPasswordHashIsReadBackAndOutdatedCostIsRenewed(t *testing.T) {
	f := newFixture(t)
	u := f.user(t, "lilei", Member)
	old := u.PasswordHash
	h, err := newHasher(Cost{MemoryKiB: 16, Passes: 2, Lanes: 1})
	check(t, err)
	f.hasher = h
	_, _, err = f.signIn("lilei", goodPassword)
	check(t, err)
	u, err = f.store.User(t.Context(), u.ID)
	check(t, err)
	if u.PasswordHash == old || !strings.Contains(u.PasswordHash, "m=16,t=2") {
		t.Fatalf("hash %q", u.PasswordHash)
	}
	_, _, err = f.signIn("lilei", goodPassword)
	check(t, err)
}

func TestStoredHashesAreNotTrusted(t *testing.T) {
	h, err := newHasher(cheap)
	check(t, err)
	for _, hash := range []string{
		"x", "$argon2i$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=4000000000,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=8,t=1,p=0$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=8,t=1,p=1$$", "$argon2id$v=19$m=8,t=1,p=1$!$!",
	} {
		if ok, _, err := h.verify(t.Context(), hash, "x"); ok || !errors.Is(err, errBadHash) {
			t.Errorf("%q: %v %v", hash, ok, err)
		}
	}
	if _, err := newHasher(Cost{}); err == nil {
		t.Error("a cost of nothing was accepted")
	}
	if err := DefaultCost.check(); err != nil {
		t.Error(err)
	}
}

func TestLoginFloodIsTurnedAwayNotQueuedForEver(t *testing.T) {
	h, err := newHasher(cheap)
	check(t, err)
	for range cap(h.queue) {
		h.queue <- struct{}{}
	}
	_, err = h.hash(t.Context(), "x")
	want(t, err, ErrBusy)
	for range cap(h.queue) {
		<-h.queue
	}
	for range cap(h.run) {
		h.run <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = h.hash(ctx, "x")
	want(t, err, context.Canceled)
	if len(h.queue) != 0 {
		t.Fatal("a place in the queue was lost")
	}
}

func TestTokenKeyIsMadeOnceAndKeptPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "keys")
	var wg sync.WaitGroup
	keys := make([][]byte, 8)
	for i := range keys {
		wg.Go(func() {
			k, err := LoadKey(dir)
			if err != nil {
				t.Error(err)
			}
			keys[i] = k
		})
	}
	wg.Wait()
	for _, k := range keys {
		if string(k) != string(keys[0]) || len(k) != keyBytes {
			t.Fatalf("keys differ: %x %x", k, keys[0])
		}
	}
	path := filepath.Join(dir, keyFile)
	fi, err := os.Stat(path)
	check(t, err)
	if fi.Mode().Perm() != 0o600 {
		t.Fatalf("mode %o", fi.Mode().Perm())
	}
	check(t, os.Chmod(path, 0o644))
	if _, err := LoadKey(dir); err == nil {
		t.Fatal("a key that others can read was accepted")
	}
	check(t, os.Chmod(path, 0o600))
	check(t, os.WriteFile(path, []byte("short"), 0o600))
	if _, err := LoadKey(dir); err == nil {
		t.Fatal("a short key was accepted")
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	check(t, err)
	if len(left) != 1 {
		t.Fatalf("files left: %v", left)
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, s string) {
		c, salt, sum, err := parseHash(s)
		if err == nil && (c.check() != nil || len(salt) < 8 || len(sum) < 16) {
			t.Fatalf("accepted %q", s)
		}
	})
}

func BenchmarkPasswordCheck(b *testing.B) {
	h, err := newHasher(DefaultCost)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := h.verify(b.Context(), "", "x"); err != nil {
			b.Fatal(err)
		}
	}
}

// Package auth knows who sends a request and what that one may do.
//
//	Authorization: Bearer …      ┐                      ┌─ txs_…  session   (login, cookie)
//	Sec-WebSocket-Protocol       ├─> Authenticate(r) ─> ├─ txd_…  device    (kiosk, revocable)
//	Cookie: tongxiang_session    ┘                      └─ a.b.c  JWT HS256 (scripts, media)
//	                                       │
//	                                       v
//	                     Principal.May(action, stream): a pure table
//
// Sessions and devices are looked up at each request and end at once; a JWT is
// only checked, so it lives until it expires. Secrets are stored as hashes. The
// errors are [apierr.Error] values, the same at every edge.
//
// The package starts no goroutines. Everything is safe for concurrent use.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/store"
)

// Errors of this package, as they reach a person.
var (
	ErrNotSignedIn = apierr.New(http.StatusUnauthorized, "not_signed_in",
		"Please sign in.", "请先登录。")
	ErrBadToken = apierr.New(http.StatusUnauthorized, "bad_token",
		"The token is not valid here. Please sign in again.", "令牌无效，请重新登录。")
	ErrExpired = apierr.New(http.StatusUnauthorized, "token_expired",
		"The sign-in has expired. Please sign in again.", "登录已过期，请重新登录。")
	ErrWrongPassword = apierr.New(http.StatusUnauthorized, "wrong_password",
		"The name or the password is wrong.", "用户名或密码错误。")
	ErrLocked = apierr.New(http.StatusTooManyRequests, "login_locked",
		"Too many failed attempts. Please try again in 15 minutes.", "失败次数过多，请 15 分钟后再试。")
	ErrBusy = apierr.New(http.StatusServiceUnavailable, "login_busy",
		"Too many people are signing in at this moment. Please try again.", "当前登录人数过多，请稍后重试。")
	ErrForbidden = apierr.New(http.StatusForbidden, "forbidden",
		"Your role does not allow this.", "您的角色没有此权限。")
	ErrCrossOrigin = apierr.New(http.StatusForbidden, "cross_origin",
		"The request came from another site and was refused.", "请求来自其他网站，已拒绝。")
	ErrWeakPassword = apierr.New(http.StatusUnprocessableEntity, "weak_password",
		"The password needs 8 to 128 characters of at least three kinds: upper case, lower case, digits, others; and may not contain the name.",
		"密码须为 8 至 128 个字符，至少包含大写字母、小写字母、数字、其他字符中的三类，且不得包含用户名。")
	ErrBadName = apierr.New(http.StatusUnprocessableEntity, "bad_user_name",
		"A name has 2 to 64 letters, digits, dots, underscores or hyphens.", "用户名须为 2 至 64 个字母、汉字、数字、点、下划线或连字符。")
	ErrBadRole = apierr.New(http.StatusUnprocessableEntity, "bad_role",
		"There is no such role. Roles: administrator, operator, chair, member, viewer, kiosk.", "没有这个角色。可用角色：administrator、operator、chair、member、viewer、kiosk。")
	ErrNameTaken = apierr.New(http.StatusConflict, "user_name_taken",
		"There is already a user with this name.", "该用户名已存在。")
	ErrNoUser = apierr.New(http.StatusNotFound, "user_not_found",
		"There is no such user.", "用户不存在。")
	ErrNoDevice = apierr.New(http.StatusNotFound, "device_not_found",
		"There is no such device.", "设备不存在。")
	ErrLastAdministrator = apierr.New(http.StatusConflict, "last_administrator",
		"This is the last administrator who can sign in; make another one first.", "这是最后一个可登录的管理员，请先添加其他管理员。")
	ErrBadLifetime = apierr.New(http.StatusUnprocessableEntity, "bad_token_lifetime",
		"A token lives between one second and one year.", "令牌有效期须在一秒到一年之间。")
	ErrBadScope = apierr.New(http.StatusUnprocessableEntity, "bad_token_scope",
		"The scope is not the name of a stream or a meeting, such as channels/cctv1 or meetings/42.", "作用范围不是有效的流或会议名称，例如 channels/cctv1 或 meetings/42。")
)

// CookieName is the cookie of the pages.
const CookieName = "tongxiang_session"

const (
	sessionPrefix = "txs_"
	devicePrefix  = "txd_"
	// seenEvery bounds how often a kiosk that asks all the time is written down.
	seenEvery = time.Minute
)

// Config is what a site may choose. The zero value is usable.
type Config struct {
	// SessionIdle is how long a login lasts without a request. Default 12 h: a
	// working day; a meeting's page asks all the time.
	SessionIdle time.Duration
	// SessionMax is how long a login lasts in any case. Default 7 days.
	SessionMax time.Duration
	// Now is the wall clock; tests replace it. Default time.Now.
	Now func() time.Time
	// Cost of a password hash. Default [DefaultCost].
	Cost Cost
}

// Service is the one door. Create it with [New].
type Service struct {
	store   *store.Store
	cfg     Config
	key     []byte
	log     *slog.Logger
	hasher  *hasher
	lockout *lockout
	origin  *http.CrossOriginProtection
}

// New returns a Service. key signs bearer tokens; see [LoadKey].
func New(st *store.Store, key []byte, cfg Config, log *slog.Logger) (*Service, error) {
	if cfg.SessionIdle <= 0 {
		cfg.SessionIdle = 12 * time.Hour
	}
	if cfg.SessionMax <= 0 {
		cfg.SessionMax = 7 * 24 * time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Cost == (Cost{}) {
		cfg.Cost = DefaultCost
	}
	if len(key) < keyBytes {
		return nil, fmt.Errorf("token key has %d bytes, want %d", len(key), keyBytes)
	}
	h, err := newHasher(cfg.Cost)
	if err != nil {
		return nil, err
	}
	return &Service{
		store: st, cfg: cfg, key: key, log: log,
		hasher: h, lockout: newLockout(), origin: http.NewCrossOriginProtection(),
	}, nil
}

// Kind says how a principal signed in.
type Kind string

// The kinds.
const (
	BySession Kind = "session"
	ByToken   Kind = "token"
	ByDevice  Kind = "device"
)

// Principal is who sends a request.
type Principal struct {
	ID      string // of the user or device; the subject of a token
	Name    string // login name
	Display string // the name others see
	Role    Role
	Stream  string // scope: a stream's exact name or a prefix of whole segments such as "meetings/42"; "" for no limit
	Kind    Kind
	Expires time.Time // zero: never
	Address string    // the client's, without port; for the audit

	session string // hash
}

// Authenticate returns who sends r: a bearer token, a token offered as WebSocket
// subprotocol "bearer.<token>", or the session cookie, in this order. A request
// that may change something (or opens a WebSocket) on the strength of a cookie
// must come from our own pages. Errors are [ErrNotSignedIn], [ErrBadToken],
// [ErrExpired] and [ErrCrossOrigin].
func (s *Service) Authenticate(r *http.Request) (Principal, error) {
	token, fromCookie := credentials(r)
	if token == "" {
		return Principal{}, ErrNotSignedIn
	}
	if fromCookie {
		if err := s.CheckOrigin(r); err != nil {
			return Principal{}, err
		}
	}
	p, err := s.AuthenticateToken(r.Context(), token)
	if err != nil {
		return Principal{}, err
	}
	p.Address = Address(r)
	return p, nil
}

// AuthenticateToken returns whose token it is; for protocols other than HTTP.
func (s *Service) AuthenticateToken(ctx context.Context, token string) (Principal, error) {
	switch {
	case strings.HasPrefix(token, sessionPrefix):
		return s.bySession(ctx, token)
	case strings.HasPrefix(token, devicePrefix):
		return s.byDevice(ctx, token)
	default:
		return s.byToken(token)
	}
}

// credentials returns the token of a request and whether the browser added it by itself.
func credentials(r *http.Request) (token string, fromCookie bool) {
	if scheme, rest, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(rest), false
	}
	for _, h := range r.Header.Values("Sec-Websocket-Protocol") {
		for p := range strings.SplitSeq(h, ",") {
			if t, ok := strings.CutPrefix(strings.TrimSpace(p), "bearer."); ok {
				return t, false
			}
		}
	}
	if c, err := r.Cookie(CookieName); err == nil {
		return c.Value, true
	}
	return "", false
}

// CheckOrigin refuses requests that another site's page made a browser send: those
// that may change something, and WebSocket handshakes, which no same-origin
// policy covers. Requests that no browser made pass.
func (s *Service) CheckOrigin(r *http.Request) error {
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		// The check below lets every GET pass.
		as := *r
		as.Method = http.MethodPost
		r = &as
	}
	if err := s.origin.Check(r); err != nil {
		return ErrCrossOrigin.Because(err)
	}
	return nil
}

// Address returns the client's address without its port.
func Address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func (s *Service) bySession(ctx context.Context, token string) (Principal, error) {
	x, u, err := s.store.SessionUser(ctx, hashToken(token))
	if errors.Is(err, store.ErrNotFound) {
		return Principal{}, ErrBadToken
	}
	if err != nil {
		return Principal{}, err
	}
	now := s.cfg.Now()
	if u.Disabled {
		return Principal{}, ErrBadToken
	}
	if !now.Before(x.Expires) {
		return Principal{}, ErrExpired
	}
	// Sliding end, written at most twice per idle time.
	if until := s.sessionEnd(x.Created, now); x.Expires.Sub(now) < s.cfg.SessionIdle/2 && until.After(x.Expires) {
		if err := s.store.ExtendSession(ctx, x.Hash, until); err != nil && !errors.Is(err, store.ErrNotFound) {
			return Principal{}, err
		}
		x.Expires = until
	}
	return Principal{
		ID: u.ID, Name: u.Name, Display: u.Display, Role: Role(u.Role),
		Kind: BySession, Expires: x.Expires, session: x.Hash,
	}, nil
}

// sessionEnd is when a session made at created ends if it is used at now for the last time.
func (s *Service) sessionEnd(created, now time.Time) time.Time {
	idle, last := now.Add(s.cfg.SessionIdle), created.Add(s.cfg.SessionMax)
	if idle.Before(last) {
		return idle
	}
	return last
}

func (s *Service) byDevice(ctx context.Context, token string) (Principal, error) {
	d, err := s.store.DeviceByToken(ctx, hashToken(token))
	if errors.Is(err, store.ErrNotFound) {
		return Principal{}, ErrBadToken
	}
	if err != nil {
		return Principal{}, err
	}
	if d.Revoked != nil {
		return Principal{}, ErrBadToken
	}
	if now := s.cfg.Now(); d.Seen == nil || now.Sub(*d.Seen) >= seenEvery {
		if err := s.store.SeeDevice(ctx, d.ID, now); err != nil && !errors.Is(err, store.ErrNotFound) {
			return Principal{}, err
		}
	}
	return Principal{ID: d.ID, Name: d.Name, Display: d.Name, Role: Kiosk, Kind: ByDevice}, nil
}

// newToken returns a secret of 256 random bits.
func newToken(prefix string) string {
	var b [32]byte
	rand.Read(b[:]) // never returns an error, see crypto/rand
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// hashToken is how tokens are stored. They are random, so a fast hash is enough,
// and a look-up by hash tells nothing by its timing.
func hashToken(token string) string {
	h := sha256.Sum256([]byte(token))
	return hex.EncodeToString(h[:])
}

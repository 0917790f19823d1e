package auth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"tongxiang/internal/store"
)

// Login is an attempt to sign in.
type Login struct {
	Name, Password string
	Address        string // see [Address]
	Agent          string // User-Agent
}

// maxAgent is how much of a User-Agent is kept.
const maxAgent = 200

// SignIn checks a name and a password and opens a session. The token goes into the
// cookie or an Authorization header. The answer and its timing are the same
// for a wrong password, an unknown name and a disabled account. Errors are
// [ErrWrongPassword], [ErrLocked] and [ErrBusy].
func (s *Service) SignIn(ctx context.Context, l Login) (token string, p Principal, err error) {
	name := canonical(l.Name)
	now := s.cfg.Now()
	if !s.lockout.try(name, l.Address, now) {
		return "", Principal{}, errors.Join(ErrLocked, s.auditLogin(ctx, Principal{Name: name, Address: l.Address}, ErrLocked.Code))
	}
	u, err := s.store.UserByName(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", Principal{}, err
	}
	ok, stale, err := s.hasher.verify(ctx, u.PasswordHash, l.Password)
	if err != nil {
		return "", Principal{}, err
	}
	if !ok || u.Disabled {
		return "", Principal{}, errors.Join(ErrWrongPassword, s.auditLogin(ctx, Principal{ID: u.ID, Name: name, Address: l.Address}, ErrWrongPassword.Code))
	}
	s.lockout.succeeded(name, l.Address)
	if stale {
		hash, err := s.hasher.hash(ctx, l.Password)
		if err != nil {
			return "", Principal{}, err
		}
		if err := s.store.RehashUser(ctx, u.ID, u.PasswordHash, hash); err != nil {
			return "", Principal{}, err
		}
	}
	token = newToken(sessionPrefix)
	x := store.Session{Hash: hashToken(token), User: u.ID, Created: now, Expires: s.sessionEnd(now, now), Address: l.Address, Agent: l.Agent[:min(len(l.Agent), maxAgent)]}
	if err := s.store.CreateSession(ctx, x); err != nil {
		return "", Principal{}, err
	}
	// A login is the moment when tables grow, so it is also when they are cleaned.
	if _, err := s.store.DeleteExpiredSessions(ctx, now); err != nil {
		return "", Principal{}, err
	}
	p = Principal{
		ID: u.ID, Name: u.Name, Display: u.Display, Role: Role(u.Role),
		Kind: BySession, Expires: x.Expires.UTC(), Address: l.Address, session: x.Hash,
	}
	return token, p, s.auditLogin(ctx, p, "ok")
}

func (s *Service) auditLogin(ctx context.Context, p Principal, result string) error {
	return s.Audit(ctx, p, "login", p.Name, result, "")
}

// SignOut ends the session that p came with; for tokens and devices it does nothing.
func (s *Service) SignOut(ctx context.Context, p Principal) error {
	if p.session == "" {
		return nil
	}
	if err := s.store.DeleteSession(ctx, p.session); err != nil {
		return err
	}
	return s.Audit(ctx, p, "logout", p.Name, "ok", "")
}

// Cookie returns the cookie that carries a token, or, for an empty one, removes
// it. secure is whether the request came by TLS. The server decides when a
// session ends; the cookie only outlives the closing of the browser.
func (s *Service) Cookie(token string, secure bool) *http.Cookie {
	c := &http.Cookie{
		Name: CookieName, Value: token, Path: "/", HttpOnly: true, Secure: secure,
		SameSite: http.SameSiteStrictMode, MaxAge: int(s.cfg.SessionMax / time.Second),
	}
	if token == "" {
		c.MaxAge = -1
	}
	return c
}

// Audit writes down who did what to which thing and how it went.
func (s *Service) Audit(ctx context.Context, by Principal, action, target, result, detail string) error {
	return s.store.AppendAudit(ctx, store.AuditEntry{
		At: s.cfg.Now(), Actor: by.ID, Name: by.Name, Action: action, Target: target, Result: result, Address: by.Address, Detail: detail,
	})
}

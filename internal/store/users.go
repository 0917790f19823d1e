package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// User is a local account.
type User struct {
	ID           string
	Name         string // the login name, unique; as internal/auth writes it
	Display      string // the name others see
	Role         string // one of internal/auth's roles
	PasswordHash string // argon2id with its parameters
	Disabled     bool
	Created      time.Time
	Changed      time.Time // of the password
}

const userColumns = "id, name, display, role, password_hash, disabled, created, changed"

func scanUser(r scanner, u *User) error {
	return r.Scan(&u.ID, &u.Name, &u.Display, &u.Role, &u.PasswordHash, &u.Disabled, at{&u.Created}, at{&u.Changed})
}

// CreateUser adds an account; a taken id or name is [ErrConflict].
func (s *Store) CreateUser(ctx context.Context, u User) error {
	_, err := s.exec(ctx, "INSERT INTO users ("+userColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		u.ID, u.Name, u.Display, u.Role, u.PasswordHash, u.Disabled, micros(u.Created), micros(u.Changed))
	if err != nil {
		return fmt.Errorf("create user %q: %w", u.Name, err)
	}
	return nil
}

// UpdateUser writes every field but ID and Created.
func (s *Store) UpdateUser(ctx context.Context, u User) error {
	err := s.execOne(ctx, "UPDATE users SET name = $1, display = $2, role = $3, password_hash = $4, disabled = $5, changed = $6 WHERE id = $7",
		u.Name, u.Display, u.Role, u.PasswordHash, u.Disabled, micros(u.Changed), u.ID)
	if err != nil {
		return fmt.Errorf("update user %q: %w", u.ID, err)
	}
	return nil
}

// RehashUser replaces the hash of an unchanged password. It does nothing when the
// stored hash is not was any more.
func (s *Store) RehashUser(ctx context.Context, id, was, hash string) error {
	if _, err := s.exec(ctx, "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3", hash, id, was); err != nil {
		return fmt.Errorf("rehash the password of user %q: %w", id, err)
	}
	return nil
}

// User returns the account with an id.
func (s *Store) User(ctx context.Context, id string) (User, error) {
	u, err := one(ctx, s.read, scanUser, "SELECT "+userColumns+" FROM users WHERE id = $1", id)
	if err != nil {
		return User{}, fmt.Errorf("user %q: %w", id, err)
	}
	return u, nil
}

// UserByName returns the account with a login name.
func (s *Store) UserByName(ctx context.Context, name string) (User, error) {
	u, err := one(ctx, s.read, scanUser, "SELECT "+userColumns+" FROM users WHERE name = $1", name)
	if err != nil {
		return User{}, fmt.Errorf("user named %q: %w", name, err)
	}
	return u, nil
}

// Users returns a page of accounts by name, and how many there are. An empty role means all.
func (s *Store) Users(ctx context.Context, role string, p Page) ([]User, int, error) {
	var w where
	if role != "" {
		w.add("role = ?", role)
	}
	users, total, err := page(ctx, s, scanUser, userColumns, "users", "name", w, p)
	if err != nil {
		return nil, 0, fmt.Errorf("list users: %w", err)
	}
	return users, total, nil
}

// DeleteUser removes an account and its sessions.
func (s *Store) DeleteUser(ctx context.Context, id string) error {
	if err := s.execOne(ctx, "DELETE FROM users WHERE id = $1", id); err != nil {
		return fmt.Errorf("delete user %q: %w", id, err)
	}
	return nil
}

// Session is a login. The token itself is never stored.
type Session struct {
	Hash    string // of the token; internal/auth decides how
	User    string // id
	Created time.Time
	Expires time.Time
	Address string // of the login
	Agent   string // User-Agent of the login
}

const sessionColumns = "hash, user_id, created, expires, address, agent"

func scanSession(r scanner, x *Session) error {
	return r.Scan(&x.Hash, &x.User, at{&x.Created}, at{&x.Expires}, &x.Address, &x.Agent)
}

// CreateSession adds a session; a user who does not exist is [ErrNotFound].
func (s *Store) CreateSession(ctx context.Context, x Session) error {
	_, err := s.exec(ctx, "INSERT INTO sessions ("+sessionColumns+") VALUES ($1, $2, $3, $4, $5, $6)",
		x.Hash, x.User, micros(x.Created), micros(x.Expires), x.Address, x.Agent)
	if err != nil {
		return fmt.Errorf("create session of user %q: %w", x.User, err)
	}
	return nil
}

// SessionUser returns the session with a token hash and its account.
func (s *Store) SessionUser(ctx context.Context, hash string) (Session, User, error) {
	type both struct {
		s Session
		u User
	}
	b, err := one(ctx, s.read, func(r scanner, b *both) error {
		x, u := &b.s, &b.u
		return r.Scan(&x.Hash, &x.User, at{&x.Created}, at{&x.Expires}, &x.Address, &x.Agent,
			&u.ID, &u.Name, &u.Display, &u.Role, &u.PasswordHash, &u.Disabled, at{&u.Created}, at{&u.Changed})
	}, `SELECT s.hash, s.user_id, s.created, s.expires, s.address, s.agent,
		u.id, u.name, u.display, u.role, u.password_hash, u.disabled, u.created, u.changed
		FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.hash = $1`, hash)
	if err != nil {
		return Session{}, User{}, fmt.Errorf("session: %w", err)
	}
	return b.s, b.u, nil
}

// Sessions returns all sessions of a user, newest first.
func (s *Store) Sessions(ctx context.Context, user string) ([]Session, error) {
	l, err := many(ctx, s.read, scanSession, "SELECT "+sessionColumns+" FROM sessions WHERE user_id = $1 ORDER BY created DESC, hash", user)
	if err != nil {
		return nil, fmt.Errorf("list sessions of user %q: %w", user, err)
	}
	return l, nil
}

// ExtendSession moves a session's end.
func (s *Store) ExtendSession(ctx context.Context, hash string, expires time.Time) error {
	if err := s.execOne(ctx, "UPDATE sessions SET expires = $1 WHERE hash = $2", micros(expires), hash); err != nil {
		return fmt.Errorf("extend session: %w", err)
	}
	return nil
}

// DeleteSession ends a session; one that does not exist is no error.
func (s *Store) DeleteSession(ctx context.Context, hash string) error {
	if _, err := s.exec(ctx, "DELETE FROM sessions WHERE hash = $1", hash); err != nil {
		return fmt.Errorf("delete session: %w", err)
	}
	return nil
}

// DeleteSessionsOf ends all sessions of a user but the one with the hash except ("" for all).
func (s *Store) DeleteSessionsOf(ctx context.Context, user, except string) error {
	if _, err := s.exec(ctx, "DELETE FROM sessions WHERE user_id = $1 AND hash <> $2", user, except); err != nil {
		return fmt.Errorf("delete sessions of user %q: %w", user, err)
	}
	return nil
}

// DeleteExpiredSessions removes sessions that ended before now and says how many.
func (s *Store) DeleteExpiredSessions(ctx context.Context, now time.Time) (int64, error) {
	n, err := s.exec(ctx, "DELETE FROM sessions WHERE expires < $1", micros(now))
	if err != nil {
		return 0, fmt.Errorf("delete expired sessions: %w", err)
	}
	return n, nil
}

// CreateFirstUser adds u if there is no account at all, and says whether it did.
// Two processes that start at once with the same name make one account.
func (s *Store) CreateFirstUser(ctx context.Context, u User) (bool, error) {
	created := false
	err := s.tx(ctx, func(tx *sql.Tx) error {
		// The casts are for PostgreSQL, which takes a bare placeholder in SELECT for text.
		res, err := tx.ExecContext(ctx, "INSERT INTO users ("+userColumns+`) SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT),
			CAST($5 AS TEXT), CAST($6 AS BOOLEAN), CAST($7 AS BIGINT), CAST($8 AS BIGINT) WHERE NOT EXISTS (SELECT 1 FROM users)`,
			u.ID, u.Name, u.Display, u.Role, u.PasswordHash, u.Disabled, micros(u.Created), micros(u.Changed))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		created = n == 1
		return err
	})
	if errors.Is(err, ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("create the first user: %w", err)
	}
	return created, nil
}

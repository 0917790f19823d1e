package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

const (
	keyBytes = 32 // RFC 7518 section 3.2: at least the hash's size
	keyFile  = "token.key"
	issuer   = "tongxiang"
	maxTTL   = 366 * 24 * time.Hour
	// clockSkew is how far two nodes' clocks may differ; there is no public NTP here.
	clockSkew = 30 * time.Second
)

// LoadKey returns the key that signs bearer tokens, from dir/token.key (32 random
// bytes, mode 0600), making it at first. Whoever can read it is administrator, so
// a key that others can read is refused.
func LoadKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, keyFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(dir, path); err != nil {
			return nil, fmt.Errorf("make token key: %w", err)
		}
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("token key: %w", err)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("token key %s can be read by others (mode %o): chmod 600 it, or remove it to make a new one", path, fi.Mode().Perm())
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("token key: %w", err)
	}
	if len(key) < keyBytes {
		return nil, fmt.Errorf("token key %s has %d bytes, want %d: remove it to make a new one", path, len(key), keyBytes)
	}
	return key, nil
}

// makeKey writes a new key whole or not at all; when another process is faster, its key stays.
func makeKey(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, keyFile+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	key := make([]byte, keyBytes)
	rand.Read(key) // never returns an error, see crypto/rand
	_, err = f.Write(key)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// TokenRequest is what a bearer token should say.
type TokenRequest struct {
	Subject string // whose: a user's id, or any name for a script or an encoder
	Display string // the name others see; empty: the subject
	Role    Role
	Stream  string        // scope, see [Principal]; empty: no limit
	TTL     time.Duration // one second to one year
}

// claims is the token's content (RFC 7519), with three of ours.
type claims struct {
	jwt.RegisteredClaims
	Display string `json:"name,omitempty"`
	Role    Role   `json:"role"`
	Stream  string `json:"stream,omitempty"`
}

// Sign returns a bearer token and when it expires. It needs no store: the
// command line uses it too.
func Sign(key []byte, q TokenRequest, now time.Time) (token string, expires time.Time, err error) {
	if !q.Role.Valid() {
		return "", time.Time{}, ErrBadRole
	}
	if q.TTL < time.Second || q.TTL > maxTTL {
		return "", time.Time{}, ErrBadLifetime
	}
	if q.Stream != "" && !validScope(q.Stream) {
		return "", time.Time{}, ErrBadScope
	}
	if q.Subject == "" {
		return "", time.Time{}, ErrBadName
	}
	expires = now.Add(q.TTL).UTC().Truncate(time.Second)
	token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: q.Subject, ID: store.NewID(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
		},
		Display: q.Display, Role: q.Role, Stream: q.Stream,
	}).SignedString(key)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign token: %w", err)
	}
	return token, expires, nil
}

// validScope accepts a stream's name, and "meetings/42" alike.
func validScope(s string) bool {
	_, err := stream.ParseName(s)
	return err == nil && (strings.HasPrefix(s, "meetings/") || strings.HasPrefix(s, "channels/"))
}

// MediaToken returns a token for the media of one participant or player, without
// an audit entry: meetings issue one at each join.
func (s *Service) MediaToken(q TokenRequest) (token string, expires time.Time, err error) {
	return Sign(s.key, q, s.cfg.Now())
}

// IssueToken returns a bearer token and writes an audit entry.
func (s *Service) IssueToken(ctx context.Context, by Principal, q TokenRequest) (token string, expires time.Time, err error) {
	token, expires, err = Sign(s.key, q, s.cfg.Now())
	if err != nil {
		return "", time.Time{}, err
	}
	detail := fmt.Sprintf("role %s, stream %q, until %s", q.Role, q.Stream, expires.Format(time.RFC3339))
	if err := s.Audit(ctx, by, "token.issue", q.Subject, "ok", detail); err != nil {
		return "", time.Time{}, err
	}
	return token, expires, nil
}

func (s *Service) byToken(token string) (Principal, error) {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return s.key, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(issuer),
		jwt.WithExpirationRequired(), jwt.WithLeeway(clockSkew), jwt.WithTimeFunc(s.cfg.Now))
	if errors.Is(err, jwt.ErrTokenExpired) {
		return Principal{}, ErrExpired.Because(err)
	}
	if err != nil {
		return Principal{}, ErrBadToken.Because(err)
	}
	if c.Subject == "" || !c.Role.Valid() || c.Stream != "" && !validScope(c.Stream) {
		return Principal{}, ErrBadToken
	}
	p := Principal{ID: c.Subject, Name: c.Subject, Display: c.Display, Role: c.Role, Stream: c.Stream, Kind: ByToken, Expires: c.ExpiresAt.UTC()}
	if p.Display == "" {
		p.Display = c.Subject
	}
	return p, nil
}

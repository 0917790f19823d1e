package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Cost is what one password hash takes (RFC 9106).
type Cost struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// DefaultCost is above OWASP's minimum for argon2id (19 MiB, 2 passes, 1 lane) and
// takes about 60 ms on a small server.
var DefaultCost = Cost{MemoryKiB: 32 << 10, Passes: 3, Lanes: 1}

const (
	saltBytes = 16 // RFC 9106 section 3.1
	hashBytes = 32
	// maxCost bounds what a stored hash can make us spend, should somebody write one.
	maxCostMemoryKiB = 256 << 10
	maxCostPasses    = 16
	// waiting bounds the queue of logins: at 60 ms each on two cores this is 2 s.
	// More than that is a flood, and is told to come back.
	waiting = 64
)

// hasher runs argon2id, a few at a time: each holds its memory while it runs.
type hasher struct {
	cost  Cost
	queue chan struct{}
	run   chan struct{}
	decoy string // verified in place of a user who does not exist, so that the answer takes as long
}

func newHasher(c Cost) (*hasher, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	h := &hasher{cost: c, run: make(chan struct{}, max(1, min(runtime.NumCPU(), 4)))}
	h.queue = make(chan struct{}, waiting+cap(h.run))
	h.decoy = h.encode(c, newToken(""))
	return h, nil
}

func (c Cost) check() error {
	if c.Lanes == 0 || c.Passes == 0 || c.Passes > maxCostPasses || c.MemoryKiB < 8*uint32(c.Lanes) || c.MemoryKiB > maxCostMemoryKiB {
		return fmt.Errorf("cost of a password hash is out of range: %+v", c)
	}
	return nil
}

// slot waits for its turn and returns how to end it.
func (h *hasher) slot(ctx context.Context) (func(), error) {
	select {
	case h.queue <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	select {
	case h.run <- struct{}{}:
		return func() { <-h.run; <-h.queue }, nil
	case <-ctx.Done():
		<-h.queue
		return nil, fmt.Errorf("wait for a password check: %w", ctx.Err())
	}
}

// hash returns password's hash with its parameters, as PHC string:
// $argon2id$v=19$m=32768,t=3,p=1$salt$hash.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	end, err := h.slot(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	return h.encode(h.cost, password), nil
}

func (h *hasher) encode(c Cost, password string) string {
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never returns an error, see crypto/rand
	sum := argon2.IDKey([]byte(password), salt, c.Passes, c.MemoryKiB, c.Lanes, hashBytes)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.MemoryKiB, c.Passes, c.Lanes, b64.EncodeToString(salt), b64.EncodeToString(sum))
}

var errBadHash = errors.New("stored password hash cannot be read")

// verify reports whether password has the hash, and whether the hash should be
// made again because its cost is not today's. An empty hash (no such user) takes
// as long and is wrong.
func (h *hasher) verify(ctx context.Context, hash, password string) (ok, stale bool, err error) {
	known := hash != ""
	if !known {
		hash = h.decoy
	}
	c, salt, sum, err := parseHash(hash)
	if err != nil {
		return false, false, err
	}
	end, err := h.slot(ctx)
	if err != nil {
		return false, false, err
	}
	defer end()
	got := argon2.IDKey([]byte(password), salt, c.Passes, c.MemoryKiB, c.Lanes, uint32(len(sum)))
	same := subtle.ConstantTimeCompare(got, sum) == 1
	return known && same, c != h.cost, nil
}

func parseHash(s string) (c Cost, salt, sum []byte, err error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, errBadHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.MemoryKiB, &c.Passes, &c.Lanes); err != nil {
		return c, nil, nil, fmt.Errorf("%w: %w", errBadHash, err)
	}
	if err := c.check(); err != nil {
		return c, nil, nil, fmt.Errorf("%w: %w", errBadHash, err)
	}
	if salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return c, nil, nil, fmt.Errorf("%w: %w", errBadHash, err)
	}
	if sum, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil {
		return c, nil, nil, fmt.Errorf("%w: %w", errBadHash, err)
	}
	if len(salt) < 8 || len(sum) < 16 || len(sum) > 64 {
		return c, nil, nil, errBadHash
	}
	return c, salt, sum, nil
}

// CheckPassword reports whether a password may be used by the user called name:
// GB/T 22239-2019 8.1.4.1 a asks for complexity, common practice is 8 characters
// of 3 kinds. The error is [ErrWeakPassword].
func CheckPassword(name, password string) error {
	n := utf8.RuneCountInString(password)
	if n < 8 || n > 128 || !utf8.ValidString(password) {
		return ErrWeakPassword
	}
	var kinds [4]bool
	for _, r := range password {
		switch {
		case unicode.IsUpper(r):
			kinds[0] = true
		case unicode.IsLower(r):
			kinds[1] = true
		case unicode.IsDigit(r):
			kinds[2] = true
		default:
			kinds[3] = true
		}
	}
	have := 0
	for _, k := range kinds {
		if k {
			have++
		}
	}
	if have < 3 || name != "" && strings.Contains(strings.ToLower(password), strings.ToLower(name)) {
		return ErrWeakPassword
	}
	return nil
}

// newPassword returns a random password that a person can read from a screen and
// type: four groups of five letters and digits without look-alikes, 117 bits.
func newPassword() string {
	const letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	for {
		var b strings.Builder
		for i := range 20 {
			if i > 0 && i%5 == 0 {
				b.WriteByte('-')
			}
			b.WriteByte(letters[randomBelow(len(letters))])
		}
		if CheckPassword("", b.String()) == nil {
			return b.String()
		}
	}
}

// randomBelow returns a uniform number in [0, n) for n up to 256.
func randomBelow(n int) int {
	limit := 256 - 256%n
	var b [1]byte
	for {
		rand.Read(b[:]) // never returns an error, see crypto/rand
		if int(b[0]) < limit {
			return int(b[0]) % n
		}
	}
}

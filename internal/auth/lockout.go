package auth

import (
	"slices"
	"sync"
	"time"
)

// The limits of failed logins: 5 in 5 minutes lock an account for 15 minutes. An
// address is counted more loosely, for a township's whole office may sit behind
// one; its limit stops a guesser who tries one password on many accounts.
const (
	failureWindow  = 5 * time.Minute
	lockFor        = 15 * time.Minute
	accountLimit   = 5
	addressLimit   = 50
	lockoutEntries = 20_000 // about 4 MB; the oldest goes first
)

// lockout counts failed logins, in memory: a restart forgives. A try counts as
// failed from its beginning, so that many at once cannot slip through.
type lockout struct {
	mu      sync.Mutex
	entries map[string]*failures
}

type failures struct {
	at     []time.Time // of tries within the window, oldest first
	locked time.Time   // until when
	last   time.Time
}

func newLockout() *lockout { return &lockout{entries: make(map[string]*failures)} }

// try counts a login of account from address, or says that either is locked.
// Accounts that do not exist are counted like those that do.
func (l *lockout) try(account, address string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, b := l.entry("account "+account, now), l.entry("address "+address, now)
	if now.Before(a.locked) || now.Before(b.locked) {
		return false
	}
	return a.count(accountLimit, now) && b.count(addressLimit, now)
}

// succeeded forgives the account's failures and takes back the try of the address.
func (l *lockout) succeeded(account, address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.entries, "account "+account)
	if b := l.entries["address "+address]; b != nil && len(b.at) > 0 {
		b.at = b.at[:len(b.at)-1]
	}
}

// count notes a try; the one after the limit locks.
func (f *failures) count(limit int, now time.Time) bool {
	f.last = now
	f.at = slices.DeleteFunc(f.at, func(t time.Time) bool { return now.Sub(t) >= failureWindow })
	if len(f.at) >= limit {
		f.locked = now.Add(lockFor)
		f.at = nil
		return false
	}
	f.at = append(f.at, now)
	return true
}

// entry returns the entry of a key, making room when needed. The caller holds l.mu.
func (l *lockout) entry(key string, now time.Time) *failures {
	if f := l.entries[key]; f != nil {
		return f
	}
	if len(l.entries) >= lockoutEntries {
		l.evict(now)
	}
	f := &failures{last: now}
	l.entries[key] = f
	return f
}

// evict drops what is over, and when that frees nothing, the oldest entry.
func (l *lockout) evict(now time.Time) {
	oldest, when := "", now
	for k, f := range l.entries {
		if !now.Before(f.locked) && now.Sub(f.last) >= failureWindow {
			delete(l.entries, k)
		} else if f.last.Before(when) {
			oldest, when = k, f.last
		}
	}
	if len(l.entries) >= lockoutEntries {
		delete(l.entries, oldest)
	}
}

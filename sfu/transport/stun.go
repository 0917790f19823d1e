package transport

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/pion/stun/v4"
)

// A server with a public address needs no ICE agent: an ICE-lite one (RFC 8445
// section 2.5) answers checks and believes what the client nominates.

// Credentials are one side's ICE user name fragment and password.
type Credentials struct{ Ufrag, Pwd string }

// newCredentials returns 40 random bits of name and 130 of password.
func newCredentials() Credentials { return Credentials{rand.Text()[:8], rand.Text()} }

var (
	errNotBinding = errors.New("not a STUN binding request")
	errIntegrity  = errors.New("STUN message integrity is wrong")
)

// check is a binding request that was decoded and not yet believed.
type check struct {
	message   stun.Message
	ufrag     string // ours
	nominates bool
}

// parse decodes a connectivity check (RFC 8445 section 7.1).
func (c *check) parse(b []byte) error {
	c.message.Raw = append(c.message.Raw[:0], b...)
	if err := c.message.Decode(); err != nil {
		return fmt.Errorf("STUN: %w", err)
	}
	if c.message.Type != stun.BindingRequest {
		return errNotBinding
	}
	name, err := c.message.Get(stun.AttrUsername)
	if err != nil {
		return fmt.Errorf("STUN: %w", err)
	}
	c.ufrag, _, _ = strings.Cut(string(name), ":") // RFC 8445 section 7.2.2: "ours:theirs"
	c.nominates = c.message.Contains(stun.AttrUseCandidate)
	return nil
}

// answer checks the integrity and returns the response for an address.
func (c *check) answer(pwd string, from netip.AddrPort) ([]byte, error) {
	integrity := stun.NewShortTermIntegrity(pwd)
	if err := integrity.Check(&c.message); err != nil {
		return nil, errIntegrity
	}
	a := from.Addr()
	out, err := stun.Build(
		stun.NewTransactionIDSetter(c.message.TransactionID), stun.BindingSuccess,
		&stun.XORMappedAddress{IP: net.IP(a.AsSlice()), Port: int(from.Port())},
		integrity, stun.Fingerprint,
	)
	if err != nil {
		return nil, fmt.Errorf("answer a STUN check: %w", err)
	}
	return out.Raw, nil
}

// The kinds of datagram on a port that carries everything (RFC 7983, RFC 5761).
const (
	kindOther = iota
	kindSTUN
	kindDTLS
	kindRTP
	kindRTCP
)

func kindOf(b []byte) int {
	switch {
	case len(b) < 12:
		return kindOther
	case b[0] < 4:
		return kindSTUN
	case b[0] >= 20 && b[0] < 64:
		return kindDTLS
	case b[0] >= 128 && b[0] < 192 && b[1] >= 192 && b[1] <= 223:
		return kindRTCP
	case b[0] >= 128 && b[0] < 192:
		return kindRTP
	}
	return kindOther
}

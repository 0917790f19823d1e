package pki

import (
	"crypto/x509"
	"os"
	"testing"
	"time"
)

var now = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

func TestCertificateIsTrustedByWhoeverHasTheCA(t *testing.T) {
	dir := t.TempDir()
	cert, err := Load(dir, []string{"localhost", "10.1.2.3"}, now)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(CAFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	for _, host := range []string{"localhost", "10.1.2.3"} {
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "10.9.9.9", CurrentTime: now}); err == nil {
		t.Error("the certificate is good for an address that was not asked for")
	}
}

func TestCertificateIsKeptWhileItFitsAndRenewedWhenNot(t *testing.T) {
	dir := t.TempDir()
	load := func(at time.Time, hosts ...string) *x509.Certificate {
		t.Helper()
		c, err := Load(dir, hosts, at)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf
	}
	first := load(now, "localhost")
	if again := load(now.AddDate(0, 1, 0), "localhost"); !again.Equal(first) {
		t.Error("a good certificate was replaced")
	}
	other := load(now, "localhost", "10.1.2.3")
	if other.Equal(first) {
		t.Error("a new address needs a new certificate")
	}
	if late := load(now.AddDate(1, 0, 0), "localhost", "10.1.2.3"); late.Equal(other) {
		t.Error("a certificate near its end must be renewed")
	}
}

func TestBrokenKeyFileIsAnErrorNotANewAuthority(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir, []string{"localhost"}, now); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(CAFile(dir), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, []string{"localhost"}, now); err == nil {
		t.Fatal("a broken authority was silently replaced: every site would have to trust a new one")
	}
}

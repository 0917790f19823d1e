// Package pki is the built-in certificate authority of a node that nobody gave a
// certificate: the network is cut off, so no public authority can issue one.
// At the first start it makes a CA, which is put on the sites' machines once, and
// from it a server certificate for the names and addresses of this machine,
// renewed when they change or it nears its end.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	caYears      = 20
	serverDays   = 397 // browsers refuse server certificates that live longer
	renewBefore  = 60 * 24 * time.Hour
	backdate     = 24 * time.Hour // clocks of cut-off machines are often wrong
	keyMode      = 0o600
	certMode     = 0o644
	folderMode   = 0o700
	caFile       = "ca.crt"
	caKeyFile    = "ca.key"
	serverFile   = "server.crt"
	serverKey    = "server.key"
	organisation = "Tongxiang"
)

// CAFile is where the CA's certificate lies below the keys folder: what is handed
// to the sites.
func CAFile(dir string) string { return filepath.Join(dir, caFile) }

// Load returns a server certificate for hosts (names and addresses), making the
// CA and the certificate in dir when they are missing, out of date or for other
// hosts. The caller must be the only process that works in dir.
func Load(dir string, hosts []string, now time.Time) (tls.Certificate, error) {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return tls.Certificate{}, fmt.Errorf("make the keys folder: %w", err)
	}
	ca, err := loadCA(dir, now)
	if err != nil {
		return tls.Certificate{}, err
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, serverFile), filepath.Join(dir, serverKey))
	if err == nil && fits(cert.Leaf, ca.Leaf, hosts, now) {
		return cert, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return tls.Certificate{}, fmt.Errorf("read the server certificate: %w", err)
	}
	return issue(dir, ca, hosts, now)
}

// fits reports whether the certificate is still good for hosts.
func fits(leaf, ca *x509.Certificate, hosts []string, now time.Time) bool {
	if now.Add(renewBefore).After(leaf.NotAfter) || leaf.CheckSignatureFrom(ca) != nil {
		return false
	}
	return !slices.ContainsFunc(hosts, func(h string) bool { return leaf.VerifyHostname(h) != nil })
}

func loadCA(dir string, now time.Time) (tls.Certificate, error) {
	ca, err := tls.LoadX509KeyPair(filepath.Join(dir, caFile), filepath.Join(dir, caKeyFile))
	if err == nil {
		return ca, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return tls.Certificate{}, fmt.Errorf("read the certificate authority: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("name the certificate authority: %w", err)
	}
	tmpl := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{organisation}, CommonName: organisation + " CA " + host},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.AddDate(caYears, 0, 0),
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return create(dir, caFile, caKeyFile, tmpl, nil)
}

func issue(dir string, ca tls.Certificate, hosts []string, now time.Time) (tls.Certificate, error) {
	tmpl := &x509.Certificate{
		Subject:     pkix.Name{Organization: []string{organisation}, CommonName: hosts[0]},
		NotBefore:   now.Add(-backdate),
		NotAfter:    now.AddDate(0, 0, serverDays),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	return create(dir, serverFile, serverKey, tmpl, &ca)
}

// create makes a key and a certificate and writes both; parent nil: self-signed.
// The key is written first, so a crash in between leaves no certificate without key.
func create(dir, certName, keyName string, tmpl *x509.Certificate, parent *tls.Certificate) (tls.Certificate, error) {
	fail := func(err error) (tls.Certificate, error) {
		return tls.Certificate{}, fmt.Errorf("make certificate %s: %w", certName, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fail(err)
	}
	tmpl.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return fail(err)
	}
	signer, by := any(key), tmpl
	if parent != nil {
		signer, by = parent.PrivateKey, parent.Leaf
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, by, &key.PublicKey, signer)
	if err != nil {
		return fail(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fail(err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if parent != nil { // the chain, so that a client that trusts the CA needs nothing more
		certPEM = append(certPEM, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: parent.Leaf.Raw})...)
	}
	if err := replace(filepath.Join(dir, keyName), keyPEM, keyMode); err != nil {
		return fail(err)
	}
	if err := replace(filepath.Join(dir, certName), certPEM, certMode); err != nil {
		return fail(err)
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

// replace writes a file so that a crash leaves either the old or the new one.
func replace(path string, data []byte, mode os.FileMode) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, mode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// Hosts returns the names and addresses under which this machine is likely to be
// reached: its host name, localhost, the addresses of its interfaces, and extra.
func Hosts(extra []string) ([]string, error) {
	hosts := slices.Clone(extra)
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	hosts = append(hosts, "localhost", "127.0.0.1", "::1")
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the machine's addresses: %w", err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() {
			hosts = append(hosts, n.IP.String())
		}
	}
	slices.Sort(hosts[len(extra):])
	return slices.Compact(hosts), nil
}

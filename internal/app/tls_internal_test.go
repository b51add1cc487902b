package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"connectroster/internal/config"
)

// TestCertificateIsRenewed changes the files while they are in use: the new
// certificate counts, and what does not fit together does not.
func TestCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := config.TLS{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	clock := time.Now()
	a := &App{cfg: &config.Config{TLS: files}, log: slog.New(slog.DiscardHandler)}
	if _, err := a.serveTLS(); err == nil {
		t.Fatal("there are no files, and that is no error")
	}
	cert, key := selfSigned(t, "first")
	put := func(path string, text []byte) {
		t.Helper()
		clock = clock.Add(lookEvery)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, clock, clock); err != nil { // two writes within the grain of the disk's clock
			t.Fatal(err)
		}
	}
	put(files.Cert, cert)
	put(files.Key, key)
	c := &certificate{files: files, log: a.log, now: func() time.Time { return clock }}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	served := func() string {
		t.Helper()
		pair, err := c.get(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf.Subject.CommonName
	}
	if got := served(); got != "first" {
		t.Errorf("got %s, want first", got)
	}
	cert, key = selfSigned(t, "second")
	put(files.Cert, cert)
	if got := served(); got != "first" {
		t.Errorf("in the middle of the renewal: got %s, want first", got)
	}
	put(files.Key, key)
	if got := served(); got != "second" {
		t.Errorf("after the renewal: got %s, want second", got)
	}
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(lookEvery)
	if got := served(); got != "second" {
		t.Errorf("without its key: got %s, want second", got)
	}
}

func selfSigned(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectroster/internal/config"
	"connectroster/internal/doctor"
)

// TestCertificateSeen: doctor tells how long Okta can deliver over HTTPS.
func TestCertificateSeen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	files := config.TLS{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	write := func(path, kind string, der []byte, err error) {
		t.Helper()
		if err == nil {
			err = os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	write(files.Key, "PRIVATE KEY", der, err)
	see := func(c *config.Config) doctor.Finding {
		t.Helper()
		for _, check := range c.Checks() {
			if check.Name == "certificate" {
				found := check.Run(t.Context())
				if len(found) != 1 {
					t.Fatalf("%d findings, want one: %+v", len(found), found)
				}
				return found[0]
			}
		}
		t.Fatal("there is no such check")
		return doctor.Finding{}
	}
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		from, until time.Duration
		state       doctor.State
		says        string
	}{
		"good":    {-day, 90 * day, doctor.OK, "valid until"},
		"soon":    {-day, 13 * day, doctor.Warn, "expires on"},
		"expired": {-90 * day, -time.Hour, doctor.Fail, "has expired on"},
		"early":   {time.Hour, 90 * day, doctor.Fail, "not valid before"},
	} {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(c.from), NotAfter: time.Now().Add(c.until)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		write(files.Cert, "CERTIFICATE", der, err)
		if f := see(&config.Config{TLS: files}); f.State != c.state || !strings.Contains(f.Seen, c.says) {
			t.Errorf("%s: %+v, want %v and %q", name, f, c.state, c.says)
		}
	}
	write(files.Cert, "CERTIFICATE", []byte("none"), nil)
	if f := see(&config.Config{TLS: files}); f.State != doctor.Fail || !strings.Contains(f.Seen, "cannot be used") {
		t.Errorf("broken: %+v", f)
	}
	if f := see(&config.Config{Listen: ":8080"}); f.State != doctor.OK || !strings.Contains(f.Seen, ":8080 speaks HTTP") {
		t.Errorf("without: %+v", f)
	}
}

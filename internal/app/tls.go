package app

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"

	"connectroster/internal/config"
)

// certificate serves a certificate from two files, and reads them again once they
// have changed. While they cannot be read, or do not fit together, as in the middle
// of a renewal, the last good one stays.
type certificate struct {
	files config.TLS
	log   *slog.Logger
	now   func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	stamps  [2]stamp
	looked  time.Time
	failed  bool // and the log says so
}

// stamp tells one content of a file from another.
type stamp struct {
	at   time.Time
	size int64
}

// lookEvery is how often the files are looked at, at most.
const lookEvery = 5 * time.Second

// serveTLS gives what a server needs to speak HTTPS.
func (a *App) serveTLS() (*tls.Config, error) {
	c := &certificate{files: a.cfg.TLS, log: a.log, now: time.Now}
	if err := c.load(); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: c.get}, nil
}

func (c *certificate) load() error {
	stamps := c.stamp()
	pair, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return err
	}
	c.current, c.stamps = &pair, stamps
	return nil
}

func (c *certificate) stamp() (out [2]stamp) {
	for i, path := range []string{c.files.Cert, c.files.Key} {
		if info, err := os.Stat(path); err == nil {
			out[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return out
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.looked) < lookEvery && !now.Before(c.looked) {
		return c.current, nil
	}
	c.looked = now
	if c.stamp() == c.stamps {
		return c.current, nil
	}
	switch err := c.load(); {
	case err != nil && !c.failed:
		c.failed = true
		c.log.Error("cannot read the certificate again; the last one stays", "error", err)
	case err == nil:
		c.failed = false
		c.log.Info("the certificate was read again")
	}
	return c.current, nil
}

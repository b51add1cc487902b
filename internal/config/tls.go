package config

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"os"
	"strings"
)

// checkTLS sees to it that certificate and key are there and fit together.
func (r *reader) checkTLS(t TLS) {
	const cert, key = "tls.cert", "tls.key"
	switch {
	case !r.ok(cert) && !r.ok(key), r.partial:
		return
	case !r.ok(key):
		r.test(cert, complaint{"needs tls.key, the private key of the certificate", ""})
		return
	case !r.ok(cert):
		r.test(key, complaint{"needs tls.cert, the certificate of the key", ""})
		return
	}
	if r.secrets.only != nil {
		return
	}
	files := map[string]string{cert: within(r.secrets.dir, t.Cert), key: within(r.secrets.dir, t.Key)}
	for _, at := range []string{cert, key} {
		if c := pemFileFault(files[at]); c.problem != "" {
			r.test(at, c)
			return
		}
	}
	if _, err := tls.LoadX509KeyPair(files[cert], files[key]); err != nil {
		r.test(cert, complaint{"cannot be used with the key: " + strings.TrimPrefix(err.Error(), "tls: "), "want the certificate and its own key, both in PEM and the key without a passphrase"})
	}
	if info, err := os.Stat(files[key]); err == nil && info.Mode().Perm()&0o004 != 0 {
		r.warn(key, "everybody on this machine may read the file of this key", "take the right to read it from others (chmod o-r)")
	}
}

// pemFileFault says why a file cannot be read.
func pemFileFault(path string) complaint {
	_, err := readFile(path, maxFile)
	var why *fs.PathError
	switch {
	case errors.As(err, &why):
		return complaint{"cannot be read: " + why.Err.Error(), "relative paths start at the folder of the configuration file"}
	case err != nil:
		return complaint{"is not a regular file", ""}
	}
	return complaint{}
}

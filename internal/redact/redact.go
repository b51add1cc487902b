// Package redact takes out of the errors of AWS what nobody may be told: an error
// about a signature repeats what was signed, session token included, and net/http
// repeats of an answer what it cannot read.
package redact

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// signed is what a request is signed with. Source: AWS Identity and Access
// Management User Guide, "Troubleshoot Signature Version 4 signed requests".
var signed = regexp.MustCompile(`(?i)(authorization|credential|signature|security-?token|external-?id)("?'?\s*[:=]\s*)["'\[]*[^\s,&"'\]]+`)

// Message gives what can be shown of a message of AWS. What a JSON text begins with
// is no message any more.
func Message(text string) string {
	text, _, _ = strings.Cut(text, `{"`)
	return signed.ReplaceAllString(text, "${1}${2}(private)")
}

// Error gives an error with the text that can be shown of it. The error itself stays
// in the chain.
func Error(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if broken := new(url.Error); errors.As(err, &broken) {
		text = strings.ReplaceAll(text, broken.Err.Error(), Wire(broken.Err).Error())
	}
	return &shown{Message(text), err}
}

type shown struct {
	text string
	err  error
}

func (s *shown) Error() string { return s.text }
func (s *shown) Unwrap() error { return s.err }

// Wire gives what can be shown of an error of net/http.
func Wire(err error) error {
	var network net.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &network), errors.As(err, &certificate), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.Canceled):
		return err
	}
	for status := 400; status < 600; status++ { // a proxy that refuses says so in these words
		if err.Error() == http.StatusText(status) {
			return fmt.Errorf("the proxy answered %d %w", status, err)
		}
	}
	return errors.New("the answer is broken HTTP")
}

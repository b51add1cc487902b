package plan

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of a username on an instance with SAML. Two is the least that a SAML
// RoleSessionName may have. Source: Amazon Connect API, CreateUser; AWS STS,
// AssumeRoleWithSAML.
const (
	minUsername = 2
	maxUsername = 64
)

// UsernameFault tells why Amazon Connect cannot hold a username on an instance
// with SAML, or gives the empty string. A username must equal the SAML
// RoleSessionName to the letter, so it is refused and never mangled.
func UsernameFault(name string) string {
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return "there is no username: the person has no login, or the Amazon Connect app is not assigned to them in Okta"
	case n < minUsername:
		return fmt.Sprintf("the username has %d character; Amazon Connect needs at least %d", n, minUsername)
	case n > maxUsername:
		return fmt.Sprintf("the username has %d characters; Amazon Connect holds at most %d", n, maxUsername)
	}
	for _, r := range name {
		if !usernameRune(r) {
			return fmt.Sprintf("the username contains %+q; Amazon Connect allows letters a-z, digits and _ . @ - only", r)
		}
	}
	if strings.Contains(name, "@") && !emailForm(name) {
		return "the username contains @ but is not in the form name@domain.example, as Amazon Connect wants it"
	}
	return ""
}

func usernameRune(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return true
	case r == '_', r == '.', r == '@', r == '-':
		return true
	}
	return false
}

// emailForm wants one @, something before it, and after it a domain of two
// labels or more, none of them empty.
func emailForm(name string) bool {
	local, domain, _ := strings.Cut(name, "@")
	if local == "" || strings.Contains(domain, "@") {
		return false
	}
	return strings.Contains(domain, ".") && !strings.Contains("."+domain+".", "..")
}

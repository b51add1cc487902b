package plan

import (
	"strings"
	"unicode"
)

// Person is a human as the directory knows them now.
type Person struct {
	ID        string  // Okta user id; never changes
	Username  string  // what SAML will send as RoleSessionName; case kept
	FirstName string  // Unicode NFC; may be empty
	LastName  string  // Unicode NFC; may be empty
	Status    Status  // Okta's status
	Groups    []Group // the Okta groups the person is in; order does not matter
}

// Group is an Okta group. Name is for people to read and may be renamed at any
// time; ID stays.
type Group struct {
	ID   string
	Name string
}

func (g Group) label() string {
	if g.Name != "" {
		return g.Name
	}
	return g.ID
}

// Status is Okta's user status, or Gone for a person whom Okta does not know.
// Source: Okta Management API, UserStatus.
type Status string

// The statuses of Okta, and StatusGone.
const (
	StatusStaged          Status = "STAGED"
	StatusProvisioned     Status = "PROVISIONED"
	StatusActive          Status = "ACTIVE"
	StatusRecovery        Status = "RECOVERY"
	StatusPasswordExpired Status = "PASSWORD_EXPIRED"
	StatusLockedOut       Status = "LOCKED_OUT"
	StatusSuspended       Status = "SUSPENDED"
	StatusDeprovisioned   Status = "DEPROVISIONED"
	StatusGone            Status = "GONE"
)

// Limits of names on SAML instances, in Unicode code points.
// Source: Amazon Connect API, UserIdentityInfo.
const (
	maxFirstName = 255
	maxLastName  = 300
)

// names gives a first and a last name that Connect accepts: it requires both,
// while Okta may lack either. A missing one is filled with the other, and if
// both are missing with the username.
func names(p Person) (first, last string) {
	first, last = cleanName(p.FirstName), cleanName(p.LastName)
	if first == "" {
		first = last
	}
	if last == "" {
		last = first
	}
	if first == "" {
		first, last = p.Username, p.Username
	}
	return cut(first, maxFirstName), cut(last, maxLastName)
}

// cleanName drops what no name needs and what can deceive a reader or come back
// changed: control characters, direction overrides and zero-width spaces. Zero
// width joiners stay, since some scripts are misspelled without them.
func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == unicode.ReplacementChar, r == '\u200B', r == '\u2060', r == '\uFEFF':
			return -1
		case r >= '\u202A' && r <= '\u202E', r >= '\u2066' && r <= '\u2069', r == '\u200E', r == '\u200F':
			return -1
		case r == '\u2028', r == '\u2029', unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// cut shortens s to at most n code points. A cut never leaves a space at the
// end.
func cut(s string, n int) string {
	count := 0
	for i := range s {
		if count == n {
			return strings.TrimSpace(s[:i])
		}
		count++
	}
	return s
}

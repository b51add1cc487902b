package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
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

	// Profile is the person's profile in Okta as it decodes from JSON: text,
	// float64, bool, lists and nil. It is nil where only events are known.
	Profile map[string]any
}

// attribute gives a profile attribute as text. A list gives its elements with
// commas, and what is missing or null nothing.
func (p *Person) attribute(name string) (text string, ok bool) {
	v, ok := p.Profile[name]
	if !ok || v == nil {
		return "", false
	}
	if list, many := v.([]any); many {
		var out []string
		for _, e := range list {
			out = append(out, scalar(e))
		}
		return strings.Join(out, ","), true
	}
	return scalar(v), true
}

// scalar writes a value from JSON as text: 5 and not 5e+00.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}

// comparePeople orders people by id. Entries of one person that differ, as a
// list read page by page can hold, are ordered by the rest.
func comparePeople(a, b *Person) int {
	if order := strings.Compare(a.ID, b.ID); order != 0 {
		return order
	}
	sorted := func(groups []Group) []Group { return slices.SortedFunc(slices.Values(groups), compareGroups) }
	return cmp.Or(
		cmp.Compare(a.Status, b.Status),
		cmp.Compare(a.Username, b.Username),
		cmp.Compare(a.FirstName, b.FirstName),
		cmp.Compare(a.LastName, b.LastName),
		slices.CompareFunc(sorted(a.Groups), sorted(b.Groups), compareGroups),
		cmp.Compare(fmt.Sprintf("%#v", a.Profile), fmt.Sprintf("%#v", b.Profile)),
	)
}

func compareNames(a, b Group) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
}

func compareGroups(a, b Group) int {
	return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name))
}

// Group is an Okta group. Name is for people to read and may be renamed at any
// time; ID stays.
type Group struct {
	ID   string
	Name string
}

// maxLabel is how much of a group's name a reason quotes, in code points.
const maxLabel = 255

// label is the group's name on one line, or its id if there is nothing to read.
func (g Group) label() string {
	return cmp.Or(name(g.Name, maxLabel), g.ID)
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
// both are missing with the username. Names in NFC stay in NFC.
func names(p Person) (first, last string) {
	first = cmp.Or(name(p.FirstName, maxFirstName), name(p.LastName, maxFirstName), p.Username)
	last = cmp.Or(name(p.LastName, maxLastName), first)
	return first, last
}

// name gives what is readable of s, at most n code points, or the empty string
// if that shows a reader nothing.
func name(s string, n int) string {
	s = cut(cleanName(s), n)
	if strings.IndexFunc(s, visible) < 0 {
		return ""
	}
	return s
}

// cleanName drops what no name needs and what can deceive a reader or come back
// changed: control characters, direction controls and zero-width spaces. Zero
// width joiners stay, since some scripts are misspelled without them. A mark
// behind a dropped character goes with it: it belongs to nothing that is left,
// and joined to what stood before it would no longer be in NFC.
func cleanName(s string) string {
	if plain(s) {
		return s
	}
	dropped := false
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), r == '\u2028', r == '\u2029':
			dropped = false
			return ' '
		case deceives(r), dropped && attaches(r):
			dropped = true
			return -1
		}
		dropped = false
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// plain reports whether s is letters and what ASCII shows, with single spaces
// between them: most names are, and nothing is to be done about them.
func plain(s string) bool {
	spaced := true
	for _, r := range s {
		switch {
		case r == ' ' && spaced:
			return false
		case r == ' ':
			spaced = true
			continue
		case r > ' ' && r <= '~', r > '~' && unicode.IsLetter(r):
		default:
			return false
		}
		spaced = false
	}
	return !spaced
}

// deceives reports whether a reader cannot see r while a machine can.
func deceives(r rune) bool {
	switch r {
	case unicode.ReplacementChar, '\u200B', '\u2060', '\uFEFF':
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// attaches reports whether r can merge with the character before it: a
// combining mark, or the second or third part of a Korean syllable.
func attaches(r rune) bool {
	return unicode.IsMark(r) || r >= '\u1161' && r <= '\u1175' || r >= '\u11A8' && r <= '\u11C2'
}

// visible reports whether r alone shows something to a reader.
func visible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.IsMark(r) && r != '\u2800' && // an empty Braille cell
		!unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
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

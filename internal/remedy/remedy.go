// Package remedy is the one catalogue of what can go wrong: every refusal, error,
// check, alert and alarm under its stable code, with its cause and what to do about it.
// Commands, the API, the journal and docs/runbook.md all take their words from it.
package remedy

import (
	"errors"
	"slices"
	"strings"
)

// Kind says where a code is met.
type Kind string

// The kinds of entry.
const (
	Refusal Kind = "refusal" // of a plan: something that will not be done for a person
	Error   Kind = "error"   // of a command, the log, or the journal
	Check   Kind = "check"   // of connectroster doctor
	Alert   Kind = "alert"   // on the metrics
	Alarm   Kind = "alarm"   // of CloudWatch, where connectroster runs on AWS
)

// Entry is what is known of a code. Codes are stable: scripts may rely on them.
type Entry struct {
	Code  string `json:"code"`
	Kind  Kind   `json:"kind"`
	Means string `json:"means"`
	Cause string `json:"cause"`
	Do    string `json:"do"`
	// Expr is the condition of an alert, in PromQL, and For how long it must hold.
	Expr string `json:"expr,omitempty"`
	For  string `json:"for,omitempty"`
}

// All gives the catalogue: by kind, in the order in which to look.
func All() []Entry { return slices.Concat(refusals, failures, checks, alerts, alarms) }

// Find gives the entry of a code. Case does not matter, nor whether words are
// divided by _, - or a space.
func Find(code string) (Entry, bool) {
	code = fold(code)
	for _, e := range All() {
		if fold(e.Code) == code {
			return e, true
		}
	}
	return Entry{}, false
}

func fold(code string) string {
	return strings.ToLower(strings.NewReplacer("-", "_", " ", "_").Replace(strings.TrimSpace(code)))
}

// For gives the entry of a code that the program itself uses. One that the
// catalogue lacks has no words.
func For(code string) Entry {
	e, _ := Find(code)
	return e
}

// Near gives the codes that somebody may have meant: those that hold the word, or
// a part of it.
func Near(code string) []string {
	code = fold(code)
	var out []string
	for _, e := range All() {
		known := fold(e.Code)
		if code != "" && (strings.Contains(known, code) || strings.Contains(code, known)) {
			out = append(out, e.Code)
		}
	}
	if len(out) > 0 {
		return out
	}
	for word := range strings.SplitSeq(code, "_") {
		for _, e := range All() {
			if len(word) > 2 && strings.Contains(fold(e.Code), word) && !slices.Contains(out, e.Code) {
				out = append(out, e.Code)
			}
		}
	}
	return out
}

// Mark puts a code on an error. Its text and its chain stay. Without a code, or
// without an error, it gives back what it was given.
func Mark(code string, err error) error {
	if err == nil || code == "" {
		return err
	}
	return &marked{code, err}
}

type marked struct {
	code string
	err  error
}

func (m *marked) Error() string { return m.err.Error() }
func (m *marked) Unwrap() error { return m.err }

// CodeOf gives the code that was put on an error last; empty: none was.
func CodeOf(err error) string {
	var m *marked
	if errors.As(err, &m) {
		return m.code
	}
	return ""
}

package reconcile

import (
	"errors"
	"time"
)

// ErrNotFound is an answer, not a failure: there is no such thing.
var ErrNotFound = errors.New("not found")

// ErrTaken is an answer, not a failure: the username is in use.
var ErrTaken = errors.New("username is taken")

// ErrGap is an answer, not a failure: events between the cursor and now may be
// missing, and only a sweep can make up for them.
var ErrGap = errors.New("events may be missing since the cursor")

// Terminal marks an error that no further attempt can mend. The person becomes
// a dead letter with it as the reason.
func Terminal(err error) error { return &terminalError{err} }

// IsTerminal reports whether err was marked by Terminal.
func IsTerminal(err error) bool {
	var t *terminalError
	return errors.As(err, &t)
}

type terminalError struct{ err error }

func (e *terminalError) Error() string { return e.err.Error() }
func (e *terminalError) Unwrap() error { return e.err }

// After marks a wait: look again in d. It does not count as an attempt, so it
// can be repeated for ever.
func After(d time.Duration, err error) error { return &afterError{d, err} }

// AsAfter gives the wait that After marked err with.
func AsAfter(err error) (time.Duration, bool) {
	var a *afterError
	if !errors.As(err, &a) {
		return 0, false
	}
	return a.wait, true
}

type afterError struct {
	wait time.Duration
	err  error
}

func (e *afterError) Error() string { return e.err.Error() }
func (e *afterError) Unwrap() error { return e.err }

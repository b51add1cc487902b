// Package doctor runs checks, one after the other, and tells what was seen and
// what to do. What is looked at stands with whoever knows it: each adapter brings
// its own checks. The package knows nothing of Okta, Amazon Connect or the store.
package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// State says how something is.
type State string

// The states.
const (
	OK      State = "ok"
	Warn    State = "warn" // it works, but somebody should look
	Fail    State = "fail" // it does not work
	Skipped State = "skip" // it was not looked at, since something before it has failed
)

// Check is one thing to look at. Run looks and never writes; what it finds is
// told in any number of findings, of which none means that there is nothing to
// tell. Hint is what to do about a finding that does not say so itself.
type Check struct {
	// Name says in words what is looked at. It is stable: see Code.
	Name string
	// About tells apart several checks of one name, such as the name of an instance.
	About string
	Hint  string
	// Needs are the names of checks without which this one makes no sense: it is
	// skipped where one of them failed or was skipped itself. Where this check has an
	// About, those count that have the same or none, and else all.
	Needs []string
	// Within bounds the run. Zero means DefaultWithin.
	Within time.Duration
	Run    func(ctx context.Context) []Finding
}

// DefaultWithin is how long a check may take that does not say.
const DefaultWithin = 45 * time.Second

// Code is the name as scripts and the catalogue of remedies know it.
func (c Check) Code() string { return strings.ReplaceAll(c.Name, " ", "_") }

// Finding is something that was seen.
type Finding struct {
	State State
	Seen  string
	Do    string // what to do; empty: the hint of the check
	Code  string // of the catalogue of remedies; empty: that of the check

	behind string // for Skipped: the name of the check that has told why
}

// Okay is a finding that all is well.
func Okay(format string, args ...any) Finding {
	return Finding{State: OK, Seen: fmt.Sprintf(format, args...)}
}

// Warning is a finding that somebody should look at.
func Warning(format string, args ...any) Finding {
	return Finding{State: Warn, Seen: fmt.Sprintf(format, args...)}
}

// Failure is a finding that something does not work.
func Failure(format string, args ...any) Finding {
	return Finding{State: Fail, Seen: fmt.Sprintf(format, args...)}
}

// Behind is the finding of a check that came upon what another one has told already,
// where only the run could show that it needs that one.
func Behind(check string) Finding {
	return Finding{State: Skipped, Seen: skippedFor(check), behind: check}
}

func skippedFor(because string) string { return "not looked at: first mend " + because }

// Todo gives the finding with what to do about it.
func (f Finding) Todo(format string, args ...any) Finding {
	f.Do = fmt.Sprintf(format, args...)
	return f
}

// As gives the finding under a code of its own.
func (f Finding) As(code string) Finding {
	f.Code = code
	return f
}

// Result is a finding with the check that it comes from.
type Result struct {
	Check string `json:"check"`
	About string `json:"about,omitempty"`
	Code  string `json:"code"`
	State State  `json:"state"`
	Seen  string `json:"seen"`
	Do    string `json:"do,omitempty"`
}

// Report is what all checks found.
type Report struct {
	State   State    `json:"state"` // the worst of all
	OK      int      `json:"ok"`
	Warn    int      `json:"warn"`
	Fail    int      `json:"fail"`
	Skipped int      `json:"skip"`
	Results []Result `json:"results"`
}

// Add takes a result into the report.
func (r *Report) Add(result Result) {
	r.Results = append(r.Results, result)
	switch result.State {
	case OK:
		r.OK++
	case Warn:
		r.Warn++
	case Fail:
		r.Fail++
	case Skipped:
		r.Skipped++
	}
	r.State = OK
	switch {
	case r.Fail > 0:
		r.State = Fail
	case r.Warn > 0:
		r.State = Warn
	}
}

// Run runs the checks in their order and tells of each result as soon as it is
// known; tell may be nil. It ends early, with an error, when ctx is over.
func Run(ctx context.Context, checks []Check, tell func(Result)) (Report, error) {
	report := Report{State: OK, Results: []Result{}}
	broken := map[key]string{} // the name of the check that is at the bottom of it
	for _, c := range checks {
		if ctx.Err() != nil {
			return report, interrupted(ctx)
		}
		because := blocked(c, broken)
		var findings []Finding
		if because != "" {
			findings = []Finding{Behind(because)}
		} else {
			findings = run(ctx, c)
			if ctx.Err() != nil {
				return report, interrupted(ctx)
			}
		}
		for _, f := range findings {
			switch f.State {
			case Skipped:
				broken[c.key()] = cmp.Or(f.behind, c.Name)
			case Fail:
				broken[c.key()] = c.Name
			case OK, Warn:
			}
			result := Result{Check: c.Name, About: c.About, Code: cmp.Or(f.Code, c.Code()), State: f.State, Seen: f.Seen, Do: f.Do}
			if result.Do == "" && (f.State == Warn || f.State == Fail) {
				result.Do = c.Hint
			}
			report.Add(result)
			if tell != nil {
				tell(result)
			}
		}
	}
	return report, nil
}

func interrupted(ctx context.Context) error {
	return fmt.Errorf("interrupted before everything was looked at: %w", context.Cause(ctx))
}

// key names a check among those that others may need.
type key struct{ name, about string }

func (c Check) key() key { return key{c.Name, c.About} }

// blocked gives the name of what has to be mended first; empty: nothing.
func blocked(c Check, broken map[key]string) string {
	var because []string
	for k, at := range broken {
		if slices.Contains(c.Needs, k.name) && (c.About == "" || k.about == "" || k.about == c.About) {
			because = append(because, at)
		}
	}
	slices.Sort(because)
	return strings.Join(slices.Compact(because), " and ")
}

// run runs one check within its time. One that does not come back is left behind:
// a disk that hangs cannot be interrupted.
func run(ctx context.Context, c Check) []Finding {
	within := cmp.Or(c.Within, DefaultWithin)
	ctx, cancel := context.WithTimeoutCause(ctx, within, errLate)
	defer cancel()
	found := make(chan []Finding, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				found <- []Finding{Failure("the check itself failed: %v", p).Todo("report this as a mistake of connectroster")}
			}
		}()
		found <- c.Run(ctx)
	}()
	var findings []Finding
	select {
	case findings = <-found:
	case <-ctx.Done():
		// It has been told to stop; what it says at once still counts.
		select {
		case findings = <-found:
		case <-time.After(grace):
		}
	}
	if errors.Is(context.Cause(ctx), errLate) && !slices.ContainsFunc(findings, func(f Finding) bool { return f.State == Fail }) {
		findings = append(findings, late(within))
	}
	return findings
}

// grace is how long a check that was told to stop may take to say something.
const grace = time.Second

var errLate = errors.New("no answer in time")

func late(within time.Duration) Finding { return Failure("no answer within %s", within) }

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"charm.land/huh/v2"
)

// errAborted says that whoever was asked has ended it.
var errAborted = errors.New("interrupted")

// wizardAsker asks the questions of init at a terminal. There is none where nobody
// can be asked.
type wizardAsker struct {
	keys  *keyboard
	out   io.Writer
	plain bool // questions line by line, for terminals that can do no more and for screen readers
}

// choice is one of several answers.
type choice struct{ label, value string }

func choices(names []string) []choice {
	out := make([]choice, 0, len(names))
	for _, name := range names {
		out = append(out, choice{name, name})
	}
	return out
}

// newWizardAsker gives nil where nobody can be asked.
func newWizardAsker(in io.Reader, out io.Writer, silent bool) *wizardAsker {
	f, ok := in.(*os.File)
	if silent || !ok || !isTerminal(f) || !isTerminal(out) {
		return nil
	}
	return &wizardAsker{keys: newKeyboard(f), out: out, plain: os.Getenv("TERM") == "dumb" || os.Getenv("ACCESSIBLE") != ""}
}

// manyChoices is from how many on a list scrolls.
const manyChoices = 12

// explain says before a question what is shown with it where it is not asked line by
// line.
func (a *wizardAsker) explain(about string) {
	if a.plain && about != "" {
		_, _ = fmt.Fprintln(a.out, sanitize(about))
	}
}

// text asks for a text; check may be nil.
func (a *wizardAsker) text(ctx context.Context, title, about, proposed string, check func(string) error) (string, error) {
	a.explain(about)
	if a.plain && proposed != "" {
		title += " [" + proposed + "]"
	}
	value := proposed
	field := huh.NewInput().Title(title).Description(sanitize(about)).Value(&value)
	if check != nil {
		field.Validate(func(s string) error {
			if s = strings.TrimSpace(s); a.plain && s == "" {
				s = proposed
			}
			return check(s)
		})
	}
	err := a.run(ctx, field)
	return strings.TrimSpace(value), err
}

// choose asks for one of a list, which can be searched with /.
func (a *wizardAsker) choose(ctx context.Context, title, about string, list []choice, proposed string, check func(string) error) (string, error) {
	if len(list) == 0 {
		return "", fmt.Errorf("%s: there is nothing to choose from", title)
	}
	i := max(0, slices.IndexFunc(list, func(c choice) bool { return c.value == proposed }))
	value := list[i].value
	if a.plain {
		about = strings.TrimSpace(fmt.Sprintf("%s Enter alone takes %d.", about, i+1))
	}
	a.explain(about)
	field := huh.NewSelect[string]().Title(title).Description(searchable(about, list)).Options(options(list)...).Value(&value)
	if len(list) > manyChoices {
		field.Height(manyChoices + 4)
	}
	if check != nil {
		field.Validate(check)
	}
	return value, a.run(ctx, field)
}

// several asks for one or more of a list.
func (a *wizardAsker) several(ctx context.Context, title, about string, list []choice, proposed string, most int) ([]string, error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: there is nothing to choose from", title)
	}
	var values []string
	if proposed != "" {
		values = []string{proposed}
	}
	a.explain(strings.TrimSpace(about + " A number marks or unmarks, and 0 goes on."))
	about = strings.TrimSpace(about + " Mark with x or the space bar.")
	field := huh.NewMultiSelect[string]().Title(title).Description(searchable(about, list)).Options(options(list)...).Limit(most).Value(&values).
		Validate(func(v []string) error {
			if len(v) == 0 {
				return errors.New("mark at least one")
			}
			return nil
		})
	if len(list) > manyChoices {
		field.Height(manyChoices + 4)
	}
	err := a.run(ctx, field)
	return values, err
}

// confirm asks for a yes or a no.
func (a *wizardAsker) confirm(ctx context.Context, title, about string, proposed bool) (bool, error) {
	a.explain(about)
	value := proposed
	err := a.run(ctx, huh.NewConfirm().Title(title).Description(about).Value(&value))
	return value, err
}

func searchable(about string, list []choice) string {
	if len(list) > manyChoices {
		about = strings.TrimSpace(about + " Press / to search.")
	}
	return sanitize(about)
}

func options(list []choice) []huh.Option[string] {
	var out []huh.Option[string]
	for _, c := range list {
		out = append(out, huh.NewOption(sanitize(c.label), c.value))
	}
	return out
}

// run asks one question. Where the context or the input ends meanwhile, nobody waits
// for an answer.
func (a *wizardAsker) run(ctx context.Context, field huh.Field) error {
	keys := a.keys.turn(!a.plain)
	defer keys.end()
	form := huh.NewForm(huh.NewGroup(field)).WithInput(keys).WithOutput(a.out).WithTheme(huh.ThemeFunc(huh.ThemeBase)).WithAccessible(a.plain)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	answered := make(chan error, 1)
	go func() { answered <- form.RunWithContext(ctx) }()
	var err error
	select {
	case err = <-answered:
	case <-keys.ended:
		stop()
		err = a.stopped(answered)
	case <-ctx.Done():
		err = a.stopped(answered)
	}
	switch {
	case errors.Is(err, huh.ErrUserAborted), ctx.Err() != nil:
		return errAborted
	case err != nil:
		return fmt.Errorf("ask at the terminal: %w; give the answers as flags, with --no-input", err)
	}
	return nil
}

// stopped waits for the end of a question that is over. One that is asked line by line
// reads on until the end of the process.
func (a *wizardAsker) stopped(answered <-chan error) error {
	if a.plain {
		return errAborted
	}
	return <-answered
}

// wanted refuses an empty answer.
func wanted(what string) func(string) error {
	return func(s string) error {
		if s == "" {
			return errors.New("want " + what)
		}
		return nil
	}
}

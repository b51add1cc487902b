package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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

// text asks for a text; check may be nil.
func (a *wizardAsker) text(ctx context.Context, title, about, proposed string, check func(string) error) (string, error) {
	value := proposed
	field := huh.NewInput().Title(title).Description(sanitize(about)).Value(&value)
	if check != nil {
		field.Validate(func(s string) error { return check(strings.TrimSpace(s)) })
	}
	err := a.run(ctx, field)
	return strings.TrimSpace(value), err
}

// choose asks for one of a list, which can be searched with /.
func (a *wizardAsker) choose(ctx context.Context, title, about string, list []choice, proposed string, check func(string) error) (string, error) {
	if len(list) == 0 {
		return "", fmt.Errorf("%s: there is nothing to choose from", title)
	}
	value := proposed
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
	about = strings.TrimSpace(about + " Mark with x or the space bar.")
	field := huh.NewMultiSelect[string]().Title(title).Description(searchable(about, list)).Options(options(list)...).Limit(most).Value(&values).
		Validate(func(v []string) error {
			if len(v) == 0 {
				return errors.New("mark at least one, with x or the space bar")
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

// run asks one question. Where the context ends meanwhile, nobody waits for an
// answer.
func (a *wizardAsker) run(ctx context.Context, field huh.Field) error {
	keys := a.keys.turn(!a.plain)
	defer keys.end()
	form := huh.NewForm(huh.NewGroup(field)).WithInput(keys).WithOutput(a.out).WithTheme(huh.ThemeFunc(huh.ThemeBase)).WithAccessible(a.plain)
	answered := make(chan error, 1)
	go func() { answered <- form.RunWithContext(ctx) }()
	var err error
	select {
	case err = <-answered:
	case <-ctx.Done():
		if a.plain {
			return errAborted // whoever reads a line reads on until the end of the process
		}
		err = <-answered
	}
	switch {
	case errors.Is(err, huh.ErrUserAborted), ctx.Err() != nil:
		return errAborted
	case err != nil:
		return fmt.Errorf("ask at the terminal: %w; give the answers as flags, with --no-input", err)
	}
	return nil
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

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"connectroster/internal/app"
	"connectroster/internal/plan"
)

// errChanges ends plan --detailed-exitcode when there is something to do.
var errChanges = errors.New("there are changes")

// perReason is how many people of one action and reason are shown without --all.
const perReason = 20

func planCommand() *cobra.Command {
	var o remoteOptions
	var out string
	var detailed, all bool
	cmd := &cobra.Command{
		Use:   "plan [USER...]",
		Short: "Show what would be done now, and change nothing",
		Long: `Show what would be done now, about everybody or about the people named, by their
Okta id, login or username. Okta and Amazon Connect are read, and nothing is
written to either. The plan is grouped by action and by reason. It names people,
since it is asked to show them.

What is kept back says so: it waits in a hold, somebody put a stay on the person, it
has to be approved, since all removals have to at present or a group is gone or empty,
or there is no place for so many in the windows of the guard. What went in the last
hours is not counted here, so more of what takes access away may be held when it is
about to be made. What will not be done is listed with the reason and what to do about
it. At the end stand the numbers, how many removals and moves may go at once and how
many would be held, and how long it would take at the rate that is configured for
Amazon Connect.

A plan of everybody reads both sides completely: for 10,000 agents that is some
20 calls of SearchUsers and some 50 of Okta's API.

With -o the plan is stored as JSON in a file, for somebody to review and for
connectroster apply FILE. The file holds names, so only its owner can read it.

Exit codes: 0 all went well; 1 something failed; with --detailed-exitcode also
2 there is something to do.`,
		Example: `  connectroster plan
  connectroster plan ana.silva@example.com 00u1abcd2EFGHijkl3m4
  connectroster plan -o monday.json && connectroster apply monday.json
  connectroster plan --detailed-exitcode --json > plan.json || echo "to do, or failed"`,
		Args: arguments(0, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" && cmd.Flags().Changed("out") {
				return usage("--out names no file")
			}
			return o.run(cmd, needsReads, func(ctx context.Context, r *remote, p *printer) error {
				doc, err := r.plan(ctx, args, cmd.ErrOrStderr())
				if err != nil {
					return err
				}
				if out != "" {
					if err := storePlan(out, doc); err != nil {
						return err
					}
				}
				if o.json {
					err = p.json(doc)
				} else {
					p.plan(doc, all || len(args) > 0)
					if out != "" {
						p.line("Stored in ", p.paint(bold, out), ". Carry it out with: connectroster apply ", sanitize(out))
					}
				}
				if err == nil && detailed && len(doc.Changes) > 0 {
					err = errors.Join(p.flush(), errChanges)
				}
				return err
			})
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVarP(&out, "out", "o", "", "store the plan in a `file`")
	f.BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 if there is something to do")
	f.BoolVar(&all, "all", false, fmt.Sprintf("show everybody and all fields, not only the first %d people of each reason", perReason))
	return cmd
}

// plan asks for a plan, about everybody if nobody is named.
func (r *remote) plan(ctx context.Context, people []string, notes io.Writer) (*app.Document, error) {
	if len(people) == 0 && isTerminal(notes) {
		fmt.Fprint(notes, "reading Okta and Amazon Connect ...")
		defer fmt.Fprint(notes, "\r\x1b[K")
	}
	var doc app.Document
	err := r.ask(ctx, http.MethodPost, "/v1/plan", map[string][]string{"people": people}, &doc)
	return &doc, err
}

// storePlan writes a plan to a file, all of it or nothing.
func storePlan(path string, doc *app.Document) error {
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	if err := replaceable(path); err != nil {
		return fmt.Errorf("store the plan: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".connectroster-plan-*") // with mode 0600
	if err != nil {
		return fmt.Errorf("store the plan: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("store the plan: %w", err)
	}
	return nil
}

// replaceable refuses a path at which there is something else than a file, such as
// /dev/null: to write a file all or nothing is to put a new one in its place.
func replaceable(path string) error {
	switch at, err := os.Stat(path); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !at.Mode().IsRegular():
		return fmt.Errorf("%s is there already and is no file that can be replaced; name another one, or print with --json", path)
	}
	return nil
}

// readPlan reads a plan that was stored.
func readPlan(path string) (*app.Document, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	var doc app.Document
	if err := json.Unmarshal(text, &doc); err != nil || doc.Version == 0 {
		return nil, fmt.Errorf("read the plan: %s is no plan that connectroster plan -o has stored", path)
	}
	return &doc, nil
}

// actionSigns are what actions look like, in the order in which they are shown.
var actionSigns = []struct {
	action plan.Action
	sign   string
	colour colour
	done   string
}{
	{plan.Create, "+", green, "to create"},
	{plan.Adopt, "+", green, "to adopt"},
	{plan.Resume, "+", green, "to bring back"},
	{plan.Update, "~", yellow, "to update"},
	{plan.Replace, "±", yellow, "to replace"},
	{plan.Suspend, "-", red, "to suspend"},
	{plan.Delete, "-", red, "to delete"},
	{plan.Release, "-", red, "to release"},
}

// plan prints a plan.
func (p *printer) plan(doc *app.Document, all bool) {
	about := "everybody"
	if len(doc.People) > 0 {
		about = count(len(doc.People), "person", "people")
	}
	p.text(plain, "", 0, fmt.Sprintf("Plan of %s for %s (policy %s, %s mode), taken %s. Looked at %s and %s.",
		about, doc.Name, doc.Policy, doc.Mode, moment(doc.Taken), count(doc.Looked, "person", "people"), count(doc.Agents, "agent", "agents")))
	if doc.First != "" {
		p.text(yellow, "", 0, "Whatever takes access from people would have to be approved: this is "+doc.First+".")
	}
	for _, s := range actionSigns {
		var changes []app.PlannedChange
		for _, c := range doc.Changes {
			if c.Action == s.action {
				changes = append(changes, c)
			}
		}
		if len(changes) == 0 {
			continue
		}
		p.line()
		p.line(p.paint(s.colour, string(s.action)), p.paint(bold, fmt.Sprintf(" %d", len(changes))))
		for _, reason := range grouped(changes, func(c app.PlannedChange) string { return c.Reason }) {
			p.text(faint, "", 2, fmt.Sprintf("%s (%d)", reason.text, len(reason.items)))
			for i, c := range reason.items {
				if i == perReason && !all {
					p.text(faint, "", 4, fmt.Sprintf("and %d more; --all shows everybody", len(reason.items)-i))
					break
				}
				p.change(c, s.sign, s.colour, all)
			}
		}
	}
	p.refusals(doc.Refusals, all)
	p.totals(doc)
}

// change prints one change.
func (p *printer) change(c app.PlannedChange, sign string, paint colour, all bool) {
	who := p.paint(bold, c.Username)
	if c.Username == "" {
		who = p.paint(bold, c.Person)
	}
	if c.Name != "" {
		who += "  " + p.paint(plain, c.Name)
	}
	if c.Instance != "" {
		who += p.paint(faint, "  in "+c.Instance)
	}
	p.line("    ", p.paint(paint, sign), " ", who)
	if c.Action != plan.Create || all {
		p.differences(8, c.Differences)
	}
	if c.Guard != "" {
		p.text(yellow, "", 8, c.Guard)
	}
}

// differences prints what becomes of the fields of an agent.
func (p *printer) differences(indent int, list []plan.Difference) {
	var rows []row
	for _, d := range list {
		text := fmt.Sprintf("%s -> %s", cmp.Or(d.Before, "nothing"), cmp.Or(d.After, "nothing"))
		if d.Before == "" {
			text = d.After
		}
		rows = append(rows, row{cells: []string{fieldName(d.Field), text}, colours: []colour{faint}})
	}
	p.table(indent, rows)
}

// fieldName is a field for people.
func fieldName(f plan.Field) string { return strings.ReplaceAll(string(f), "_", " ") }

// refusals prints what will not be done. That people without an agent are to have
// none is no news, so they are only counted.
func (p *printer) refusals(refusals []app.PlannedRefusal, all bool) {
	var shown []app.PlannedRefusal
	none, exempt := 0, 0
	for _, r := range refusals {
		switch {
		case all || r.Agent != "":
		case r.Code == plan.NotEntitled:
			none++
			continue
		case r.Code == plan.Exempt: // whose agent may well be wanted
			exempt++
			continue
		}
		shown = append(shown, r)
	}
	if len(shown) > 0 {
		p.line()
		p.line(p.paint(cyan, "refused"), p.paint(bold, fmt.Sprintf(" %d", len(shown))))
	}
	for _, code := range grouped(shown, func(r app.PlannedRefusal) string { return string(r.Code) }) {
		p.text(faint, "", 2, fmt.Sprintf("%s (%d)", code.text, len(code.items)))
		p.text(plain, "  to do:", 9, code.items[0].Remedy)
		for i, r := range code.items {
			if i == perReason && !all {
				p.text(faint, "", 4, fmt.Sprintf("and %d more; --all shows everybody", len(code.items)-i))
				break
			}
			who := cmp.Or(r.Username, r.Person)
			if r.Instance != "" {
				who += " in " + r.Instance
			}
			p.line("    ", p.paint(cyan, "!"), " ", p.paint(bold, who))
			p.text(plain, "", 8, r.Reason)
		}
	}
	var without []string
	if none > 0 {
		without = append(without, "No agent is wanted, and there is none, for "+count(none, "person", "people"))
	}
	if exempt > 0 {
		without = append(without, count(exempt, "person is", "people are")+" exempt and without an agent")
	}
	if len(without) > 0 {
		p.line()
		p.text(faint, "", 0, strings.Join(without, "; ")+"; --all shows them.")
	}
}

// totals prints the numbers, and how long it would take.
func (p *printer) totals(doc *app.Document) {
	p.line()
	var parts []string
	for _, s := range actionSigns {
		if n := doc.Counts[s.action]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s.done))
		}
	}
	if len(parts) == 0 {
		p.text(bold, "", 0, "There is nothing to do.")
		return
	}
	text := strings.Join(parts, ", ") + "."
	if n := len(heldBack(doc)); n > 0 {
		text += fmt.Sprintf(" %d of these kept back.", n)
	}
	p.text(bold, "", 0, text)
	if f := doc.Forecast; f != nil && f.Held > 0 {
		p.text(yellow, "", 0, foreseen(f))
	}
	p.text(plain, "", 0, effort(doc))
}

// foreseen says what the guard would make of a plan.
func foreseen(f *app.Forecast) string {
	if f.Go == 0 {
		return "No removal or move may go at once; " + strconv.Itoa(f.Held) + " would be held for approval."
	}
	return fmt.Sprintf("%s may go at once, %d more would be held for approval.", count(f.Go, "removal or move", "removals and moves"), f.Held)
}

// effort says how long a plan would take, and which operation it waits for.
func effort(doc *app.Document) string {
	operation, n := slowest(doc.Calls)
	all := total(doc.Calls)
	text := "At the configured rate this takes " + approximately(doc.ETA) + ": " + count(all, "call", "calls")
	if n == all {
		return fmt.Sprintf("%s of %s.", text, operation)
	}
	return fmt.Sprintf("%s, %d of them %s, the slowest.", text, n, operation)
}

func heldBack(doc *app.Document) []app.PlannedChange {
	var out []app.PlannedChange
	for _, c := range doc.Changes {
		if c.Guard != "" {
			out = append(out, c)
		}
	}
	return out
}

func total(calls map[string]int) int {
	n := 0
	for _, c := range calls {
		n += c
	}
	return n
}

// slowest is the operation with the most calls, since each has a rate of its own:
// of several the one that writes.
func slowest(calls map[string]int) (operation string, n int) {
	reads := func(name string) bool {
		return strings.HasPrefix(name, "Describe") || strings.HasPrefix(name, "List") || strings.HasPrefix(name, "Search") || strings.HasPrefix(name, "Get")
	}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		if calls[name] > n || calls[name] == n && reads(operation) && !reads(name) {
			operation, n = name, calls[name]
		}
	}
	return operation, n
}

// bundle is what has one text in common.
type bundle[T any] struct {
	text  string
	items []T
}

// grouped bundles items by a text: the largest bundle first.
func grouped[T any](items []T, by func(T) string) []bundle[T] {
	at := map[string]int{}
	var out []bundle[T]
	for _, item := range items {
		text := by(item)
		i, ok := at[text]
		if !ok {
			i = len(out)
			at[text] = i
			out = append(out, bundle[T]{text: text})
		}
		out[i].items = append(out[i].items, item)
	}
	slices.SortStableFunc(out, func(a, b bundle[T]) int {
		return cmp.Or(cmp.Compare(len(b.items), len(a.items)), cmp.Compare(a.text, b.text))
	})
	return out
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"connectroster/internal/app"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

func explainCommand() *cobra.Command {
	var o remoteOptions
	cmd := &cobra.Command{
		Use:   "explain USER",
		Short: "Show why somebody has the agent that they have",
		Long: `Show all that is known about one person, given by Okta id, login or username, or by
the id in Amazon Connect or the present username of an agent of theirs, be it a
retired one, and why: their groups and the rules that name them, what each rule made
of the person, where each field of the agent comes from and who decides about it,
what would be changed or is refused, what keeps it back, what waits in the queue, and
the last entries of the journal.

Okta and Amazon Connect are read now; nothing is written. The answer shows names and
what stands in the person's profile, since it is asked to.

Exit codes: 0 all went well; 1 something failed, or nobody knows the person.`,
		Example: `  connectroster explain ana.silva@example.com
  connectroster explain 00u1abcd2EFGHijkl3m4 --json`,
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, needsReads, func(ctx context.Context, r *remote, p *printer) error {
				var e app.Explained
				if err := r.ask(ctx, http.MethodGet, "/v1/people/"+url.PathEscape(args[0])+"/explain", nil, &e); err != nil {
					return err
				}
				if o.json {
					return p.json(e)
				}
				p.explained(&e)
				return nil
			})
		},
	}
	o.flags(cmd)
	return cmd
}

// explained prints what is known of a person.
func (p *printer) explained(e *app.Explained) {
	head := row{cells: []string{cmp.Or(e.Username, e.Person)}, colours: []colour{bold, plain, plain, plain}}
	if e.Name != "" {
		head.cells = append(head.cells, e.Name)
	}
	if e.Username != "" {
		head.colours[len(head.cells)] = faint
		head.cells = append(head.cells, e.Person)
	}
	head.cells = append(head.cells, strings.ToLower(string(e.Status))+" in Okta")
	p.head(2, head)
	for _, i := range e.Instances {
		p.explainedInstance(&i)
	}
	if e.Stay != nil {
		p.heading("Stay")
		p.text(yellow, "", 2, fmt.Sprintf("to be left as they are until %s, says %s: %s", moment(e.Stay.Until), e.Stay.Who, e.Stay.Why))
	}
	if len(e.Holds) > 0 {
		p.heading("Held")
		for _, h := range e.Holds {
			p.text(yellow, "", 2, fmt.Sprintf("%s in %s since %s (%s): %s; held: %s", h.Action, h.Hold, moment(h.Created), entryState(h, e.Taken), h.Reason, h.Cause))
			if entryState(h, e.Taken) == string(reconcile.HoldWaiting) {
				p.text(cyan, "", 2, "to do: connectroster holds show "+h.Hold+" tells how to decide")
			}
		}
	}
	if q := e.Queue; q != nil && q.State != reconcile.StateIdle {
		p.heading("Queue")
		text := string(q.State)
		if q.State == reconcile.StateDead {
			text = "given up"
		}
		if q.Attempts > 0 {
			text += ", after " + count(q.Attempts, "failed attempt", "failed attempts")
		}
		if q.State == reconcile.StateWaiting {
			text += ", due " + moment(q.Due)
		}
		if q.Reason != "" {
			text += ": " + q.Reason
		}
		p.text(plain, "", 2, text)
		if q.State == reconcile.StateDead {
			p.text(cyan, "", 2, "to do: mend the cause, then connectroster dead replay "+e.Person)
		}
	}
	if len(e.Journal) > 0 {
		p.heading("Journal, newest first")
		p.entries(e.Journal, false)
	}
}

func (p *printer) heading(text string) {
	p.line()
	p.line(p.paint(bold, text))
}

func (p *printer) explainedInstance(i *app.ExplainedInstance) {
	title := "Agent"
	if i.Instance != "" {
		title = "Agent in " + i.Instance
	}
	p.heading(title)
	if i.Absent != "" {
		p.text(yellow, "", 2, "could not be read: "+i.Absent)
		return
	}
	verdict := row{cells: []string{"is to have one", "no: " + i.Why}, colours: []colour{faint}}
	if i.Entitled {
		verdict.cells[1] = "yes: " + i.Why
	}
	rows := []row{verdict}
	if i.Exempt != "" {
		rows = append(rows, row{cells: []string{"never touched", i.Exempt}, colours: []colour{faint, yellow}})
	}
	has := "none"
	if i.Agent != "" {
		has = fmt.Sprintf("%s, %s", i.Agent, i.State)
		if !i.Since.IsZero() {
			has += " since " + moment(i.Since)
		}
	}
	rows = append(rows, row{cells: []string{"has", has}, colours: []colour{faint}})
	if i.Persona != "" {
		rows = append(rows, row{cells: []string{"persona", i.Persona + ", by " + i.By}, colours: []colour{faint}})
	}
	p.table(2, rows)
	p.explainedRules(i)
	p.explainedFields(i)
	p.explainedPlan(i)
}

func (p *printer) explainedRules(i *app.ExplainedInstance) {
	var rows []row
	for _, g := range i.Groups {
		by := slices.Clone(g.Rules)
		for _, rule := range g.Not {
			by = append(by, rule+" under not")
		}
		rows = append(rows, row{cells: []string{cmp.Or(g.Name, g.ID), cmp.Or(strings.Join(by, ", "), "no rule names it")}, colours: []colour{plain, faint}})
	}
	if len(rows) > 0 {
		p.line("  ", p.paint(faint, "groups"))
		p.table(4, rows)
	}
	rows = nil
	for _, r := range i.Rules {
		mark, c, text := "no", faint, r.Why
		if r.Matched {
			mark, c = "yes", green
		}
		if r.Persona != "" {
			text += "; gives the persona " + r.Persona
		}
		if len(r.Sets) > 0 && r.Matched {
			var sets []string
			for _, f := range r.Sets {
				sets = append(sets, fieldName(f))
			}
			text += "; sets " + strings.Join(sets, ", ")
		}
		var names []string
		for name, value := range r.Captures {
			names = append(names, name+" = "+value)
		}
		if len(names) > 0 {
			slices.Sort(names)
			text += "; " + strings.Join(names, ", ")
		}
		rows = append(rows, row{cells: []string{mark, r.Rule, text}, colours: []colour{c}})
	}
	if len(rows) > 0 {
		p.line("  ", p.paint(faint, "rules that match"))
		p.table(4, rows)
	}
}

func (p *printer) explainedFields(i *app.ExplainedInstance) {
	if len(i.Fields) == 0 {
		return
	}
	p.line("  ", p.paint(faint, "fields"))
	for _, f := range i.Fields {
		value := cmp.Or(f.Wanted, "nothing")
		if f.Found != f.Wanted && i.Agent != "" {
			value = fmt.Sprintf("%s; the rules say %s", cmp.Or(f.Found, "nothing"), value)
		}
		p.table(4, []row{{cells: []string{fmt.Sprintf("%-18s", fieldName(f.Field)), value}, colours: []colour{bold}}})
		authority := string(f.Authority)
		if len(f.Allowed) > 0 {
			authority += " [" + strings.Join(f.Allowed, ", ") + "]"
		}
		text := authority + "; " + f.Meaning
		if len(f.From) > 0 {
			text = "by " + strings.Join(f.From, " and ") + "; " + text
		}
		p.text(faint, "", 24, text)
	}
}

func (p *printer) explainedPlan(i *app.ExplainedInstance) {
	for _, c := range i.Changes {
		p.text(yellow, "", 2, fmt.Sprintf("would %s: %s", c.Action, c.Reason))
	}
	for _, r := range i.Refusals {
		p.text(cyan, "", 2, fmt.Sprintf("refused (%s): %s", r.Code, r.Reason))
		if r.Code != plan.NotEntitled || r.Agent != "" {
			p.text(plain, "  to do:", 9, i.Remedies[r.Code])
		}
	}
	if len(i.Changes)+len(i.Refusals) == 0 {
		p.text(green, "", 2, "nothing to do")
	}
	var calls []string
	for operation, n := range i.Calls {
		calls = append(calls, fmt.Sprintf("%s %d", operation, n))
	}
	if len(calls) > 0 {
		slices.Sort(calls)
		p.text(faint, "", 2, "would call "+strings.Join(calls, ", "))
	}
}

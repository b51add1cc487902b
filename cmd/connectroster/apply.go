package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"connectroster/internal/app"
	"connectroster/internal/plan"
)

func applyCommand() *cobra.Command {
	var o remoteOptions
	var only []string
	var yes, all bool
	cmd := &cobra.Command{
		Use:   "apply [FILE]",
		Short: "Carry out a plan",
		Long: `Carry out a plan: one that connectroster plan -o has stored, or with no file the
present one, of everybody or with --only of the people named. The plan is shown
first, and somebody at the terminal has to agree; where there is none, give --yes.

A stored plan is worked out anew before it is shown. If what would be done now differs
from it, nothing is changed, and only what differs is shown.

The daemon then looks at each person concerned, does what is right at that moment
and journals it. One person who cannot be finished does not stop the others. What
takes access away keeps to the guard as ever: it may be held for approval, which is
no failure. The command waits until everybody is settled; when it is interrupted,
what was asked for goes on.

With --offline the workers run in this process until everybody is settled.

Exit codes: 0 all went well; 1 something failed, the plan is stale, nobody agreed,
or somebody was refused or given up.`,
		Example: `  connectroster apply monday.json
  connectroster apply --only ana.silva@example.com
  connectroster apply --yes --json > outcome.ndjson`,
		Args: arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && len(only) > 0 {
				return usage("--only is for a new plan; the one in the file says whom it is about")
			}
			if len(only) == 0 && cmd.Flags().Changed("only") { // else nobody would be everybody
				return usage("--only names nobody")
			}
			if o.json && !yes {
				return usage("--json asks nobody; give --yes as well")
			}
			return o.run(cmd, needsWork, func(ctx context.Context, r *remote, p *printer) error {
				doc, err := r.planToApply(ctx, cmd, args, only)
				if err != nil {
					return err
				}
				c := carrying{path: "/v1/apply", body: app.ApplyRequest{Plan: doc.Stored()}, json: o.json}
				show := func() { p.plan(doc, all || len(only) > 0) }
				switch {
				case len(doc.Changes) == 0 && len(args) == 0 && o.json:
					return p.jsonLine(app.Line{Summary: &app.Summary{Results: map[app.Result]int{}, Actions: map[plan.Action]int{}}})
				case len(doc.Changes) == 0 && len(args) == 0:
					show()
					return nil
				case o.json:
				case yes && len(args) > 0: // the daemon says first whether it is stale
					c.begin = show
				case len(args) > 0:
					if err := r.fresh(ctx, p, doc); err != nil {
						return err
					}
					show()
				default:
					show()
				}
				if err := p.flush(); err != nil {
					return err
				}
				if err := agree(cmd, yes, fmt.Sprintf("This will look at %s again and do what is right then.", count(len(doc.Changes), "person", "people"))); err != nil {
					return err
				}
				return r.carry(ctx, p, c)
			})
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringSliceVar(&only, "only", nil, "plan for these people alone, by Okta id, login or `username`; may be repeated")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	f.BoolVar(&all, "all", false, "show everybody and all fields of the plan")
	return cmd
}

// planToApply gives the plan in the file, or a new one.
func (r *remote) planToApply(ctx context.Context, cmd *cobra.Command, args, only []string) (*app.Document, error) {
	if len(args) > 0 {
		return readPlan(args[0])
	}
	return r.plan(ctx, only, cmd.ErrOrStderr())
}

// fresh fails if a stored plan is stale, and shows in what.
func (r *remote) fresh(ctx context.Context, p *printer, doc *app.Document) error {
	err := r.ask(ctx, http.MethodPost, "/v1/apply", app.ApplyRequest{Plan: doc.Stored(), Check: true}, nil)
	return p.ifStale(err, false)
}

// ifStale shows in what a plan is stale, if err says so, and gives it back.
func (p *printer) ifStale(err error, asJSON bool) error {
	var problem *problemError
	if errors.As(err, &problem) && problem.status == http.StatusConflict {
		p.stale(problem.problem.Differs, asJSON)
		err = errors.Join(err, p.flush())
	}
	return err
}

// agree wants a yes from somebody at the terminal.
func agree(cmd *cobra.Command, yes bool, text string) error {
	if yes {
		return nil
	}
	asker := newAsker(cmd.InOrStdin(), cmd.ErrOrStderr())
	if !asker.present() {
		return errors.New("nobody can be asked here, so nothing was changed; give --yes to go on")
	}
	return asker.confirm(text)
}

// carrying is something that is carried out and told about in a stream.
type carrying struct {
	path  string
	body  any
	json  bool
	begin func() // called once it has begun; may be nil
}

// carry has something carried out and shows how that goes. It fails if anybody
// needs somebody's attention.
func (r *remote) carry(ctx context.Context, p *printer, c carrying) error {
	t := teller{printer: p, json: c.json, terminal: isTerminal(p.raw), told: time.Now()}
	err := r.follow(ctx, c.path, c.body, func(l app.Line) {
		if c.begin != nil {
			c.begin()
			c.begin = nil
		}
		t.line(l)
	})
	t.wipe()
	if err = errors.Join(p.ifStale(err, c.json), p.flush()); err != nil {
		return err
	}
	if t.summary.Failed() > 0 {
		return errReported
	}
	return nil
}

// stale shows in what a stored plan differs from what would be done now.
func (p *printer) stale(differs []app.Difference, asJSON bool) {
	if asJSON {
		_ = p.json(map[string]any{"differs": differs})
		return
	}
	p.line(p.paint(bold, "What differs from the plan:"))
	var rows []row
	for i, d := range differs {
		if i == perReason {
			rows = append(rows, row{cells: []string{fmt.Sprintf("and %d more", len(differs)-i)}})
			break
		}
		who := d.Username
		if who == "" {
			who = d.Person
		}
		if d.Instance != "" {
			who += " in " + d.Instance
		}
		rows = append(rows, row{cells: []string{string(d.Action), who, map[string]string{
			"new": "is not in the plan", "gone": "is not to be done any more", "changed": "would be done otherwise",
		}[d.State]}, colours: []colour{yellow, bold}})
	}
	p.table(2, rows)
}

// teller shows a stream: a bar at a terminal, and elsewhere a line now and then.
type teller struct {
	*printer
	json     bool
	terminal bool
	drawn    bool
	told     time.Time // when progress was last told
	total    int
	summary  app.Summary
}

func (t *teller) line(l app.Line) {
	if l.Summary != nil {
		t.summary = *l.Summary
	}
	if t.json {
		_ = t.jsonLine(l)
		_ = t.flush()
		return
	}
	switch {
	case l.Progress != nil:
		t.progress(*l.Progress)
	case l.Outcome != nil:
		t.outcome(*l.Outcome)
	case l.Summary != nil:
		t.wipe()
		t.sum(*l.Summary)
	}
	_ = t.flush()
}

// jsonLine prints one line of JSON.
func (p *printer) jsonLine(l app.Line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	_, err = p.out.WriteString(sanitizeJSON(string(text)) + "\n")
	return err
}

// tellEvery is the time between two lines of progress where there is no terminal.
const tellEvery = 10 * time.Second

func (t *teller) progress(now app.Progress) {
	t.total = now.Total
	if !t.terminal {
		if now.Done < now.Total && time.Since(t.told) >= tellEvery {
			t.told = time.Now()
			t.printer.line(fmt.Sprintf("%d of %d settled, %s left", now.Done, now.Total, approximately(now.ETA)))
		}
		return
	}
	if now.Done == now.Total {
		t.wipe()
		return
	}
	bar := max(10, min(40, t.width-40))
	full := 0
	if now.Total > 0 {
		full = bar * now.Done / now.Total
	}
	fmt.Fprintf(t.out, "\r\x1b[K[%s%s] %d/%d  %s left", strings.Repeat("#", full), strings.Repeat(".", bar-full), now.Done, now.Total, lasting(now.ETA))
	t.drawn = true
}

func (t *teller) wipe() {
	if t.drawn {
		fmt.Fprint(t.out, "\r\x1b[K")
		t.drawn = false
	}
}

// resultColours are what results look like.
var resultColours = map[app.Result]colour{
	app.ResultDone: green, app.ResultHeld: yellow, app.ResultStayed: yellow, app.ResultWaiting: yellow,
	app.ResultRefused: cyan, app.ResultFailed: red, app.ResultDead: red,
}

// outcome prints how it ended for a person; of many, only those where something
// is to be said.
func (t *teller) outcome(o app.Settled) {
	if o.Result == app.ResultDone && t.total > perReason {
		return
	}
	t.wipe()
	who := o.Username
	if who == "" {
		who = o.Person
	}
	var did []string
	for _, a := range o.Actions {
		did = append(did, string(a))
	}
	text := strings.Join(did, ", ")
	switch {
	case text == "":
		text = o.Reason
	case o.Reason != "":
		text += "; " + o.Reason
	}
	t.printer.line(t.paint(resultColours[o.Result], fmt.Sprintf("%-8s", o.Result)), t.paint(bold, who))
	t.text(plain, "", 10, text)
}

func (t *teller) sum(s app.Summary) {
	if s.Total == 0 {
		t.text(green, "", 0, "There is nobody to do it for.")
		return
	}
	var parts []string
	for _, result := range slices.Sorted(maps.Keys(s.Results)) {
		parts = append(parts, fmt.Sprintf("%d %s", s.Results[result], result))
	}
	if len(parts) == 0 {
		parts = []string{"nobody"}
	}
	c := green
	if s.Failed() > 0 {
		c = red
	}
	t.text(c, "", 0, fmt.Sprintf("%s settled in %s: %s.", count(s.Total, "person", "people"), lasting(s.Took), strings.Join(parts, ", ")))
}

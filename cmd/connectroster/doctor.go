package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"connectroster/internal/app"
	"connectroster/internal/config"
	"connectroster/internal/doctor"
	"connectroster/internal/remedy"
	"connectroster/internal/sqlite"
)

// doctorOptions are the flags of doctor.
type doctorOptions struct {
	config string
	socket string
	url    string
	json   bool
	color  string
}

func doctorCommand() *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything, and say what to do about what is wrong",
		Long: `Look at everything that has to be right, and say of each thing what was seen and,
where it is not right, what to do: the configuration, the database and its disk, the
clock; in Okta the credential with its scopes and its admin role, the groups, the app
and the event hook; in Amazon Connect the credentials, the instance, its identity
type, what the policy allows, every profile that is named, and the quota of users;
and the people: usernames that cannot be, agents that others made, orphans, dead
letters, holds, and whether the daemon keeps up.

It works with or without a running daemon. Nothing is written to Okta, to Amazon
Connect or to the database, of which a copy is read where no daemon has it. Whether
agents may be created is asked by a call of CreateUser that cannot succeed. People
are named by their Okta ids. In hook-only mode Okta is asked if OKTA_API_TOKEN is
set.

A check that makes no sense before another one is mended is left out. The code of a
finding leads to more: connectroster help CODE.

Exit codes: 0 nothing failed, though there may be warnings; 1 something failed, or
was interrupted.`,
		Example: `  connectroster doctor
  connectroster doctor --url https://roster.example.com/hooks/okta
  connectroster doctor --json | jq -r '.results[] | select(.state == "fail") | .code'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "connectroster.yaml", "the configuration `file`")
	f.StringVar(&o.socket, "socket", "", "the `path` of the daemon's socket, in place of that of the configuration")
	f.StringVar(&o.url, "url", "", "the https `address` at which Okta reaches connectroster, in place of okta.hook.url; without either, what the hook in Okta calls is taken for it")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.StringVar(&o.color, "color", "auto", "colours: auto, always or never; auto is for terminals, unless NO_COLOR is set")
	return cmd
}

// run looks at everything and prints it.
func (o *doctorOptions) run(cmd *cobra.Command) error {
	p, err := newPrinter(cmd.OutOrStdout(), o.color)
	if err != nil {
		return err
	}
	show := &diagnosis{printer: p, notes: cmd.ErrOrStderr(), silent: o.json}
	report, err := o.examine(cmd.Context(), show.result, show.looking)
	show.looking("")
	if o.json {
		if printed := p.json(report); printed != nil {
			return printed
		}
	} else {
		show.end(report)
	}
	if printed := p.flush(); printed != nil {
		return printed
	}
	switch {
	case err != nil:
		return err
	case report.State == doctor.Fail:
		return errReported
	}
	return nil
}

// examine runs all checks. Without a configuration there is only one.
func (o *doctorOptions) examine(ctx context.Context, tell func(doctor.Result), looking func(string)) (doctor.Report, error) {
	var cfg *config.Config
	load := config.LoadCheck(o.config, os.Getenv, func(c *config.Config) { cfg = c })
	report, err := doctor.Run(ctx, []doctor.Check{load}, tell)
	if err != nil || cfg == nil {
		return report, err
	}
	socket := cmp.Or(o.socket, cfg.Socket)
	daemon := remoteAt(socket)
	defer func() { _ = daemon.close() }()
	store := sqlite.Examine(cfg.Store.SQLite)
	defer func() { _ = store.Close() }()
	checks, begin := store.Checks, func(ctx context.Context) (*remote, error) { return onScratch(ctx, cfg, store) }
	if cfg.Store.OnAWS() {
		checks, begin = tableChecks(cfg), func(ctx context.Context) (*remote, error) { return alone(ctx, cfg, needsStore, io.Discard) }
	}
	var without *remote
	defer func() {
		if without != nil {
			_ = without.close()
		}
	}()
	looking("daemon")
	cfg.Socket = socket
	e := app.Examine(ctx, app.ExaminationConfig{
		Config: cfg, Version: version(), HookURL: o.url, OktaToken: os.Getenv("OKTA_API_TOKEN"), Store: checks, Daemon: daemon.ask,
		Alone: func(ctx context.Context) (app.Ask, error) {
			var err error
			if without, err = begin(ctx); err != nil {
				return nil, err
			}
			return without.ask, nil
		},
	})
	defer e.Close()
	all := e.Checks(ctx)
	for i, c := range all {
		all[i].Run = func(ctx context.Context) []doctor.Finding {
			looking(strings.TrimSpace(c.Name + " " + c.About))
			return c.Run(ctx)
		}
	}
	rest, err := doctor.Run(ctx, all, tell)
	for _, r := range rest.Results {
		report.Add(r)
	}
	return report, err
}

// onScratch serves the API in process, on a store that is thrown away.
func onScratch(ctx context.Context, cfg *config.Config, store *sqlite.Examination) (*remote, error) {
	scratch, err := store.Scratch(ctx)
	if err != nil {
		return nil, fmt.Errorf("open a copy of the database: %w", err)
	}
	a, err := app.New(ctx, app.Config{Config: cfg, Backend: scratch, Version: version(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, errors.Join(err, scratch.Close())
	}
	offline := app.NewOffline(a)
	return &remote{client: &http.Client{Transport: offline}, close: func() error {
		offline.Stop()
		return scratch.Close()
	}}, nil
}

// diagnosis prints results as they come.
type diagnosis struct {
	*printer
	notes   io.Writer
	silent  bool
	skipped []doctor.Result
	last    doctor.Result // that was printed
	drawn   bool
}

// looking says at the terminal what is being looked at.
func (d *diagnosis) looking(at string) {
	if d.silent || !isTerminal(d.notes) {
		return
	}
	if d.drawn {
		fmt.Fprint(d.notes, "\r\x1b[K")
	}
	if d.drawn = at != ""; d.drawn {
		fmt.Fprint(d.notes, "looking at "+sanitize(at)+" ...")
	}
}

// stateColours are what states look like.
var stateColours = map[doctor.State]colour{doctor.OK: green, doctor.Warn: yellow, doctor.Fail: red, doctor.Skipped: faint}

// checkColumns is how wide the names of checks are.
const checkColumns = 20

// result prints one result. What was skipped is told at the end, in one line for
// each thing that has to be mended first.
func (d *diagnosis) result(r doctor.Result) {
	d.looking("")
	if d.silent {
		return
	}
	if r.State == doctor.Skipped {
		d.skipped = append(d.skipped, r)
		return
	}
	name := strings.TrimSpace(r.Check + " " + r.About)
	head := d.paint(stateColours[r.State], fmt.Sprintf("%-4s", r.State)) + "  "
	at := 6
	if d.width >= 80 {
		cut := cutTo(sanitize(name), checkColumns)
		head += d.paint(bold, cut) + strings.Repeat(" ", checkColumns-columns(cut)+2)
		at += checkColumns + 2
		d.lastCell(head, at, plain, r.Seen)
	} else {
		d.line(head, d.paint(bold, name))
		d.text(plain, "", at, r.Seen)
	}
	again := r.Code == d.last.Code && r.Do == d.last.Do
	if r.Do != "" && !again {
		d.text(cyan, "", at, "to do: "+r.Do)
	}
	if r.State != doctor.OK && !again {
		d.text(faint, "", at, "more: connectroster help "+r.Code)
	}
	d.last = r
	_ = d.flush() // the end tells whether that works
}

// end prints what was left out, and the numbers.
func (d *diagnosis) end(report doctor.Report) {
	for _, group := range grouped(d.skipped, func(r doctor.Result) string { return r.Seen }) {
		var names []string
		for _, r := range group.items {
			names = append(names, strings.TrimSpace(r.Check+" "+r.About))
		}
		d.text(faint, "skip", 6, group.text+": "+strings.Join(names, ", "))
	}
	d.line()
	colour := stateColours[report.State]
	parts := []string{fmt.Sprintf("%d ok", report.OK)}
	if report.Warn > 0 {
		parts = append(parts, count(report.Warn, "warning", "warnings"))
	}
	if report.Fail > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", report.Fail))
	}
	if report.Skipped > 0 {
		parts = append(parts, fmt.Sprintf("%d not looked at", report.Skipped))
	}
	d.text(colour, "", 0, strings.Join(parts, ", ")+".")
}

// withCode gives the text of an error with the code by which connectroster help
// tells more about it. Faults of a configuration say all there is to say, in lines
// that editors read.
func withCode(err error) string {
	var faults config.Faults
	code := remedy.CodeOf(err)
	if code == "" || errors.As(err, &faults) {
		return err.Error()
	}
	return err.Error() + " [" + code + "]"
}

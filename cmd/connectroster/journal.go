package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"connectroster/internal/app"
	"connectroster/internal/reconcile"
	"connectroster/internal/remedy"
)

// followEvery is the time between two looks for new entries.
const followEvery = time.Second

func journalCommand() *cobra.Command {
	var o remoteOptions
	var kind, since string
	var limit int
	var follow, verify bool
	cmd := &cobra.Command{
		Use:   "journal [USER]",
		Short: "Show what was done and refused, or verify that nobody changed the record",
		Long: `Show the journal, of everybody or of one person, newest first: each change, refusal,
failure and hold, and each decision that somebody made, with the reason, what asked
for it and who. Entries name people by their Okta ids; --json also holds how the
agent was before and after.

--follow shows the last entries oldest first and then each new one, until it is
interrupted.

--verify checks that no entry was changed, taken out, moved or cut off: the entries
of each person are a chain of hashes, and the ends of all chains are tied together
every day. It prints how many entries of how many chains hold, or the first bad one.
Nothing is written.

Exit codes: 0 all went well; 1 something failed, or the journal was tampered with.`,
		Example: `  connectroster journal --limit 20
  connectroster journal ana.silva@example.com --since 7d --kind change
  connectroster journal --follow
  connectroster journal --verify --offline`,
		Args: arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := entryQuery{kind: kind, limit: limit}
			if len(args) > 0 {
				q.person = args[0]
			}
			switch {
			case verify && (follow || kind != "" || since != ""):
				return usage("--verify checks all entries; it goes with no other choice")
			case follow && o.offline:
				return usage("--follow needs a daemon: offline nothing new is written")
			case limit < 1 || limit > 10_000:
				return usage("--limit %d: want 1 to 10000", limit)
			}
			var err error
			if q.since, err = pastTime(since, time.Now()); err != nil {
				return err
			}
			if err := checkKind(kind); err != nil {
				return err
			}
			return o.run(cmd, needsStore, func(ctx context.Context, r *remote, p *printer) error {
				switch {
				case verify:
					return r.verify(ctx, p, q.person, o.json)
				case follow:
					return r.followJournal(ctx, p, q, o.json)
				}
				entries, err := r.journal(ctx, q)
				if err != nil {
					return err
				}
				if o.json {
					return p.json(entries)
				}
				p.entries(entries, q.person == "")
				return nil
			})
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&kind, "kind", "", "only entries of this `kind`: "+strings.Join(entryKinds(), ", "))
	f.StringVar(&since, "since", "", "only entries since a `time` such as 2026-11-25T08:00:00Z, or for so long: 12h, 7d")
	f.IntVar(&limit, "limit", 100, "at most so many `entries`")
	f.BoolVarP(&follow, "follow", "f", false, "go on with what is new")
	f.BoolVar(&verify, "verify", false, "check that the journal is as it was written")
	return cmd
}

func entryKinds() []string {
	return []string{
		string(reconcile.EntryChange), string(reconcile.EntryRefusal), string(reconcile.EntryFailure),
		string(reconcile.EntryHold), string(reconcile.EntryApproved), string(reconcile.EntryRejected),
		string(reconcile.EntryStay), string(reconcile.EntryDropped), string(reconcile.EntryForgotten),
	}
}

func checkKind(kind string) error {
	if kind == "" || slices.Contains(entryKinds(), kind) {
		return nil
	}
	return usage("--kind %q: want one of %s", kind, strings.Join(entryKinds(), ", "))
}

// pastTime reads a time, or how long ago it was.
func pastTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if at, err := time.Parse(time.DateOnly, text); err == nil {
		return at, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, usage("--since %q: want a time such as 2026-11-25T08:00:00Z, a day such as 2026-11-25, or how long, such as 12h or 7d", text)
}

// entryQuery selects entries.
type entryQuery struct {
	person, kind string
	since        time.Time
	before       int64
	after        int64
	limit        int
}

func (q entryQuery) path() string {
	v := url.Values{"limit": {strconv.Itoa(q.limit)}}
	if q.person != "" {
		v.Set("person", q.person)
	}
	if q.kind != "" {
		v.Set("kind", q.kind)
	}
	if q.before > 0 {
		v.Set("before", strconv.FormatInt(q.before, 10))
	}
	if q.after > 0 {
		v.Set("after", strconv.FormatInt(q.after, 10))
	}
	return "/v1/journal?" + v.Encode()
}

// journal gives entries, newest first.
func (r *remote) journal(ctx context.Context, q entryQuery) ([]reconcile.Entry, error) {
	var entries []reconcile.Entry
	if err := r.ask(ctx, http.MethodGet, q.path(), nil, &entries); err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(entries, func(e reconcile.Entry) bool { return e.Time.Before(q.since) }); i >= 0 {
		entries = entries[:i]
	}
	return entries, nil
}

// followJournal shows entries as they come.
func (r *remote) followJournal(ctx context.Context, p *printer, q entryQuery, asJSON bool) error {
	newest, err := r.newest(ctx) // first, so that what comes meanwhile is shown
	if err != nil {
		return err
	}
	entries, err := r.journal(ctx, q)
	if err != nil {
		return err
	}
	slices.Reverse(entries)
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		for _, e := range entries {
			newest = max(newest, e.Seq)
			if asJSON {
				if err := p.json(e); err != nil {
					return err
				}
				continue
			}
			p.entries([]reconcile.Entry{e}, q.person == "")
		}
		if err := p.flush(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		q.after, q.limit = newest, 1000
		if newest == 0 {
			q.after = 0
		}
		entries = nil
		if err := r.ask(ctx, http.MethodGet, q.path(), nil, &entries); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // interrupted, which is how it ends
			}
			return err
		}
		if q.after == 0 {
			slices.Reverse(entries)
		}
	}
}

// newest gives the number of the newest entry of all.
func (r *remote) newest(ctx context.Context) (int64, error) {
	entries, err := r.journal(ctx, entryQuery{limit: 1})
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	return entries[0].Seq, nil
}

// verify checks the journal.
func (r *remote) verify(ctx context.Context, p *printer, person string, asJSON bool) error {
	var v app.Verified
	if err := r.ask(ctx, http.MethodPost, "/v1/journal/verify", map[string]string{"person": person}, &v); err != nil {
		return err
	}
	var err error
	switch {
	case asJSON:
		err = p.json(v)
	case v.OK:
		p.text(green, "", 0, fmt.Sprintf("%s of %s hold.", count(v.Entries, "entry", "entries"), count(v.Chains, "chain", "chains")))
	default:
		who := "tying the chains together"
		if v.Person != "" {
			who = "of person " + v.Person
		}
		p.text(red, "", 0, fmt.Sprintf("Entry %d %s is not genuine: %s. %s before it hold.", v.Seq, who, v.Reason, count(v.Entries, "entry", "entries")))
		p.text(cyan, "", 0, "To do: "+remedy.For("journal_broken").Do+".")
	}
	if err == nil && !v.OK {
		err = errors.Join(p.flush(), errReported)
	}
	return err
}

// entries prints entries of the journal.
func (p *printer) entries(entries []reconcile.Entry, people bool) {
	for _, e := range entries {
		what, c := entryWhat(e)
		head := row{cells: []string{fmt.Sprintf("%7d  %s", e.Seq, moment(e.Time)), what}, colours: []colour{faint, c, bold}}
		if people && e.Person != "" {
			head.cells = append(head.cells, e.Person)
		}
		if e.Instance != "" {
			head.colours = append(head.colours[:len(head.cells)], faint)
			head.cells = append(head.cells, "in "+e.Instance)
		}
		p.head(9, head)
		text := e.Reason
		if e.Error != "" {
			text += ": " + e.Error
		}
		p.text(plain, "", 9, text)
		var about []string
		for _, part := range []struct{ name, text string }{
			{"agent", e.Agent}, {"trigger", string(e.Trigger)}, {"by", e.By}, {"hold", e.Hold}, {"event", e.Event},
		} {
			if part.text != "" {
				about = append(about, part.name+" "+part.text)
			}
		}
		if len(e.Fields) > 0 {
			var names []string
			for _, f := range e.Fields {
				names = append(names, fieldName(f))
			}
			about = append(about, "wrote "+strings.Join(names, ", "))
		}
		p.text(faint, "", 9, strings.Join(about, "; "))
	}
}

// entryWhat says in a word or two what an entry is about.
func entryWhat(e reconcile.Entry) (string, colour) {
	switch e.Kind {
	case reconcile.EntryChange:
		return string(e.Action), green
	case reconcile.EntryRefusal:
		return "refused " + string(e.Code), cyan
	case reconcile.EntryFailure:
		what := "failed to " + string(e.Action)
		if e.Code != "" {
			what += " (" + string(e.Code) + ")"
		}
		return what, red
	case reconcile.EntryHold:
		return "held " + string(e.Action), yellow
	}
	return strings.TrimSpace(string(e.Kind) + " " + cmp.Or(string(e.Action), "")), yellow
}

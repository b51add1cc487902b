package reconcile_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// mistake is one that somebody might build into the product. Nil changes nothing.
type mistake struct {
	parts func(*reconcile.Config)
	facts func(reconcile.Facts) reconcile.Facts
	inner func(reconcile.Instance) reconcile.Instance // in the adapter
	blind string                                      // searches whose path holds this find nothing
}

// port puts the mistake into the adapter, if it is one there.
func (m mistake) port(to reconcile.Instance) reconcile.Instance {
	if m.inner == nil {
		return to
	}
	return m.inner(to)
}

// buildable is a mistake and the mode in which it shows.
type buildable struct {
	mistake
	hookOnly bool
	upsert   bool
	by       string // what the finding says; empty: any will do
	scene    string // the history that shows it, where random ones seldom do
}

func (b buildable) mode() mode {
	switch {
	case b.hookOnly:
		return mode{policy: plan.CreateOnly}
	case b.upsert:
		return mode{api: true, policy: plan.UpsertOnly}
	}
	return mode{api: true, policy: plan.Sync}
}

// mistakes are those that the model must find.
var mistakes = map[string]buildable{
	"a page loses its last request": feedFault(func(p *reconcile.Page, _ error) error {
		p.Requests = p.Requests[:max(len(p.Requests)-1, 0)]
		return nil
	}),
	"an error of the log is taken for its end": feedFault(func(*reconcile.Page, error) error { return nil }),
	"a gap is passed over": feedFault(func(_ *reconcile.Page, err error) error {
		if errors.Is(err, reconcile.ErrGap) {
			return nil
		}
		return err
	}),
	"an answer before storing":   {mistake: mistake{parts: func(c *reconcile.Config) { c.Queue = hastyQueue{c.Queue} }}},
	"everything is done":         {mistake: mistake{parts: func(c *reconcile.Config) { c.Queue = easyQueue{c.Queue} }}},
	"the intent is not stored":   {mistake: mistake{parts: func(c *reconcile.Config) { c.Intents = noIntents{c.Intents} }}},
	"nothing is looked up":       {mistake: mistake{parts: func(c *reconcile.Config) { c.Index = noIndex{} }}},
	"the journal is not written": {mistake: mistake{parts: func(c *reconcile.Config) { c.Journal = noJournal{c.Journal} }}},
	"the status does not count":  personFault(func(p *plan.Person) { p.Status = plan.StatusActive }),
	"membership does not count": {mistake: mistake{parts: func(c *reconcile.Config) {
		group := c.Settings.Rules[len(c.Settings.Rules)-1].When.Groups[0].Text
		c.Directory = someDirectory{c.Directory, func(p *plan.Person) { p.Groups = append(p.Groups, plan.Group{ID: group}) }}
	}}},
	"names are in the wrong order": personFault(func(p *plan.Person) { p.FirstName, p.LastName = p.LastName, p.FirstName }),
	"a list is cut":                {mistake: mistake{parts: func(c *reconcile.Config) { c.Directory = shortDirectory{c.Directory} }}},
	"the last rule wins":           {mistake: mistake{parts: func(c *reconcile.Config) { slices.Reverse(c.Settings.Rules) }}},
	"usernames in lower case": applyFault(func(c *plan.Change, apply func() (string, error)) (string, error) {
		after := *c.After
		after.Username = strings.ToLower(after.Username)
		c.After = &after
		return apply()
	}),
	"a lost answer is taken for success": applyFault(func(_ *plan.Change, apply func() (string, error)) (string, error) {
		id, err := apply()
		if _, waits := reconcile.AsAfter(err); err != nil && !waits && !errors.Is(err, reconcile.ErrTaken) && !reconcile.IsTerminal(err) {
			return "somebody", nil
		}
		return id, err
	}),
	"a taken name is taken over": {mistake: mistake{parts: func(c *reconcile.Config) { c.Instances[0].Instance = greedy{c.Instances[0].Instance} }}},
	"removals are forgotten":     {hookOnly: true, mistake: mistake{facts: func(f reconcile.Facts) reconcile.Facts { return staleFacts{f} }}},
	"the hook does not store":    {hookOnly: true, mistake: mistake{parts: func(c *reconcile.Config) { c.Queue = forgetfulQueue{c.Queue} }}},
}

// TestModelCatches plays histories over a product with a mistake in it, each of
// which the model must find, by the finding that is named with it.
func TestModelCatches(t *testing.T) {
	t.Parallel()
	const most = 400
	all := maps.Clone(mistakes)
	maps.Copy(all, mistakesOfLife)
	for name, m := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, generator := newBench(t), histories(40)
			if m.scene != "" {
				h, err := parseHistory(m.scene)
				if err != nil {
					t.Fatal(err)
				}
				if err := play(t.Context(), b, m.mode(), mistake{}, h); err != nil {
					t.Fatalf("without the mistake: %v", err)
				}
				finding, ok := m.shows(play(t.Context(), b, m.mode(), m.mistake, h))
				if t.Logf("found by its scene: %.200s", finding); !ok {
					t.Error("not found")
				}
				return
			}
			for n := range most {
				h := generator.Example(n + 1)
				if finding, ok := m.shows(play(t.Context(), b, m.mode(), m.mistake, h)); ok {
					t.Logf("found by history %d: %.200s", n+1, finding)
					if err := play(t.Context(), b, m.mode(), mistake{}, h); err != nil {
						t.Errorf("without the mistake: %v\n%s", err, h)
					}
					return
				}
			}
			t.Errorf("not found by %d histories", most)
		})
	}
}

// shows gives the finding that shows the mistake.
func (b buildable) shows(err error) (finding string, ok bool) {
	if err == nil {
		return "nothing", false
	}
	for line := range strings.Lines(err.Error()) {
		if strings.Contains(line, b.by) {
			return line, true
		}
	}
	return err.Error(), false
}

// in gives the mistake a scene.
func (b buildable) in(scene string) buildable {
	b.scene = scene
	return b
}

// feedFault changes what becomes of each page.
func feedFault(change func(*reconcile.Page, error) error) buildable {
	return buildable{mistake: mistake{parts: func(c *reconcile.Config) { c.Feed = someFeed{c.Feed, change} }}}
}

type someFeed struct {
	reconcile.Feed
	change func(*reconcile.Page, error) error
}

func (f someFeed) Events(ctx context.Context, cursor string, since time.Time) (reconcile.Page, error) {
	page, err := f.Feed.Events(ctx, cursor, since)
	if err = f.change(&page, err); err == nil && page.Next == "" {
		page.Next = cursor
	}
	return page, err
}

// personFault changes everybody who is read.
func personFault(change func(*plan.Person)) buildable {
	return buildable{mistake: mistake{parts: func(c *reconcile.Config) { c.Directory = someDirectory{c.Directory, change} }}}
}

type someDirectory struct {
	reconcile.Directory
	change func(*plan.Person)
}

func (d someDirectory) Person(ctx context.Context, id string) (plan.Person, error) {
	p, err := d.Directory.Person(ctx, id)
	if err == nil {
		d.change(&p)
	}
	return p, err
}

type shortDirectory struct{ reconcile.Directory }

func (d shortDirectory) People(ctx context.Context) iter.Seq2[plan.Person, error] {
	return func(yield func(plan.Person, error) bool) {
		var held *plan.Person
		for p, err := range d.Directory.People(ctx) {
			if err != nil {
				yield(p, err)
				return
			}
			if held != nil && !yield(*held, nil) {
				return
			}
			held = &p
		}
	}
}

// applyFault changes how a change is made.
func applyFault(apply func(*plan.Change, func() (string, error)) (string, error)) buildable {
	return buildable{mistake: mistake{parts: func(c *reconcile.Config) {
		real := c.Instances[0].Instance
		c.Instances[0].Instance = applyFunc{real, func(ctx context.Context, change plan.Change) (string, error) {
			return apply(&change, func() (string, error) { return real.Apply(ctx, change) })
		}}
	}}}
}

// greedy takes whoever has a wanted username for the person's own agent.
type greedy struct{ reconcile.Instance }

func (g greedy) Apply(ctx context.Context, change plan.Change) (string, error) {
	id, err := g.Instance.Apply(ctx, change)
	if errors.Is(err, reconcile.ErrTaken) {
		if holder, err := g.Holder(ctx, change.After.Username); err == nil {
			return holder.ID, nil
		}
	}
	return id, err
}

type hastyQueue struct{ reconcile.Queue }

func (q hastyQueue) Enqueue(ctx context.Context, requests ...reconcile.Request) error {
	_ = q.Queue.Enqueue(ctx, requests...)
	return nil
}

type forgetfulQueue struct{ reconcile.Queue }

func (q forgetfulQueue) Enqueue(ctx context.Context, requests ...reconcile.Request) error {
	return q.Queue.Enqueue(ctx, requests[:len(requests)/2]...)
}

type easyQueue struct{ reconcile.Queue }

func (q easyQueue) Settle(ctx context.Context, w reconcile.Work, _ reconcile.Verdict) error {
	return q.Queue.Settle(ctx, w, reconcile.Verdict{State: reconcile.Done})
}

type noIntents struct{ reconcile.Intents }

func (noIntents) SaveIntent(context.Context, reconcile.Intent) error { return nil }

type noIndex struct{}

func (noIndex) Agents(context.Context, string) ([]reconcile.Known, error) {
	return nil, nil
}
func (noIndex) Remember(context.Context, ...reconcile.Known) error { return nil }
func (noIndex) Forget(context.Context, string, string) error       { return nil }
func (noIndex) Rebuild(context.Context, string, time.Time, []reconcile.Known) error {
	return nil
}
func (noIndex) Owned(context.Context, string) (int, map[string]int, error) { return 0, nil, nil }

type noJournal struct{ reconcile.Journal }

func (noJournal) Record(context.Context, reconcile.Entry) error { return nil }

type staleFacts struct{ known reconcile.Facts }

func (f staleFacts) AllFacts(ctx context.Context) iter.Seq2[reconcile.Fact, error] {
	return f.known.AllFacts(ctx)
}

func (f staleFacts) Facts(ctx context.Context, person string) ([]reconcile.Fact, error) {
	facts, err := f.known.Facts(ctx, person)
	for i := range facts {
		facts[i].Member = true
	}
	return facts, err
}

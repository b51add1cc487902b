package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"connectroster/internal/connect"
	"connectroster/internal/plan"
	"connectroster/internal/remedy"
)

// target is the instance as its client is told.
func (w *wizard) target() connect.Config {
	return connect.Config{Instance: w.instance, Region: w.region, Profile: w.profile, Deployment: "init", AllowLoopback: w.allowLoopback}
}

// pickInstance picks an instance that can be worked with, and reads what it has.
func (w *wizard) pickInstance(ctx context.Context) error {
	if w.instance == "" {
		if err := w.chooseInstance(ctx); err != nil {
			return err
		}
	}
	var err error
	if w.offered, err = readOffering(ctx, w.target()); err != nil {
		return w.loopbackHint(err)
	}
	if w.offered.unusable != nil {
		return w.offered.unusable
	}
	delete(w.offered.catalog.SecurityProfiles, "Admin") // see checkSecurity
	w.say.text(faint, "", 0, fmt.Sprintf("Amazon Connect: %s, identity type %s, %d routing profiles, %d security profiles",
		cmp.Or(w.offered.Alias, w.offered.ID), w.offered.Identity, len(w.offered.RoutingProfiles), len(w.offered.SecurityProfiles)))
	return nil
}

// loopbackHint names the flag of init for what an adapter calls by the key of the
// configuration.
func (w *wizard) loopbackHint(err error) error {
	if !w.allowLoopback && strings.Contains(err.Error(), "allow_loopback") {
		return fmt.Errorf("%w (--allow-loopback)", err)
	}
	return err
}

func (w *wizard) chooseInstance(ctx context.Context) error {
	all, err := connect.List(ctx, w.target())
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case remedy.CodeOf(err) == "aws_denied": // one that is named may be allowed all the same
		w.instance, err = w.ask.text(ctx, "Amazon Connect instance, by its id or ARN", "They cannot be listed: "+err.Error(), "", wanted("an id or ARN"))
		return err
	case err != nil:
		return w.loopbackHint(err)
	case len(all) == 0:
		return fmt.Errorf("the account has no Amazon Connect instance in the region %s: name the right one with --region, or other credentials with --profile", w.region)
	}
	var list []choice
	why := map[string]error{}
	first := ""
	for _, i := range all {
		why[i.ID] = i.Unusable()
		note := i.Identity
		if why[i.ID] != nil {
			note += ", cannot be used"
		} else if first == "" {
			first = i.ID
		}
		list = append(list, choice{fmt.Sprintf("%s  (%s)", cmp.Or(i.Alias, i.ID), note), i.ID})
	}
	w.instance, err = w.ask.choose(ctx, "Amazon Connect instance", "Its users have to sign in by SAML, which is how Okta signs them in.", list, first,
		func(id string) error { return why[id] })
	return err
}

// pickPersonas picks who gets what.
func (w *wizard) pickPersonas(ctx context.Context) error {
	first := draft{Name: usualPersona, Group: w.group, Routing: w.routing, Security: w.security}
	if err := w.pick(ctx, &first); err != nil {
		return err
	}
	w.group, w.routing, w.security = first.Group, first.Routing, first.Security
	given := len(w.more) > 0
	for i := range w.more {
		if err := w.pick(ctx, &w.more[i]); err != nil {
			return err
		}
	}
	for w.ask != nil && !given {
		yes, err := w.ask.confirm(ctx, "Is there another kind of agent, such as supervisors?", "Whoever is in both groups is of that kind.", false)
		if err != nil || !yes {
			return err
		}
		var d draft
		taken := []string{usualPersona, parkedPersona}
		for _, m := range w.more {
			taken = append(taken, m.Name)
		}
		d.Name, err = w.ask.text(ctx, "What is it called?", "", "supervisor", func(s string) error {
			if !personaName(s) || slices.Contains(taken, s) {
				return errors.New("want a new name of letters, digits, _ and -")
			}
			return nil
		})
		if err == nil {
			err = w.pick(ctx, &d)
		}
		if err != nil {
			return err
		}
		w.more = append(w.more, d)
	}
	return nil
}

func personaName(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	})
}

// pick completes a persona and checks it against what there is.
func (w *wizard) pick(ctx context.Context, d *draft) (err error) {
	switch {
	case d.Name == "" || !personaName(d.Name):
		return fmt.Errorf("persona %q: want a name of letters, digits, _ and -", d.Name)
	case w.ask == nil && (d.Group == "" || d.Routing == "" || len(d.Security) == 0):
		return fmt.Errorf("persona %s: want group, routing and security, and nobody can be asked here", d.Name)
	}
	if d.Group == "" {
		if d.Group, err = w.chooseGroup(ctx, d.Name); err != nil {
			return err
		}
	}
	if err := w.checkGroup(d.Group); err != nil {
		return err
	}
	if d.Routing == "" {
		d.Routing, err = w.chooseRouting(ctx, d.Name, "")
	}
	if err == nil && len(d.Security) == 0 {
		d.Security, err = w.chooseSecurity(ctx, d.Name, "")
	}
	if err != nil {
		return err
	}
	return errors.Join(w.checkRouting(d.Routing), w.checkSecurity(d.Security))
}

func (w *wizard) chooseRouting(ctx context.Context, persona, why string) (string, error) {
	names := offerNames(w.offered.catalog.RoutingProfiles)
	return w.ask.choose(ctx, "Routing profile of the persona "+persona, why, choices(names), likely(names, persona), nil)
}

func (w *wizard) chooseSecurity(ctx context.Context, persona, why string) ([]string, error) {
	names := offerNames(w.offered.catalog.SecurityProfiles)
	return w.ask.several(ctx, "Security profiles of the persona "+persona, why, choices(names), likely(names, persona), 10)
}

// likely is what of the names probably suits a persona.
func likely(names []string, persona string) string {
	words := map[string][]string{usualPersona: {"Basic Routing Profile", "Agent"}, parkedPersona: {"Parked", "No permissions"}}[persona]
	for _, name := range names {
		if slices.Contains(words, name) {
			return name
		}
	}
	return ""
}

func (w *wizard) checkRouting(name string) error {
	if _, ok := w.offered.catalog.RoutingProfiles.Find(name); ok {
		return nil
	}
	return unknownIn("the instance", "routing profile", name, offerNames(w.offered.catalog.RoutingProfiles))
}

// checkSecurity leaves Admin to those who write it down by hand.
func (w *wizard) checkSecurity(names []string) error {
	for _, name := range names {
		if strings.EqualFold(name, "Admin") {
			return errors.New("the security profile Admin may do everything in the instance, so init gives it to nobody: add it by hand, with allow_admin")
		}
		if _, ok := w.offered.catalog.SecurityProfiles.Find(name); !ok {
			return unknownIn("the instance", "security profile", name, offerNames(w.offered.catalog.SecurityProfiles))
		}
	}
	return nil
}

// unknownIn says of a name that it is none, and which there are.
func unknownIn(where, what, name string, known []string) error {
	const most = 12
	text := fmt.Sprintf("%s has no %s %q", where, what, name)
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return fmt.Errorf("%s; did you mean %q?", text, k)
		}
	}
	if len(known) == 0 {
		return errors.New(text + ", nor any that this credential may see")
	}
	quoted := make([]string, 0, most)
	for _, k := range known[:min(len(known), most)] {
		quoted = append(quoted, strconv.Quote(k))
	}
	if more := len(known) - most; more > 0 {
		quoted = append(quoted, fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%s; there are %s", text, strings.Join(quoted, ", "))
}

// pickParked picks what suspended agents are. Amazon Connect cannot switch an
// agent off, so there has to be something without queues and permissions.
func (w *wizard) pickParked(ctx context.Context) (err error) {
	const why = "Amazon Connect cannot switch an agent off. Suspended agents get a routing profile without queues and a security profile without permissions."
	if w.ask != nil && w.parkedRouting == "" && len(w.parkedSecurity) == 0 && w.policy != string(plan.Sync) {
		yes, err := w.ask.confirm(ctx, "Shall there be a persona for suspended agents?", why+" sync needs it; other policies do not use it.", false)
		if err != nil || !yes {
			return err
		}
	} else if w.policy != string(plan.Sync) && w.parkedRouting == "" && len(w.parkedSecurity) == 0 {
		return nil
	}
	if w.ask == nil && (w.parkedRouting == "" || len(w.parkedSecurity) == 0) {
		return usage("--parked-routing-profile and --parked-security-profile go together")
	}
	if w.parkedRouting == "" {
		w.parkedRouting, err = w.chooseRouting(ctx, parkedPersona, why)
	}
	if err == nil && len(w.parkedSecurity) == 0 {
		w.parkedSecurity, err = w.chooseSecurity(ctx, parkedPersona, "One without permissions.")
	}
	if err != nil {
		return err
	}
	return errors.Join(w.checkRouting(w.parkedRouting), w.checkSecurity(w.parkedSecurity))
}

func offerNames(o plan.Offer) []string { return slices.Sorted(maps.Keys(o)) }

package plan_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/rogpeppe/go-internal/txtar"

	"connectroster/internal/plan"
)

// A world and its plan as text, one thing a line:
//
//	-- settings --
//	deployment NAME
//	policy POLICY
//	persona NAME routing=REF security=REF... [allow_admin=true] phone=TYPE [auto_accept=true] [after_contact_work=SECONDS] [desk=NUMBER]
//	rule group=REF... [persona=NAME]
//	-- catalog --
//	routing NAME id=ID
//	security NAME id=ID
//	-- groups --
//	ID NAME
//	-- people --
//	ID USERNAME [first=NAME] [last=NAME] [status=STATUS, else ACTIVE] [in=GROUP-ID]...
//	-- agents --
//	ID USERNAME [owner=PERSON] [deployment=NAME] [state=STATE]
//	-- hidden --
//	USERNAME
//	-- plan --
//	ACTION PERSON [agent=ID] [FIELD=VALUE]...: REASON
//	refuse PERSON CODE username=USERNAME [agent=ID]: REASON
//
// A word with a space in it, or one that cannot be seen, is quoted as in Go.
// Of an agent that changes, the plan shows FIELD=BEFORE->AFTER where they
// differ. Empty lines and lines that start with # count for nothing.

// A line is one line of a section: words, then attributes.
type line struct {
	words []string
	attrs map[string][]string
	read  map[string]bool // attributes that were asked for
}

// value gives an attribute that stands at most once, or the empty string.
func (l *line) value(name string) string {
	if all := l.values(name); len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

func (l *line) values(name string) []string {
	l.read[name] = true
	return l.attrs[name]
}

// done reports attributes that nobody asked for: misspelled ones.
func (l *line) done() error {
	for name, values := range l.attrs {
		if !l.read[name] {
			return fmt.Errorf("unknown attribute %s=%q", name, values)
		}
	}
	return nil
}

// parseLine splits a line into words and name=value attributes.
func parseLine(text string) (*line, error) {
	l := &line{attrs: map[string][]string{}, read: map[string]bool{}}
	for rest := strings.TrimSpace(text); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		name := ""
		if i := strings.IndexAny(rest, "= \t\""); i > 0 && rest[i] == '=' {
			name, rest = rest[:i], rest[i+1:]
		}
		var word string
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, fmt.Errorf("bad quotes in %q", rest)
			}
			if word, err = strconv.Unquote(quoted); err != nil {
				return nil, fmt.Errorf("unquote %s: %w", quoted, err)
			}
			rest = rest[len(quoted):]
		} else {
			word, rest, _ = strings.Cut(rest, " ")
		}
		if name == "" {
			l.words = append(l.words, word)
		} else {
			l.attrs[name] = append(l.attrs[name], word)
		}
	}
	return l, nil
}

// word writes s as parseLine reads it.
func word(s string) string {
	odd := func(r rune) bool { return r == '"' || r == '=' || unicode.IsSpace(r) || !unicode.IsGraphic(r) }
	if s == "" || strings.ContainsFunc(s, odd) || s != strings.ToValidUTF8(s, "") {
		return strconv.Quote(s)
	}
	return s
}

// textCase is a world read from text.
type textCase struct {
	settings plan.Settings
	world    plan.World
	groups   map[string]plan.Group
}

// parseCase reads all sections but the plan.
func parseCase(a *txtar.Archive) (*textCase, error) {
	c := &textCase{
		settings: plan.Settings{Personas: map[string]plan.Persona{}},
		world: plan.World{Catalog: plan.Catalog{
			RoutingProfiles: plan.Offer{}, SecurityProfiles: plan.Offer{},
		}},
		groups: map[string]plan.Group{},
	}
	sections := map[string]func(*line) error{
		"settings": c.setting, "catalog": c.offer, "groups": c.group,
		"people": c.person, "agents": c.agent, "hidden": c.hide,
	}
	for _, f := range a.Files {
		if f.Name == "plan" {
			continue
		}
		read, ok := sections[f.Name]
		if !ok {
			return nil, fmt.Errorf("unknown section %q", f.Name)
		}
		for n, text := range strings.Split(string(f.Data), "\n") {
			if text = strings.TrimSpace(text); text == "" || text[0] == '#' {
				continue
			}
			l, err := parseLine(text)
			if err == nil {
				err = read(l)
			}
			if err == nil {
				err = l.done()
			}
			if err != nil {
				return nil, fmt.Errorf("section %s, line %d: %w", f.Name, n+1, err)
			}
		}
	}
	return c, nil
}

// want checks that a line has n words.
func (l *line) want(n int) error {
	if len(l.words) != n {
		return fmt.Errorf("has the words %q, want %d", l.words, n)
	}
	return nil
}

func (c *textCase) setting(l *line) error {
	if len(l.words) == 0 {
		return errors.New("no keyword")
	}
	switch l.words[0] {
	case "deployment":
		if err := l.want(2); err != nil {
			return err
		}
		c.settings.Deployment = l.words[1]
	case "policy":
		if err := l.want(2); err != nil {
			return err
		}
		c.settings.Policy = plan.Policy(l.words[1])
	case "persona":
		if err := l.want(2); err != nil {
			return err
		}
		phone := plan.Phone{
			Type:       plan.PhoneType(l.value("phone")),
			AutoAccept: l.value("auto_accept") == "true",
			DeskNumber: l.value("desk"),
		}
		if s := l.value("after_contact_work"); s != "" {
			var err error
			if phone.AfterContactWork, err = strconv.Atoi(s); err != nil {
				return fmt.Errorf("after_contact_work: %w", err)
			}
		}
		c.settings.Personas[l.words[1]] = plan.Persona{
			RoutingProfile: l.value("routing"), SecurityProfiles: l.values("security"), AllowAdmin: l.value("allow_admin") == "true", Phone: phone,
		}
	case "rule":
		c.settings.Rules = append(c.settings.Rules, plan.Rule{Groups: l.values("group"), Persona: l.value("persona")})
		return l.want(1)
	default:
		return fmt.Errorf("unknown setting %q", l.words[0])
	}
	return nil
}

func (c *textCase) offer(l *line) error {
	if err := l.want(2); err != nil {
		return err
	}
	switch l.words[0] {
	case "routing":
		c.world.Catalog.RoutingProfiles[l.words[1]] = l.value("id")
	case "security":
		c.world.Catalog.SecurityProfiles[l.words[1]] = l.value("id")
	default:
		return fmt.Errorf("unknown offer %q", l.words[0])
	}
	return nil
}

func (c *textCase) group(l *line) error {
	if err := l.want(2); err != nil {
		return err
	}
	c.groups[l.words[0]] = plan.Group{ID: l.words[0], Name: l.words[1]}
	return nil
}

func (c *textCase) person(l *line) error {
	if err := l.want(2); err != nil {
		return err
	}
	p := plan.Person{
		ID: l.words[0], Username: l.words[1], FirstName: l.value("first"), LastName: l.value("last"),
		Status: plan.StatusActive,
	}
	if status := l.values("status"); len(status) > 0 {
		p.Status = plan.Status(status[0])
	}
	for _, id := range l.values("in") {
		g, ok := c.groups[id]
		if !ok {
			return fmt.Errorf("no group %q", id)
		}
		p.Groups = append(p.Groups, g)
	}
	c.world.People = append(c.world.People, p)
	return nil
}

func (c *textCase) agent(l *line) error {
	if err := l.want(2); err != nil {
		return err
	}
	c.world.Agents = append(c.world.Agents, plan.Agent{
		ID: l.words[0], Username: l.words[1],
		Owner: l.value("owner"), Deployment: l.value("deployment"), State: plan.State(l.value("state")),
	})
	return nil
}

func (c *textCase) hide(l *line) error {
	c.world.Hidden = append(c.world.Hidden, l.words...)
	return l.want(1)
}

// render writes a plan, ordered by person.
func render(p plan.Plan) string {
	type entry struct{ person, text string }
	var entries []entry
	for _, ch := range p.Changes {
		text := fmt.Sprintf("%s %s", ch.Action, word(ch.Person))
		if ch.Agent != "" {
			text += " agent=" + word(ch.Agent)
		}
		for _, f := range fields(ch.Before, ch.After) {
			text += " " + f
		}
		entries = append(entries, entry{ch.Person, text + ": " + ch.Reason})
	}
	for _, r := range p.Refusals {
		text := fmt.Sprintf("refuse %s %s username=%s", word(r.Person), r.Code, word(r.Username))
		if r.Agent != "" {
			text += " agent=" + word(r.Agent)
		}
		entries = append(entries, entry{r.Person, text + ": " + r.Reason})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.person, b.person) })
	var out strings.Builder
	for _, e := range entries {
		out.WriteString(e.text + "\n")
	}
	return out.String()
}

// fields shows what is set in an agent that is new, and what differs in one
// that changes.
func fields(before, after *plan.Agent) []string {
	old, now := attributes(before), attributes(after)
	var out []string
	for i, f := range now {
		switch {
		case before == nil && f.value != "":
			out = append(out, f.name+"="+word(f.value))
		case before != nil && after != nil && f.value != old[i].value:
			out = append(out, f.name+"="+word(old[i].value)+"->"+word(f.value))
		}
	}
	return out
}

type attribute struct{ name, value string }

func attributes(a *plan.Agent) []attribute {
	if a == nil {
		return nil
	}
	auto, work := "", ""
	if a.Phone.AutoAccept {
		auto = "true"
	}
	if a.Phone.AfterContactWork != 0 {
		work = strconv.Itoa(a.Phone.AfterContactWork)
	}
	return []attribute{
		{"username", a.Username},
		{"first", a.FirstName},
		{"last", a.LastName},
		{"routing", a.RoutingProfile},
		{"security", strings.Join(a.SecurityProfiles, ",")},
		{"phone", string(a.Phone.Type)},
		{"auto_accept", auto},
		{"after_contact_work", work},
		{"desk", a.Phone.DeskNumber},
		{"owner", a.Owner},
		{"deployment", a.Deployment},
		{"state", string(a.State)},
	}
}

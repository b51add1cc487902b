package plan_test

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rogpeppe/go-internal/txtar"

	"connectroster/internal/plan"
)

// A world and its plan as text, one thing a line:
//
//	-- settings --
//	deployment NAME
//	policy POLICY
//	persona NAME [instance=NAME] [allow_admin=true] [authority=FIELD:MODE[:REF|REF...]]... [VALUE]...
//	rule [CONDITION]... [persona=NAME] [instance=NAME] [VALUE]...
//	default PERSONA
//	authority FIELD MODE [REF]...
//	exempt [CONDITION]... [person=ID-OR-USERNAME]...
//	leavers [suspend_as=PERSONA]... [delete_after=DURATION]
//	-- catalog --
//	routing|security|hierarchy NAME id=ID
//	attribute NAME [value=VALUE]...
//	-- groups --
//	ID NAME
//	-- people --
//	ID USERNAME [first=NAME] [last=NAME] [status=STATUS, else ACTIVE] [in=GROUP-ID]... [profile=NAME:VALUE]...
//	-- agents --
//	ID USERNAME [owner=PERSON] [deployment=NAME] [state=STATE] [since=TIME] [group=ID] [answer=FIELD:TEXT]... [first=NAME] [last=NAME] [VALUE]...
//	-- tombstones --
//	(as agents)
//	-- hidden --
//	USERNAME
//	-- world --
//	now TIME
//	instance NAME
//	complete
//	adopt PERSON...
//	-- plan --
//	ACTION PERSON [agent=ID] [evidence=EVIDENCE] [group=ID] [FIELD=VALUE]...: REASON
//	refuse PERSON CODE username=USERNAME [agent=ID]: REASON
//	-- explain --
//	(what Explain tells of every person)
//	-- differences --
//	(what the changes do in words, and their counts)
//
// A VALUE is routing=REF, security=REF, hierarchy=REF, skill=ATTRIBUTE:VALUE:LEVEL,
// phone=TYPE, desk=NUMBER, persistent=BOOL, enhancement=KIND,
// auto_accept=[CHANNEL:]BOOL, after_contact_work=[CHANNEL:]SECONDS and tag=KEY:TEXT;
// those of agents hold ids. A CONDITION is group=REF, group=/EXPRESSION/,
// profile=NAME:VALUE|VALUE..., profile=NAME:/EXPRESSION/, when=EXPRESSION, and
// not-group, not-profile and not-when. EXPRESSION is one of those in
// expressions. A suspend_as may be INSTANCE:PERSONA.
//
// A word with a space in it, or one that cannot be seen, is quoted as in Go. A
// line "each NAME=VALUE..." gives attributes to the lines that follow it in its
// section and do not say otherwise. Of an agent that changes, the plan shows
// FIELD=BEFORE->AFTER where they differ, and of one that is replaced also
// parked.FIELD=BEFORE->AFTER. Empty lines and lines that start with # count for
// nothing.

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

// parseCase reads all sections but what is expected.
func parseCase(a *txtar.Archive) (*textCase, error) {
	c := &textCase{
		settings: plan.Settings{
			Personas: map[string]plan.Persona{}, Authority: map[plan.Field]plan.Authority{}, Leavers: plan.Leavers{SuspendAs: map[string]string{}},
		},
		world: plan.World{
			Now:        time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC),
			Tombstones: map[string]plan.Agent{}, Adopt: map[string]bool{},
			Catalog: plan.Catalog{
				RoutingProfiles: plan.Offer{}, SecurityProfiles: plan.Offer{}, Hierarchy: plan.Offer{}, Attributes: map[string][]string{},
			},
		},
		groups: map[string]plan.Group{},
	}
	sections := map[string]func(*line) error{
		"settings": c.setting, "catalog": c.offer, "groups": c.group, "people": c.person,
		"agents": c.agent, "tombstones": c.tombstone, "hidden": c.hide, "world": c.about,
	}
	for _, f := range a.Files {
		if f.Name == "plan" || f.Name == "explain" || f.Name == "differences" {
			continue
		}
		read, ok := sections[f.Name]
		if !ok {
			return nil, fmt.Errorf("unknown section %q", f.Name)
		}
		each := map[string][]string{}
		for n, text := range strings.Split(string(f.Data), "\n") {
			if text = strings.TrimSpace(text); text == "" || text[0] == '#' {
				continue
			}
			l, err := parseLine(text)
			if err == nil && len(l.words) == 1 && l.words[0] == "each" {
				each = l.attrs
				continue
			}
			if err == nil {
				for name, values := range each {
					if _, said := l.attrs[name]; !said {
						l.attrs[name] = values
					}
				}
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
	n := 2
	switch l.words[0] {
	case "rule", "exempt", "leavers":
		n = 1
	case "authority":
		n = max(3, len(l.words))
	}
	if err := l.want(n); err != nil {
		return err
	}
	switch l.words[0] {
	case "deployment":
		c.settings.Deployment = l.words[1]
	case "policy":
		c.settings.Policy = plan.Policy(l.words[1])
	case "default":
		c.settings.DefaultPersona = l.words[1]
	case "authority":
		c.settings.Authority[plan.Field(l.words[1])] = plan.Authority{Mode: plan.Mode(l.words[2]), Allowed: l.words[3:]}
	case "persona":
		return c.persona(l)
	case "rule":
		return c.rule(l)
	case "exempt":
		c.settings.ExemptPeople = append(c.settings.ExemptPeople, l.values("person")...)
		if len(l.attrs) > 1 || l.attrs["person"] == nil {
			when, err := l.condition("")
			c.settings.Exempt = append(c.settings.Exempt, when)
			return err
		}
	case "leavers":
		for _, as := range l.values("suspend_as") {
			instance, persona, found := strings.Cut(as, ":")
			if !found {
				instance, persona = "", as
			}
			c.settings.Leavers.SuspendAs[instance] = persona
		}
		if text := l.value("delete_after"); text != "" {
			var err error
			c.settings.Leavers.DeleteAfter, err = time.ParseDuration(text)
			return err
		}
	default:
		return fmt.Errorf("unknown setting %q", l.words[0])
	}
	return nil
}

func (c *textCase) persona(l *line) error {
	p := plan.Persona{Instance: l.value("instance"), AllowAdmin: l.value("allow_admin") == "true"}
	for _, text := range l.values("authority") {
		parts := strings.SplitN(text, ":", 3)
		if len(parts) < 2 {
			return fmt.Errorf("authority %q: want FIELD:MODE", text)
		}
		a := plan.Authority{Mode: plan.Mode(parts[1])}
		if len(parts) == 3 {
			a.Allowed = strings.Split(parts[2], "|")
		}
		if p.Authority == nil {
			p.Authority = map[plan.Field]plan.Authority{}
		}
		p.Authority[plan.Field(parts[0])] = a
	}
	var err error
	p.Values, err = l.configured()
	c.settings.Personas[l.words[1]] = p
	return err
}

func (c *textCase) rule(l *line) error {
	r := plan.Rule{Name: fmt.Sprintf("rule %d", len(c.settings.Rules)+1), Persona: l.value("persona"), Instance: l.value("instance")}
	var err error
	if r.When, err = l.condition(""); err != nil {
		return err
	}
	v, err := l.configured()
	if !reflect.DeepEqual(v, plan.Values{}) {
		r.Set = &v
	}
	c.settings.Rules = append(c.settings.Rules, r)
	return err
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
	case "hierarchy":
		c.world.Catalog.Hierarchy[l.words[1]] = l.value("id")
	case "attribute":
		c.world.Catalog.Attributes[l.words[1]] = l.values("value")
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
		if !ok && id != "" {
			return fmt.Errorf("no group %q", id)
		}
		if ok {
			p.Groups = append(p.Groups, g)
		}
	}
	for _, text := range l.values("profile") {
		name, value, found := strings.Cut(text, ":")
		if !found {
			return fmt.Errorf("profile %q: want NAME:VALUE", text)
		}
		if p.Profile == nil {
			p.Profile = map[string]any{}
		}
		p.Profile[name] = fromText(value)
	}
	c.world.People = append(c.world.People, p)
	return nil
}

func (c *textCase) agent(l *line) error {
	a, err := l.agent()
	c.world.Agents = append(c.world.Agents, a)
	return err
}

func (c *textCase) tombstone(l *line) error {
	a, err := l.agent()
	c.world.Tombstones[a.ID] = a
	return err
}

func (c *textCase) hide(l *line) error {
	c.world.Hidden = append(c.world.Hidden, l.words...)
	return l.want(1)
}

func (c *textCase) about(l *line) error {
	if len(l.words) == 0 {
		return errors.New("no keyword")
	}
	switch l.words[0] {
	case "now":
		if err := l.want(2); err != nil {
			return err
		}
		var err error
		c.world.Now, err = time.Parse(time.RFC3339, l.words[1])
		return err
	case "instance":
		c.world.Instance = l.words[1]
		return l.want(2)
	case "complete":
		c.world.Complete = true
		return l.want(1)
	case "adopt":
		for _, id := range l.words[1:] {
			c.world.Adopt[id] = true
		}
		return nil
	}
	return fmt.Errorf("unknown word %q", l.words[0])
}

package plan_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectroster/internal/plan"
)

// expressions are those that rules in text can name.
var expressions = map[string]func(plan.Person) (bool, error){
	"quality":    func(p plan.Person) (bool, error) { return p.Profile["department"] == "Quality", nil },
	"longname":   func(p plan.Person) (bool, error) { return len(p.LastName) > 10, nil },
	"always":     func(plan.Person) (bool, error) { return true, nil },
	"impossible": func(plan.Person) (bool, error) { return true, errors.New("cannot compare text\nwith a number") },
	"panics":     func(p plan.Person) (bool, error) { return p.Profile["department"].(int) > 1, nil },
}

// condition reads the attributes of a condition, with a prefix for those of Not.
func (l *line) condition(prefix string) (plan.Condition, error) {
	var c plan.Condition
	for _, text := range l.values(prefix + "group") {
		ref := plan.GroupRef{Text: text}
		var err error
		if ref.Pattern, err = slashed(text); err != nil {
			return c, err
		}
		c.Groups = append(c.Groups, ref)
	}
	for _, text := range l.values(prefix + "profile") {
		name, value, found := strings.Cut(text, ":")
		if !found {
			return c, fmt.Errorf("profile %q: want NAME:VALUE", text)
		}
		a := plan.Attribute{Name: name}
		var err error
		if a.Pattern, err = slashed(value); err != nil {
			return c, err
		}
		if a.Pattern == nil {
			a.In = strings.Split(value, "|")
		}
		c.Profile = append(c.Profile, a)
	}
	if text := l.value(prefix + "when"); text != "" {
		holds, ok := expressions[text]
		if !ok {
			return c, fmt.Errorf("unknown expression %q", text)
		}
		c.When = plan.Expression{Text: text, Holds: holds}
	}
	if prefix == "" {
		not, err := l.condition("not-")
		if len(not.Groups)+len(not.Profile) > 0 || not.When.Holds != nil {
			c.Not = &not
		}
		return c, err
	}
	return c, nil
}

// slashed gives the regular expression between slashes, or nil if there are none.
func slashed(text string) (*regexp.Regexp, error) {
	inner, ok := strings.CutPrefix(text, "/")
	if !ok || !strings.HasSuffix(inner, "/") {
		return nil, nil
	}
	return regexp.Compile(strings.TrimSuffix(inner, "/"))
}

// fromText gives a value of a profile: null, a truth value, a number, a list in
// brackets, or text.
func fromText(text string) any {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		var list []any
		for _, e := range strings.Split(strings.TrimSuffix(inner, "]"), "|") {
			list = append(list, fromText(e))
		}
		return list
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil && text[0] != '+' {
		return n
	}
	switch text {
	case "null":
		return nil
	case "true", "false":
		return text == "true"
	}
	return text
}

// configured reads what a persona or a set says.
func (l *line) configured() (plan.Values, error) {
	var v plan.Values
	var errs []error
	template := func(text string) plan.Template {
		if text == "" {
			return plan.Literal("")
		}
		t, err := plan.ParseTemplate(text)
		errs = append(errs, err)
		return t
	}
	for _, text := range l.values("routing") {
		v.RoutingProfile = template(text)
	}
	v.SecurityProfiles = l.values("security")
	for _, text := range l.values("hierarchy") {
		t := template(text)
		v.Hierarchy = &t
	}
	for _, text := range l.values("skill") {
		attribute, value, level, err := threePart(text)
		errs = append(errs, err)
		v.Proficiencies = append(v.Proficiencies, plan.Skill{Attribute: attribute, Value: template(value), Level: level})
	}
	v.PhoneType = plan.PhoneType(l.value("phone"))
	for _, text := range l.values("desk") {
		v.DeskNumber = template(text)
	}
	for _, text := range l.values("persistent") {
		on := text == "true"
		v.Persistent = &on
	}
	v.Enhancement = plan.Enhancement(l.value("enhancement"))
	for _, text := range l.values("auto_accept") {
		ch, text := onChannel(text)
		if v.AutoAccept == nil {
			v.AutoAccept = map[plan.Channel]bool{}
		}
		v.AutoAccept[ch] = text == "true"
	}
	for _, text := range l.values("after_contact_work") {
		ch, text := onChannel(text)
		if v.AfterContactWork == nil {
			v.AfterContactWork = map[plan.Channel]int{}
		}
		n, err := strconv.Atoi(text)
		errs = append(errs, err)
		v.AfterContactWork[ch] = n
	}
	for _, text := range l.values("tag") {
		key, text, _ := strings.Cut(text, ":")
		if v.Tags == nil {
			v.Tags = map[string]plan.Template{}
		}
		v.Tags[key] = template(text)
	}
	return v, errors.Join(errs...)
}

func onChannel(text string) (plan.Channel, string) {
	if ch, rest, found := strings.Cut(text, ":"); found {
		return plan.Channel(ch), rest
	}
	return plan.Voice, text
}

func threePart(text string) (attribute, value string, level int, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return "", "", 0, fmt.Errorf("skill %q: want ATTRIBUTE:VALUE:LEVEL", text)
	}
	level, err = strconv.Atoi(parts[2])
	return parts[0], parts[1], level, err
}

// agent reads an agent as found, with ids in place of references.
func (l *line) agent() (plan.Agent, error) {
	if err := l.want(2); err != nil {
		return plan.Agent{}, err
	}
	v, err := l.configured()
	a := plan.Agent{
		ID: l.words[0], Username: l.words[1], FirstName: l.value("first"), LastName: l.value("last"),
		RoutingProfile: v.RoutingProfile.Text(), SecurityProfiles: v.SecurityProfiles,
		Phone: plan.Phone{
			Type: v.PhoneType, DeskNumber: v.DeskNumber.Text(), AutoAccept: v.AutoAccept[plan.Voice], AfterContactWork: v.AfterContactWork[plan.Voice],
			Persistent: v.Persistent != nil && *v.Persistent, Enhancement: v.Enhancement,
		},
		Owner: l.value("owner"), Deployment: l.value("deployment"), State: plan.State(l.value("state")), Group: l.value("group"),
	}
	slices.Sort(a.SecurityProfiles)
	if v.Hierarchy != nil {
		a.Hierarchy = v.Hierarchy.Text()
	}
	for _, s := range v.Proficiencies {
		a.Proficiencies = append(a.Proficiencies, plan.Proficiency{Attribute: s.Attribute, Value: s.Value.Text(), Level: s.Level})
	}
	for _, ch := range []plan.Channel{plan.Chat, plan.Task, plan.Email} {
		on, accepts := v.AutoAccept[ch]
		seconds, works := v.AfterContactWork[ch]
		if accepts || works {
			if a.Channels == nil {
				a.Channels = map[plan.Channel]plan.Handled{}
			}
			a.Channels[ch] = plan.Handled{AutoAccept: on, AfterContactWork: seconds}
		}
	}
	for key, t := range v.Tags {
		if a.Tags == nil {
			a.Tags = map[string]string{}
		}
		a.Tags[key] = t.Text()
	}
	for _, text := range l.values("answer") {
		field, text, _ := strings.Cut(text, ":")
		if a.Answers == nil {
			a.Answers = map[plan.Field]string{}
		}
		if text != "" {
			a.Answers[plan.Field(field)] = text
		}
	}
	if text := l.value("since"); text != "" && err == nil {
		a.Since, err = time.Parse(time.RFC3339, text)
	}
	return a, err
}

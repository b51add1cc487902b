package plan_test

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"pgregory.net/rapid"

	"connectroster/internal/plan"
)

var (
	allModes  = []plan.Mode{plan.Enforce, plan.Follow, plan.Initial, plan.Allowed, plan.Ignore, ""}
	allValues = map[string][]string{"language": {"de", "en", "Agents", "Leads"}, "tier": {"1", "2"}}
)

// authority draws who decides about some of the fields.
func authority() *rapid.Generator[map[plan.Field]plan.Authority] {
	return rapid.Custom(func(t *rapid.T) map[plan.Field]plan.Authority {
		out := map[plan.Field]plan.Authority{}
		for _, f := range rapid.SliceOfNDistinct(rapid.SampledFrom(plan.Fields()), 0, 6, rapid.ID).Draw(t, "fields") {
			out[f] = plan.Authority{
				Mode:    rapid.SampledFrom(allModes).Draw(t, "mode"),
				Allowed: rapid.SliceOfN(rapid.SampledFrom([]string{"Basic", "rp-parked", "Agent", "sp-q1", "EMEA", "h-2", "nothing"}), 0, 4).Draw(t, "allowed"),
			}
		}
		return out
	})
}

// template draws text in which something may have to be filled in.
func template(texts ...string) *rapid.Generator[plan.Template] {
	return rapid.Custom(func(t *rapid.T) plan.Template {
		out, err := plan.ParseTemplate(rapid.SampledFrom(texts).Draw(t, "template"))
		if err != nil {
			t.Fatal(err)
		}
		return out
	})
}

// values draws what a persona says, or what a rule sets.
func values(base bool) *rapid.Generator[plan.Values] {
	return rapid.Custom(func(t *rapid.T) plan.Values {
		var v plan.Values
		says := func(what string) bool { return rapid.IntRange(0, 3).Draw(t, what) == 0 }
		if base && !says("no routing") || !base && says("routing") {
			v.RoutingProfile = template("Basic", "rp-basic", "Parked", "Basic", "arn:aws:connect:x:1:instance/i/routing-profile/rp-basic", "basic", "{queue}", "{profile.team}").Draw(t, "routing")
		}
		if base && !says("no security") || !base && says("security") {
			v.SecurityProfiles = rapid.SliceOfN(rapid.SampledFrom([]string{"Agent", "Agent", "sp-agent", "Quality", "Admin", "sp-admin", "QUALITY"}), 1, 4).Draw(t, "security")
		}
		if says("hierarchy") {
			h := template("EMEA", "EMEA/Support", "h-1", "", "{profile.team}").Draw(t, "hierarchy")
			v.Hierarchy = &h
		}
		if says("skills") {
			v.Proficiencies = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) plan.Skill {
				return plan.Skill{
					Attribute: rapid.SampledFrom([]string{"language", "language", "tier", "ghost"}).Draw(t, "attribute"),
					Value:     template("de", "en", "1", "2", "{queue}").Draw(t, "value"), Level: rapid.IntRange(1, 5).Draw(t, "level"),
				}
			}), 1, 3).Draw(t, "skills")
		}
		if says("phone") {
			v.PhoneType = rapid.SampledFrom([]plan.PhoneType{plan.SoftPhone, plan.DeskPhone}).Draw(t, "phone")
			v.DeskNumber = template("+4930123456", "+4930123456", "{profile.phone}", "030").Draw(t, "desk")
		}
		if says("persistent") {
			on := rapid.Bool().Draw(t, "persistent on")
			v.Persistent = &on
		}
		if says("enhancement") {
			v.Enhancement = rapid.SampledFrom([]plan.Enhancement{plan.NoEnhancement, plan.VoiceIsolation}).Draw(t, "enhancement")
		}
		channels := rapid.SampledFrom([]plan.Channel{plan.Voice, plan.Chat, plan.Task, plan.Email})
		if says("auto accept") {
			v.AutoAccept = rapid.MapOfN(channels, rapid.Bool(), 1, 4).Draw(t, "auto accept by channel")
		}
		if says("after work") {
			v.AfterContactWork = rapid.MapOfN(channels, rapid.IntRange(0, 60), 1, 4).Draw(t, "after work by channel")
		}
		if says("tags") {
			v.Tags = rapid.MapOfN(rapid.SampledFrom([]string{"site", "cost"}), template("a", "b", "{profile.team}"), 1, 2).Draw(t, "tags")
		}
		return v
	})
}

// condition draws who is meant. Depth says how many times it may be negated.
func condition(depth int) *rapid.Generator[plan.Condition] {
	return rapid.Custom(func(t *rapid.T) plan.Condition {
		var c plan.Condition
		for _, ref := range rapid.SliceOfN(rapid.SampledFrom([]string{"00g1", "00g2", "Agents", "Leads", "Everyone", "00g6", "00g9", "/^(?P<queue>.*s)$/", "/Queue (?P<queue>.+)/"}), 0, 3).Draw(t, "groups") {
			g := plan.GroupRef{Text: ref}
			if strings.HasPrefix(ref, "/") {
				g.Pattern = patterns[ref]
			}
			c.Groups = append(c.Groups, g)
		}
		if rapid.IntRange(0, 4).Draw(t, "profile") == 0 {
			c.Profile = []plan.Attribute{{Name: rapid.SampledFrom([]string{"team", "department"}).Draw(t, "attribute"), In: []string{"Basic", "5", "Quality"}}}
		}
		if rapid.IntRange(0, 5).Draw(t, "when") == 0 {
			name := rapid.SampledFrom([]string{"always", "quality", "longname", "impossible", "panics"}).Draw(t, "expression")
			c.When = plan.Expression{Text: name, Holds: expressions[name]}
		}
		if depth > 0 && rapid.IntRange(0, 3).Draw(t, "not") == 0 {
			not := condition(depth-1).Draw(t, "negated")
			c.Not = &not
		}
		return c
	})
}

var patterns = map[string]*regexp.Regexp{
	"/^(?P<queue>.*s)$/": regexp.MustCompile(`^(?P<queue>.*s)$`), "/Queue (?P<queue>.+)/": regexp.MustCompile(`Queue (?P<queue>.+)`),
}

// settings draws a few personas, some of which name what does not exist, and all
// policies.
func settings() *rapid.Generator[plan.Settings] {
	return rapid.Custom(func(t *rapid.T) plan.Settings {
		s := plan.Settings{
			Deployment:     rapid.SampledFrom([]string{"production", "production", "production", "production", ""}).Draw(t, "deployment"),
			Policy:         rapid.SampledFrom([]plan.Policy{plan.Sync, plan.Sync, plan.Sync, plan.UpsertOnly, plan.CreateOnly, ""}).Draw(t, "policy"),
			Personas:       map[string]plan.Persona{},
			DefaultPersona: rapid.SampledFrom([]string{"", "", "agent", "ghost", "abroad"}).Draw(t, "default persona"),
			Authority:      authority().Draw(t, "authority"),
		}
		for _, name := range []string{"agent", "lead", "parked", "abroad"} {
			if rapid.IntRange(0, 9).Draw(t, "defined") == 0 {
				continue
			}
			p := plan.Persona{Values: values(true).Draw(t, "values"), AllowAdmin: rapid.Bool().Draw(t, "admin")}
			if name == "abroad" {
				p.Instance = "other"
			}
			if rapid.IntRange(0, 2).Draw(t, "own authority") == 0 {
				p.Authority = authority().Draw(t, "authority")
			}
			s.Personas[name] = p
		}
		if rapid.IntRange(0, 9).Draw(t, "can park") > 0 {
			v := values(true).Draw(t, "parked")
			v.RoutingProfile, v.SecurityProfiles = plan.Literal("Parked"), []string{"None"}
			s.Personas["parked"] = plan.Persona{Values: v}
			s.Leavers.SuspendAs = map[string]string{"": "parked", "other": "parked"}
		}
		s.Leavers.DeleteAfter = rapid.SampledFrom([]time.Duration{0, time.Hour, 7 * 24 * time.Hour}).Draw(t, "grace")
		for i := range rapid.IntRange(0, 5).Draw(t, "rules") {
			r := plan.Rule{
				Name: fmt.Sprintf("rule %d", i+1), When: condition(2).Draw(t, "when"),
				Persona:  rapid.SampledFrom([]string{"agent", "agent", "lead", "parked", "", "", "ghost", "abroad"}).Draw(t, "persona"),
				Instance: rapid.SampledFrom([]string{"", "", "other"}).Draw(t, "instance"),
			}
			if rapid.Bool().Draw(t, "sets") {
				v := values(false).Draw(t, "set")
				r.Set = &v
			}
			s.Rules = append(s.Rules, r)
		}
		if rapid.IntRange(0, 4).Draw(t, "exempts") == 0 {
			s.Exempt = []plan.Condition{condition(1).Draw(t, "exempt")}
			s.ExemptPeople = rapid.SliceOfN(rapid.SampledFrom([]string{"00u1", "ANN@example.com", "bob", ""}), 0, 2).Draw(t, "exempt people")
		}
		return s
	})
}

package okta

import (
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Rule is one group rule of the org.
type Rule struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Status     string   `json:"status"` // ACTIVE, INACTIVE or INVALID
	Expression string   `json:"expression"`
	Groups     []string `json:"groups"` // ids
}

// groupRule puts whoever its expression fits into its groups, as a job, and
// takes those out again whom it put in and who fit no more.
type groupRule struct {
	id, name, status string
	created, updated time.Time
	expression       string
	fits             ruleFilter
	exclude, groups  []string
	made             idset // users whom it fits
	gave             idset // user id and group id of memberships that are its work
}

func (r *groupRule) target() target {
	return target{ID: r.id, Type: "GroupRule", AlternateID: "unknown", DisplayName: r.name}
}

func (r *groupRule) export() Rule {
	return Rule{r.id, r.name, r.status, r.expression, slices.Clone(r.groups)}
}

func (r *groupRule) view() object {
	return object{
		"type": "group_rule", "id": r.id, "status": r.status, "name": r.name, "created": stamp(r.created), "lastUpdated": stamp(r.updated),
		"conditions": object{
			"people":     object{"users": object{"exclude": append([]string{}, r.exclude...)}, "groups": object{"exclude": []string{}}},
			"expression": object{"value": r.expression, "type": "urn:okta:expression:1.0"},
		},
		"actions": object{"assignUserToGroups": object{"groupIds": r.groups}},
	}
}

// applyRules lets every active rule look at a user. A deprovisioned user keeps
// what rules gave.
func (o *Org) applyRules(u *user) {
	if u.status == "DEPROVISIONED" || u.status == "STAGED" {
		return
	}
	for r := range o.rules.all("") {
		if r.status == "ACTIVE" {
			o.applyRule(r, u)
		}
	}
}

func (o *Org) applyRule(r *groupRule, u *user) {
	fits := r.fits(u) && !slices.Contains(r.exclude, u.id)
	switch job := (cause{job: true}); {
	case fits && r.made.add(u.id):
		for _, id := range r.groups {
			if g := o.groups.rows[id]; !g.members.has(u.id) {
				r.gave.add(u.id + id)
				o.join(job, u, g)
			}
		}
	case !fits && r.made.remove(u.id):
		for _, id := range r.groups {
			o.takeBack(r, u, id)
		}
	}
}

// takeBack ends a membership that a rule gave, unless another rule keeps it.
func (o *Org) takeBack(r *groupRule, u *user, group string) {
	if r.gave.remove(u.id+group) && !o.supported(u, group) {
		o.leave(cause{job: true}, u, o.groups.rows[group])
	}
}

// forget drops a deleted user.
func (r *groupRule) forget(user string) {
	r.made.remove(user)
	for _, id := range r.groups {
		r.gave.remove(user + id)
	}
}

// supported reports whether some active rule keeps a user in a group.
func (o *Org) supported(u *user, group string) bool {
	for r := range o.rules.all("") {
		if r.status == "ACTIVE" && r.made.has(u.id) && slices.Contains(r.groups, group) {
			return true
		}
	}
	return false
}

// spoilRules ends the rules that fill a group which is gone.
func (o *Org) spoilRules(group string) {
	for r := range o.rules.all("") {
		if slices.Contains(r.groups, group) {
			r.status, r.made, r.gave = "INVALID", nil, nil
		}
	}
}

// setRule switches a rule. Memberships stay when it is switched off; when it
// is switched on it looks at everybody.
func (o *Org) setRule(c cause, r *groupRule, active bool) error {
	if r.status == "INVALID" {
		return invalid("groupRule", "The rule is invalid: one of its groups is gone")
	}
	if active == (r.status == "ACTIVE") {
		return nil
	}
	r.updated = o.now()
	if !active {
		r.status = "INACTIVE"
		o.emit(c, "group.user_membership.rule.deactivated", nil, r.target())
		return nil
	}
	r.status = "ACTIVE"
	o.emit(c, "group.user_membership.rule.trigger", nil, r.target())
	for u := range o.users.all("") {
		if u.status != "DEPROVISIONED" && u.status != "STAGED" {
			o.applyRule(r, u)
		}
	}
	return nil
}

type ruleBody struct {
	Type       string `json:"type"`
	Name       string `json:"name"`
	Conditions struct {
		People struct {
			Users struct {
				Exclude []string `json:"exclude"`
			} `json:"users"`
		} `json:"people"`
		Expression struct {
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"expression"`
	} `json:"conditions"`
	Actions struct {
		AssignUserToGroups struct {
			GroupIDs []string `json:"groupIds"`
		} `json:"assignUserToGroups"`
	} `json:"actions"`
}

// define checks the whole body and then gives it to a rule. Groups can be set
// only once.
func (o *Org) define(r *groupRule, b *ruleBody) error {
	if n := utf8.RuneCountInString(b.Name); n < 1 || n > 50 {
		return invalid("name", "name: want 1 to 50 characters")
	}
	for other := range o.rules.all("") {
		if other != r && strings.EqualFold(other.name, b.Name) {
			return invalid("name", "name: An object with this field already exists in the current organization")
		}
	}
	if b.Type != "group_rule" || b.Conditions.Expression.Type != "urn:okta:expression:1.0" {
		return invalid("type", "type: want group_rule with an expression of type urn:okta:expression:1.0")
	}
	fits, err := parseRuleFilter(b.Conditions.Expression.Value)
	if err != nil {
		return invalid("expression", "expression: "+err.Error())
	}
	groups := b.Actions.AssignUserToGroups.GroupIDs
	switch {
	case r.id != "" && len(groups) > 0 && !slices.Equal(groups, r.groups):
		return invalid("actions", "actions: The groups of a rule cannot be changed")
	case r.id == "" && len(groups) == 0:
		return invalid("actions", "actions: want at least one group")
	}
	for _, id := range groups {
		if g := o.groups.rows[id]; g == nil || g.kind != "OKTA_GROUP" {
			return invalid("actions", "actions: "+id+" is not a group that rules can fill")
		}
	}
	if r.id == "" {
		r.groups = groups
	}
	r.name, r.expression, r.fits, r.exclude, r.updated = b.Name, b.Conditions.Expression.Value, fits, b.Conditions.People.Users.Exclude, o.now()
	return nil
}

// AddRule creates a group rule and switches it on: whoever the expression fits
// gets into the group, named by id or name.
func (o *Org) AddRule(name, expression, group string) (Rule, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	g, err := o.findGroup(group)
	if err != nil {
		return Rule{}, err
	}
	b := ruleBody{Type: "group_rule", Name: name}
	b.Conditions.Expression.Type, b.Conditions.Expression.Value = "urn:okta:expression:1.0", expression
	b.Actions.AssignUserToGroups.GroupIDs = []string{g.id}
	r, err := o.insertRule(&b)
	if err == nil {
		err = o.setRule(cause{uri: "/api/v1/groups/rules/" + r.id + "/lifecycle/activate"}, r, true)
	}
	if err != nil {
		return Rule{}, err
	}
	return r.export(), nil
}

// SwitchRule switches a rule, named by id or name, on or off.
func (o *Org) SwitchRule(ref string, active bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	r, err := o.findRule(ref)
	if err != nil {
		return err
	}
	return o.setRule(cause{uri: "/api/v1/groups/rules/" + r.id}, r, active)
}

// findRule finds a rule by id or by name.
func (o *Org) findRule(ref string) (*groupRule, error) {
	for r := range o.rules.all("") {
		if r.id == ref || r.name == ref {
			return r, nil
		}
	}
	return nil, notFound(ref, "GroupRule")
}

// Rules returns all group rules in order of creation.
func (o *Org) Rules() []Rule {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := []Rule{}
	for r := range o.rules.all("") {
		out = append(out, r.export())
	}
	return out
}

func (o *Org) insertRule(b *ruleBody) (*groupRule, error) {
	r := &groupRule{status: "INACTIVE", created: o.now()}
	if err := o.define(r, b); err != nil {
		return nil, err
	}
	r.id = o.mint.id("0pr")
	o.rules.put(r.id, r)
	return r, nil
}

func (o *Org) listRules(c *call) (any, error) {
	limit, err := c.limit(50, 200)
	if err != nil {
		return nil, err
	}
	after, err := c.after()
	if err != nil {
		return nil, err
	}
	want := fold(c.r.URL.Query().Get("search"))
	o.mu.Lock()
	defer o.mu.Unlock()
	keep := func(r *groupRule) bool {
		return strings.Contains(fold(r.name), want) || strings.Contains(fold(r.expression), want)
	}
	return paged(c, o.rules.all(after), limit, keep, func(r *groupRule) string { return r.id }, func(r *groupRule) any { return r.view() }), nil
}

// onRule finds the rule of the path. A write is refused while Okta reconciles.
func (o *Org) onRule(c *call, do func(*groupRule) (any, error)) (any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.rules.rows[c.r.PathValue("id")]
	switch {
	case r == nil:
		return nil, notFound(c.r.PathValue("id"), "GroupRule")
	case c.r.Method != http.MethodGet && o.set.RulesBusy:
		return nil, rulesBusy()
	}
	return do(r)
}

func rulesBusy() error {
	return fail(http.StatusLocked, "E0000239", "Policy priorities are being reconciled. Please try again later.")
}

func (o *Org) getRule(c *call) (any, error) {
	return o.onRule(c, func(r *groupRule) (any, error) { return r.view(), nil })
}

func (o *Org) createRule(c *call) (any, error) {
	var b ruleBody
	if err := c.decode(&b); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.set.RulesBusy {
		return nil, rulesBusy()
	}
	r, err := o.insertRule(&b)
	if err != nil {
		return nil, err
	}
	return r.view(), nil
}

func (o *Org) replaceRule(c *call) (any, error) {
	var b ruleBody
	if err := c.decode(&b); err != nil {
		return nil, err
	}
	return o.onRule(c, func(r *groupRule) (any, error) {
		if r.status != "INACTIVE" {
			return nil, invalid("groupRule", "Only an inactive rule can be changed")
		}
		if err := o.define(r, &b); err != nil {
			return nil, err
		}
		return r.view(), nil
	})
}

// deleteRule answers 202. Memberships stay unless removeUsers says otherwise.
func (o *Org) deleteRule(c *call) (any, error) {
	return o.onRule(c, func(r *groupRule) (any, error) {
		o.removeRule(r, c.r.URL.Query().Get("removeUsers") == "true")
		return accepted{}, nil
	})
}

func (o *Org) removeRule(r *groupRule, removeUsers bool) {
	o.rules.remove(r.id)
	if !removeUsers {
		return
	}
	for _, id := range slices.Clone(r.made) {
		for _, group := range r.groups {
			o.takeBack(r, o.users.rows[id], group)
		}
	}
}

func (o *Org) changeRule(c *call) (any, error) {
	verb := c.r.PathValue("verb")
	if verb != "activate" && verb != "deactivate" {
		return nil, fail(http.StatusMethodNotAllowed, "E0000022", "The endpoint does not support the provided HTTP method")
	}
	return o.onRule(c, func(r *groupRule) (any, error) {
		return nil, o.setRule(c.cause(), r, verb == "activate")
	})
}

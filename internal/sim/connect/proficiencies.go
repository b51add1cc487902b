package connect

import (
	"cmp"
	"math"
	"slices"
)

// Proficiency says how good an agent is at a value of a predefined attribute.
type Proficiency struct {
	Attribute string  `json:"AttributeName" wire:"required,min=1,max=100"`
	Value     string  `json:"AttributeValue" wire:"required,min=1,max=100"`
	Level     float64 `json:"Level" wire:"required,min=1,max=5"` // a whole number
}

// proficiencyKey is what an agent holds at most once.
type proficiencyKey struct {
	Attribute string `json:"AttributeName" wire:"required,min=1,max=100"`
	Value     string `json:"AttributeValue" wire:"required,min=1,max=100"`
}

func (p Proficiency) key() proficiencyKey { return proficiencyKey{p.Attribute, p.Value} }

// proficiency finds one that the agent holds, -1 if it does not.
func (a *Agent) proficiency(k proficiencyKey) int {
	return slices.IndexFunc(a.Proficiencies, func(p Proficiency) bool { return p.key() == k })
}

func sortProficiencies(ps []Proficiency) {
	slices.SortFunc(ps, func(p, q Proficiency) int {
		return cmp.Or(cmp.Compare(p.Attribute, q.Attribute), cmp.Compare(p.Value, q.Value))
	})
}

// checkProficiencies refuses what is named twice, unknown values and levels
// between two.
func (in *Instance) checkProficiencies(ps []Proficiency) error {
	seen := make(map[proficiencyKey]bool)
	for _, p := range ps {
		switch {
		case seen[p.key()]:
			return invalidParameter("UserProficiencies name %s %s twice", p.Attribute, p.Value)
		case p.Level != math.Trunc(p.Level) || p.Level < 1 || p.Level > 5:
			return violated("UserProficiencies.Level", "must be one of 1, 2, 3, 4, 5")
		case !in.attributes.has(p.Attribute, p.Value):
			return notFound("The predefined attribute %s has no value %s", p.Attribute, p.Value)
		}
		seen[p.key()] = true
	}
	return nil
}

type proficienciesInput struct {
	userPath
	Proficiencies []Proficiency `json:"UserProficiencies" wire:"required"`
}

func (in *Instance) associateProficiencies(c *call, input *proficienciesInput) (any, error) {
	return in.editProficiencies(c, input.userPath, func(a *Agent) error {
		if err := in.checkProficiencies(input.Proficiencies); err != nil {
			return err
		}
		for _, p := range input.Proficiencies {
			at := a.proficiency(p.key())
			switch {
			case at < 0:
				a.Proficiencies = append(a.Proficiencies, p)
			case in.settings.ProficiencyRepeats == Reject:
				return invalidRequest("The proficiency %s %s is already associated with the user", p.Attribute, p.Value)
			default:
				a.Proficiencies[at] = p
			}
		}
		if q := in.settings.ProficiencyQuota; q > 0 && len(a.Proficiencies) > q {
			return invalidRequest("A user holds at most %d proficiencies", q)
		}
		return nil
	})
}

func (in *Instance) updateProficiencies(c *call, input *proficienciesInput) (any, error) {
	return in.editProficiencies(c, input.userPath, func(a *Agent) error {
		if err := in.checkProficiencies(input.Proficiencies); err != nil {
			return err
		}
		for _, p := range input.Proficiencies {
			at := a.proficiency(p.key())
			if at < 0 {
				return invalidRequest("The proficiency %s %s is not associated with the user", p.Attribute, p.Value)
			}
			a.Proficiencies[at] = p
		}
		return nil
	})
}

type disassociateInput struct {
	userPath
	Proficiencies []proficiencyKey `json:"UserProficiencies" wire:"required"`
}

func (in *Instance) disassociateProficiencies(c *call, input *disassociateInput) (any, error) {
	return in.editProficiencies(c, input.userPath, func(a *Agent) error {
		for _, k := range input.Proficiencies {
			at := a.proficiency(k)
			switch {
			case at >= 0:
				a.Proficiencies = slices.Delete(a.Proficiencies, at, at+1)
			case in.settings.ProficiencyRepeats == Reject:
				return invalidRequest("The proficiency %s %s is not associated with the user", k.Attribute, k.Value)
			}
		}
		return nil
	})
}

// editProficiencies changes a copy of what an agent is good at. The time of
// change of the agent stays; its proficiencies have their own.
func (in *Instance) editProficiencies(c *call, p userPath, change func(*Agent) error) (any, error) {
	return in.rewrite(c, p, in.keep, func(a *Agent) error {
		a.Proficiencies = slices.Clone(a.Proficiencies)
		if err := change(a); err != nil {
			return err
		}
		sortProficiencies(a.Proficiencies)
		a.ProficienciesModified = Epoch{in.now()}
		return nil
	})
}

type listProficienciesInput struct {
	userPath
	page100
}

// listProficiencies never lags.
func (in *Instance) listProficiencies(c *call, input *listProficienciesInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	a, err := in.agent(input.userPath)
	if err != nil {
		return nil, err
	}
	seqs := make([]int64, len(a.Proficiencies))
	for i := range seqs {
		seqs[i] = int64(i + 1)
	}
	from, to, next, err := in.page(c, seqs, input.NextToken, input.MaxResults)
	if err != nil {
		return nil, err
	}
	return struct {
		UserProficiencyList []Proficiency
		NextToken           string `json:",omitempty"`
		LastModifiedTime    Epoch  `json:",omitzero"`
		LastModifiedRegion  string
	}{append([]Proficiency{}, a.Proficiencies[from:to]...), next, a.ProficienciesModified, in.region}, nil
}

// proficient matches the agents with one proficiency for which all conditions
// hold.
func (in *Instance) proficient(c *listCondition) (predicate, error) {
	if c.TargetListType == nil {
		return nil, missing("ListCondition.TargetListType")
	}
	var all []func(Proficiency) bool
	for _, one := range c.Conditions {
		if s := one.StringCondition; s != nil {
			field, compare, err := in.comparison(s, []string{"name", "value"})
			if err != nil {
				return nil, err
			}
			value := *s.Value
			all = append(all, func(p Proficiency) bool {
				if field == "name" {
					return compare(p.Attribute, value)
				}
				return compare(p.Value, value)
			})
		}
		if n := one.NumberCondition; n != nil {
			compare, err := n.comparison()
			if err != nil {
				return nil, err
			}
			all = append(all, func(p Proficiency) bool { return compare(p.Level) })
		}
	}
	return func(a *Agent) bool {
		return slices.ContainsFunc(a.Proficiencies, func(p Proficiency) bool {
			for _, holds := range all {
				if !holds(p) {
					return false
				}
			}
			return true
		})
	}, nil
}

// comparison compares a level with the bounds of a condition. Where one bound
// is meant, either member may give it.
func (c *numberCondition) comparison() (func(float64) bool, error) {
	low, high := c.MinValue, c.MaxValue
	switch {
	case c.FieldName == nil || *c.FieldName != "limit":
		return nil, violated("NumberCondition.FieldName", "must be limit")
	case c.ComparisonType == nil:
		return nil, missing("NumberCondition.ComparisonType")
	case low == nil && high == nil:
		return nil, missing("NumberCondition.MinValue")
	case *c.ComparisonType == "RANGE" && (low == nil || high == nil):
		return nil, invalidParameter("NumberCondition needs MinValue and MaxValue for RANGE")
	}
	least, most := low, high
	if least == nil {
		least = high
	}
	if most == nil {
		most = low
	}
	minimum, maximum := float64(*least), float64(*most)
	return map[string]func(float64) bool{
		"GREATER_OR_EQUAL": func(v float64) bool { return v >= minimum },
		"GREATER":          func(v float64) bool { return v > minimum },
		"LESSER_OR_EQUAL":  func(v float64) bool { return v <= maximum },
		"LESSER":           func(v float64) bool { return v < maximum },
		"EQUAL":            func(v float64) bool { return v == minimum },
		"NOT_EQUAL":        func(v float64) bool { return v != minimum },
		"RANGE":            func(v float64) bool { return v >= minimum && v <= maximum },
	}[*c.ComparisonType], nil
}

package config

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Connection is an instance of Amazon Connect and how it is reached.
type Connection struct {
	Name       string // as under `instances`; empty: the one of `connect`
	Instance   string // id, ARN or alias
	Region     string // may be empty
	Profile    string // of AWS's own configuration; may be empty
	RoleARN    string // to be assumed; may be empty
	ExternalID string // for RoleARN; may be empty
	Rate       float64
	Burst      int
}

// Instances gives the instances of the configuration, ordered by name. There is
// at least one.
func (c *Config) Instances() []Connection {
	connection := func(name string, in Connect) Connection {
		return Connection{name, in.Instance, in.Region, in.Profile, in.RoleARN, c.sealed.externals[name], in.Rate, in.Burst}
	}
	if len(c.Several) == 0 {
		return []Connection{connection("", c.Connect)}
	}
	var out []Connection
	for _, name := range slices.Sorted(maps.Keys(c.Several)) {
		out = append(out, connection(name, c.Several[name]))
	}
	return out
}

// several tells whether the file names its instances, be it with faults.
func (r *reader) several() bool { return r.values["instances"] != nil || r.suggested["instances"] }

// checkInstances judges the instances, by themselves and together.
func (r *reader) checkInstances(c *Config) {
	if r.values["instances"] == nil {
		r.checkConnect("connect", c.Connect, c.Store.OnAWS())
		return
	}
	if r.values["connect"] != nil {
		r.test("connect", complaint{"cannot stand beside instances", "move it there under a name of its own"})
	}
	if r.ok("instances") && len(c.Several) == 0 {
		r.fault("instances", complaint{"names no instance", ""})
	}
	if len(r.written("routing_profile", "security_profiles", "group")) > 0 {
		r.test("instances", complaint{"cannot stand beside the short form, which does not say whose the agents are", "write personas and rules"})
	}
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Several)) {
		in, path := c.Several[name], "instances."+name
		if !nameOf.MatchString(name) {
			r.findings(placeOf(r.keys[path]), "instances", complaint{"want a name of 1 to 64 letters, digits, _ and -", ""})
		}
		r.checkConnect(path, in, c.Store.OnAWS())
		id := strings.ToLower(in.Instance[strings.LastIndexByte(in.Instance, '/')+1:])
		where := id + " " + cmp.Or(in.Region, arnRegion(in.Instance))
		if other, twice := seen[where]; twice && id != "" {
			r.test(path+".instance", complaint{"is the same instance as " + other, "give it one name"})
		}
		seen[where] = name
	}
}

// nameOf is the form of the names that users choose.
var nameOf = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Sources: AWS IAM, CreateRole; AWS STS, AssumeRole.
var (
	roleARN      = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[!-~]{1,512}$`)
	externalForm = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/-]+$`)
)

var regionForm = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$`)

// CheckRegion judges the region of an instance as Load does, for who asks for it.
func CheckRegion(region string) error { return regionFault(region).err() }

func regionFault(region string) complaint {
	if regionForm.MatchString(region) {
		return complaint{}
	}
	return complaint{"want the name of an AWS region, such as eu-central-1", ""}
}

// checkConnect judges one instance; aws says that the store is there.
func (r *reader) checkConnect(path string, in Connect, aws bool) {
	if r.ok(path + ".instance") {
		r.test(path+".instance", instanceFault(in.Instance))
	}
	if r.ok(path + ".region") {
		if c := regionFault(in.Region); c.problem != "" {
			r.fault(path+".region", c)
		} else if arn := arnRegion(in.Instance); arn != "" && arn != in.Region {
			r.fault(path+".region", complaint{"is another region than that of the instance's ARN, " + arn, "leave one of them out"})
		}
	}
	if r.ok(path+".role_arn") && !roleARN.MatchString(in.RoleARN) {
		r.fault(path+".role_arn", complaint{"want the ARN of a role, such as arn:aws:iam::123456789012:role/connectroster", ""})
	}
	if r.ok(path+".external_id") && len(r.meant(path+".role_arn")) == 0 && !r.partial {
		r.fault(path+".external_id", complaint{"is of no use without role_arn", ""})
	}
	if !(in.Rate > 0 && in.Rate <= 1000) {
		r.test(path+".rate", complaint{"want more than 0 and at most 1000", ""})
	} else if r.ok(path + ".rate") {
		r.checkSlow(path+".rate", in.Rate, aws)
	}
	if in.Burst < 1 || in.Burst > 1000 {
		r.test(path+".burst", complaint{"want 1 to 1000", ""})
	}
}

// Below these a rate is most likely a slip. In AWS it is divided among the workers.
const (
	slowRate      = 0.1
	slowRateOnAWS = 0.5
	workersOnAWS  = 4
)

// checkSlow warns of a rate at which little gets done, and says what comes of it: each
// new agent is one call of CreateUser.
func (r *reader) checkSlow(path string, rate float64, aws bool) {
	least := slowRate
	if aws {
		least = slowRateOnAWS
	}
	if rate >= least {
		return
	}
	problem := "is so little that 100 new agents take " + roughly(100/rate)
	if aws {
		problem += fmt.Sprintf(", and each of the %d workers in AWS has one call of an operation in %s", workersOnAWS, roughly(workersOnAWS/rate))
	}
	r.warn(path, problem, fmt.Sprintf("AWS allows 2 calls a second unless it raised your quota; give at least %g, or leave it out", least))
}

// roughly writes how long something takes, in the unit that fits.
func roughly(seconds float64) string {
	const minute, hour, day = 60, 3600, 86400
	switch {
	case seconds < 2*minute:
		return fmt.Sprintf("%.0f seconds", seconds)
	case seconds < 2*hour:
		return fmt.Sprintf("%.0f minutes", seconds/minute)
	case seconds < 2*day:
		return fmt.Sprintf("%.0f hours", seconds/hour)
	case seconds < 1000*day:
		return fmt.Sprintf("%.0f days", seconds/day)
	}
	return "more than 1000 days"
}

func externalFault(id string) complaint {
	if n := len(id); n < 2 || n > 1224 || !externalForm.MatchString(id) {
		return complaint{"want an external id of 2 to 1224 letters, digits and _ + = , . @ : / -", ""}
	}
	return complaint{}
}

// resolveExternals gives the external ids of all instances.
func (r *reader) resolveExternals(c *Config) map[string]string {
	out := map[string]string{}
	resolve := func(name, path, id string) {
		if path += ".external_id"; !r.ok(path) {
			return
		}
		if strings.HasPrefix(id, "env:") || strings.HasPrefix(id, "file:") || strings.HasPrefix(id, inSecretsManager) {
			out[name] = r.resolveOne(path, id, externalID)
			return
		}
		r.test(path, externalFault(id))
		out[name] = id
	}
	resolve("", "connect", c.Connect.ExternalID)
	for name, in := range c.Several {
		resolve(name, "instances."+name, in.ExternalID)
	}
	return out
}

// checkInstanceName judges the name of an instance in a persona or a rule.
func (r *reader) checkInstanceName(c *Config, path, name string) {
	switch {
	case !r.ok(path):
	case !r.several():
		r.fault(path, complaint{"goes with instances, and this file has connect alone", "leave it out"})
	case r.ok("instances"):
		if _, ok := c.Several[name]; !ok {
			r.fault(path, r.unknownName("there is no such instance", name, slices.Collect(maps.Keys(c.Several))))
		}
	}
}

// unknownName complains of a name that is none of those known, and says which
// was probably meant.
func (r *reader) unknownName(problem, name string, known []string) complaint {
	c := complaint{problem: problem}
	if !r.helpful() {
		return c
	}
	slices.Sort(known)
	if near := nearest(name, known); near != "" {
		c.hint = fmt.Sprintf("did you mean %s?", near)
	} else if n := len(known); n > 0 && n <= 8 {
		c.hint = "known: " + strings.Join(known, ", ")
	}
	return c
}

package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// call is a request as a program makes it: AWS asks about each resource that it
// names, and all must be allowed.
type call struct {
	what      string
	action    string
	resources []string
	context   map[string][]string
}

func (c call) allowed(e iam) bool {
	for _, r := range c.resources {
		if !e.allows(request{c.action, r, c.context}) {
			return false
		}
	}
	return len(c.resources) > 0
}

// TestPolicies asks the policies of the roles, as they are in the templates, what
// they allow.
func TestPolicies(t *testing.T) {
	templates := map[string]template{}
	for _, name := range cases {
		templates[name] = synth(t, name, nil)
	}
	const other = "arn:aws:connect:eu-central-1:123456789012:instance/99999999-2222-3333-4444-555555555555"
	life := templates["life"].lock.Instances[0]
	in, agent := life.ARN, life.ARN+"/agent/0a1b2c3d-0000-0000-0000-000000000001"
	routing := func(of string, name string) string { return in + "/routing-profile/" + idNamed(t, templates[of], name) }
	security := func(of string, name string) string {
		return in + "/security-profile/" + idNamed(t, templates[of], name)
	}
	const admin, spare = "/security-profile/ffffffff-0000-0000-0000-000000000009", "/routing-profile/ffffffff-0000-0000-0000-000000000008"
	group, otherGroup := in+"/agent-group/"+idNamed(t, templates["life"], "EMEA/Support"), in+"/agent-group/ffffffff-0000-0000-0000-000000000007"
	offline, available := in+"/agent-state/"+life.Offline[0].ID, in+"/agent-state/ffffffff-0000-0000-0000-000000000006"

	born := func(deployment string) map[string][]string {
		return map[string][]string{
			"aws:RequestTag/" + tagDeployment: {deployment},
			"aws:TagKeys":                     {tagDeployment, "connectroster:owner", "connectroster:state"},
		}
	}
	of := func(deployment string) map[string][]string {
		return map[string][]string{"aws:ResourceTag/" + tagDeployment: {deployment}}
	}
	rows := func(keys ...string) map[string][]string {
		return map[string][]string{"dynamodb:LeadingKeys": keys}
	}
	keys := func(keys ...string) map[string][]string { return map[string][]string{"aws:TagKeys": keys} }
	with := func(context map[string][]string, key, value string) map[string][]string {
		out := maps.Clone(context)
		out[key] = []string{value}
		return out
	}
	on := func(resources ...string) []string { return resources }
	table := arnOf("dynamodb", "table/connectroster-production")
	hookSecret, oktaSecret := arnOf("secretsmanager", "secret:connectroster/production/hook-aB1cD2"), arnOf("secretsmanager", "secret:connectroster/production/okta-Xy9zZ8")

	for _, c := range []struct {
		of, role string
		call
		want bool
	}{
		// Creation.
		{"life", "work", call{"create an agent", "connect:CreateUser", on(agent, routing("life", "Support"), security("life", "Agent"), group), born("production")}, true},
		{"life", "work", call{"create one without a group", "connect:CreateUser", on(agent, routing("life", "Support"), security("life", "Agent")), born("production")}, true},
		{"life", "work", call{"create an Admin", "connect:CreateUser", on(agent, routing("life", "Support"), in+admin), born("production")}, false},
		{"life", "work", call{"create an agent that is also an Admin", "connect:CreateUser", on(agent, routing("life", "Support"), security("life", "Agent"), in+admin), born("production")}, false},
		{"life", "work", call{"create with a routing profile that nobody named", "connect:CreateUser", on(agent, in+spare, security("life", "Agent")), born("production")}, false},
		{"life", "work", call{"create in a group that nobody named", "connect:CreateUser", on(agent, routing("life", "Support"), security("life", "Agent"), otherGroup), born("production")}, false},
		{"life", "work", call{"create for another deployment", "connect:CreateUser", on(agent, routing("life", "Support"), security("life", "Agent")), born("staging")}, false},
		{"life", "work", call{"create without saying whose", "connect:CreateUser", on(agent, routing("life", "Support"), security("life", "Agent")), nil}, false},
		{"life", "work", call{"create in another instance", "connect:CreateUser", on(strings.Replace(agent, in, other, 1), routing("life", "Support"), security("life", "Agent")), born("production")}, false},
		{"life", "work", call{"create suspended", "connect:CreateUser", on(agent, routing("life", "Parked"), security("life", "No permissions")), born("production")}, true},
		{"life", "work", call{"create with what the floor may choose", "connect:CreateUser", on(agent, routing("life", "Sales"), security("life", "Agent")), born("production")}, true},

		// Tags.
		{"life", "work", call{"tag at creation", "connect:TagResource", on(agent), born("production")}, true},
		{"life", "work", call{"tag a state", "connect:TagResource", on(agent), keys("connectroster:state", "connectroster:routing")}, true},
		{"life", "work", call{"tag as configured", "connect:TagResource", on(agent), keys("team", "connectroster:state")}, true},
		{"life", "work", call{"tag as nobody configured", "connect:TagResource", on(agent), keys("costcenter")}, false},
		{"life", "work", call{"tag as configured and more", "connect:TagResource", on(agent), keys("team", "costcenter")}, false},
		{"life", "work", call{"tag nothing", "connect:TagResource", on(agent), nil}, false},
		{"life", "work", call{"give an agent to another deployment", "connect:TagResource", on(agent), with(keys(tagDeployment), "aws:RequestTag/"+tagDeployment, "staging")}, false},
		{"life", "work", call{"take an agent from another deployment", "connect:TagResource", on(agent), with(with(keys(tagDeployment), "aws:RequestTag/"+tagDeployment, "production"), "aws:ResourceTag/"+tagDeployment, "staging")}, false},
		{"life", "work", call{"adopt an agent that is nobody's", "connect:TagResource", on(agent), with(keys(tagDeployment), "aws:RequestTag/"+tagDeployment, "production")}, true},
		{"life", "work", call{"tag an agent of ours", "connect:TagResource", on(agent), with(keys("connectroster:state"), "aws:ResourceTag/"+tagDeployment, "production")}, true},
		{"life", "work", call{"tag a security profile", "connect:TagResource", on(security("life", "Agent")), keys("connectroster:state")}, false},
		{"life", "work", call{"tag in another instance", "connect:TagResource", on(other + "/agent/1"), keys("connectroster:state")}, false},
		{"life", "work", call{"untag", "connect:UntagResource", on(agent), keys("connectroster:owner")}, false},
		{"hook-only", "work", call{"tag as another configuration does", "connect:TagResource", on(agent), keys("team")}, false},

		// Changes.
		{"life", "work", call{"move", "connect:UpdateUserRoutingProfile", on(agent, routing("life", "Support")), of("production")}, true},
		{"life", "work", call{"move somebody else's", "connect:UpdateUserRoutingProfile", on(agent, routing("life", "Support")), of("staging")}, false},
		{"life", "work", call{"move nobody's", "connect:UpdateUserRoutingProfile", on(agent, routing("life", "Support")), nil}, false},
		{"life", "work", call{"move to where nobody named", "connect:UpdateUserRoutingProfile", on(agent, in+spare), of("production")}, false},
		{"derived", "work", call{"move to what a rule derives", "connect:UpdateUserRoutingProfile", on(agent, in+spare), of("production")}, true},
		{"derived", "work", call{"move in another instance", "connect:UpdateUserRoutingProfile", on(other+"/agent/1", other+spare), of("production")}, false},
		{"derived", "work", call{"place in a group that a rule derives", "connect:UpdateUserHierarchy", on(agent, otherGroup), of("production")}, true},
		{"life", "work", call{"give rights", "connect:UpdateUserSecurityProfiles", on(agent, security("life", "Agent"), security("life", "CallCenterManager")), of("production")}, true},
		{"life", "work", call{"take rights", "connect:UpdateUserSecurityProfiles", on(agent, security("life", "No permissions")), of("production")}, true},
		{"life", "work", call{"make an Admin", "connect:UpdateUserSecurityProfiles", on(agent, security("life", "Agent"), in+admin), of("production")}, false},
		{"derived", "work", call{"make an Admin where rules derive", "connect:UpdateUserSecurityProfiles", on(agent, in+admin), of("production")}, false},
		{"life", "work", call{"give rights to nobody's", "connect:UpdateUserSecurityProfiles", on(agent, security("life", "Agent")), nil}, false},
		{"life", "work", call{"place", "connect:UpdateUserHierarchy", on(agent, group), of("production")}, true},
		{"life", "work", call{"take out of the hierarchy", "connect:UpdateUserHierarchy", on(agent), of("production")}, true},
		{"life", "work", call{"place elsewhere", "connect:UpdateUserHierarchy", on(agent, otherGroup), of("production")}, false},
		{"life", "work", call{"rename", "connect:UpdateUserIdentityInfo", on(agent), of("production")}, true},
		{"life", "work", call{"rename nobody's", "connect:UpdateUserIdentityInfo", on(agent), nil}, false},
		{"life", "work", call{"change how they take calls", "connect:UpdateUserConfig", on(agent), of("production")}, true},
		{"life", "work", call{"change how others take calls", "connect:UpdateUserConfig", on(agent), of("staging")}, false},
		{"life", "work", call{"teach", "connect:AssociateUserProficiencies", on(in, agent), nil}, true},
		{"hook-only", "work", call{"teach where nobody configured it", "connect:AssociateUserProficiencies", on(in, agent), nil}, false},

		// Leavers.
		{"life", "work", call{"put offline", "connect:PutUserStatus", on(in, agent, offline), nil}, true},
		{"life", "work", call{"put to work", "connect:PutUserStatus", on(in, agent, available), nil}, false},
		{"life", "work", call{"list statuses", "connect:ListAgentStatuses", on(in + "/agent-state/*"), nil}, true},
		{"life", "work", call{"see who is busy", "connect:GetCurrentUserData", on(agent), nil}, true},
		{"life", "work", call{"delete", "connect:DeleteUser", on(agent), of("production")}, true},
		{"life", "work", call{"delete somebody else's", "connect:DeleteUser", on(agent), of("staging")}, false},
		{"life", "work", call{"delete nobody's", "connect:DeleteUser", on(agent), nil}, false},
		{"life", "work", call{"delete a quick connect", "connect:DeleteQuickConnect", on(in + "/transfer-destination/1"), nil}, true},
		{"derived", "work", call{"delete with upsert-only", "connect:DeleteUser", on(agent), of("production")}, false},
		{"derived", "work", call{"put offline with upsert-only", "connect:PutUserStatus", on(in, agent, offline), nil}, false},
		{"hook-only", "work", call{"change with create-only", "connect:UpdateUserRoutingProfile", on(agent, routing("hook-only", "Basic Routing Profile")), of("production")}, false},
		{"hook-only", "work", call{"give rights with create-only", "connect:UpdateUserSecurityProfiles", on(agent, security("hook-only", "Agent")), of("production")}, false},

		// Reads.
		{"life", "work", call{"look at an agent that is nobody's", "connect:DescribeUser", on(agent), nil}, true},
		{"life", "work", call{"look at an agent elsewhere", "connect:DescribeUser", on(other + "/agent/1"), nil}, false},
		{"life", "work", call{"search agents", "connect:SearchUsers", on(in), nil}, true},
		{"life", "sweep", call{"search agents", "connect:SearchUsers", on(in), nil}, true},
		{"life", "sweep", call{"create an agent", "connect:CreateUser", on(agent, routing("life", "Support"), security("life", "Agent")), born("production")}, false},
		{"life", "work", call{"list all instances", "connect:ListInstances", on("*"), nil}, false},
		{"derived", "work", call{"find an alias", "connect:ListInstances", on("*"), nil}, true},
		{"life", "work", call{"make a security profile", "connect:CreateSecurityProfile", on(in), nil}, false},
		{"life", "work", call{"widen a security profile", "connect:UpdateSecurityProfile", on(security("life", "Agent")), nil}, false},

		// Who has nothing to do with Amazon Connect.
		{"life", "hook", call{"look at an agent", "connect:DescribeUser", on(agent), nil}, false},
		{"life", "hook", call{"create an agent", "connect:CreateUser", on(agent, routing("life", "Support"), security("life", "Agent")), born("production")}, false},
		{"life", "wake", call{"search agents", "connect:SearchUsers", on(in), nil}, false},
		{"life", "catchup", call{"search agents", "connect:SearchUsers", on(in), nil}, false},

		// Other accounts.
		{"several", "work", call{"be the role of the other instance", "sts:AssumeRole", on("arn:aws:iam::210987654321:role/connectroster"), nil}, true},
		{"several", "work", call{"be another role", "sts:AssumeRole", on("arn:aws:iam::210987654321:role/admin"), nil}, false},
		{"several", "hook", call{"be the role of the other instance", "sts:AssumeRole", on("arn:aws:iam::210987654321:role/connectroster"), nil}, false},
		{"several", "work", call{"search there without that role", "connect:SearchUsers", on("arn:aws:connect:us-east-1:123456789012:instance/11111111-2222-3333-4444-666666666666"), nil}, false},

		// The store, the queues, the secrets and the logs.
		{"life", "hook", call{"store a request", "dynamodb:UpdateItem", on(table), rows("people")}, true},
		{"life", "hook", call{"store requests and facts at once", "dynamodb:PutItem", on(table), rows("people", "fact")}, true},
		{"life", "hook", call{"read a row that another delivery has changed", "dynamodb:GetItem", on(table), rows("people")}, true},
		{"life", "hook", call{"read many rows", "dynamodb:BatchGetItem", on(table), rows("people")}, false},
		{"life", "hook", call{"read whose agents there are", "dynamodb:GetItem", on(table), rows("owner/00u1")}, false},
		{"life", "hook", call{"read rows of no known key", "dynamodb:GetItem", on(table), nil}, false},
		{"life", "hook", call{"approve a hold", "dynamodb:UpdateItem", on(table), rows("hold/1")}, false},
		{"life", "hook", call{"lift the guard", "dynamodb:PutItem", on(table), rows("people", "guard")}, false},
		{"life", "hook", call{"order something", "dynamodb:PutItem", on(table), rows("note")}, false},
		{"life", "hook", call{"write the journal", "dynamodb:PutItem", on(table), rows("journal/0")}, false},
		{"life", "hook", call{"read the journal", "dynamodb:GetItem", on(table), rows("chain/00u1")}, false},
		{"life", "hook", call{"read everybody", "dynamodb:Query", on(table), rows("people")}, false},
		{"life", "hook", call{"delete a row", "dynamodb:DeleteItem", on(table), rows("people")}, false},
		{"life", "hook", call{"ask who is due", "dynamodb:Query", on(table + "/index/open"), rows("people")}, false},
		{"life", "hook", call{"read all rows", "dynamodb:Scan", on(table), nil}, false},
		{"life", "work", call{"ask who is due", "dynamodb:Query", on(table + "/index/open"), nil}, true},
		{"life", "work", call{"delete the table", "dynamodb:DeleteTable", on(table), nil}, false},
		{"life", "work", call{"another table", "dynamodb:GetItem", on(arnOf("dynamodb", "table/other")), nil}, false},
		{"life", "hook", call{"wake a worker", "sqs:SendMessage", on(arnOf("sqs", "connectroster-production-leavers.fifo")), nil}, true},
		{"life", "hook", call{"take a message", "sqs:ReceiveMessage", on(arnOf("sqs", "connectroster-production.fifo")), nil}, false},
		{"life", "work", call{"take a message", "sqs:ReceiveMessage", on(arnOf("sqs", "connectroster-production.fifo")), nil}, true},
		{"life", "work", call{"purge", "sqs:PurgeQueue", on(arnOf("sqs", "connectroster-production.fifo")), nil}, false},
		{"life", "hook", call{"read the secret of the hook", "secretsmanager:GetSecretValue", on(hookSecret), nil}, true},
		{"life", "hook", call{"read the key for Okta", "secretsmanager:GetSecretValue", on(oktaSecret), nil}, false},
		{"life", "wake", call{"read the secret of the hook", "secretsmanager:GetSecretValue", on(hookSecret), nil}, false},
		{"life", "wake", call{"read the key for Okta", "secretsmanager:GetSecretValue", on(oktaSecret), nil}, false},
		{"life", "work", call{"read the key for Okta", "secretsmanager:GetSecretValue", on(oktaSecret), nil}, true},
		{"life", "work", call{"read other secrets", "secretsmanager:GetSecretValue", on(arnOf("secretsmanager", "secret:database-Ab12Cd")), nil}, false},
		{"life", "work", call{"read a secret of a longer name", "secretsmanager:GetSecretValue", on(arnOf("secretsmanager", "secret:connectroster/production/okta-old-Ab12Cd")), nil}, false},
		{"life", "hook", call{"change the secret", "secretsmanager:PutSecretValue", on(hookSecret), nil}, false},
		{"life", "hook", call{"log", "logs:PutLogEvents", on(arnOf("logs", "log-group:/connectroster/production/hook:*")), nil}, true},
		{"life", "hook", call{"log elsewhere", "logs:PutLogEvents", on(arnOf("logs", "log-group:/connectroster/production/work:*")), nil}, false},
	} {
		if got := c.allowed(roleOf(t, templates[c.of], c.role)); got != c.want {
			t.Errorf("%s, %s: %s: %t, want %t", c.of, c.role, c.what, got, c.want)
		}
	}
}

// TestPoliciesOfSecrets: the secret that the stack makes is meant by its ARN.
func TestPoliciesOfSecrets(t *testing.T) {
	for _, existing := range []string{"", "hook-secret", "table,hook-secret"} {
		x := synth(t, "hook-only", map[string]string{"existing": existing})
		e := roleOf(t, x, "hook")
		if !e.allows(request{action: "secretsmanager:GetSecretValue", resource: arnOf("secretsmanager", "secret:connectroster/production/hook-aB1cD2")}) {
			t.Errorf("existing=%s: the hook cannot read its secret", existing)
		}
		if !e.allows(request{action: "dynamodb:PutItem", resource: arnOf("dynamodb", "table/connectroster-production"), context: map[string][]string{"dynamodb:LeadingKeys": {"people"}}}) {
			t.Errorf("existing=%s: the hook cannot write", existing)
		}
		if n := len(x.of("AWS::SecretsManager::Secret")); (n == 0) != strings.Contains(existing, "hook-secret") {
			t.Errorf("existing=%s: %d secrets are made", existing, n)
		}
		if n := len(x.of("AWS::DynamoDB::Table")); (n == 0) != strings.Contains(existing, "table") {
			t.Errorf("existing=%s: %d tables are made", existing, n)
		}
	}
}

// idNamed gives the id of what the lock lists under a name.
func idNamed(t *testing.T, x template, name string) string {
	t.Helper()
	in := x.lock.Instances[0]
	for _, e := range slices.Concat(in.RoutingProfiles, in.SecurityProfiles, in.Hierarchy) {
		if e.Name == name {
			return e.ID
		}
	}
	t.Fatalf("the lock of %s does not list %s", x.lock.Deployment, name)
	return ""
}

// TestEveryCallIsAllowed reads which operations of AWS the program calls, and asks
// whether the worker may: so that a new call is not found out in production. What it does
// not call no function may.
func TestEveryCallIsAllowed(t *testing.T) {
	may, granted := map[string]bool{}, map[string]bool{}
	for _, name := range cases {
		x := synth(t, name, nil)
		handlers := []string{hookHandler, workHandler, wakeHandler}
		if x.lock.OktaAPI {
			handlers = append(handlers, catchupHandler, sweepHandler)
		}
		for _, handler := range handlers {
			for _, s := range roleOf(t, x, handler).statements {
				for _, action := range list(s["Action"]) {
					granted[action.(string)] = true
					may[action.(string)] = may[action.(string)] || handler == workHandler
				}
			}
		}
	}
	for _, c := range []struct {
		folder, service string
		called          *regexp.Regexp
		least           int
		means           map[string][]string // actions that operations are allowed by, where it is not that of their name
	}{
		{"internal/connect", "connect", regexp.MustCompile(`\bapi\.([A-Z]\w+)\(ctx`), 20, map[string][]string{
			"UntagResource": nil, // release, by an operator with credentials of their own
		}},
		{"internal/awsstore", "dynamodb", regexp.MustCompile(`\bdb\.([A-Z]\w+)\(ctx`), 6, map[string][]string{
			"TransactWriteItems": {"DeleteItem", "PutItem", "UpdateItem"}, "TransactGetItems": {"GetItem"},
			"BatchWriteItem": {"BatchWriteItem"}, "DescribeTable": nil, // by commands, with credentials of an operator
		}},
		{"internal/awsstore", "sqs", regexp.MustCompile(`\bapi\.([A-Z]\w+)\(ctx`), 2, map[string][]string{
			"GetCallerIdentity": nil, // needs no permission
			"SendMessageBatch":  {"SendMessage"}, "DeleteMessageBatch": {"DeleteMessage"}, "ChangeMessageVisibilityBatch": {"ChangeMessageVisibility"},
		}},
	} {
		files, err := filepath.Glob(filepath.Join("..", "..", c.folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range c.called.FindAllStringSubmatch(string(text), -1) {
				found[m[1]] = true
			}
		}
		if len(found) < c.least {
			t.Errorf("%s calls %d operations of %s, so this test looks in the wrong place", c.folder, len(found), c.service)
		}
		called := map[string]bool{}
		for operation := range found {
			actions, other := c.means[operation]
			if !other {
				actions = []string{operation}
			}
			for _, action := range actions {
				called[c.service+":"+action] = true
				if !may[c.service+":"+action] {
					t.Errorf("%s calls %s, and the worker may not %s:%s", c.folder, operation, c.service, action)
				}
			}
		}
		for action := range granted {
			if strings.HasPrefix(action, c.service+":") && c.service != "sqs" && !called[action] { // Lambda itself takes the messages
				t.Errorf("a function may %s, which %s never calls", action, c.folder)
			}
		}
	}
}

// TestTagsOfAgents: the keys that a role may write are those that the program writes. Its
// source is read, since it belongs to another module.
func TestTagsOfAgents(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "internal", "connect", "tags.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `ours = "`+tagPrefix+`"`) {
		t.Errorf("internal/connect does not begin its keys with %q", tagPrefix)
	}
	var written []string
	for _, m := range regexp.MustCompile(`\bours \+ "([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
		written = append(written, m[1])
	}
	if may := sorted(slices.Clone(agentTags)); !slices.Equal(sorted(written), may) {
		t.Errorf("internal/connect writes tags of the keys %v, and the role may write %v", written, may)
	}
}

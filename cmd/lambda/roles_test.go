package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	simokta "connectroster/internal/sim/okta"
)

// grant is a statement of a role in the template of the deployment.
type grant struct {
	Action    any
	Condition map[string]map[string]any
}

// grants gives what the role of a function may do in the deployment testdata/life.
func grants(t testing.TB, role string) (out []grant) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "cdk", "testdata", "life", "template.json"))
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources map[string]struct {
			Type       string
			Properties struct {
				PolicyDocument struct{ Statement []grant }
			}
		}
	}
	if err := json.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	for name, r := range template.Resources {
		if r.Type == "AWS::IAM::Policy" && strings.HasPrefix(name, role) {
			out = append(out, r.Properties.PolicyDocument.Statement...)
		}
	}
	if len(out) == 0 {
		t.Fatalf("the template has no role %s", role)
	}
	return out
}

// used is what calls of AWS were about.
type used struct {
	actions map[string]bool // as IAM calls them
	keys    map[string]bool // partitions of the table
	secrets map[string]bool
}

var (
	keyOf    = regexp.MustCompile(`"pk":\{"S":"([^"]+)"\}`)
	partOf   = regexp.MustCompile(`"(Put|Update|Delete|ConditionCheck)":\{`)
	secretOf = regexp.MustCompile(`"SecretId":"([^"]+)"`)
)

// using tells of the calls that are made meanwhile.
func (w *world) using(do func()) used {
	u := used{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	w.between.breaks(func(call string) int {
		service, operation, _ := strings.Cut(call, ".")
		body := string(w.between.body)
		switch {
		case strings.HasPrefix(service, "DynamoDB") && operation == "TransactWriteItems":
			for _, m := range partOf.FindAllStringSubmatch(body, -1) {
				u.actions["dynamodb:"+m[1]+"Item"] = true
			}
		case strings.HasPrefix(service, "DynamoDB"):
			u.actions["dynamodb:"+operation] = true
		case service == "AmazonSQS":
			u.actions["sqs:"+strings.TrimSuffix(operation, "Batch")] = true
		case service == "secretsmanager":
			u.actions["secretsmanager:"+operation] = true
			for _, m := range secretOf.FindAllStringSubmatch(body, -1) {
				u.secrets[m[1]] = true
			}
		}
		for _, m := range keyOf.FindAllStringSubmatch(body, -1) {
			u.keys[m[1]] = true
		}
		return 0
	})
	defer w.between.breaks(nil)
	do()
	return u
}

// TestReceiversKeepToTheirRoles: the function that the internet calls, and the one that
// wakes, do nothing that their narrow roles in the deployment do not allow, and read no
// other secrets.
func TestReceiversKeepToTheirRoles(t *testing.T) {
	t.Parallel()
	receive := func(w *world, first simokta.User) {
		w.hook = w.function("hook")
		w.hire(1)
		var people []string
		for n := range 60 { // more than one transaction takes
			people = append(people, fmt.Sprintf("00uOfMany%d", n))
		}
		w.deliver(people[:3]...)
		w.deliver(people...)
		w.must(w.org.Leave(first.ID, w.group.ID))
		w.must(w.org.Deactivate(first.ID))
		w.delivered()
		resp, err := http.Get(w.gateway.URL + "/readyz")
		w.must(err)
		w.must(resp.Body.Close())
	}
	for name, s := range map[string]setup{"with Okta's API": {}, "hook only": {hookOnly: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s)
			w.subscribe("/hooks/okta", "user.lifecycle.deactivate")
			first := w.hire(0)
			w.settle()
			w.must(w.employed(first))
			keepsToRole(w, "HookRole", func() { receive(w, first) })
			keepsToRole(w, "WakeRole", func() {
				w.wake = w.function("wake")
				w.scheduled(w.wake)
			})
		})
	}
}

// keepsToRole plays something with one function, and compares what it does with the role.
func keepsToRole(w *world, role string, play func()) {
	t := w.t
	t.Helper()
	may := ""
	var keys []string
	for _, g := range grants(t, role) {
		may += fmt.Sprintln(g.Action)
		for _, key := range list(g.Condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"]) {
			keys = append(keys, key.(string))
		}
	}
	u := w.using(play)
	if len(u.actions) < 3 || len(u.keys) < 2 {
		t.Errorf("%s: too little was seen: %+v", role, u)
	}
	for action := range u.actions {
		if !regexp.MustCompile(`\b` + action + `\b`).MatchString(may) {
			t.Errorf("%s: it calls %s, which its role does not allow", role, action)
		}
	}
	t.Logf("%s: %v, partitions %v, secrets %v", role, slices.Sorted(maps.Keys(u.actions)), slices.Sorted(maps.Keys(u.keys)), slices.Sorted(maps.Keys(u.secrets)))
	for key := range u.keys {
		if len(keys) > 0 && !slices.Contains(keys, key) {
			t.Errorf("%s: it touches the partition %s, which its role does not allow", role, key)
		}
	}
	for name := range u.secrets {
		if role != "HookRole" || name != "connectroster/"+w.name+"/hook" {
			t.Errorf("%s: it reads the secret %s", role, name)
		}
	}
}

func list(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	return nil
}

// TestHookNeedsNoKey: deliveries are taken while the key for Okta's API is no key.
func TestHookNeedsNoKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	_, err := w.vault.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("connectroster/" + w.name + "/okta"), SecretString: aws.String("SSWS not a token")})
	w.must(err)
	w.deliver("00uSomebody")
	w.scheduled(w.wake)
	if _, err := w.work.invoke(batchOf(nil)); err == nil {
		t.Error("the function that asks Okta works without a key")
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
)

// Source: IAM User Guide, "IAM and AWS STS quotas". White space does not count.
const (
	inlineMost  = 10240 // of all policies that stand in a role
	managedMost = 6144  // of a managed policy
	attachMost  = 10    // managed policies of a role
)

// TestPolicySize makes roles for an instance with many profiles: IAM takes no policy
// above its size, and the CDK moves whole statements alone.
func TestPolicySize(t *testing.T) {
	made.Lock() // the kernel of jsii does one thing at a time
	defer made.Unlock()
	s, err := settingsOf(t, "life", nil)
	if err != nil {
		t.Fatal(err)
	}
	in := &s.lock.Instances[0]
	in.OpenRouting, in.OpenHierarchy, in.RoutingProfiles, in.SecurityProfiles, in.Hierarchy = nil, nil, nil, nil, nil
	for n := range 60 {
		id := fmt.Sprintf("ffffffff-0000-0000-0000-%012d", n)
		in.RoutingProfiles = append(in.RoutingProfiles, entry{"routing " + id, id})
		in.SecurityProfiles = append(in.SecurityProfiles, entry{"security " + id, id})
		in.Hierarchy = append(in.Hierarchy, entry{"group " + id, id})
	}
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(t.TempDir()), Context: cdkContext(t)})
	text, err := json.Marshal(assertions.Template_FromStack(newStack(app, s).Stack, nil).ToJSON())
	if err != nil {
		t.Fatal(err)
	}
	var x template
	if err := json.Unmarshal(text, &x); err != nil {
		t.Fatal(err)
	}
	managed := 0
	for id, r := range x.Resources {
		most := inlineMost
		switch r.Type {
		case "AWS::IAM::ManagedPolicy":
			most, managed = managedMost, managed+1
		case "AWS::IAM::Policy":
		default:
			continue
		}
		document, err := json.Marshal(r.Properties["PolicyDocument"])
		if err != nil {
			t.Fatal(err)
		}
		if len(document) > most {
			t.Errorf("%s (%s) has %d characters, and IAM takes %d", id, r.Type, len(document), most)
		}
		names := map[any]bool{}
		for _, st := range list(r.Properties["PolicyDocument"].(map[string]any)["Statement"]) {
			sid := st.(map[string]any)["Sid"]
			if sid != nil && names[sid] {
				t.Errorf("%s has two statements called %v, which IAM refuses", id, sid)
			}
			names[sid] = true
		}
	}
	if managed == 0 || managed > attachMost {
		t.Errorf("%d managed policies, and a role takes %d", managed, attachMost)
	}
	work := roleOf(t, x, "work")
	last := in.ARN + "/routing-profile/" + in.RoutingProfiles[59].ID
	for _, action := range []string{"connect:CreateUser", "connect:UpdateUserRoutingProfile"} {
		if !work.allows(request{action, last, nil}) {
			t.Errorf("%s is not allowed with the last of the routing profiles", action)
		}
		if work.allows(request{action, in.ARN + "/routing-profile/ffffffff-0000-0000-0000-999999999999", nil}) {
			t.Errorf("%s is allowed with a routing profile that is not listed", action)
		}
	}
}

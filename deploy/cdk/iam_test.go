package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// iam is a small evaluator of policies: of one role, as AWS decides about requests
// of it where no other policy says anything. Source: IAM User Guide, policy
// evaluation logic and condition operators.
type iam struct{ statements []map[string]any }

// request is one action on one resource, and what AWS knows beside it.
type request struct {
	action, resource string
	context          map[string][]string
}

// allows decides: an explicit Deny goes before any Allow, and what nothing allows is
// denied.
func (e iam) allows(r request) bool {
	allowed := false
	for _, s := range e.statements {
		for key := range s {
			if !slices.Contains([]string{"Sid", "Effect", "Action", "Resource", "Condition"}, key) {
				panic("the evaluator does not know " + key) // and must not look away
			}
		}
		if !anyMatch(s["Action"], strings.ToLower(r.action), strings.ToLower) || !anyMatch(s["Resource"], r.resource, nil) || !meets(s["Condition"], r.context) {
			continue
		}
		if s["Effect"] == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func anyMatch(patterns any, text string, change func(string) string) bool {
	for _, p := range list(patterns) {
		pattern := p.(string)
		if change != nil {
			pattern = change(pattern)
		}
		if like(pattern, text) {
			return true
		}
	}
	return false
}

// like matches * for any characters and ? for one.
func like(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	switch pattern[0] {
	case '*':
		return like(pattern[1:], text) || text != "" && like(pattern, text[1:])
	case '?':
		return text != "" && like(pattern[1:], text[1:])
	}
	return text != "" && text[0] == pattern[0] && like(pattern[1:], text[1:])
}

// meets decides about the conditions: all operators and all keys must hold.
func meets(conditions any, context map[string][]string) bool {
	operators, _ := conditions.(map[string]any)
	for operator, keys := range operators {
		for key, want := range keys.(map[string]any) {
			if !holds(operator, valueOf(context, key), list(want)) {
				return false
			}
		}
	}
	return true
}

// valueOf finds a key, whose case does not count; that of a tag's key within it does
// not either.
func valueOf(context map[string][]string, key string) []string {
	for k, v := range context {
		if strings.EqualFold(k, key) {
			return v
		}
	}
	return nil
}

func holds(operator string, got []string, want []any) bool {
	equals := func(value string) bool { return slices.Contains(want, any(value)) }
	switch operator {
	case "StringEquals":
		return len(got) == 1 && equals(got[0])
	case "StringEqualsIfExists":
		return got == nil || len(got) == 1 && equals(got[0])
	case "StringLike":
		return len(got) == 1 && slices.ContainsFunc(want, func(p any) bool { return like(p.(string), got[0]) })
	case "ForAllValues:StringEquals":
		return !slices.ContainsFunc(got, func(value string) bool { return !equals(value) })
	case "Null":
		return fmt.Sprint(want[0]) == fmt.Sprint(got == nil)
	case "ArnEquals", "ArnLike":
		return len(got) == 1 && slices.ContainsFunc(want, func(p any) bool { return like(p.(string), got[0]) })
	case "Bool":
		return len(got) == 1 && slices.ContainsFunc(want, func(v any) bool { return fmt.Sprint(v) == got[0] })
	}
	panic("the evaluator does not know " + operator)
}

// roleOf gives what the role of a function may do.
func roleOf(t *testing.T, x template, handler string) iam {
	t.Helper()
	for _, f := range x.of("AWS::Lambda::Function") {
		if f.Properties["Handler"] != handler {
			continue
		}
		role := list(f.Properties["Role"].(map[string]any)["Fn::GetAtt"])[0].(string)
		var out iam
		for _, policy := range x.Resources {
			if policy.Type != "AWS::IAM::Policy" && policy.Type != "AWS::IAM::ManagedPolicy" {
				continue
			}
			for _, r := range list(policy.Properties["Roles"]) {
				if r.(map[string]any)["Ref"] == role {
					for _, s := range statements(policy.Properties["PolicyDocument"]) {
						out.statements = append(out.statements, x.resolve(s).(map[string]any))
					}
				}
			}
		}
		if len(out.statements) == 0 {
			t.Fatalf("the role of %s has no policy", handler)
		}
		return out
	}
	t.Fatalf("there is no function %s", handler)
	return iam{}
}

// Where the stack is deployed to, as far as the tests go.
const (
	testRegion  = "eu-central-1"
	testAccount = "123456789012"
)

// resolve puts values in the place of what CloudFormation fills in.
func (x template) resolve(v any) any {
	switch v := v.(type) {
	case []any:
		var out []any
		for _, one := range v {
			out = append(out, x.resolve(one))
		}
		return out
	case map[string]any:
		for name, argument := range v {
			switch name {
			case "Ref":
				return x.reference(argument.(string))
			case "Fn::GetAtt":
				return x.attribute(list(argument)[0].(string), list(argument)[1].(string))
			case "Fn::Join":
				var out strings.Builder
				for i, one := range list(list(argument)[1]) {
					if i > 0 {
						out.WriteString(list(argument)[0].(string))
					}
					out.WriteString(x.resolve(one).(string))
				}
				return out.String()
			}
			if strings.HasPrefix(name, "Fn::") {
				panic("the evaluator does not know " + name)
			}
		}
		out := map[string]any{}
		for key, one := range v {
			out[key] = x.resolve(one)
		}
		return out
	}
	return v
}

func (x template) reference(name string) string {
	switch name {
	case "AWS::Partition":
		return "aws"
	case "AWS::Region":
		return testRegion
	case "AWS::AccountId":
		return testAccount
	}
	if r := x.Resources[name]; r.Type == "AWS::SecretsManager::Secret" {
		return arnOf("secretsmanager", "secret:"+r.Properties["Name"].(string)+"-aB1cD2")
	}
	panic("the evaluator does not know what " + name + " stands for")
}

func (x template) attribute(id, name string) string {
	r := x.Resources[id]
	switch r.Type + " " + name {
	case "AWS::DynamoDB::Table Arn":
		return arnOf("dynamodb", "table/"+r.Properties["TableName"].(string))
	case "AWS::SQS::Queue Arn":
		return arnOf("sqs", r.Properties["QueueName"].(string))
	case "AWS::Logs::LogGroup Arn":
		return arnOf("logs", "log-group:"+r.Properties["LogGroupName"].(string)+":*")
	case "AWS::Lambda::Function Arn":
		return arnOf("lambda", "function:"+r.Properties["FunctionName"].(string))
	}
	panic("the evaluator does not know " + name + " of a " + r.Type)
}

func arnOf(service, resource string) string {
	return "arn:aws:" + service + ":" + testRegion + ":" + testAccount + ":" + resource
}

// TestEvaluator: a test of policies is worth what its evaluator is.
func TestEvaluator(t *testing.T) {
	t.Parallel()
	statement := func(effect string, action, resource any, condition map[string]any) map[string]any {
		s := map[string]any{"Effect": effect, "Action": action, "Resource": resource}
		if condition != nil {
			s["Condition"] = condition
		}
		return s
	}
	tagged := func(operator, key string, value any) map[string]any {
		return map[string]any{operator: map[string]any{key: value}}
	}
	for name, c := range map[string]struct {
		statements []map[string]any
		request    request
		want       bool
	}{
		"nothing allows":              {nil, request{"a:B", "r", nil}, false},
		"allowed":                     {[]map[string]any{statement("Allow", "a:B", "r", nil)}, request{"a:B", "r", nil}, true},
		"the case of actions":         {[]map[string]any{statement("Allow", "a:b", "r", nil)}, request{"A:B", "r", nil}, true},
		"the case of resources":       {[]map[string]any{statement("Allow", "a:B", "R", nil)}, request{"a:B", "r", nil}, false},
		"one of several":              {[]map[string]any{statement("Allow", []any{"a:X", "a:B"}, []any{"q", "r"}, nil)}, request{"a:B", "r", nil}, true},
		"a star":                      {[]map[string]any{statement("Allow", "a:*", "x/*/z", nil)}, request{"a:B", "x/y/w/z", nil}, true},
		"a star for nothing":          {[]map[string]any{statement("Allow", "a:B", "x/*", nil)}, request{"a:B", "x/", nil}, true},
		"question marks":              {[]map[string]any{statement("Allow", "a:B", "x-??", nil)}, request{"a:B", "x-123", nil}, false},
		"deny goes first":             {[]map[string]any{statement("Allow", "a:B", "r", nil), statement("Deny", "a:*", "*", nil)}, request{"a:B", "r", nil}, false},
		"equal":                       {[]map[string]any{statement("Allow", "a:B", "r", tagged("StringEquals", "k", "v"))}, request{"a:B", "r", map[string][]string{"K": {"v"}}}, true},
		"not equal":                   {[]map[string]any{statement("Allow", "a:B", "r", tagged("StringEquals", "k", "v"))}, request{"a:B", "r", map[string][]string{"k": {"V"}}}, false},
		"equal and missing":           {[]map[string]any{statement("Allow", "a:B", "r", tagged("StringEquals", "k", "v"))}, request{"a:B", "r", nil}, false},
		"if exists and missing":       {[]map[string]any{statement("Allow", "a:B", "r", tagged("StringEqualsIfExists", "k", "v"))}, request{"a:B", "r", nil}, true},
		"if exists and another":       {[]map[string]any{statement("Allow", "a:B", "r", tagged("StringEqualsIfExists", "k", "v"))}, request{"a:B", "r", map[string][]string{"k": {"w"}}}, false},
		"all of them":                 {[]map[string]any{statement("Allow", "a:B", "r", tagged("ForAllValues:StringEquals", "k", []any{"v", "w"}))}, request{"a:B", "r", map[string][]string{"k": {"w", "v"}}}, true},
		"one too many":                {[]map[string]any{statement("Allow", "a:B", "r", tagged("ForAllValues:StringEquals", "k", []any{"v", "w"}))}, request{"a:B", "r", map[string][]string{"k": {"w", "x"}}}, false},
		"all of none":                 {[]map[string]any{statement("Allow", "a:B", "r", tagged("ForAllValues:StringEquals", "k", "v"))}, request{"a:B", "r", nil}, true},
		"null wanted":                 {[]map[string]any{statement("Allow", "a:B", "r", tagged("Null", "k", "true"))}, request{"a:B", "r", nil}, true},
		"null not wanted":             {[]map[string]any{statement("Allow", "a:B", "r", tagged("Null", "k", "false"))}, request{"a:B", "r", nil}, false},
		"like":                        {[]map[string]any{statement("Allow", "a:B", "r", tagged("StringLike", "k", "v*"))}, request{"a:B", "r", map[string][]string{"k": {"vw"}}}, true},
		"all conditions must hold":    {[]map[string]any{statement("Allow", "a:B", "r", map[string]any{"StringEquals": map[string]any{"k": "v"}, "Null": map[string]any{"l": "true"}})}, request{"a:B", "r", map[string][]string{"k": {"v"}, "l": {"x"}}}, false},
		"conditions in one statement": {[]map[string]any{statement("Allow", "a:B", "r", tagged("StringEquals", "k", "v")), statement("Allow", "a:B", "q", nil)}, request{"a:B", "r", nil}, false},
	} {
		if got := (iam{c.statements}).allows(c.request); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

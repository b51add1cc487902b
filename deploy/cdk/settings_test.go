package main

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSettingsRefused: what would make a wrong deployment is said before anything is
// made of it.
func TestSettingsRefused(t *testing.T) {
	t.Parallel()
	const name = "hook-only"
	read := func(file string) string {
		text, err := os.ReadFile(filepath.Join("testdata", name, file))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	config, locked := read("connectroster.yaml"), read(lockName)
	for what, c := range map[string]struct {
		lock, config string
		context      map[string]string
		change       func(t *testing.T, assets string)
		want         string
	}{
		"no configuration":               {context: map[string]string{"config": "nowhere.yaml"}, want: "name another with -c config=PATH"},
		"no lock":                        {lock: "-", want: "connectroster catalog --lock"},
		"a lock of another state":        {config: config + "# changed\n", want: "belongs to another state of the configuration"},
		"a lock of another version":      {lock: strings.Replace(locked, `"version": 2`, `"version": 1`, 1), want: "has the version 1"},
		"a lock with more in it":         {lock: strings.Replace(locked, `"version": 2`, `"version": 2, "extra": 1`, 1), want: `unknown field "extra"`},
		"a lock that breaks off":         {lock: locked[:200], want: "write it anew"},
		"an id that means all":           {lock: strings.Replace(locked, `"id": "693f30bc-9778-54cf-90be-31718d896e38"`, `"id": "*"`, 1), want: `"*" is not an id`},
		"an instance that means all":     {lock: strings.Replace(locked, ":instance/11111111-2222-3333-4444-555555555555", ":instance/*", 1), want: "is not its ARN"},
		"a tag that means all":           {lock: strings.Replace(locked, `"tags": []`, `"tags": ["*"]`, 1), want: "cannot stand in a policy"},
		"a name that means all":          {lock: strings.Replace(locked, `"deployment": "production"`, `"deployment": "*"`, 1), want: "is not whole"},
		"a name that is too long":        {lock: strings.ReplaceAll(locked, "production", strings.Repeat("p", 43)), want: "is too long: a function would be called"},
		"another secret of the hook":     {lock: strings.Replace(locked, `"connectroster/production/hook"`, `"mine"`, -1), want: "does not name the secret that this deployment makes"},
		"a secret of this machine":       {lock: strings.Replace(locked, `"secrets_elsewhere": []`, `"secrets_elsewhere": ["env:OKTA_API_TOKEN"]`, 1), want: "cannot look up the secrets env:OKTA_API_TOKEN"},
		"a profile of this machine":      {lock: strings.Replace(locked, `"profile": ""`, `"profile": "mine"`, 1), want: "names the profile mine, which functions do not have"},
		"a store in a file":              {lock: strings.Replace(locked, `"table": "connectroster-production"`, `"table": ""`, 1), want: "write\n  store: {aws: {table: connectroster-production, leavers_queue: connectroster-production-leavers.fifo, queue: connectroster-production.fifo}}"},
		"a queue by its address":         {lock: strings.Replace(locked, `"queue": "connectroster-`, `"queue": "https://sqs/connectroster-`, 1), want: "does not name a table and two queues"},
		"a stack without a name":         {context: map[string]string{"stack": "1st"}, want: "begins with a letter"},
		"no truth value":                 {context: map[string]string{"reserve": "perhaps"}, want: "want true, false or none-left"},
		"days that no log is kept":       {context: map[string]string{"log-days": "8"}, want: "want one of"},
		"days that are none":             {context: map[string]string{"log-days": "x"}, want: "want one of"},
		"more than a week":               {context: map[string]string{"quiet-days": "8"}, want: "want 1 to 7"},
		"half a day":                     {context: map[string]string{"quiet-days": "0.5"}, want: "want 1 to 7"},
		"an unknown resource":            {context: map[string]string{"existing": "table,queue"}, want: "want table, hook-secret or both"},
		"functions that are not there":   {context: map[string]string{"assets": "nowhere"}, want: "the functions are not built"},
		"functions that are a text file": {context: map[string]string{"assets": "cdk.json"}, want: "neither a folder nor a zip file"},
		"no program": {change: func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "bootstrap")); err != nil {
				t.Fatal(err)
			}
		}, want: "the program is not there"},
		"a program of another machine": {change: func(t *testing.T, dir string) {
			other := armProgram()
			other[18] = 62 // x86-64
			overwrite(t, filepath.Join(dir, "bootstrap"), other)
		}, want: "no program for linux on arm64"},
		"a script": {change: func(t *testing.T, dir string) {
			overwrite(t, filepath.Join(dir, "bootstrap"), []byte("#!/bin/sh\n"))
		}, want: "no program for linux on arm64"},
		"a program that cannot run": {change: func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "bootstrap"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, want: "bootstrap must be executable for everybody, since Lambda runs it as another user: chmod 755 it"},
		"a program for its owner": {change: func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "bootstrap"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, want: "chmod 755 it"},
		"a configuration for its owner": {change: func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "connectroster.yaml"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, want: "connectroster.yaml must be readable for everybody, since Lambda reads it as another user: chmod 644 it"},
		"functions without the configuration": {change: func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "connectroster.yaml")); err != nil {
				t.Fatal(err)
			}
		}, want: "the configuration is not among them"},
		"functions with another configuration": {change: func(t *testing.T, dir string) {
			overwrite(t, filepath.Join(dir, "connectroster.yaml"), []byte(config+"# changed\n"))
		}, want: "copy it there anew"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir, assets := t.TempDir(), assetsOf(t, name)
			overwrite(t, filepath.Join(dir, "connectroster.yaml"), []byte(or(c.config, config)))
			if c.lock != "-" {
				overwrite(t, filepath.Join(dir, lockName), []byte(or(c.lock, locked)))
			}
			if c.change != nil {
				c.change(t, assets)
			}
			context := map[string]string{"config": filepath.Join(dir, "connectroster.yaml"), "assets": assets}
			for key, value := range c.context {
				context[key] = value
			}
			_, err := settingsFrom(func(key string) string { return context[key] })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestAssetsZipped: a zip file is as good as a folder.
func TestAssetsZipped(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "functions.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join("testdata", "life", "connectroster.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, text := range map[string][]byte{"bootstrap": armProgram(), "connectroster.yaml": config} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := settingsOf(t, "life", map[string]string{"assets": path})
	if err != nil || !s.built || s.assets != path {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestStandIn: without functions there is a template to look at, which CloudFormation
// refuses before it makes anything of it.
func TestStandIn(t *testing.T) {
	if _, err := os.Stat(defaultAssets); err == nil {
		t.Skip("the functions are built in " + defaultAssets + ", so nothing stands in for them")
	}
	x := synth(t, "life", map[string]string{"assets": ""})
	rule, _ := x.Rules["FunctionsAreBuilt"].(map[string]any)
	for _, a := range list(rule["Assertions"]) {
		a := a.(map[string]any)
		equal := list(a["Assert"].(map[string]any)["Fn::Equals"])
		if len(equal) == 2 && equal[0] != equal[1] && strings.Contains(a["AssertDescription"].(string), "were not built") {
			return
		}
	}
	t.Errorf("the rules of the template are %v", x.Rules)
}

// TestSmallAccount: an account that may run ten functions at once can reserve none.
func TestSmallAccount(t *testing.T) {
	x := synth(t, "life", map[string]string{"reserve": "false", "stack": "Second", "log-days": "90", "quiet-days": "3"})
	for id, r := range x.of("AWS::CloudWatch::Alarm") {
		if strings.HasPrefix(id, "NoEvents") && r.Properties["EvaluationPeriods"] != 3.0 {
			t.Errorf("%s waits for %v days", id, r.Properties["EvaluationPeriods"])
		}
	}
	for id, r := range x.of("AWS::Lambda::Function") {
		if r.Properties["ReservedConcurrentExecutions"] != nil {
			t.Errorf("%s reserves %v", id, r.Properties["ReservedConcurrentExecutions"])
		}
	}
	for id, r := range x.of("AWS::Logs::LogGroup") {
		if r.Properties["RetentionInDays"] != 90.0 {
			t.Errorf("%s keeps logs for %v days", id, r.Properties["RetentionInDays"])
		}
	}
}

// TestChoices: the stack tells what it was told, for the next run of start.sh, and
// nothing where that is what it would be anyway.
func TestChoices(t *testing.T) {
	x := synth(t, "life", map[string]string{"log-days": "90", "quiet-days": "3", "alarm-mail": "on-call@example.com"})
	if got, want := x.Outputs["Choices"]["Value"], "alarm-mail=on-call@example.com quiet-days=3 log-days=90"; got != want {
		t.Errorf("the choices are %v, want %s", got, want)
	}
	for _, why := range []string{"false", "none-left"} {
		x := synth(t, "hook-only", map[string]string{"reserve": why})
		if got, want := x.Outputs["Choices"]["Value"], "reserve="+why; got != want {
			t.Errorf("the choices are %v, want %s", got, want)
		}
		for id, r := range x.of("AWS::Lambda::Function") {
			if r.Properties["ReservedConcurrentExecutions"] != nil {
				t.Errorf("%s: %s reserves %v", why, id, r.Properties["ReservedConcurrentExecutions"])
			}
		}
	}
	if got, told := synth(t, "hook-only", nil).Outputs["Choices"]; told {
		t.Errorf("the choices are %v where nothing was chosen", got)
	}
}

func overwrite(t *testing.T, path string, text []byte) {
	t.Helper()
	err := os.WriteFile(path, text, 0o755)
	if err == nil {
		err = os.Chmod(path, 0o755) // whatever the umask is
	}
	if err != nil {
		t.Fatal(err)
	}
}

func or(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}

package arch

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is the table: one line for each package, with its reason.
func house() rules {
	return rules{
		packages: map[string]entry{
			"cmd/connectroster":    {why: "the binary: flags, wiring, signals", imports: []string{"*"}},
			"cmd/release":          {why: "makes the files of a release", std: true},
			"cmd/lambda":           {why: "the functions of AWS: events and wiring", imports: []string{"internal/plan", "internal/reconcile", "internal/config", "internal/app", "internal/awsstore"}},
			"internal/plan":        {why: "decides, and does nothing else", std: true},
			"internal/reconcile":   {why: "the engine and the ports it needs", imports: []string{"internal/plan", "internal/failpoint", "internal/remedy"}},
			"internal/okta":        {why: "all that speaks Okta", imports: []string{"internal/plan", "internal/reconcile", "internal/doctor", "internal/failpoint", "internal/remedy"}},
			"internal/connect":     {why: "all that speaks Amazon Connect", imports: []string{"internal/plan", "internal/reconcile", "internal/doctor", "internal/awsdial", "internal/redact", "internal/remedy"}},
			"internal/sqlite":      {why: "the backend of the daemon", imports: []string{"internal/plan", "internal/reconcile", "internal/doctor", "internal/failpoint", "internal/remedy"}},
			"internal/awsstore":    {why: "the backend without a server", imports: []string{"internal/plan", "internal/reconcile", "internal/failpoint", "internal/awsdial", "internal/redact", "internal/remedy"}},
			"internal/storetest":   {why: "one suite that every backend passes", imports: []string{"internal/plan", "internal/reconcile"}},
			"internal/doctor":      {why: "checks that adapters bring along"},
			"internal/remedy":      {why: "the one catalogue of codes, causes and remedies, which every other package may cite", std: true},
			"internal/redact":      {why: "what of an error of AWS may be shown, for those who call it", std: true},
			"internal/awsdial":     {why: "where a service of AWS may be, for those who call one"},
			"internal/config":      {why: "one documented configuration", imports: []string{"internal/plan", "internal/doctor", "internal/awsdial", "internal/redact", "internal/remedy"}},
			"internal/app":         {why: "the program without its flags, so that tests can embed it", imports: []string{"internal/plan", "internal/reconcile", "internal/okta", "internal/connect", "internal/doctor", "internal/config", "internal/console", "internal/remedy"}},
			"internal/failpoint":   {why: "the places where a crash must lose nothing", std: true},
			"internal/sim/okta":    {why: "an Okta org over its own wire; it judges internal/okta, so it shares nothing with it", std: true},
			"internal/sim/connect": {why: "an Amazon Connect instance over its own wire; it judges internal/connect, so it shares nothing with it", std: true},
		},
		names: []string{"pkg", "utils", "util", "common", "types", "models", "interfaces", "mocks", "service", "handlers"},
		libraries: map[string][]string{
			"github.com/aws/aws-sdk-go-v2/service/connect":  {"internal/connect"}, // compiles for more than a minute
			"github.com/aws/aws-sdk-go-v2/service/dynamodb": {"internal/awsstore"},
			"github.com/aws/aws-sdk-go-v2/service/sqs":      {"internal/awsstore"},
			"modernc.org/sqlite":                            {"internal/sqlite"},
			"github.com/pressly/goose":                      {"internal/sqlite"},
			"github.com/prometheus/client_golang":           {"cmd/connectroster"},
			"github.com/spf13/cobra":                        {"cmd/connectroster"},
			"charm.land/huh":                                {"cmd/connectroster"}, // for the wizard alone
			"github.com/expr-lang/expr":                     {"internal/config"},   // rules reach the planner compiled
		},
		// What runs as a Lambda function starts cold: neither the daemon's backend,
		// metrics and flags nor the simulators come with it.
		links: map[string][]string{
			"internal/app": daemonOnly(),
			"cmd/lambda":   daemonOnly(),
		},
		pure: map[string]purity{
			"internal/plan": {
				packages: []string{
					"context", "log", "os", "net", "io", "bufio", "embed", "syscall", "runtime", "sync", "unsafe", "plugin",
					"database", "expvar", "flag", "testing", "math/rand", "crypto/rand", "path/filepath", "C",
				},
				calls: map[string][]string{
					"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"},
					"fmt":  {"Print", "Printf", "Println", "Fprint", "Fprintf", "Fprintln", "Scan", "Scanf", "Scanln", "Fscan", "Fscanf", "Fscanln"},
				},
			},
		},
	}
}

func daemonOnly() []string {
	return []string{
		"modernc.org/sqlite", "github.com/pressly/goose", "github.com/prometheus/client_golang", "github.com/spf13/cobra", "charm.land",
		"internal/sqlite", "internal/storetest", "internal/sim",
	}
}

// TestHouse checks the packages as they stand.
func TestHouse(t *testing.T) {
	t.Parallel()
	packages, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(packages, func(p source) bool { return p.folder == "internal/plan" && len(p.imports) > 0 }) {
		t.Fatalf("internal/plan is not among the %d packages read, so nothing was checked", len(packages))
	}
	for _, fault := range check(house(), packages) {
		t.Error(fault)
	}
}

// TestTableHasReasons: every line says why its package is there.
func TestTableHasReasons(t *testing.T) {
	t.Parallel()
	for folder, line := range house().packages {
		if line.why == "" {
			t.Errorf("%s stands in the table without a reason", folder)
		}
	}
}

// TestCheckFails gives the checker a module that breaks one rule at a time. Each
// must be found, where it is, and nothing else.
func TestCheckFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string // added to a module that is in order
		want  []string          // the beginning of every fault
	}{
		"in order": {},
		"package without a line": {
			files: map[string]string{"internal/extra/extra.go": `package extra`},
			want:  []string{"internal/extra: this package is not in the table of internal/arch; add a line with its reason"},
		},
		"folder with a name that says nothing": {
			files: map[string]string{"internal/utils/strings.go": `package strings`},
			want:  []string{`internal/utils: a package named "utils" says nothing`, "internal/utils: this package is not in the table"},
		},
		"package clause with a name that says nothing": {
			files: map[string]string{"internal/doctor/doctor.go": `package handlers`},
			want:  []string{`internal/doctor: a package named "handlers" says nothing`},
		},
		"parent with a name that says nothing": {
			files: map[string]string{"pkg/plan/plan.go": `package plan`},
			want:  []string{`pkg/plan: a package named "pkg" says nothing`, "pkg/plan: this package is not in the table"},
		},
		"edge that is not in the table": {
			files: map[string]string{"internal/plan/bad.go": "package plan\n\nimport _ \"connectroster/internal/reconcile\""},
			want:  []string{"internal/plan/bad.go:3: internal/plan must not import internal/reconcile; it may import nothing of ours"},
		},
		"edge behind a build tag": {
			files: map[string]string{"internal/okta/bad.go": "//go:build never\n\npackage okta\n\nimport \"connectroster/internal/connect\"\n\nvar _ = connect.X"},
			want:  []string{"internal/okta/bad.go:5: internal/okta must not import internal/connect; it may import internal/plan, internal/reconcile"},
		},
		"simulator that borrows from us": {
			files: map[string]string{"internal/sim/okta/bad.go": "package okta\n\nimport _ \"connectroster/internal/okta\""},
			want:  []string{"internal/sim/okta/bad.go:3: internal/sim/okta must not import internal/okta"},
		},
		"simulator with a library": {
			files: map[string]string{"internal/sim/okta/bad.go": "package okta\n\nimport _ \"golang.org/x/text/unicode/norm\""},
			want:  []string{"internal/sim/okta/bad.go:3: internal/sim/okta must not import golang.org/x/text/unicode/norm; it uses the standard library only"},
		},
		"SDK in a second place": {
			files: map[string]string{"internal/reconcile/bad.go": "package reconcile\n\nimport _ \"github.com/aws/aws-sdk-go-v2/service/connect/types\""},
			want:  []string{"internal/reconcile/bad.go:3: internal/reconcile must not import github.com/aws/aws-sdk-go-v2/service/connect; only internal/connect may"},
		},
		"library with a similar name": {
			files: map[string]string{"internal/reconcile/fine.go": "package reconcile\n\nimport _ \"github.com/aws/aws-sdk-go-v2/service/connectcases\""},
		},
		"planner with a context": {
			files: map[string]string{"internal/plan/bad.go": "package plan\n\nimport \"context\"\n\nvar _ context.Context"},
			want:  []string{"internal/plan/bad.go:3: internal/plan only computes, so it must not import context"},
		},
		"planner that logs": {
			files: map[string]string{"internal/plan/bad.go": "package plan\n\nimport _ \"log/slog\""},
			want:  []string{"internal/plan/bad.go:3: internal/plan only computes, so it must not import log/slog"},
		},
		"planner that speaks": {
			files: map[string]string{"internal/plan/bad.go": "package plan\n\nimport _ \"net/http\""},
			want:  []string{"internal/plan/bad.go:3: internal/plan only computes, so it must not import net/http"},
		},
		"planner that knows a duration": {
			files: map[string]string{"internal/plan/fine.go": "package plan\n\nimport \"time\"\n\nconst x = time.Second"},
		},
		"planner that knows the time": {
			files: map[string]string{"internal/plan/bad.go": "package plan\n\nimport clock \"time\"\n\nvar x = clock.Now"},
			want:  []string{"internal/plan/bad.go:5: internal/plan only computes, so it must not use time.Now"},
		},
		"planner that hides the time": {
			files: map[string]string{"internal/plan/bad.go": "package plan\n\nimport . \"time\"\n\nvar x = Now()"},
			want:  []string{"internal/plan/bad.go:3: internal/plan only computes, so it must not use time.*"},
		},
		"planner that prints": {
			files: map[string]string{"internal/plan/bad.go": "package plan\n\nimport \"fmt\"\n\nfunc x() { fmt.Println() }"},
			want:  []string{"internal/plan/bad.go:5: internal/plan only computes, so it must not use fmt.Println"},
		},
		"app with metrics": {
			files: map[string]string{"internal/app/bad.go": "package app\n\nimport _ \"github.com/prometheus/client_golang/prometheus\""},
			want: []string{
				"internal/app/bad.go:3: internal/app must not import github.com/prometheus/client_golang; only cmd/connectroster may",
				"internal/app/bad.go:3: internal/app must not link github.com/prometheus/client_golang/prometheus; it comes by internal/app -> github.com/prometheus/client_golang/prometheus",
			},
		},
		"lambda that links the daemon's backend by way of another": {
			files: map[string]string{
				"cmd/lambda/main.go":        "package main\n\nimport _ \"connectroster/internal/doctor\"",
				"internal/doctor/doctor.go": "package doctor\n\nimport _ \"connectroster/internal/sqlite\"",
			},
			want: []string{
				"cmd/lambda/main.go:3: cmd/lambda must not import internal/doctor",
				"internal/doctor/doctor.go:3: internal/doctor must not import internal/sqlite",
				"internal/doctor/doctor.go:3: cmd/lambda must not link internal/sqlite; it comes by cmd/lambda -> internal/doctor -> internal/sqlite",
			},
		},
		"what is no package of this module": {
			files: map[string]string{
				"internal/plan/plan_test.go":       "package plan\n\nimport _ \"os\"",
				"internal/plan/testdata/x.go":      "package utils\n\nimport _ \"os\"",
				"deploy/cdk/go.mod":                "module cdk",
				"deploy/cdk/main.go":               "package main\n\nimport _ \"connectroster/internal/plan\"",
				".cache/common/common.go":          "package common",
				"internal/plan/_old/types/type.go": "package types",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			packages, err := load(moduleInOrder(c.files))
			if err != nil {
				t.Fatal(err)
			}
			got := check(house(), packages)
			if len(got) != len(c.want) {
				t.Fatalf("faults (-want +got):\n%s", cmp.Diff(c.want, got))
			}
			for i := range got {
				if !strings.HasPrefix(got[i], c.want[i]) {
					t.Errorf("fault %d:\n got %s\nwant %s", i, got[i], c.want[i])
				}
			}
		})
	}
}

// TestLoadReportsWhatItCannotRead: a file that does not parse is no package
// without imports.
func TestLoadReportsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	if got, err := load(moduleInOrder(map[string]string{"internal/plan/bad.go": "package plan\n\nimport (\n"})); err == nil {
		t.Errorf("load = %+v, want an error", got)
	}
}

// moduleInOrder is a small module that keeps all rules, with more files.
func moduleInOrder(more map[string]string) fstest.MapFS {
	files := fstest.MapFS{}
	add := func(name, text string) { files[name] = &fstest.MapFile{Data: []byte(text)} }
	add("go.mod", "module connectroster")
	add("cmd/connectroster/main.go", "package main\n\nimport (\n\t_ \"connectroster/internal/app\"\n\t_ \"connectroster/internal/sqlite\"\n\t_ \"github.com/spf13/cobra\"\n)")
	add("internal/app/app.go", "package app\n\nimport (\n\t_ \"log/slog\"\n\n\t_ \"connectroster/internal/connect\"\n\t_ \"connectroster/internal/reconcile\"\n)")
	add("internal/connect/connect.go", "package connect\n\nimport (\n\t_ \"connectroster/internal/reconcile\"\n\t_ \"github.com/aws/aws-sdk-go-v2/service/connect\"\n)")
	add("internal/okta/okta.go", "package okta\n\nimport _ \"connectroster/internal/plan\"")
	add("internal/plan/plan.go", "package plan\n\nimport \"fmt\"\n\nvar _ = fmt.Sprintf")
	add("internal/reconcile/reconcile.go", "package reconcile\n\nimport _ \"connectroster/internal/plan\"")
	add("internal/sim/okta/okta.go", "package okta\n\nimport _ \"net/http\"")
	add("internal/sqlite/sqlite.go", "package sqlite\n\nimport (\n\t_ \"connectroster/internal/plan\"\n\t_ \"modernc.org/sqlite\"\n)")
	for name, text := range more {
		add(name, text)
	}
	return files
}

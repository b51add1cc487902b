package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"connectroster/internal/doctor"
	"connectroster/internal/remedy"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// patient is a world that is examined: with the whole life of an agent, set up as
// the documentation says, and two people in the group of agents.
type patient struct {
	*world
	okta   string            // URL of the org
	yaml   map[string]string // the configuration: top-level keys and what follows them
	env    []string          // of the daemon and of doctor
	daemon *child            // nil: none runs
	ana    simokta.User
	bo     simokta.User
}

// newPatient prepares a world without a daemon. The function may change it before
// the configuration is written.
func newPatient(t *testing.T, before func(*patient)) *patient {
	t.Helper()
	settings := simconnect.DefaultSettings()
	settings.Limit = simconnect.Limit{}
	settings.RequireSignature = true
	p := &patient{world: newWorld(t, setup{connect: settings})}
	p.must(os.Chmod(p.dir, 0o700))
	p.instance.AddDemo()
	// What a machine that does much else answers late is no fault of the deployment.
	p.must(p.org.Configure(func(s *simokta.Settings) { s.Timeout = patience }))
	server, url, err := serveLoopback(t.Context(), "127.0.0.1:0", p.org)
	p.must(err)
	t.Cleanup(func() { _ = server.Close() })
	p.okta = url
	_, err = p.org.AddApp(simokta.NewApp{Label: "Amazon Connect", Roles: []string{"Agents"}})
	p.must(err)
	for n, u := range []*simokta.User{&p.ana, &p.bo} {
		*u = p.hire(n)
		p.join(*u)
	}
	p.yaml = map[string]string{
		"name": "tests", "policy": "sync", "listen": p.listen, "admin_listen": p.admin, "socket": fmt.Sprintf("%q", p.socket()),
		"allow_loopback": "true",
		"connect":        fmt.Sprintf("{instance: %s, region: eu-central-1, rate: 1000, burst: 5}", p.instance.ID()),
		"okta":           fmt.Sprintf(`{org: %q, auth: {token: "env:OKTA_API_TOKEN"}, app: Amazon Connect, catch_up: 10s}`, url),
		"personas":       "\n  agent: {routing_profile: Basic Routing Profile, security_profiles: [Agent]}\n  parked: {routing_profile: Parked, security_profiles: [No permissions]}",
		"rules":          fmt.Sprintf("\n  - {groups: [%s], persona: agent}", agentGroup),
		"leavers":        "{suspend_as: parked, delete_after: 7d}",
		"store":          fmt.Sprintf("{sqlite: %q}", p.database),
	}
	if before != nil {
		before(p)
	}
	p.write()
	return p
}

func (p *patient) write() {
	p.t.Helper()
	var text strings.Builder
	for _, key := range []string{"name", "policy", "listen", "admin_listen", "socket", "allow_loopback", "okta", "connect", "instances", "personas", "default_persona", "rules", "leavers", "notify", "store"} {
		if value := p.yaml[key]; value != "" {
			fmt.Fprintf(&text, "%s: %s\n", key, value)
		}
	}
	p.must(os.WriteFile(p.file(), []byte(text.String()), 0o600))
}

// begin starts the daemon, waits for its first sweep and sets Okta up.
func (p *patient) begin() {
	p.t.Helper()
	p.daemon = p.started(p.env...)
	eventually(p.t, patience, func() error {
		if text := p.api(http.MethodGet, "/v1/status"); !strings.Contains(text, `"last": {`) {
			return errors.New("not swept yet")
		}
		return nil
	})
	p.command("okta", "setup", "--url", p.url(), "--role", "Agents", "--yes")
	p.sweep()
	eventually(p.t, patience, func() error { // who is assigned to the app while it is read makes a list incomplete
		var s struct {
			Sweep   struct{ Error string }
			CatchUp struct{ Error string } `json:"catch_up"`
		}
		p.must(json.Unmarshal([]byte(p.api(http.MethodGet, "/v1/status")), &s))
		if s.Sweep.Error+s.CatchUp.Error != "" {
			return errors.New(s.Sweep.Error + s.CatchUp.Error)
		}
		return nil
	})
}

// end stops the daemon.
func (p *patient) end() {
	p.t.Helper()
	p.daemon.stop()
	p.daemon = nil
}

// sweep has everybody looked at, until nothing is left to do: whoever could not
// have a username before Okta was set up is found now.
func (p *patient) sweep() {
	p.t.Helper()
	p.idle()
	eventually(p.t, patience, func() error { // what the daemon does meanwhile makes a plan stale
		if out, code := p.exec(nil, "apply", "--yes", "--config", p.file()); code != 0 {
			return fmt.Errorf("connectroster apply: exit code %d\n%s", code, out)
		}
		return nil
	})
}

// command runs a command that must succeed.
func (p *patient) command(args ...string) {
	p.t.Helper()
	if out, code := p.exec(nil, append(args, "--config", p.file())...); code != 0 {
		p.t.Fatalf("connectroster %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
}

// exec runs the program and gives what it prints on its standard output.
func (p *patient) exec(env []string, args ...string) (stdout string, code int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(p.t), args...)
	cmd.Dir = p.dir
	cmd.Env = append(p.environment(), env...)
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	if errors.Len() > 0 {
		p.t.Logf("%s: %s", args[0], errors.String())
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// environment is that of all commands.
func (p *patient) environment() []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "TMPDIR=" + p.t.TempDir(),
		"OKTA_HOOK_SECRET=" + hookSecret, "OKTA_API_TOKEN=" + apiToken,
		"AWS_ENDPOINT_URL_CONNECT=http://" + p.connect,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}, p.env...)
}

// examine runs doctor and holds it to its word: it writes nothing anywhere, and
// its exit code says whether something failed.
func (p *patient) examine(env []string, args ...string) doctor.Report {
	p.t.Helper()
	calls, ledger, files := p.org.Stats().Calls, len(p.instance.Ledger()), p.files()
	text, code := p.exec(env, append([]string{"doctor", "--json", "--config", p.file()}, args...)...)
	var report doctor.Report
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		p.t.Fatalf("%v:\n%s", err, text)
	}
	if want := map[bool]int{true: 1}[report.State == doctor.Fail]; code != want {
		p.t.Errorf("exit code %d, want %d", code, want)
	}
	for endpoint, n := range p.org.Stats().Calls {
		if n != calls[endpoint] && !strings.HasPrefix(endpoint, "GET ") && endpoint != "POST /oauth2/v1/token" {
			p.t.Errorf("doctor called %s", endpoint)
		}
	}
	if p.daemon == nil {
		if n := len(p.instance.Ledger()); n != ledger {
			p.t.Errorf("doctor changed Amazon Connect: %+v", p.instance.Ledger()[ledger:])
		}
		if now := p.files(); now != files {
			p.t.Errorf("doctor changed files of the deployment:\n%s\nbefore:\n%s", now, files)
		}
	}
	return report
}

// files are those of the deployment with their content.
func (p *patient) files() string {
	var out strings.Builder
	_ = filepath.WalkDir(p.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "-shm") { // which tells who reads
			return nil
		}
		info, _ := d.Info()
		content, _ := os.ReadFile(path)
		fmt.Fprintf(&out, "%s %s %x\n", path, info.Mode(), sha256.Sum256(content))
		return nil
	})
	return out.String()
}

// management calls Okta's API as an administrator does.
func (p *patient) management(method, path, body string) {
	p.t.Helper()
	status, answer, err := call(method, p.okta+"/api/v1/"+path, []string{"Authorization: SSWS " + apiToken, "Content-Type: application/json"}, []byte(body))
	if err != nil || status >= 400 {
		p.t.Fatalf("%s %s: %d %v %s", method, path, status, err, answer)
	}
}

// ourHook is the event hook in Okta.
func (p *patient) ourHook() simokta.Hook {
	p.t.Helper()
	hooks := p.org.Hooks()
	if len(hooks) != 1 {
		p.t.Fatalf("%d event hooks", len(hooks))
	}
	return hooks[0]
}

// dropHook takes the event hook away.
func (p *patient) dropHook() {
	p.t.Helper()
	id := p.ourHook().ID
	p.management(http.MethodPost, "eventHooks/"+id+"/lifecycle/deactivate", "")
	p.management(http.MethodDelete, "eventHooks/"+id, "")
}

// addHook makes an event hook by hand.
func (p *patient) addHook(change func(*simokta.HookConfig)) simokta.Hook {
	p.t.Helper()
	h := simokta.HookConfig{Name: "by hand", URI: p.url(), AuthValue: hookSecret, Events: []string{
		"application.user_membership.add", "application.user_membership.remove", "application.user_membership.update",
		"group.application_assignment.add", "group.application_assignment.remove", "group.application_assignment.update",
		"group.lifecycle.create", "group.lifecycle.delete", "group.profile.update", "group.user_membership.add", "group.user_membership.remove",
		"user.account.update_profile", "user.lifecycle.activate", "user.lifecycle.create", "user.lifecycle.deactivate",
		"user.lifecycle.delete.initiated", "user.lifecycle.reactivate", "user.lifecycle.suspend", "user.lifecycle.unsuspend",
	}}
	change(&h)
	made, err := p.org.AddHook(h)
	p.must(err)
	return made
}

// byHand adds an agent with tags to Amazon Connect.
func (p *patient) byHand(username string, tags map[string]string) {
	p.t.Helper()
	_, err := p.instance.AddAgent(simconnect.Agent{Username: username, IdentityInfo: simconnect.IdentityInfo{FirstName: "By", LastName: "Hand"}, Tags: tags})
	p.must(err)
}

// broken lists what is neither well nor skipped, but for what every test has: the
// upstreams are simulators.
func broken(report doctor.Report) []doctor.Result {
	return slices.DeleteFunc(slices.Clone(report.Results), func(r doctor.Result) bool {
		return r.State == doctor.OK || r.State == doctor.Skipped || r.Code == "simulators"
	})
}

// TestDoctorOfHealthyDeployment: where all is well, nothing is found but that the
// upstreams are simulators, with a daemon and, but for that it is away, without.
func TestDoctorOfHealthyDeployment(t *testing.T) {
	t.Parallel()
	p := newPatient(t, nil)
	p.begin()
	report := p.examine(nil)
	warnings := 2
	for _, r := range broken(report) {
		if p.late(r) {
			warnings++
			continue
		}
		t.Errorf("%+v", r)
	}
	if report.Skipped > 0 || report.Warn != warnings || report.OK < 30 {
		t.Errorf("%d ok, %d warnings, %d skipped", report.OK, report.Warn, report.Skipped)
	}
	for _, r := range p.examine(nil, "--url", p.url()).Results {
		if r.State == doctor.Fail {
			t.Errorf("with --url: %+v", r)
		}
	}
	known := map[string]bool{}
	for _, r := range report.Results {
		known[r.Check] = true
		if _, ok := remedy.Find(r.Code); !ok {
			t.Errorf("the catalogue lacks %s", r.Code)
		}
	}
	p.end()
	report = p.examine(nil)
	found := broken(report)
	if len(found) != 1 || found[0].Code != "daemon_away" || report.Skipped > 0 || report.Fail > 0 {
		t.Errorf("without a daemon: %+v", found)
	}
	for _, r := range report.Results {
		known[r.Check] = true
	}
	// What it prints for people holds nothing of them, nor of secrets.
	text, code := p.exec(nil, "doctor", "--config", p.file())
	if code != 0 || strings.Contains(text, "person0") || strings.Contains(text, hookSecret) || strings.Contains(text, apiToken) || !strings.Contains(text, "more: connectroster help daemon_away") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
	// The catalogue has no check that does not exist.
	rare := []string{"connect settings", "webhook"} // told of in the tests of faults
	for _, e := range remedy.All() {
		name := strings.ReplaceAll(e.Code, "_", " ")
		if e.Kind == remedy.Check && !known[name] && !slices.Contains(rare, name) && e.Code != "okta_deliveries" {
			t.Errorf("the catalogue has %s, and nothing looks at it", e.Code)
		}
	}
}

// late tells whether what was found is that the daemon could not store a delivery in
// time, on a machine that does much else.
func (p *patient) late(r doctor.Result) bool {
	return r.Code == "hook_traffic" && p.daemon != nil && strings.Contains(p.daemon.output.String(), "hook delivery refused")
}

// fault is something planted that doctor must find.
type fault struct {
	before func(*patient) // before the daemon starts
	alone  bool           // no daemon is started
	stop   bool           // the daemon is stopped once all is well, and sees nothing of what follows
	after  func(*patient) // in a deployment that is well
	env    func(*patient) []string
	args   []string

	check string // in which it is found
	about string // of which instance; empty: any
	code  string // under which; empty: that of the check
	state doctor.State
	seen  string   // what is said of it holds this
	also  []string // codes of what comes along with it
}

// TestDoctorFindsFaults plants one fault after the other in a deployment in which
// all is well. Each is found by its name, with what to do, and beside it nothing
// but what cannot be otherwise.
func TestDoctorFindsFaults(t *testing.T) {
	t.Parallel()
	for name, f := range faults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPatient(t, f.before)
			if !f.alone {
				p.begin()
			}
			if f.stop {
				p.end()
			}
			if f.after != nil {
				f.after(p)
			}
			var env []string
			if f.env != nil {
				env = f.env(p)
			}
			code := cmp.Or(f.code, strings.ReplaceAll(f.check, " ", "_"))
			beside := func(r doctor.Result) bool {
				switch {
				case r.Code == code, slices.Contains(f.also, r.Code), p.late(r):
					return false
				}
				return p.daemon != nil || r.Code != "daemon_away" && r.Code != "okta_deliveries"
			}
			report := p.examine(env, f.args...)
			for range 4 { // a daemon on a busy machine may not answer in time, and is asked once more
				if !slices.ContainsFunc(broken(report), func(r doctor.Result) bool {
					return beside(r) && strings.Contains(r.Seen, "context deadline exceeded")
				}) {
					break
				}
				report = p.examine(env, f.args...)
			}
			hit := false
			for _, r := range broken(report) {
				switch {
				case r.Check == f.check && r.Code == code && r.State == f.state && strings.Contains(r.Seen, f.seen) && (f.about == "" || r.About == f.about):
					hit = true
					if r.Do == "" {
						t.Errorf("nothing says what to do: %+v", r)
					}
				case beside(r):
					t.Errorf("found beside it: %+v", r)
				}
				if _, ok := remedy.Find(r.Code); !ok {
					t.Errorf("the catalogue lacks %s", r.Code)
				}
			}
			if !hit {
				t.Errorf("not found as %s %s (%s)", f.state, f.check, code)
				for _, r := range report.Results {
					t.Logf("%+v", r)
				}
			}
		})
	}
}

//go:build unix

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
	"connectroster/internal/storetest"
)

// TestNewcomer does what the README says, from top to bottom, in an empty folder, and
// sees that what it shows comes out. The two simulators are the Okta org and the Amazon
// Connect instance that it calls your own. What is typed otherwise than it stands there
// is in the list below: the go command finds the repository where it is, since all that
// was built would be built anew for a copy.
func TestNewcomer(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"bash", "curl", "go"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not here, and the page needs it", program)
		}
	}
	addresses, err := storetest.FreeAddresses(2)
	if err != nil {
		t.Fatal(err)
	}
	orgURL, instanceURL := ownOktaAndConnect(t)
	repository, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	page := pageText(t, "README.md")
	for _, other := range [][2]string{
		// It stays, as Ctrl-C ends it; and until its people have agents nobody goes on.
		{"go run ./cmd/connectroster dev\n", "go run -C " + repository + " ./cmd/connectroster dev > dev.log &\nuntil grep '8 of 8 agents are right' dev.log; do sleep 0.2; done\n"},
		// As make does it, but for -trimpath, for which all would be built anew as well.
		{"make build && ", "go build -C " + repository + " -o $PWD/bin/connectroster ./cmd/connectroster && "},
		// These are the tests. It sees that there are packages of ours where it looks.
		{"go test ./...\n", "go list -C " + repository + " ./... | grep connectroster/cmd/connectroster\n"},
		// Nobody is at a terminal, so the answers of the wizard are flags.
		{"connectroster init\n", "connectroster init --name production --region eu-central-1 --instance connectroster-sim " +
			"--okta api-token --okta-org " + orgURL + " --okta-app 'Amazon Connect' --group 'Amazon Connect Agents' " +
			"--routing-profile 'Basic Routing Profile' --security-profile Agent --policy upsert-only --new-hook-secret hook-secret --allow-loopback\n"},
		// It stays, at an address that is free, and is called without a proxy.
		{"connectroster serve\n", fmt.Sprintf("printf 'listen: %s\\nadmin_listen: %s\\n' >> connectroster.yaml\nconnectroster serve 2> daemon.log &\n", addresses[0], addresses[1]) +
			"curl -sf --retry 20 --retry-connrefused http://" + addresses[0] + "/readyz\n" + untilSwept + "\n"},
		{"--url https://your.host/hooks/okta\n", "--url http://" + addresses[0] + "/hooks/okta --role Agents --yes\n"},
	} {
		if strings.Count(page, other[0]) != 1 {
			t.Errorf("the README does not have %q once", other[0])
		}
		page = strings.ReplaceAll(page, other[0], other[1])
	}
	typed, shown := openShell(t, append(goEnvironment(t), "AWS_ENDPOINT_URL_CONNECT="+instanceURL, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"OKTA_API_TOKEN=dev-token-of-the-simulator", "TMPDIR="+t.TempDir())...).play(page)
	if typed < 7 || shown < 4 {
		t.Errorf("typed %d blocks and compared %d: is the test still able to see them?", typed, shown)
	}
}

// untilSwept waits for the first sweep of a daemon whose database is in the folder. Where
// the app is assigned while that reads who has it, the sweep fails, and doctor tells so.
const untilSwept = `until curl -sf --unix-socket connectroster.db.sock http://socket/v1/status | grep '"last": {' > swept; do sleep 0.2; done`

// ownOktaAndConnect are an Okta org with Ana in the group of agents, and an instance
// of Amazon Connect.
func ownOktaAndConnect(t *testing.T) (orgURL, instanceURL string) {
	t.Helper()
	instance, err := simconnect.New(simconnect.Config{Demo: true})
	if err != nil {
		t.Fatal(err)
	}
	org, err := simokta.New(simokta.Config{AllowHTTP: true, Tokens: []string{"dev-token-of-the-simulator"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = org.Close(context.Background()) }) // whatever it could not deliver any more
	// A machine that does much else may not answer within the three seconds of Okta.
	if err := org.Configure(func(s *simokta.Settings) { s.Timeout = patience }); err != nil {
		t.Fatal(err)
	}
	group, err := org.AddGroup("Amazon Connect Agents")
	if err != nil {
		t.Fatal(err)
	}
	app, err := org.AddApp(simokta.NewApp{Label: "Amazon Connect", Roles: []string{"Agents"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := org.AssignGroup(app.ID, group.ID); err != nil {
		t.Fatal(err)
	}
	ana, err := org.AddUser(devPerson(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := org.Join(ana.ID, group.ID); err != nil {
		t.Fatal(err)
	}
	serve := func(h http.Handler) string {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL
	}
	return serve(org), serve(instance)
}

// goEnvironment lets the go command use what is built and downloaded already.
func goEnvironment(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS").Output()
	if err != nil {
		t.Fatal(err)
	}
	values := strings.Split(string(out), "\n")
	return []string{"GOCACHE=" + values[0], "GOMODCACHE=" + values[1], "GOPROXY=" + values[2], "GOFLAGS=" + values[3]}
}

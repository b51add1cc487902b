package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"connectroster/internal/storetest"
)

func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"connectroster": stormy(main)})
}

// TestScripts plays the flows of testdata/script with the real binary and the
// simulators. Each script has addresses of its own in $OKTA, $CONNECT, $HOOK,
// $ADMIN and $MOTO, and a configuration that uses them as soon as it writes one.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "script"),
		RequireExplicitExec: true,
		Setup:               setupScript,
		Cmds:                scriptCommands(),
		Condition:           scriptCondition,
	})
}

// scriptCondition knows [moto]: python3 has moto, which stands in for DynamoDB.
func scriptCondition(name string) (bool, error) {
	if name != "moto" {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	return exec.Command("python3", "-c", "import moto.server").Run() == nil, nil
}

// scriptCommands are the commands that scripts have beside the usual ones.
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"http":  scriptHTTP,
		"await": scriptAwait,
		"subst": scriptSubst,
		"catch": scriptCatch,

		"setting": scriptSetting,
		"hook":    scriptHook,
		"verify":  scriptVerify,
		"okta":    scriptOkta,
		"roster":  scriptRoster,
		"floor":   scriptFloor,
		"sweep":   scriptSweep,
		"settled": scriptSettled,
		"rests":   scriptRests,
		"until":   scriptUntil,

		"unhurried": scriptUnhurried,
	}
}

func setupScript(env *testscript.Env) error {
	addresses, err := storetest.FreeAddresses(5)
	if err != nil {
		return err
	}
	for i, name := range []string{"OKTA", "CONNECT", "HOOK", "ADMIN", "MOTO"} {
		env.Setenv(name, addresses[i])
	}
	standIn, err := filepath.Abs(filepath.Join("..", "..", "internal", "awsstore", "testdata", "standin.py"))
	if err != nil {
		return err
	}
	env.Setenv("STANDIN", standIn)
	env.Setenv("AWS_ENDPOINT_URL_CONNECT", "http://"+addresses[1])
	for name, value := range map[string]string{
		stormOf:             os.Getenv(stormOf),
		"AWS_ACCESS_KEY_ID": "script", "AWS_SECRET_ACCESS_KEY": "script", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"OKTA_HOOK_SECRET": "a-secret-for-this-script", "OKTA_API_TOKEN": "dev-token-of-the-simulator",
		"INSTANCE": "11111111-2222-3333-4444-555555555555",
	} {
		env.Setenv(name, value)
	}
	return nil
}

// scriptHTTP is: http [-header 'Name: value'] METHOD URL [BODY | @FILE]. The
// answer becomes the standard output and the status the standard error. A
// status of 400 or more is a failure. unix:SOCKET:/path asks a Unix socket. What
// the hook of the daemon could not store in time comes again, as from Okta.
func scriptHTTP(ts *testscript.TestScript, neg bool, args []string) {
	var headers []string
	for len(args) > 1 && args[0] == "-header" {
		headers, args = append(headers, args[1]), args[2:]
	}
	if len(args) < 2 {
		ts.Fatalf("usage: http [-header 'Name: value'] METHOD URL [BODY | @FILE]")
	}
	var body []byte
	if len(args) > 2 {
		body = []byte(args[2])
		if name, ok := strings.CutPrefix(args[2], "@"); ok {
			body = []byte(ts.ReadFile(name))
		}
	}
	status, answer, err := call(args[0], absolute(ts, args[1]), headers, body)
	for n := 0; n < 20 && err == nil && status == http.StatusServiceUnavailable && strings.HasPrefix(args[1], "http://"+ts.Getenv("HOOK")+"/"); n++ {
		status, answer, err = call(args[0], absolute(ts, args[1]), headers, body)
	}
	if err != nil {
		ts.Fatalf("%s %s: %v", args[0], args[1], err)
	}
	if strings.HasPrefix(args[1], "http://"+ts.Getenv("OKTA")+"/_sim/people") {
		ts.Setenv(oktaSaid, time.Now().Format(time.RFC3339Nano))
	}
	fmt.Fprint(ts.Stdout(), answer)
	fmt.Fprintf(ts.Stderr(), "%d %s\n", status, http.StatusText(status))
	if failed := status >= 400; failed != neg {
		ts.Fatalf("%s %s: status %d: %s", args[0], args[1], status, answer)
	}
}

// absolute makes the socket of a unix: address one of the script's folder.
func absolute(ts *testscript.TestScript, url string) string {
	rest, ok := strings.CutPrefix(url, "unix:")
	if !ok {
		return url
	}
	socket, path, _ := strings.Cut(rest, ":")
	return "unix:" + ts.MkAbs(socket) + ":" + path
}

// call makes one HTTP request.
func call(method, url string, headers []string, body []byte) (status int, answer string, err error) {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	if rest, ok := strings.CutPrefix(url, "unix:"); ok {
		socket, path, _ := strings.Cut(rest, ":")
		client.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}}
		url = "http://socket" + path
	}
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		req.Header.Add(name, strings.TrimSpace(value))
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// scriptAwait is: await URL REGEXP. It asks until the answer matches, or with !
// until it does not, for 100 seconds at most.
func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: await URL REGEXP")
	}
	want, err := regexp.Compile(args[1])
	if err != nil {
		ts.Fatalf("%v", err)
	}
	var answer string
	var status int
	err = errors.New("never asked")
	for end := time.Now().Add(100 * time.Second); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		status, answer, err = call(http.MethodGet, absolute(ts, args[0]), nil, nil)
		if err == nil && status < 400 && want.MatchString(answer) != neg {
			fmt.Fprint(ts.Stdout(), answer)
			return
		}
	}
	ts.Fatalf("%s never matched %s: %v, status %d: %s", args[0], args[1], err, status, answer)
}

// scriptCatch is: catch NAME REGEXP. It puts what the first group of the regular
// expression matches in the last output into a variable.
func scriptCatch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: catch NAME REGEXP")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("the last output does not match %s with one group", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// scriptUntil is: until REGEXP COMMAND [ARGUMENT...]. It runs a command, which has to
// succeed, until its standard output matches, five times at most: where much else runs
// on the machine, what it asks may not answer in time.
func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP COMMAND [ARGUMENT...]")
	}
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	for range 5 {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("%s never matched %s", args[1:], args[0])
}

// scriptSubst is: subst FILE. It replaces $NAME and ${NAME} in a file by the
// script's variables.
func scriptSubst(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

// scriptRests is: rests. It waits until the daemon has nothing left to do, and has read
// what Okta's System Log says of the last command "okta", or of whom the last "http" made
// there, so that what is printed next does not depend on how far it was.
func scriptRests(ts *testscript.TestScript, _ bool, _ []string) {
	said, _ := time.Parse(time.RFC3339Nano, ts.Getenv(oktaSaid))
	quiet(ts, func(s state) bool {
		return s.CatchUp == nil || s.Sweep.Last != nil && s.CatchUp.Stored.After(said)
	})
	quiet(ts, func(s state) bool { return *s.Backlog.Due+*s.Backlog.Working+*s.Backlog.Waiting == 0 })
}

// oktaSaid is the variable that holds when Okta was last told something.
const oktaSaid = "OKTA_SAID"

// scriptSettled is: settled. It waits until the daemon looks at nobody; there may be
// people who wait for a time or for approval. Amazon Connect shows a change before
// the daemon has written down that it was made.
func scriptSettled(ts *testscript.TestScript, _ bool, _ []string) {
	quiet(ts, func(s state) bool { return *s.Backlog.Due+*s.Backlog.Working == 0 })
}

// state is what scripts wait for in the daemon's state.
type state struct {
	Backlog struct{ Due, Waiting, Working *int }
	Sweep   struct{ Last *struct{ Started time.Time } }
	CatchUp *struct{ Stored time.Time } `json:"catch_up"` // absent in hook-only mode
}

// quiet waits until the daemon's state is as wanted.
func quiet(ts *testscript.TestScript, wanted func(state) bool) {
	for end := time.Now().Add(100 * time.Second); ; <-time.After(20 * time.Millisecond) {
		status, answer, err := call(http.MethodGet, absolute(ts, "unix:connectroster.db.sock:/v1/status"), nil, nil)
		var now state
		if err == nil && status == http.StatusOK {
			err = json.Unmarshal([]byte(answer), &now)
		}
		ts.Check(err)
		if wanted(now) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("the daemon never came to rest: %s", answer)
		}
	}
}

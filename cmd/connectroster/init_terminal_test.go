//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"connectroster/internal/config"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// Keys as a terminal sends them.
const (
	keyEnter = "\r"
	keyDown  = "\x1b[B"
	keyCtrlC = "\x03"
	keyCtrlD = "\x04"
)

// TestInitAtTerminal answers the wizard at a real terminal, and sees that the
// configuration says what was answered.
func TestInitAtTerminal(t *testing.T) {
	t.Parallel()
	s := sitAt(t, 100, "TERM=xterm-256color")
	s.see("AWS region of the Amazon Connect instance")
	s.press("eu-central-1" + keyEnter)
	s.see("Amazon Connect instance", "connectroster-sim  (SAML)")
	s.press(keyEnter)
	s.see("How shall people be known?")
	s.press(keyDown + keyEnter) // API token
	s.see("Address of the Okta org")
	s.press(s.org + keyEnter)
	s.see("Where is the API token?")
	s.press(keyEnter)
	s.see("Amazon Connect app in Okta")
	s.press(keyEnter) // the one with Connect in its name
	s.see("Okta group whose members get the persona agent")
	s.press(keyEnter) // Amazon Connect Agents
	s.see("Routing profile of the persona agent")
	s.press("/Support" + keyEnter + keyEnter) // searched by name
	s.see("Security profiles of the persona agent")
	s.press(keyEnter) // Agent is marked
	s.see("Is there another kind of agent")
	s.press("n")
	s.see("How far may changes go?")
	s.press(keyEnter) // upsert-only
	s.see("Shall there be a persona for suspended agents?")
	s.press("y")
	s.see("Routing profile of the persona parked")
	s.press(keyEnter)
	s.see("Security profiles of the persona parked")
	s.press(keyEnter)
	s.see("The secret of the event hook")
	s.press(keyEnter) // make one
	s.see("Address at which Okta reaches connectroster")
	s.press(keyEnter)
	s.see("Name of this deployment")
	s.press(keyEnter)
	s.see("Written: ", "The first plan", "1 to create", "connectroster serve")
	if code := s.end(); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, s.screen())
	}

	cfg, err := config.Load(filepath.Join(s.dir, "connectroster.yaml"), func(string) string { return "dev-token-of-the-simulator" })
	if err != nil {
		t.Fatal(err)
	}
	agent, parked := cfg.Personas["agent"], cfg.Personas["parked"]
	for what, pair := range map[string][2]string{
		"name":             {cfg.Name, "production"},
		"policy":           {string(cfg.Policy), "upsert-only"},
		"org":              {cfg.Okta.Org, s.org},
		"app":              {cfg.Okta.App, "Amazon Connect"},
		"token":            {cfg.Okta.Auth.Token, "env:OKTA_API_TOKEN"},
		"secret":           {strings.Join(cfg.Okta.Hook.Secrets, " "), "file:hook-secret"},
		"routing profile":  {agent.RoutingProfile, "Support"},
		"security profile": {strings.Join(agent.SecurityProfiles, " "), "Agent"},
		"parked":           {parked.RoutingProfile + ", " + strings.Join(parked.SecurityProfiles, " "), "Parked, No permissions"},
		"group":            {strings.Join(cfg.Groups(), " "), "Amazon Connect Agents"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
		}
	}
}

// TestInitLineByLine answers on a terminal that only knows lines: what is explained is
// told there too, Enter alone takes what is proposed, and what cannot be right is asked
// for again. What is there already is offered.
func TestInitLineByLine(t *testing.T) {
	t.Parallel()
	s := sitAt(t, 100, "TERM=dumb")
	if err := os.WriteFile(filepath.Join(s.dir, "hook-secret"), []byte(strings.Repeat("0123456789abcdef", 4)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.see("AWS region of the Amazon Connect instance")
	s.press("Frankfurt" + keyEnter)
	s.see("want the name of an AWS region, such as eu-central-1", "AWS region of the Amazon Connect instance")
	s.press("eu-central-1" + keyEnter)
	s.see("Enter alone takes 1.", "Amazon Connect instance", "connectroster-sim  (SAML)")
	s.press(keyEnter)
	s.see("How shall people be known?", "Enter a number")
	s.press("2" + keyEnter) // API token
	s.see("Such as https://example.okta.com.", "Address of the Okta org")
	s.press("https://acme-admin.okta.com" + keyEnter)
	s.see("is the address of the admin console; did you mean https://acme.okta.com?", "Address of the Okta org")
	s.press(s.org + keyEnter)
	s.see("A reference, env:NAME or file:path.", "Where is the API token? [env:OKTA_API_TOKEN]")
	s.press(keyEnter)
	s.see("Enter alone takes 2.", "Amazon Connect app in Okta", "Enter a number")
	s.press(keyEnter)
	s.see("Okta group whose members get the persona agent", "Enter a number")
	s.press(keyEnter)
	s.see("Routing profile of the persona agent", "Enter a number")
	s.press("5" + keyEnter)
	s.see("0 goes on.", "Security profiles of the persona agent", "Enter a number")
	s.press("0" + keyEnter) // Agent is marked
	s.see("Is there another kind of agent")
	s.press("y" + keyEnter)
	s.see("What is it called? [supervisor]")
	s.press(keyEnter)
	s.see("Enter alone takes 1.", "Okta group whose members get the persona supervisor", "1. Everyone", "2. several", "Enter a number")
	s.press("2" + keyEnter)
	s.see("Okta group whose members get the persona supervisor")
	s.press("/^(/" + keyEnter)
	s.see(`the group "/^(/" is not a regular expression`, "Okta group")
	s.press("Amazon Connect Agents" + keyEnter)
	s.see("is the group of another persona already", "Okta group")
	s.press("Everyone" + keyEnter)
	s.see("Enter alone takes 1.", "Routing profile of the persona supervisor", "Enter a number")
	s.press(keyEnter)
	s.see("Security profiles of the persona supervisor", "Enter a number")
	s.press("2" + keyEnter)
	s.see("Enter a number")
	s.press("0" + keyEnter)
	s.see("Is there another kind of agent")
	s.press(keyEnter)
	s.see("Begin with upsert-only", "How far may changes go?", "Enter a number")
	s.press(keyEnter)
	s.see("Amazon Connect cannot switch an agent off.", "Shall there be a persona for suspended agents?")
	s.press(keyEnter)
	s.see("The secret of the event hook", "1. it is in the file hook-secret, which is there already", "Enter a number")
	s.press(keyEnter)
	s.see("Address at which Okta reaches connectroster")
	s.press("roster.example.com" + keyEnter)
	s.see("want an address such as https://roster.example.com/hooks/okta", "Address at which Okta reaches connectroster")
	s.press("https://roster.example.com/hooks/okta" + keyEnter)
	s.see("Name of this deployment [production]")
	s.press(keyEnter)
	s.see("Written: ", "The first plan", "1 to create")
	if code := s.end(); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, s.screen())
	}
	cfg, err := config.Load(filepath.Join(s.dir, "connectroster.yaml"), func(string) string { return "dev-token-of-the-simulator" })
	if err != nil {
		t.Fatal(err)
	}
	got := []string{cfg.Name, cfg.Okta.Auth.Token, cfg.Okta.App, cfg.Personas["agent"].RoutingProfile, string(cfg.Policy), cfg.Okta.Hook.URL,
		cfg.Personas["supervisor"].RoutingProfile, strings.Join(cfg.Groups(), ", "), strings.Join(cfg.Okta.Hook.Secrets, " ")}
	want := []string{"production", "env:OKTA_API_TOKEN", "Amazon Connect", "Support", "upsert-only", "https://roster.example.com/hooks/okta",
		"Basic Routing Profile", "Everyone, Amazon Connect Agents", "file:hook-secret"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestInitCannotList ends where the instances cannot be listed for a reason that keeps
// any instance from being used: nobody is asked for an id then.
func TestInitCannotList(t *testing.T) {
	t.Parallel()
	s := sitAt(t, 100, "TERM=dumb", "AWS_ENDPOINT_URL_CONNECT=http://127.0.0.1:1")
	s.see("AWS region of the Amazon Connect instance")
	s.press("eu-central-1" + keyEnter)
	s.see("connectroster: list the instances: cannot reach Amazon Connect")
	if code := s.end(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}

// TestInitInterrupted presses Ctrl-C in the middle of the wizard, on a narrow
// terminal and without colours.
func TestInitInterrupted(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{
		"a narrow terminal":  {"TERM=xterm-256color"},
		"without colours":    {"TERM=xterm-256color", "NO_COLOR=1"},
		"a terminal of text": {"TERM=dumb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sitAt(t, 44, env...)
			s.see("AWS region of the")
			s.press("eu-central-1" + keyEnter)
			s.see("Amazon Connect instance", "connectroster-sim  (SAML)")
			if colour := regexp.MustCompile(`\x1b\[[0-9;]*3[0-9][0-9;]*m`).FindString(s.screen()); colour != "" && len(env) > 1 {
				t.Errorf("NO_COLOR is set, and there is the colour %q", colour)
			}
			s.press(keyCtrlC)
			s.see("interrupted; nothing was written")
			if code := s.end(); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if left, _ := filepath.Glob(filepath.Join(s.dir, "*")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestInitInputEnds ends the input, or the wizard, on a terminal that only knows lines:
// that is no answer, whatever is proposed and whatever was typed before.
func TestInitInputEnds(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]string{
		"at the first question":                 {keyCtrlD},
		"where an answer is proposed":           {"eu-central-1" + keyEnter, keyCtrlD},
		"after a wrong number":                  {"eu-central-1" + keyEnter, keyEnter, "9" + keyEnter, keyCtrlD},
		"by an interrupt, after a wrong number": {"eu-central-1" + keyEnter, keyEnter, "9" + keyEnter, keyCtrlC},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sitAt(t, 100, "TERM=dumb")
			questions := []string{"AWS region of the", "enter the number 1:", "Enter a number between 1 and 3:", "Enter a number between 1 and 3:"}
			for i, key := range keys {
				s.see(questions[i])
				s.press(key)
			}
			s.see("interrupted; nothing was written")
			if code := s.end(); code != 1 {
				t.Errorf("exit code %d, want 1:\n%s", code, s.screen())
			}
			if left, _ := filepath.Glob(filepath.Join(s.dir, "*")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// seat is somebody at a terminal before connectroster init.
type seat struct {
	t        *testing.T
	dir, org string
	terminal *os.File
	cmd      *exec.Cmd
	ended    chan error

	mu   sync.Mutex
	text bytes.Buffer
	read int // what was looked for already
}

// sitAt starts the two simulators and the wizard at a terminal of so many columns.
func sitAt(t *testing.T, columns uint16, env ...string) *seat {
	t.Helper()
	settings := simconnect.DefaultSettings()
	settings.Limit = simconnect.Limit{}
	instance, err := simconnect.New(simconnect.Config{Settings: &settings})
	if err != nil {
		t.Fatal(err)
	}
	instance.AddDemo()
	org, err := simokta.New(simokta.Config{AllowHTTP: true, Tokens: []string{"dev-token-of-the-simulator"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = org.Close(context.Background()) })
	group, err := org.AddGroup("Amazon Connect Agents")
	if err != nil {
		t.Fatal(err)
	}
	app, err := org.AddApp(simokta.NewApp{Label: "Amazon Connect"})
	if err != nil {
		t.Fatal(err)
	}
	user, err := org.AddUser(devPerson(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{org.AssignGroup(app.ID, group.ID), org.Join(user.ID, "Amazon Connect Agents")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	serve := func(h http.Handler) string {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL
	}
	s := &seat{t: t, dir: t.TempDir(), org: serve(org), ended: make(chan error, 1)}
	binary, err := exec.LookPath("connectroster")
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.CommandContext(t.Context(), binary, "init", "--allow-loopback")
	s.cmd.Dir = s.dir
	s.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "AWS_ENDPOINT_URL_CONNECT=" + serve(instance), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "OKTA_API_TOKEN=dev-token-of-the-simulator",
	}, env...)
	if s.terminal, err = pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 40, Cols: columns}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.terminal.Close() })
	go func() {
		part := make([]byte, 4096)
		for {
			n, err := s.terminal.Read(part)
			s.mu.Lock()
			s.text.Write(part[:n])
			s.mu.Unlock()
			if err != nil {
				s.ended <- s.cmd.Wait()
				return
			}
		}
	}()
	return s
}

// control is what a terminal obeys and does not show.
var control = regexp.MustCompile(`\x1b\[[0-9;?<>=$]*[A-Za-z]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b[=>()][0B]?|\r`)

// screen is all that was written so far.
func (s *seat) screen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// see waits for texts, each after what was seen before.
func (s *seat) see(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		for end := time.Now().Add(60 * time.Second); ; <-time.After(20 * time.Millisecond) {
			shown := control.ReplaceAllString(s.screen(), "")
			if at := strings.Index(shown[min(s.read, len(shown)):], text); at >= 0 {
				s.read += at + len(text)
				break
			}
			if time.Now().After(end) {
				s.t.Fatalf("never saw %q after %q", text, shown[min(s.read, len(shown)):])
			}
		}
	}
}

// press presses keys.
func (s *seat) press(keys string) {
	s.t.Helper()
	if _, err := fmt.Fprint(s.terminal, keys); err != nil {
		s.t.Fatal(err)
	}
}

// end waits for the end of the wizard and gives its exit code.
func (s *seat) end() int {
	s.t.Helper()
	select {
	case <-s.ended:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(60 * time.Second):
		s.t.Fatalf("it does not end:\n%s", s.screen())
		return -1
	}
}

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

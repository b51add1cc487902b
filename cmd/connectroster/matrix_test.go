//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"connectroster/internal/storetest"
)

// play says how a command is used in the plays that every command has to pass. $ANA
// and $BO are people, $FILE is a file that is not there yet.
type play struct {
	line []string // what makes it do its work
	// local is for what needs neither the configuration nor anybody: it goes well
	// wherever it is.
	local bool
	// endless is for what runs until it is interrupted, which is no failure.
	endless bool
	// wide is for output of one line for each thing, or that other programs read, and
	// so knows no terminal.
	wide bool
}

// plays has every command of the program. One that is missing is an error.
var plays = map[string]play{
	"":                      {local: true},
	"init":                  {line: []string{"--answers", "answers.yaml", "--config", "$FILE"}},
	"doctor":                {},
	"serve":                 {endless: true},
	"okta":                  {local: true},
	"okta setup":            {line: []string{"--url", "https://roster.example.com/hooks/okta", "--yes"}},
	"okta status":           {line: []string{"--url", "https://roster.example.com/hooks/okta"}},
	"okta rotate-secret":    {line: []string{"--url", "https://roster.example.com/hooks/okta", "--to", "env:OKTA_HOOK_SECRET_NEXT"}},
	"okta remove":           {line: []string{"--url", "https://roster.example.com/hooks/okta"}},
	"dev":                   {line: []string{"--people", "1"}, local: true, endless: true},
	"simulate":              {local: true},
	"simulate connect":      {line: []string{"--listen", "127.0.0.1:0"}, local: true, endless: true},
	"simulate okta":         {line: []string{"--listen", "127.0.0.1:0"}, local: true, endless: true},
	"version":               {local: true},
	"plan":                  {},
	"apply":                 {},
	"explain":               {line: []string{"$ANA"}},
	"holds":                 {},
	"holds list":            {},
	"holds show":            {line: []string{"H1"}},
	"holds approve":         {line: []string{"H1"}},
	"holds reject":          {line: []string{"H1"}},
	"holds stays":           {},
	"holds unstay":          {line: []string{"$ANA"}},
	"dead":                  {},
	"dead list":             {},
	"dead show":             {line: []string{"$BO"}},
	"dead replay":           {line: []string{"$BO"}},
	"dead drop":             {line: []string{"$BO"}},
	"journal":               {},
	"adopt":                 {line: []string{"$ANA"}},
	"release":               {line: []string{"$ANA"}},
	"restore":               {line: []string{"$ANA"}},
	"forget":                {line: []string{"$ANA"}},
	"catalog":               {wide: true},
	"backup":                {line: []string{"$FILE"}, wide: true},
	"help":                  {local: true},
	"completion":            {local: true},
	"completion bash":       {local: true, wide: true},
	"completion zsh":        {local: true, wide: true},
	"completion fish":       {local: true, wide: true},
	"completion powershell": {local: true, wide: true},
}

// name is a command without the program's own name.
func name(cmd *cobra.Command) string {
	_, rest, _ := strings.Cut(cmd.CommandPath(), " ")
	return rest
}

// agreed is the answer to what a command asks before it does something.
func agreed(cmd *cobra.Command) []string {
	if cmd.Flags().Lookup("yes") == nil {
		return nil
	}
	return []string{"--yes"}
}

// everyCommand visits the whole tree, what cobra brings along included.
func everyCommand(visit func(name string, cmd *cobra.Command)) {
	root := command()
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		visit(name(cmd), cmd)
		for _, sub := range cmd.Commands() {
			if !sub.Hidden {
				walk(sub)
			}
		}
	}
	walk(root)
}

// TestPlaysAreComplete: whoever adds a command says how it is played, and a script
// shows that it goes well.
func TestPlaysAreComplete(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob(filepath.Join("..", "..", "testdata", "script", "*.txtar"))
	if err != nil || len(scripts) < 20 {
		t.Fatal(len(scripts), err)
	}
	var text strings.Builder
	for _, file := range scripts {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(data)
	}
	known := map[string]bool{}
	everyCommand(func(name string, cmd *cobra.Command) {
		known[name] = true
		_, ok := plays[name]
		if !ok {
			t.Errorf("the command %q is in no play: say in plays how it is used", name)
		}
		if !ok || name == "" {
			return
		}
		if !regexp.MustCompile(`(?m)^exec connectroster ` + regexp.QuoteMeta(name) + `( |$)`).MatchString(text.String()) {
			t.Errorf("no script shows that %q goes well", name)
		}
	})
	for name := range plays {
		if !known[name] {
			t.Errorf("there is a play of %q, and no such command", name)
		}
	}
}

// scene is a folder in which commands are run, with a configuration.
type scene struct {
	t      *testing.T
	dir    string
	env    []string
	binary string
	as     *syscall.Credential // nil: whoever runs the tests
}

// called is how a command ended.
type called struct {
	line, stdout, stderr string
	code                 int
}

// newScene makes a folder with a configuration for these addresses of Okta and
// Amazon Connect. The socket of the daemon is daemon.sock in a folder of its own,
// whose path is short enough.
func newScene(t *testing.T, okta, connect, listen, admin string) (s *scene, socket string) {
	t.Helper()
	// Unlike that of the test, this folder can be reached by others, too.
	dir, err := os.MkdirTemp("", "cr-play-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s = &scene{t: t, dir: dir, binary: program(t)}
	s.must(os.Chmod(dir, 0o755))
	temporary := filepath.Join(dir, "tmp")
	s.must(os.Mkdir(temporary, 0o777))
	s.must(os.Chmod(temporary, 0o777))
	socket = filepath.Join(dir, "daemon.sock")
	s.write("connectroster.yaml", fmt.Sprintf(`name: tests
policy: sync
listen: %s
admin_listen: %s
socket: daemon.sock
allow_loopback: true
okta: {org: "http://%s", auth: {token: "env:OKTA_API_TOKEN"}, app: Amazon Connect}
connect: {instance: 11111111-2222-3333-4444-555555555555, region: eu-central-1}
personas:
  agent: {routing_profile: Basic Routing Profile, security_profiles: [Agent]}
  parked: {routing_profile: Parked, security_profiles: [No permissions]}
rules:
  - {groups: [Amazon Connect Agents], persona: agent}
leavers: {suspend_as: parked, delete_after: 7d}
store: {sqlite: connectroster.db}
`, listen, admin, okta))
	s.write("answers.yaml", fmt.Sprintf(`name: production
region: eu-central-1
instance: 11111111-2222-3333-4444-555555555555
okta: api-token
okta_org: http://%s
group: Amazon Connect Agents
routing_profile: Basic Routing Profile
security_profile: [Agent]
policy: upsert-only
allow_loopback: true
`, okta))
	s.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + temporary,
		"OKTA_HOOK_SECRET=" + hookSecret, "OKTA_HOOK_SECRET_NEXT=" + nextHookSecret, "OKTA_API_TOKEN=" + apiToken,
		"AWS_ENDPOINT_URL_CONNECT=http://" + connect, "AWS_MAX_ATTEMPTS=1",
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
	return s, socket
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) write(name, text string) {
	s.t.Helper()
	s.must(os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644))
}

// line is the command line of a play. Files that it writes are named after it.
func (s *scene) line(name string, more ...string) []string {
	file := filepath.Join(s.dir, "made-by-"+strings.ReplaceAll(name, " ", "-"))
	var out []string
	for _, word := range slices.Concat(strings.Fields(name), plays[name].line, more) {
		out = append(out, strings.NewReplacer("$ANA", "ana.silva@example.com", "$BO", "bo.berg@example.com", "$FILE", file).Replace(word))
	}
	return out
}

func (s *scene) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = s.dir, s.env, 5*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	return cmd
}

// call runs a command where there is no terminal, and sees that it ends.
func (s *scene) call(t *testing.T, args ...string) called {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := s.command(ctx, args...)
	var out, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &wrong
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	c := called{strings.Join(args, " "), out.String(), wrong.String(), cmd.ProcessState.ExitCode()}
	if ctx.Err() != nil {
		t.Fatalf("%s does not end: %s%s", c.line, c.stdout, c.stderr)
	}
	c.sane(t)
	return c
}

// sane sees that nothing broke.
func (c called) sane(t *testing.T) {
	t.Helper()
	for _, sign := range []string{"panic", "goroutine ", "runtime error", "%!", hookSecret, apiToken} {
		if strings.Contains(c.stdout+c.stderr, sign) {
			t.Errorf("%s shows %q:\n%s%s", c.line, sign, c.stdout, c.stderr)
		}
	}
}

// files lists what is in the folder of a scene.
func (s *scene) files() (list []string) {
	s.t.Helper()
	s.must(filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(s.dir, path)
		// The database is made where there is none, and locked.
		if !strings.HasPrefix(name, "connectroster.db") && name != "daemon.sock" && !d.IsDir() {
			list = append(list, name)
		}
		return err
	}))
	return list
}

// wantFiles sees that nothing is left behind, in particular no half of a file.
func (s *scene) wantFiles(want []string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.files()); diff != "" {
		s.t.Errorf("files were left or taken (-before +after):\n%s", diff)
	}
}

// failure sees that a command has failed as it must: with exit code 1, one line of
// what is wrong and nothing that looks as if it had gone well.
func (c called) failure(t *testing.T, want ...string) {
	t.Helper()
	if c.code != 1 || c.stdout != "" || strings.Count(c.stderr, "\n") != 1 || !strings.HasPrefix(c.stderr, "connectroster: ") {
		t.Errorf("%s: exit code %d\nstdout %q\nstderr %q", c.line, c.code, c.stdout, c.stderr)
	}
	for _, w := range want {
		if !strings.Contains(c.stderr, w) {
			t.Errorf("%s says %q, want %q", c.line, c.stderr, w)
		}
	}
}

// TestWrongWords gives every command flags that it does not know, values of the wrong
// type and words that are too many or too few. Each is refused before anything is
// done.
func TestWrongWords(t *testing.T) {
	t.Parallel()
	s := nowhere(t)
	before := s.files()
	t.Cleanup(func() { s.wantFiles(before) }) // once all the plays are over
	everyCommand(func(name string, cmd *cobra.Command) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			words := strings.Fields(name)
			p := plays[name]
			with := func(more ...string) []string { return slices.Concat(words, more) }
			s.call(t, with("--no-such-flag")...).failure(t, "unknown flag: --no-such-flag", "see connectroster", "--help")
			wrong := 0
			cmd.Flags().VisitAll(func(f *pflag.Flag) {
				switch {
				case f.Name == "help":
				case f.Value.Type() == "string" || f.Value.Type() == "stringArray" || f.Value.Type() == "stringSlice":
				default:
					wrong++
					s.call(t, with("--"+f.Name+"=no such value")...).failure(t, "--"+f.Name, "see connectroster", "--help")
				}
			})
			if cmd.Flags().Lookup("color") != nil {
				s.call(t, s.line(name, "--color=purple")...).failure(t, "purple")
			}
			if cmd.Flags().Lookup("config") != nil && name != "init" && cmd.RunE != nil && !p.local {
				c := s.call(t, s.line(name, "--config", "no/such/file.yaml")...)
				if c.stderr == "" { // doctor tells it in its table
					c.stderr, c.stdout = "connectroster: "+strings.ReplaceAll(c.stdout, "\n", " ")+"\n", ""
				}
				c.failure(t, "no/such/file.yaml")
			}
			if !strings.Contains(cmd.Use, "...") {
				c := s.call(t, s.line(name, "one", "two", "three")...)
				c.failure(t)
				if !strings.Contains(c.stderr, "--help") && !strings.Contains(c.stderr, "unknown command") && !strings.Contains(c.stderr, "no command") {
					t.Errorf("%s does not say where the right words are: %q", c.line, c.stderr)
				}
			}
			if _, arguments, _ := strings.Cut(cmd.Use, " "); arguments != "" && arguments[0] != '[' {
				s.call(t, words...).failure(t, "see connectroster "+name, "--help")
			}
		})
	})
}

// nowhere is a scene where nobody can be reached.
func nowhere(t *testing.T) *scene {
	t.Helper()
	a, err := storetest.FreeAddresses(4)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := newScene(t, a[0], a[1], a[2], a[3])
	return s
}

// TestNobodyThere has neither a daemon nor Okta nor Amazon Connect. Every command
// that needs one of them fails and says so, asks nothing where there is no terminal,
// and leaves nothing behind.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	everyCommand(func(name string, cmd *cobra.Command) {
		p := plays[name]
		if p.endless {
			return // TestCtrlC plays these
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := nowhere(t)
			before := s.files()
			tries := [][]string{nil}
			if cmd.Flags().Lookup("offline") != nil {
				tries = append(tries, []string{"--offline"})
			}
			if agreed(cmd) != nil {
				tries = append(tries, agreed(cmd))
			}
			for _, more := range tries {
				c := s.call(t, s.line(name, more...)...)
				switch {
				case p.local && (c.code != 0 || c.stderr != ""):
					t.Errorf("%s needs nobody, and ended with %d: %s", c.line, c.code, c.stderr)
				case !p.local && more == nil && c.code != 1:
					t.Errorf("%s ended with %d:\n%s%s", c.line, c.code, c.stdout, c.stderr)
				case !p.local && c.code == 1 && c.stderr == "" && !strings.Contains(c.stdout, "fail") && !strings.Contains(c.stdout, "fault"):
					t.Errorf("%s does not say what is wrong:\n%s", c.line, c.stdout)
				}
			}
			s.wantFiles(before)
		})
	})
}

// TestNoRights runs every command as somebody who may read neither the configuration,
// nor, if that is open, what else there is.
func TestNoRights(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("skipped: only root can run a command as somebody else")
	}
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	open := func(t *testing.T) *scene {
		s := nowhere(t)
		copied := filepath.Join(s.dir, "connectroster")
		data, err := os.ReadFile(s.binary)
		s.must(err)
		s.must(os.WriteFile(copied, data, 0o755))
		s.binary, s.as = copied, nobody
		return s
	}
	closed, readable := open(t), open(t)
	closed.must(os.Chmod(filepath.Join(closed.dir, "connectroster.yaml"), 0o600))
	closed.must(os.Chmod(filepath.Join(closed.dir, "answers.yaml"), 0o600))
	// The socket and the database are root's alone.
	listener, err := net.Listen("unix", filepath.Join(readable.dir, "daemon.sock"))
	readable.must(err)
	t.Cleanup(func() { _ = listener.Close() })
	readable.must(os.Chmod(filepath.Join(readable.dir, "daemon.sock"), 0o600))
	readable.must(os.WriteFile(filepath.Join(readable.dir, "connectroster.db"), nil, 0o600))
	var all sync.WaitGroup
	before := [][]string{closed.files(), readable.files()}
	everyCommand(func(name string, cmd *cobra.Command) {
		p := plays[name]
		if p.local {
			return
		}
		all.Add(1)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer all.Done()
			c := closed.call(t, closed.line(name, agreed(cmd)...)...)
			if c.code != 1 || !strings.Contains(c.stdout+c.stderr, "permission denied") {
				t.Errorf("%s with a configuration that it may not read: %d\n%s%s", c.line, c.code, c.stdout, c.stderr)
			}
			c = readable.call(t, readable.line(name, agreed(cmd)...)...)
			if c.code != 1 || c.stderr == "" && !strings.Contains(c.stdout, "fail") && !strings.Contains(c.stdout, "fault") {
				t.Errorf("%s without any rights: %d\n%s%s", c.line, c.code, c.stdout, c.stderr)
			}
		})
	})
	t.Cleanup(func() {
		closed.wantFiles(before[0])
		readable.wantFiles(before[1])
	})
}

// mute listens, and never answers. The channel has a token for each connection.
func mute(t *testing.T, network, address string) (at string, heard chan struct{}) {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	heard = make(chan struct{}, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			select {
			case heard <- struct{}{}:
			default:
			}
		}
	}()
	return listener.Addr().String(), heard
}

// TestCtrlC presses Ctrl-C while a command waits for somebody who does not
// answer, or does what has no end. It ends at once, with what is no failure for the
// latter, and leaves nothing behind.
func TestCtrlC(t *testing.T) {
	t.Parallel()
	everyCommand(func(name string, cmd *cobra.Command) {
		p := plays[name]
		if p.local && !p.endless {
			return
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := storetest.FreeAddresses(2)
			if err != nil {
				t.Fatal(err)
			}
			org, okta := mute(t, "tcp", "127.0.0.1:0")
			instance, connect := mute(t, "tcp", "127.0.0.1:0")
			s, socket := newScene(t, org, instance, a[0], a[1])
			var daemon chan struct{}
			if !p.endless {
				_, daemon = mute(t, "unix", socket)
			}
			before := s.files()
			var out output
			process := s.command(t.Context(), s.line(name, agreed(cmd)...)...)
			process.Stdout, process.Stderr = &out, &out
			s.must(process.Start())
			ended := make(chan struct{})
			go func() { _ = process.Wait(); close(ended) }()
			waiting := make(chan struct{})
			if p.endless && name != "serve" {
				go func() {
					for out.String() == "" && t.Context().Err() == nil {
						time.Sleep(20 * time.Millisecond)
					}
					close(waiting)
				}()
			}
			select {
			case <-okta:
			case <-connect:
			case <-daemon:
			case <-waiting:
			case <-ended:
				t.Fatalf("%s did not wait for anybody: %s\n%s", name, process.ProcessState, out.String())
			case <-time.After(patience):
				t.Fatalf("%s asked nobody:\n%s", name, out.String())
			}
			s.must(process.Process.Signal(os.Interrupt))
			select {
			case <-ended:
			case <-time.After(patience):
				_ = process.Process.Kill()
				t.Fatalf("%s does not end:\n%s", name, out.String())
			}
			want := 1
			if p.endless {
				want = 0
			}
			if code := process.ProcessState.ExitCode(); code != want {
				t.Errorf("%s ended with %s, want exit code %d:\n%s", name, process.ProcessState, want, out.String())
			}
			if want == 1 && strings.TrimSpace(out.String()) == "" {
				t.Errorf("%s does not say that it was interrupted", name)
			}
			called{line: name, stdout: out.String()}.sane(t)
			s.wantFiles(before)
		})
	})
}

//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectroster/internal/storetest"
)

// TestQuickstart types what docs/quickstart.md says into a shell in an empty folder,
// from top to bottom, and sees that what it shows comes out. Only the addresses are
// others, so that several such tests can run side by side.
//
//	```sh    lines for the shell
//	```text  lines that those print, in this order, among others; ... stands for anything
func TestQuickstart(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not here, and the page needs it", program)
		}
	}
	addresses, err := storetest.FreeAddresses(4)
	if err != nil {
		t.Fatal(err)
	}
	page := strings.NewReplacer("127.0.0.1:8081", addresses[0], "127.0.0.1:8082", addresses[1], "127.0.0.1:8080", addresses[2],
		"simulate connect >", "simulate connect --listen "+addresses[0]+" >", "simulate okta >", "simulate okta --listen "+addresses[1]+" >",
		"connectroster serve", fmt.Sprintf("printf 'listen: %s\\nadmin_listen: %s\\n' >> connectroster.yaml; connectroster serve", addresses[2], addresses[3]),
		"connectroster okta setup", untilSwept+"\nconnectroster okta setup",
	).Replace(pageText(t, "docs/quickstart.md"))
	if typed, shown := openShell(t).play(page); typed < 8 || shown < 5 {
		t.Errorf("typed %d blocks and compared %d: is the test still able to see them?", typed, shown)
	}
	toPlan, _, found := strings.Cut(page, "It ends with the first plan")
	if n := strings.Count(toPlan, "\nconnectroster "); !found || n >= 10 {
		t.Errorf("the first plan takes %d commands, want less than 10", n)
	}
	if regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-`).MatchString(page) {
		t.Error("the page has an id typed")
	}
}

// play types the blocks of a page from top to bottom, and compares what they print
// with what it shows.
func (s *shell) play(page string) (typed, shown int) {
	s.t.Helper()
	var block, out string
	for _, m := range regexp.MustCompile("(?ms)^```(sh|text)\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		if m[1] == "sh" {
			block, typed = m[2], typed+1
			out = s.enter(block)
			continue
		}
		shown++
		for end := time.Now().Add(60 * time.Second); !shows(m[2]).MatchString(out); out = s.enter(block) {
			if !repeatable(block) || time.Now().After(end) {
				s.t.Fatalf("%s\nprints\n%s\nand the page shows\n%s", block, out, m[2])
			}
			<-time.After(200 * time.Millisecond)
		}
	}
	return typed, shown
}

// shows is what must be among an output.
func shows(text string) *regexp.Regexp {
	var parts []string
	for line := range strings.Lines(text) {
		for part := range strings.SplitSeq(line, "...") {
			parts = append(parts, regexp.QuoteMeta(strings.TrimSpace(part)))
		}
	}
	return regexp.MustCompile("(?s)" + strings.Join(parts, ".*"))
}

// repeatable tells whether a block only looks, so that it can be typed again while
// what it waits for has not happened.
func repeatable(block string) bool {
	for line := range strings.Lines(block) {
		if !regexp.MustCompile(`^connectroster (doctor|explain|journal|plan)\b`).MatchString(line) {
			return false
		}
	}
	return true
}

// shell is a bash that is typed into.
type shell struct {
	t    *testing.T
	in   io.Writer
	out  *bufio.Reader
	done int
}

func openShell(t *testing.T, env ...string) *shell {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc")
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull}
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that what it starts ends with it
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, name := range []string{"daemon.log", "connectroster.yaml"} {
				text, _ := os.ReadFile(filepath.Join(cmd.Dir, name))
				t.Logf("%s:\n%s", name, text)
			}
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	return &shell{t: t, in: in, out: bufio.NewReader(out)}
}

// enter types a block and gives what it prints. Each of its commands must succeed.
func (s *shell) enter(block string) string {
	s.t.Helper()
	s.done++
	mark := fmt.Sprintf("== %d ended with ", s.done)
	if _, err := fmt.Fprintf(s.in, "{ %s\n} && echo '%s0' || echo \"%s$?\"\n", strings.TrimRight(chained(block), "\n"), mark, mark); err != nil {
		s.t.Fatal(err)
	}
	var out strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			s.t.Fatalf("the shell is gone: %v after\n%s", err, out.String())
		}
		before, code, ended := strings.Cut(line, mark)
		out.WriteString(before)
		if ended {
			if strings.TrimSpace(code) != "0" {
				s.t.Fatalf("%s\nexit code %s:\n%s", block, code, out.String())
			}
			return out.String()
		}
	}
}

// chained makes each line go on only if that before it succeeded. Those in the
// background do at once.
func chained(block string) string {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(block, "\\\n", " ")), "\n")
	for i, line := range lines[:len(lines)-1] {
		if !strings.HasSuffix(line, "&") {
			lines[i] = line + " &&"
		}
	}
	return strings.Join(lines, "\n")
}

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// onTerminal runs the program with its output on a terminal of so many columns, and
// gives what the terminal gets.
func (p *patient) onTerminal(columns uint16, env []string, args ...string) (text string, code int) {
	p.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		p.t.Skipf("skipped: there are no terminals here: %v", err)
	}
	defer master.Close()
	p.must(unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	p.must(err)
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	p.must(err)
	p.must(unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}))
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(p.t), args...)
	cmd.Dir, cmd.Env = p.dir, slices.Concat(p.environment(), []string{"TERM=xterm"}, env)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	p.must(cmd.Start())
	p.must(terminal.Close())
	out, _ := io.ReadAll(master) // ends with EIO once the other side is closed
	_ = cmd.Wait()               // how it ended is in the ProcessState
	return strings.ReplaceAll(string(out), "\r\n", "\n"), cmd.ProcessState.ExitCode()
}

// TestDoctorOnATerminal: colours and what is being looked at are for terminals that
// want them, and no line is wider than the terminal.
func TestDoctorOnATerminal(t *testing.T) {
	t.Parallel()
	p := newPatient(t, nil)
	const passing, colour = "looking at", "\x1b["
	text, code := p.onTerminal(100, nil, "doctor", "--config", p.file())
	if code != 1 || !strings.Contains(text, "\x1b[31mfail\x1b[0m") || !strings.Contains(text, "\r\x1b[K") || !strings.Contains(text, passing+" okta hook ...") {
		t.Errorf("exit code %d:\n%q", code, text)
	}
	// What stays on the screen has nothing of what passed by.
	for _, line := range strings.Split(regexp.MustCompile(`looking at [^\r]*\r\x1b\[K`).ReplaceAllString(text, ""), "\n") {
		if strings.Contains(line, passing) || strings.Contains(line, "\r") {
			t.Errorf("stays on the screen: %q", line)
		}
	}
	for name, env := range map[string][]string{"NO_COLOR": {"NO_COLOR=1"}, "a dumb terminal": {"TERM=dumb"}} {
		text, _ := p.onTerminal(100, env, "doctor", "--config", p.file())
		if strings.Contains(regexp.MustCompile(`looking at [^\r]*\r\x1b\[K`).ReplaceAllString(text, ""), colour) {
			t.Errorf("%s: colours all the same:\n%q", name, text)
		}
	}
	for _, columns := range []uint16{40, 79, 80, 200} {
		text, _ := p.onTerminal(columns, []string{"NO_COLOR=1"}, "doctor", "--config", p.file())
		text = regexp.MustCompile(`looking at [^\r]*\r\x1b\[K`).ReplaceAllString(text, "")
		for _, line := range strings.Split(text, "\n") {
			if len([]rune(line)) > int(columns) {
				t.Errorf("%d columns, and a line of %d: %q", columns, len([]rune(line)), line)
			}
		}
		if !strings.Contains(text, "to do: ") || !strings.Contains(text, "failed") {
			t.Errorf("%d columns:\n%s", columns, text)
		}
	}
}

// TestTerminals runs every command that ends by itself on terminals: where NO_COLOR
// is set nothing is coloured, and what is printed in columns is wrapped. A text that
// is indented far has twenty columns at least.
func TestTerminals(t *testing.T) {
	t.Parallel()
	p := newPatient(t, nil)
	p.begin()
	rubbed := regexp.MustCompile(`[^\r\n]*\r\x1b\[K`) // a line that passes by
	s := &scene{t: t, dir: p.dir, binary: program(t)}
	everyCommand(func(name string, cmd *cobra.Command) {
		play := plays[name]
		if play.endless || name == "init" {
			return // these have tests of their own
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var line []string
			for _, word := range s.line(name) {
				word = strings.NewReplacer("ana.silva@example.com", p.ana.Login, "bo.berg@example.com", p.bo.Login).Replace(word)
				line = append(line, word)
			}
			if cmd.Flags().Lookup("dry-run") != nil {
				line = append(line, "--dry-run")
			} else if agreed(cmd) != nil {
				line = append(line, "--help") // it would change what the others look at
			}
			for _, columns := range []uint16{40, 100} {
				text, code := p.onTerminal(columns, []string{"NO_COLOR=1"}, line...)
				text = rubbed.ReplaceAllString(text, "")
				if code != 0 && code != 1 {
					t.Errorf("%s: exit code %d", line, code)
				}
				called{line: strings.Join(line, " "), stdout: text}.sane(t)
				if strings.Contains(text, "\x1b") {
					t.Errorf("%s: NO_COLOR is set, and there are colours:\n%q", line, text)
				}
				if play.wide || slices.Contains(line, "--help") || name == "" || cmd.RunE == nil || name == "okta" || name == "simulate" || name == "help" || name == "completion" {
					continue // help is wrapped for 80 columns
				}
				for _, row := range strings.Split(text, "\n") {
					if strings.HasPrefix(row, "connectroster: ") {
						continue // an error is one line
					}
					room := max(int(columns), len(row)-len(strings.TrimLeft(row, " "))+20)
					if width := len([]rune(strings.TrimRight(row, " "))); width > room && len(strings.Fields(row)) > 1 {
						t.Errorf("%s: %d columns, and a line of %d: %q", line, columns, width, row)
					}
				}
			}
		})
	})
}

package main

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// answering is somebody who types some lines.
func answering(lines string) (*asker, *bytes.Buffer) {
	var out bytes.Buffer
	return &asker{in: bufio.NewReader(strings.NewReader(lines)), out: &out, chosen: map[string]string{}}, &out
}

func TestAskerConfirms(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]bool{
		"y\n": true, "yes\n": true, "YES\r\n": true, "y": true,
		"\n": false, "n\n": false, "yep\n": false, "": false,
	} {
		a, _ := answering(typed)
		if err := a.confirm("This will do it."); (err == nil) != want {
			t.Errorf("%q: %v", typed, err)
		}
	}
	var nobody *asker
	if err := nobody.confirm("This will do it."); err == nil || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("%v", err)
	}
}

// A choice is asked for until it is one, and then not again.
func TestAskerChooses(t *testing.T) {
	t.Parallel()
	a, out := answering("Agents\n0\n3\n2\n")
	for range 2 {
		if got, err := a.choose("Which?", []string{"Agents", "Supervisors"}); err != nil || got != "Supervisors" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if n := strings.Count(out.String(), "Number [1-2]: "); n != 4 {
		t.Errorf("asked %d times:\n%s", n, out)
	}
	if got, err := a.choose("And which?", []string{"Agents"}); err == nil {
		t.Errorf("%q is chosen by nobody", got)
	}
}

func TestReadReference(t *testing.T) {
	t.Setenv("NEXT_SECRET", "from-the-environment")
	file := filepath.Join(t.TempDir(), "next")
	if err := os.WriteFile(file, []byte("from-a-file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{
		"env:NEXT_SECRET": "from-the-environment", "file:" + file: "from-a-file",
		"env:NO_SECRET": "", "file:" + file + "-not": "", "the-secret-itself": "", "": "",
	} {
		got, err := readReference(ref)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", ref, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "the-secret-itself") {
			t.Error("the secret is told")
		}
	}
}

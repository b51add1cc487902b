//go:build unix

package app

import (
	"os"
	"path/filepath"
	"testing"
)

// The socket is this user's alone from its first moment on, and what is created
// afterwards has the modes that it always had.
func TestSocketIsPrivateFromTheStart(t *testing.T) {
	// Not beside others: the mask is one for the whole process.
	dir, err := os.MkdirTemp("", "cr-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	mode := func(path string) os.FileMode {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	file := func(name string) os.FileMode {
		t.Helper()
		path := filepath.Join(dir, name)
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		return mode(path)
	}
	before := file("before")

	bound, err := bindSocket(t.Context(), filepath.Join(dir, "bound"))
	if err != nil {
		t.Fatal(err)
	}
	defer bound.Close()
	if m := mode(filepath.Join(dir, "bound")); m&0o077 != 0 {
		t.Errorf("as soon as it is bound, others may use the socket: %v", m)
	}
	listening, err := listenSocket(t.Context(), filepath.Join(dir, "listening"))
	if err != nil {
		t.Fatal(err)
	}
	defer listening.Close()
	if m := mode(filepath.Join(dir, "listening")); m != 0o600 {
		t.Errorf("the socket has the mode %v", m)
	}
	if after := file("after"); after != before {
		t.Errorf("a file made afterwards has the mode %v, and had %v before", after, before)
	}
}

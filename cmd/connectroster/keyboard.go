package main

import (
	"bytes"
	"io"
	"os"
	"sync"
)

// keyboard reads a terminal for one question after the other. Each question would
// else have a reader of its own, and that of one that is over may still take keys
// that are meant for the next.
type keyboard struct {
	file  *os.File
	parts chan []byte // what was typed; closed at the end
	once  sync.Once

	mu   sync.Mutex
	left []byte // was typed and not read yet
}

func newKeyboard(f *os.File) *keyboard { return &keyboard{file: f, parts: make(chan []byte)} }

// turn gives the keyboard to a question until its end.
func (k *keyboard) turn(raw bool) *typing {
	k.once.Do(func() { go k.pump() })
	return &typing{keyboard: k, raw: raw, over: make(chan struct{}), ended: make(chan struct{})}
}

// pump reads until the end of the file, which is mostly that of the process.
func (k *keyboard) pump() {
	defer close(k.parts)
	for {
		part := make([]byte, 1024)
		n, err := k.file.Read(part)
		if n > 0 {
			k.parts <- part[:n]
		}
		if err != nil {
			return
		}
	}
}

// typing is the keyboard as one question has it. It is no *os.File to whoever asks,
// so that nobody reads past it, but has the descriptor by which a terminal is set.
type typing struct {
	*keyboard
	raw   bool // Enter comes as a carriage return, also if it was pressed between two questions
	over  chan struct{}
	ended chan struct{} // closed when somebody reads on and there is nothing any more
	first sync.Once
}

func (t *typing) end() { close(t.over) }

// Read gives what was typed. After the end of the turn it takes nothing.
func (t *typing) Read(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.left) == 0 {
		t.mu.Unlock()
		var part []byte
		var ok bool // not at the end of the turn or of the file
		select {
		case <-t.over:
		case part, ok = <-t.parts:
			if !ok {
				t.first.Do(func() { close(t.ended) })
			}
		}
		t.mu.Lock()
		if !ok {
			return t.nothing()
		}
		if t.raw {
			part = bytes.ReplaceAll(part, []byte("\n"), []byte("\r"))
		}
		t.left = append(t.left, part...)
	}
	select {
	case <-t.over: // it came for the next question
		return t.nothing()
	default:
	}
	n := copy(p, t.left)
	t.left = t.left[n:]
	return n, nil
}

// nothing says that there is no more to read. Questions that are asked line by line take
// that for the answer that is proposed, or end the process by a panic, so that they are
// never told.
func (t *typing) nothing() (int, error) {
	if !t.raw {
		select {}
	}
	return 0, io.EOF
}

// Fd is the descriptor of the terminal.
func (t *typing) Fd() uintptr { return t.file.Fd() }

// Write and Close make it a file to whoever sets the terminal. Neither is used.
func (t *typing) Write(p []byte) (int, error) { return t.file.Write(p) }

// Close leaves the terminal open for the next question.
func (t *typing) Close() error { return nil }

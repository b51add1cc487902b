//go:build !unix

package main

import "os"

// terminalWidth tells on this system only whether there is a terminal.
func terminalWidth(f *os.File) int {
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return -1
	}
	return 0
}

//go:build !manpages

package main

import "github.com/spf13/cobra"

// releaseCommands are for whoever makes a release, and there are none here.
func releaseCommands() []*cobra.Command { return nil }

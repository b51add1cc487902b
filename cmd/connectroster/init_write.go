package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"connectroster/internal/config"
)

// write checks what came of the answers, and writes it and the new secret, if one
// is to be made. Both are for their owner alone: the configuration holds no secret,
// but says where they are.
func (w *wizard) write(context.Context) (err error) {
	f, err := w.newFile()
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString(w.text())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	cfg, err := config.LoadWithoutSecrets(f.Name(), os.Getenv)
	if err != nil {
		return fmt.Errorf("what came of the answers is not right, and nothing was written:\n%s", strings.ReplaceAll(err.Error(), f.Name(), filepath.Base(w.config)))
	}
	if w.newHookSecret != "" {
		if err := newSecret(w.secretFile()); err != nil {
			return err
		}
	}
	if err := os.Rename(f.Name(), w.config); err != nil {
		if w.newHookSecret != "" {
			_ = os.Remove(w.secretFile())
		}
		return fmt.Errorf("write the configuration: %w", err)
	}
	w.written = true
	p := w.say
	p.line()
	p.line("Written: ", p.paint(bold, w.config))
	if w.newHookSecret != "" {
		p.line("Written: ", p.paint(bold, w.secretFile()), "  the secret of the event hook")
	}
	for _, warning := range cfg.Warnings {
		p.text(yellow, "", 0, strings.ReplaceAll(warning.String(), f.Name(), filepath.Base(w.config)))
	}
	return nil
}

// newFile is a file beside the configuration, with mode 0600.
func (w *wizard) newFile() (*os.File, error) {
	f, err := os.CreateTemp(filepath.Dir(w.config), ".connectroster-init-*.yaml")
	if err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	return f, nil
}

// next says how to go on.
func (w *wizard) next(context.Context) error {
	p := w.say
	named := ""
	if w.config != "connectroster.yaml" {
		named = " --config " + w.config
	}
	p.line()
	p.line("Next:")
	url := ""
	if w.hookURL == "" {
		url = " --url https://..."
	}
	for _, step := range [][2]string{
		{"connectroster doctor" + named, "check everything"},
		{"connectroster serve" + named, "start the daemon"},
		{"connectroster okta setup" + named + url, "create the event hook in Okta, or see how by hand"},
	} {
		p.line("  ", sanitize(step[0]))
		p.text(faint, "", 6, step[1])
	}
	return nil
}

// newSecret makes a secret that nobody guesses, in a file of its owner's alone.
func newSecret(path string) error {
	var random [32]byte
	if _, err := rand.Read(random[:]); err != nil {
		return fmt.Errorf("make a secret: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make a secret: %w", err)
	}
	_, err = f.WriteString(hex.EncodeToString(random[:]) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(path)
		return fmt.Errorf("make a secret: %w", err)
	}
	return nil
}

// text is the configuration with comments.
func (w *wizard) text() string {
	var b strings.Builder
	out := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	out("# Written by connectroster init. docs/configuration.md describes every key; a mistake")
	out("# is told with its line. See what it comes to with: connectroster plan")
	out("")
	out("# Written on every agent. It must never change.")
	out("name: %s", scalar(w.name))
	out("")
	out("# create-only creates agents; upsert-only also keeps them as the rules say; sync also")
	out("# suspends and later deletes the agents of people who left.")
	out("policy: %s", w.policy)
	out("")
	if w.allowLoopback {
		out("# Okta and Amazon Connect may be programs on this machine. For trials only.")
		out("allow_loopback: true")
		out("")
	}
	w.oktaText(out)
	out("connect:")
	alias := ""
	if w.offered.Alias != "" {
		alias = "  # " + comment(w.offered.Alias)
	}
	out("  instance: %s%s", scalar(w.offered.ID), alias)
	out("  region: %s", scalar(w.offered.Region))
	if w.profile != "" {
		out("  profile: %s", scalar(w.profile))
	}
	out("")
	w.rosterText(out)
	out("# The queue, the journal and what else the daemon must not forget.")
	out("store: {sqlite: %s}", scalar(w.store))
	return b.String()
}

func (w *wizard) oktaText(out func(string, ...any)) {
	out("okta:")
	if w.org != "" {
		out("  org: %s", scalar(strings.TrimSuffix(w.org, "/")))
	}
	switch w.mode {
	case modeToken:
		out("  # A reference: the token itself never stands here. It has all rights of its owner.")
		out("  auth: {token: %s}", quoted(w.token))
	case modeService:
		out("  # The key itself never stands here. The app needs the scopes okta.users.read,")
		out("  # okta.groups.read, okta.logs.read and okta.apps.read, and an administrator role.")
		out("  auth: {client_id: %s, private_key: %s}", quoted(w.clientID), quoted(w.key))
	default:
		out("  # No access to Okta's API: people are known by their events alone, a lost event is")
		out("  # lost, and the agents of leavers are not removed.")
	}
	if w.app != "" {
		out("  # The username that people have in this app becomes that of their agent.")
		out("  app: %s", scalar(w.app))
	}
	out("  # Okta sends the secret with every event. Write two while you change it.")
	if w.hookURL != "" {
		out("  hook: {secrets: [%s], url: %s}", quoted(w.hookSecret), quoted(w.hookURL))
	} else {
		out("  hook: {secrets: [%s]}", quoted(w.hookSecret))
	}
	out("")
}

func (w *wizard) rosterText(out func(string, ...any)) {
	out("# Kinds of agent, each with profiles of the instance by name.")
	out("personas:")
	all := append(slices.Clone(w.more), draft{Name: usualPersona, Group: w.group, Routing: w.routing, Security: w.security})
	persona := func(d draft) {
		out("  %s:", scalar(d.Name))
		out("    routing_profile: %s", scalar(strings.NewReplacer("{", "{{", "}", "}}").Replace(d.Routing)))
		list := make([]string, 0, len(d.Security))
		for _, s := range d.Security {
			list = append(list, quoted(s))
		}
		out("    security_profiles: [%s]", strings.Join(list, ", "))
	}
	for _, d := range all {
		persona(d)
	}
	if w.parkedRouting != "" {
		out("  # What suspended agents are: Amazon Connect cannot switch an agent off.")
		persona(draft{Name: parkedPersona, Routing: w.parkedRouting, Security: w.parkedSecurity})
	}
	out("")
	out("# Who gets what. The first rule that matches a person gives the persona; whoever is")
	out("# in none of these groups gets no agent.")
	out("rules:")
	for _, d := range all {
		out("  - {groups: [%s], persona: %s}", quoted(d.Group), scalar(d.Name))
	}
	out("")
	if w.parkedRouting != "" {
		out("# Only sync suspends and deletes. A week is enough to notice a mistake.")
		out("leavers: {suspend_as: %s, delete_after: 7d}", parkedPersona)
		out("")
	}
}

// plainText is what YAML takes as text without quotes, whoever reads it.
var plainText = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*( [A-Za-z][A-Za-z0-9_.-]*)*$`)

// scalar writes a text as YAML, in quotes where it needs them.
func scalar(s string) string {
	words := []string{"true", "false", "yes", "no", "on", "off", "null", "y", "n", "none"}
	if plainText.MatchString(s) && !slices.Contains(words, strings.ToLower(s)) {
		return s
	}
	return quoted(s)
}

// quoted writes a text in double quotes. A string of JSON is one of YAML too.
func quoted(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return `""`
	}
	return strings.TrimSpace(b.String())
}

// comment is a text that cannot leave the comment it stands in.
func comment(s string) string { return strings.Join(strings.Fields(sanitize(s)), " ") }

package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"connectroster/internal/config"
	"connectroster/internal/plan"
)

// lockName is the file that catalog --lock writes, beside the configuration.
const lockName = "connectroster.lock.json"

// lockVersion is the version of its form. deploy/cdk reads this one.
const lockVersion = 2

// lock is all that the deployment to AWS knows of the configuration and of the
// instances. It holds ids, names and reasons, and no secret.
type lock struct {
	Version    int         `json:"version"`
	Deployment string      `json:"deployment"`
	Config     lockedFile  `json:"config"`
	Policy     plan.Policy `json:"policy"`
	OktaAPI    bool        `json:"okta_api"`           // Okta's API may be asked, so there is something to catch up with and to sweep
	Deletes    bool        `json:"deletes"`            // agents are deleted once the grace is over
	Contacts   bool        `json:"waits_for_contacts"` // whether agents have a contact is asked
	Secrets    []string    `json:"secrets"`            // names or ARNs in AWS Secrets Manager
	Hook       []string    `json:"hook_secrets"`       // those of them that deliveries may carry
	Elsewhere  []string    `json:"secrets_elsewhere"`  // references to secrets that no function can look up
	Store      lockedStore `json:"store"`
	Instances  []locked    `json:"instances"`
}

// lockedStore names what the deployment makes for the store. Empty: the
// configuration keeps it in a file.
type lockedStore struct {
	Table        string `json:"table"`
	Region       string `json:"region"`
	LeaversQueue string `json:"leavers_queue"`
	Queue        string `json:"queue"`
}

// lockedFile names the configuration that the lock was made from.
type lockedFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// locked is what the configuration can give to agents of an instance.
type locked struct {
	Name             string       `json:"name"` // as under instances; empty: the one of connect
	ID               string       `json:"id"`
	ARN              string       `json:"arn"`
	ByAlias          bool         `json:"by_alias"` // the configuration names it by its alias, which has to be looked up
	Role             string       `json:"role_arn"` // assumed to reach it; empty: none
	Profile          string       `json:"profile"`  // of the AWS configuration of the machine where this was written, which functions do not have
	RoutingProfiles  []plan.Entry `json:"routing_profiles"`
	OpenRouting      []string     `json:"routing_profiles_open"` // why they cannot be listed; empty: they are
	SecurityProfiles []plan.Entry `json:"security_profiles"`
	Hierarchy        []plan.Entry `json:"hierarchy_groups"`
	OpenHierarchy    []string     `json:"hierarchy_groups_open"`
	ManagesHierarchy bool         `json:"manages_hierarchy"`
	ManagesSkills    bool         `json:"manages_proficiencies"`
	Offline          []plan.Entry `json:"offline_statuses"`
	Tags             []string     `json:"tags"` // keys beside ours
}

// writeLock writes the lock, if all that the configuration names is there.
func (o *catalogOptions) writeLock(p *printer, cfg *config.Config, all []*offering) error {
	text, err := os.ReadFile(o.config)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	l, faults := lockOf(cfg, all)
	if len(faults) > 0 {
		return fmt.Errorf("lock the catalog: %w; nothing was written", errors.Join(faults...))
	}
	l.Config = lockedAs(o.config, text)
	var out bytes.Buffer
	if err := l.encode(&out); err != nil {
		return err
	}
	path := cmp.Or(o.out, filepath.Join(filepath.Dir(o.config), lockName))
	if err := replaceFile(path, out.Bytes()); err != nil {
		return fmt.Errorf("write the lock: %w", err)
	}
	if o.json {
		return p.json(l)
	}
	p.lock(l, path)
	return nil
}

// lockedAs names the file that a configuration was read from.
func lockedAs(path string, text []byte) lockedFile {
	sum := sha256.Sum256(text)
	return lockedFile{Name: filepath.Base(path), SHA256: hex.EncodeToString(sum[:])}
}

// encode writes the lock as the file holds it.
func (l lock) encode(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(l); err != nil {
		return fmt.Errorf("write the lock: %w", err)
	}
	return nil
}

// lockOf finds what the configuration names.
func lockOf(cfg *config.Config, all []*offering) (lock, []error) {
	settings := cfg.Settings()
	l := lock{
		Version: lockVersion, Deployment: cfg.Name, Policy: cfg.Policy, OktaAPI: cfg.APIMode(),
		Deletes: cfg.Policy == plan.Sync && settings.Leavers.DeleteAfter > 0, Contacts: cfg.WaitForContacts > 0,
		Secrets: []string{}, Hook: []string{}, Elsewhere: []string{},
		Store: lockedStore{cfg.Store.AWS.Table, cfg.Store.AWS.Region, cfg.Store.AWS.LeaversQueue, cfg.Store.AWS.Queue},
	}
	for _, ref := range cfg.SecretReferences() {
		if name, ok := strings.CutPrefix(ref, "secretsmanager:"); ok {
			l.Secrets = append(l.Secrets, name)
		} else {
			l.Elsewhere = append(l.Elsewhere, ref)
		}
	}
	for _, ref := range cfg.HookSecretReferences() {
		if name, ok := strings.CutPrefix(ref, "secretsmanager:"); ok {
			l.Hook = append(l.Hook, name)
		}
	}
	var faults []error
	for _, o := range all {
		fault := func(format string, args ...any) {
			where := ""
			if o.Name != "" {
				where = "instance " + o.Name + ": "
			}
			faults = append(faults, fmt.Errorf(where+format, args...))
		}
		if o.unusable != nil {
			fault("%w", o.unusable)
			continue
		}
		use := settings.Uses(o.Name, o.catalog)
		for _, text := range use.Faults {
			fault("%s", text)
		}
		in := locked{
			Name: o.Name, ID: o.ID, ARN: o.ARN, Role: o.connection.RoleARN, Profile: o.connection.Profile,
			ByAlias:         o.connection.Instance != o.ID && o.connection.Instance != o.ARN,
			RoutingProfiles: use.RoutingProfiles, OpenRouting: append([]string{}, use.OpenRouting...),
			SecurityProfiles: use.SecurityProfiles,
			Hierarchy:        use.Hierarchy, OpenHierarchy: append([]string{}, use.OpenHierarchy...),
			ManagesHierarchy: settings.Manages(o.Name, plan.FieldHierarchy), ManagesSkills: settings.Manages(o.Name, plan.FieldProficiencies),
			Offline: []plan.Entry{}, Tags: append([]string{}, use.Tags...),
		}
		for _, s := range o.Statuses {
			if s.Offline() {
				in.Offline = append(in.Offline, plan.Entry{Name: s.Name, ID: s.ID})
			}
		}
		l.Instances = append(l.Instances, in)
	}
	return l, faults
}

// lock prints what was locked.
func (p *printer) lock(l lock, path string) {
	for _, in := range l.Instances {
		name := in.ID
		if in.Name != "" {
			name = in.Name + ", " + in.ID
		}
		p.line(p.paint(bold, name))
		p.listed("routing profiles", in.RoutingProfiles, in.OpenRouting)
		p.listed("security profiles", in.SecurityProfiles, nil)
		p.listed("hierarchy groups", in.Hierarchy, in.OpenHierarchy)
	}
	p.line()
	p.line("Written to ", p.paint(bold, path), ".")
}

func (p *printer) listed(what string, list []plan.Entry, open []string) {
	if len(open) == 0 {
		if len(list) > 0 {
			p.offered(what, list)
		}
		return
	}
	p.line()
	p.line(p.paint(bold, what))
	p.text(yellow, "", 2, "Any of the instance, since they cannot be listed:")
	for _, why := range open {
		p.text(plain, "  - ", 4, why)
	}
}

// replaceFile writes a file, all of it or nothing.
func replaceFile(path string, text []byte) error {
	if err := replaceable(path); err != nil {
		return err
	}
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, text) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".connectroster-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"

	"connectroster/internal/plan"
)

// read takes the answers of the file for all flags that were not given.
func (a *answers) read(f *pflag.FlagSet) error {
	if a.file == "" {
		return nil
	}
	text, err := os.ReadFile(a.file)
	if err != nil {
		return fmt.Errorf("read the answers: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("read the answers in %s: %w", a.file, err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	var faults []error
	fault := func(node *yaml.Node, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s:%d: %w", a.file, node.Line, fmt.Errorf(format, args...)))
	}
	seen := map[string]bool{}
	err = pairs(doc.Content[0], func(key string, node *yaml.Node) {
		name := strings.ReplaceAll(key, "_", "-")
		flag := f.Lookup(name)
		switch {
		case flag == nil || slices.Contains(ownFlags, name):
			fault(node, "there is no answer %q: the keys are the flags of init, with _ in place of -", key)
		case seen[name]:
			fault(node, "%s is answered twice", key)
		case flag.Changed:
		default:
			if err := setFlag(flag, node); err != nil {
				fault(node, "%s: %w", key, err)
			}
		}
		seen[name] = true
	})
	if err != nil {
		fault(doc.Content[0], "%w", err)
	}
	return errors.Join(faults...)
}

// pairs gives the keys of a mapping with their values, in the order of the file.
func pairs(node *yaml.Node, each func(key string, value *yaml.Node)) error {
	if node.Kind != yaml.MappingNode {
		return errors.New("want keys and values, such as name: production")
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		each(node.Content[i].Value, node.Content[i+1])
	}
	return nil
}

// setFlag gives a flag what a node of YAML says.
func setFlag(flag *pflag.Flag, node *yaml.Node) error {
	list := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		list = node.Content
		if _, many := flag.Value.(pflag.SliceValue); !many && flag.Value.Type() != "persona" {
			return errors.New("want one value, not a list")
		}
	}
	for _, one := range list {
		if p, ok := flag.Value.(*personas); ok && one.Kind == yaml.MappingNode {
			d, err := readDraft(one)
			if err != nil {
				return err
			}
			*p = append(*p, d)
			continue
		}
		if one.Kind != yaml.ScalarNode {
			return errors.New("want text")
		}
		if err := flag.Value.Set(one.Value); err != nil {
			return err
		}
	}
	return nil
}

// readDraft reads a persona of a file of answers.
func readDraft(node *yaml.Node) (d draft, err error) {
	wrong := pairs(node, func(key string, value *yaml.Node) {
		list := []*yaml.Node{value}
		if key == "security_profiles" && value.Kind == yaml.SequenceNode {
			list = value.Content
		}
		for _, one := range list {
			switch {
			case one.Kind != yaml.ScalarNode:
				err = fmt.Errorf("%s: want text", key)
			case key == "name":
				d.Name = one.Value
			case key == "group":
				d.Group = one.Value
			case key == "routing_profile":
				d.Routing = one.Value
			case key == "security_profiles":
				d.Security = append(d.Security, one.Value)
			default:
				err = fmt.Errorf("want name, group, routing_profile and security_profiles, but not %q", key)
			}
		}
	})
	return d, cmp.Or(wrong, err)
}

// missing names the flags without which there is no configuration.
func (a *answers) missing() error {
	var out []string
	need := func(have bool, flag, why string) {
		if !have {
			out = append(out, fmt.Sprintf("  --%-24s%s", flag, why))
		}
	}
	need(a.name != "", "name", "the name of the deployment, such as production")
	need(a.region != "", "region", "AWS's own settings name none")
	need(a.instance != "", "instance", "the alias, id or ARN of the Amazon Connect instance")
	need(a.mode != "", "okta", modeToken+", "+modeService+" or "+modeHook)
	if a.mode == modeToken || a.mode == modeService {
		need(a.org != "", "okta-org", "the address of the Okta org")
	}
	if a.mode == modeService {
		need(a.clientID != "", "okta-client-id", "the client id of the API Services app")
	}
	need(a.group != "", "group", "the Okta group whose members are agents")
	need(a.routing != "", "routing-profile", "the name of their routing profile")
	need(len(a.security) > 0, "security-profile", "the name of a security profile of theirs")
	need(a.policy != "", "policy", "create-only, upsert-only or sync; begin with upsert-only")
	if a.policy == string(plan.Sync) {
		need(a.parkedRouting != "", "parked-routing-profile", "of suspended agents, which sync needs")
		need(len(a.parkedSecurity) > 0, "parked-security-profile", "of suspended agents, which sync needs")
	}
	if len(out) == 0 {
		return nil
	}
	return errors.New("nobody can be asked here, and these answers are missing; give the flags, or the answers in a file with --answers:\n" + strings.Join(out, "\n"))
}

package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"runtime/debug"
	"slices"
	"strings"
)

// bill is a bill of materials in the form of CycloneDX 1.6.
// Source: https://cyclonedx.org/docs/1.6/json/
type bill struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Serial     string      `json:"serialNumber"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
	Depends    []depends   `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	PURL       string     `json:"purl,omitempty"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type depends struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

// billOf makes the bill of a program, of what the program itself says that it was
// built from: the modules that are linked, and Go's own library.
func billOf(program, version string, p platform) ([]byte, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	return encodeBill(info, version, p, sha256.Sum256(text))
}

func encodeBill(info *debug.BuildInfo, version string, p platform, sum [32]byte) ([]byte, error) {
	root := component{
		Type: "application", Ref: "connectroster", Name: "connectroster", Version: version,
		Hashes:     []hash{{"SHA-256", fmt.Sprintf("%x", sum)}},
		Properties: []property{{"connectroster:platform", p.system + "/" + p.machine}, {"connectroster:go", info.GoVersion}},
	}
	library := component{Type: "library", Name: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}
	library.PURL = purl("std", library.Version)
	library.Ref = library.PURL
	b := bill{
		Format: "CycloneDX", Spec: "1.6", Version: 1, Metadata: metadata{root}, Components: []component{library},
		// A serial number that is the same for the same program.
		Serial: fmt.Sprintf("urn:uuid:%x-%x-8%03x-8%03x-%x", sum[0:4], sum[4:6], uint16(sum[6])<<4|uint16(sum[7])>>4, uint16(sum[8])<<4|uint16(sum[9])>>4, sum[10:16]),
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c := component{Type: "library", Name: m.Path, Version: m.Version, PURL: purl(m.Path, m.Version)}
		c.Ref = c.PURL
		if m.Sum != "" {
			c.Properties = []property{{"go:sum", m.Sum}}
		}
		b.Components = append(b.Components, c)
	}
	slices.SortFunc(b.Components, func(x, y component) int { return cmp.Compare(x.Ref, y.Ref) })
	on := depends{Ref: root.Ref}
	for _, c := range b.Components {
		on.On = append(on.On, c.Ref)
	}
	b.Depends = []depends{on}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(b)
	return out.Bytes(), err
}

// purl is the package URL of a module.
// Source: https://github.com/package-url/purl-spec, golang.
func purl(path, version string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return "pkg:golang/" + strings.Join(parts, "/") + "@" + url.QueryEscape(version)
}

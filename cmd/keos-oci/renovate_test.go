package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// renovatePreset is what this test reads of default.json: https://docs.renovatebot.com/modules/manager/regex describes the fields.
type renovatePreset struct{ CustomManagers []renovateManager }

type renovateManager struct {
	CustomType, MatchStringsStrategy, DatasourceTemplate, VersioningTemplate              string
	DepNameTemplate, PackageNameTemplate, CurrentValueTemplate, AutoReplaceStringTemplate string
	ManagerFilePatterns, MatchStrings                                                     []string
}

// renovateDependency is one place in a file that Renovate updates.
type renovateDependency struct{ place, name, version, next string }

// TestRenovatePreset runs the expressions of the preset over what the commands write. After an update, a file is equal to what the
// command writes with a pin to the newer version: the tag and the signer change together. Files without a pin to a version stay.
func TestRenovatePreset(t *testing.T) {
	preset := readPreset(t)
	apps := checkoutOf(t, filepath.Join("..", "..", "testdata", "repos", "apps"), "org/apps")
	apps.run("generate-key-pair")
	pairs := []string{"ocirepository", "cart", "shop", "--channel", "latest-stable", "--environment", "production"}
	tenants := []string{"resourceset", "apps"}
	key := []string{"--key", filepath.Join(apps.dir, "cosign.pub"), "--key-secret", "cosign-pub"}
	for name, c := range map[string]struct {
		args   []string
		places int // per pinned component
	}{
		"pair":                 {pairs, 2},
		"pair with a key":      {append(pairs[:len(pairs):len(pairs)], key...), 1},
		"tenants":              {tenants, 2},
		"tenants with a key":   {append(tenants[:2:2], key...), 1},
		"signers in the input": {append(tenants[:2:2], "--signer", "component"), 0},
		"providers":            {append(tenants[:2:2], "--signer", "component", "--providers"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			generate := func(pins ...string) string {
				return apps.generate(append(c.args[:len(c.args):len(c.args)], pins...)...)
			}
			for _, pin := range []string{"none", "latest", ">=1.2.0 <2.0.0", "sha256:" + strings.Repeat("0", 64)} {
				if name == "providers" && strings.HasPrefix(pin, "sha256:") {
					continue // which a provider cannot find
				}
				if found := preset.dependencies(t, generate("--pin", "cart="+pin), ""); len(found) > 0 {
					t.Errorf("--pin cart=%s: %v", pin, found)
				}
			}
			for _, versions := range [][2]string{{"v1.2.3", "v1.3.0"}, {"v1.2.3-rc.1", "v1.2.3"}} {
				file := generate("--pin", "cart="+versions[0], "--pin", "shop="+versions[0])
				found := preset.dependencies(t, file, versions[1])
				if len(found) != 2*c.places {
					t.Fatalf("%d places, want %d: %v\n%s", len(found), 2*c.places, found, file)
				}
				for _, d := range found {
					if d.version != versions[0] || d.name != "ghcr.io/org/apps/cart" && d.name != "ghcr.io/org/apps/shop" {
						t.Errorf("%+v", d)
					}
					file = strings.ReplaceAll(file, d.place, d.next)
				}
				want := generate("--pin", "cart="+versions[1], "--pin", "shop="+versions[1])
				if c.places > 0 && file != want {
					t.Errorf("got\n%s\nwant\n%s", file, want)
				}
			}
		})
	}
}

func readPreset(t *testing.T) renovatePreset {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "default.json"))
	if err != nil {
		t.Fatal(err)
	}
	var preset renovatePreset
	if err := json.Unmarshal(raw, &preset); err != nil || len(preset.CustomManagers) == 0 {
		t.Fatalf("%d managers, %v", len(preset.CustomManagers), err)
	}
	for _, m := range preset.CustomManagers {
		if m.CustomType != "regex" || m.MatchStringsStrategy != "recursive" || len(m.ManagerFilePatterns) == 0 ||
			m.DatasourceTemplate != "docker" || m.VersioningTemplate != "semver" {
			t.Errorf("%+v", m)
		}
	}
	return preset
}

// dependencies gives what all managers find in a file, with the text that Renovate writes for a newer version.
func (p renovatePreset) dependencies(t *testing.T, file, newer string) []renovateDependency {
	t.Helper()
	var found []renovateDependency
	for _, m := range p.CustomManagers {
		found = append(found, m.search(t, file, m.MatchStrings, map[string]string{}, newer)...)
	}
	return found
}

// search is the strategy "recursive": each expression searches in what the one before it matched, and the groups of all are collected.
func (m renovateManager) search(t *testing.T, text string, steps []string, groups map[string]string, newer string) []renovateDependency {
	t.Helper()
	if len(steps) == 0 {
		return []renovateDependency{m.dependency(text, groups, newer)}
	}
	re, err := regexp.Compile(strings.ReplaceAll(steps[0], "(?<", "(?P<"))
	if err != nil {
		t.Fatal(err)
	}
	var found []renovateDependency
	for _, match := range re.FindAllStringSubmatch(text, -1) {
		all := maps.Clone(groups)
		for i, group := range re.SubexpNames() {
			if group != "" {
				all[group] = match[i]
			}
		}
		found = append(found, m.search(t, match[0], steps[1:], all, newer)...)
	}
	return found
}

func (m renovateManager) dependency(place string, groups map[string]string, newer string) renovateDependency {
	d := renovateDependency{place: place, name: groups["depName"], version: groups["currentValue"]}
	if m.PackageNameTemplate != "" {
		d.name = filled(m.PackageNameTemplate, groups)
	}
	d.next = strings.ReplaceAll(place, d.version, newer)
	if m.AutoReplaceStringTemplate != "" {
		d.version = filled(m.CurrentValueTemplate, groups)
		d.next = filled(m.AutoReplaceStringTemplate, map[string]string{"newValue": newer})
	}
	return d
}

var (
	handlebar = regexp.MustCompile(`\{\{\{(.*?)\}\}\}`)
	replacing = regexp.MustCompile(`^replace '(.*?)' '(.*?)' (\w+)$`)
)

// filled is a template of Renovate, of which the preset uses fields and the function replace.
func filled(template string, fields map[string]string) string {
	return handlebar.ReplaceAllStringFunc(template, func(text string) string {
		inside := handlebar.FindStringSubmatch(text)[1]
		if r := replacing.FindStringSubmatch(inside); r != nil {
			return regexp.MustCompile(r[1]).ReplaceAllLiteralString(fields[r[3]], r[2])
		}
		return fields[inside]
	})
}

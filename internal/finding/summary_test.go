package finding

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/sourceignore/gitignore"
)

// many are n findings of a rule, each in a file of its own: %d in the pattern is its number.
func many(n int, severity Severity, rule, pattern string) []Finding {
	var list []Finding
	for i := range n {
		file := strings.ReplaceAll(pattern, "%d", fmt.Sprint(i))
		list = append(list, Finding{Severity: severity, Rule: rule, File: file, Line: 3, Message: "m"})
	}
	return list
}

func lines(list []Finding) string {
	var out []string
	for _, l := range Summarise(list) {
		out = append(out, string(l.Severity)+" "+l.Text)
	}
	return strings.Join(out, "\n")
}

func TestSummarise(t *testing.T) {
	first := func(rule, pattern string) string {
		var out []string
		for i := range 3 {
			out = append(out, "error "+strings.ReplaceAll(pattern, "%d", fmt.Sprint(i))+":3: m ("+rule+")")
		}
		return strings.Join(out, "\n") + "\n"
	}
	known := many(11, Warning, RuleSecret, "a/%d.yaml")
	for i := range known {
		known[i].Known = true
	}
	for name, c := range map[string]struct {
		list []Finding
		want string
	}{
		"folder": {many(40, Error, RuleSecret, "clusters/_TEMPLATE/s%d.yaml"), first(RuleSecret, "clusters/_TEMPLATE/s%d.yaml") +
			"error … and 37 more of rule secret in 37 files; " +
			`to allow them all: secrets: {allow: [{path: "clusters/_TEMPLATE/**", reason: "…"}]}`},
		"name": {many(11, Error, RuleDotenv, "clusters/c%d/.env"), first(RuleDotenv, "clusters/c%d/.env") +
			"error … and 8 more of rule dotenv in 8 files; " +
			`to allow them all: secrets: {allow: [{path: "clusters/**/.env", reason: "…"}]}`},
		"no allowance": {many(11, Error, RuleBuild, "a/%d.yaml"), first(RuleBuild, "a/%d.yaml") +
			"error … and 8 more of rule build in 8 files"},
		"whole workspace": {many(11, Error, "token", "%d/a%d.yaml"), first("token", "%d/a%d.yaml") +
			"error … and 8 more of rule token in 8 files; what is harmless can be allowed in keos-oci.yaml: secrets: {allow: […]}"},
		"known": {known, strings.NewReplacer("error", "warning", "(secret)", "(secret) (known)").Replace(first(RuleSecret, "a/%d.yaml")) +
			"warning … and 8 more of rule secret in 8 files (known)"},
	} {
		if got := lines(c.list); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

func TestSummariseShowsFewAndKeepsKindsApart(t *testing.T) {
	list := append(many(10, Error, RuleSecret, "a/%d.yaml"), many(10, Warning, RuleSecret, "a/%d.yaml")...)
	if got := Summarise(list); len(got) != 20 {
		t.Errorf("%d lines of 20 findings, ten of each kind", len(got))
	}
	want := `8 more of rule secret in 1 file; to allow them all: secrets: {allow: [{path: "/same.yaml", reason: "…"}]}`
	if got := Summarise(slices.Repeat(many(1, Error, RuleSecret, "same.yaml"), 11)); len(got) != 4 || !strings.Contains(got[3].Text, want) {
		t.Errorf("%v", got)
	}
}

func TestGlobs(t *testing.T) {
	for name, c := range map[string]struct{ files, want []string }{
		"few":             {[]string{"a/b.yaml", "a/b.yaml", "c.yaml"}, []string{"/c.yaml", "a/b.yaml"}},
		"names":           {[]string{"x/a/s.yaml", "x/b/s.yaml", "x/a/t.env", "x/c/t.env"}, []string{"x/**/s.yaml", "x/**/t.env"}},
		"names anywhere":  {[]string{"a/s.yaml", "b/s.yaml", "c/s.yaml", "d/s.yaml"}, []string{"**/s.yaml"}},
		"folders":         {[]string{"x/a/1", "x/a/2", "x/b/3", "x/b/c/4", "y/5"}, []string{"x/a/**", "x/b/**", "y/5"}},
		"folder in other": {[]string{"x/1", "x/2", "x/a/3", "x/a/4", "y/5"}, []string{"x/**", "y/5"}},
		"nothing common":  {[]string{"a/1", "b/2", "c/3", "d/4"}, nil},
		"characters":      {[]string{"!a*/[b]?", `c\d `}, []string{`/c\\d\ `, `\!a\*/\[b]\?`}},
	} {
		if got := Globs(c.files); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestGlobsMatch: whatever the files are called, the patterns match each of them as the gate's allowances do, and are at most three.
// A failure prints its seed.
func TestGlobsMatch(t *testing.T) {
	const seed = 20261127
	found := 0
	for i := range 3000 {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		files := randomFiles(random)
		globs := Globs(files)
		if globs == nil {
			continue
		}
		found++
		if len(globs) > 3 {
			t.Errorf("%d: %d patterns", i, len(globs))
		}
		for _, file := range files {
			if !slices.ContainsFunc(globs, func(g string) bool { return matches(g, file) }) {
				t.Fatalf("seed %d, %d: %q does not match %q of %q", seed, i, globs, file, files)
			}
		}
		for _, g := range globs {
			if matches(g, "elsewhere/than/these.yaml") {
				t.Errorf("seed %d, %d: %q of %q is the whole workspace", seed, i, g, files)
			}
		}
	}
	if found < 1000 {
		t.Errorf("patterns for only %d of 3000 lists", found)
	}
}

func matches(glob, file string) bool {
	return gitignore.ParsePattern(glob, nil).Match(strings.Split(file, "/"), false) == gitignore.Exclude
}

func randomFiles(random *rand.Rand) []string {
	names := []string{"a", "b", "!c", "d*", "[e]", `f\g`, "h ", "i?", "**", "#j", "s.yaml", ".env", "ü", "a b"}
	var files []string
	tops := 1 + random.IntN(4)
	for range 1 + random.IntN(30) {
		var parts []string
		if random.IntN(8) > 0 { // most files are in a folder
			parts = append(parts, names[random.IntN(tops)])
		}
		for range random.IntN(4) {
			parts = append(parts, names[random.IntN(2+random.IntN(len(names)-1))])
		}
		files = append(files, strings.Join(append(parts, names[random.IntN(len(names))]), "/"))
	}
	return files
}

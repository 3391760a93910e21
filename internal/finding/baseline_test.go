package finding

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func secretAt(file string, line int) Finding {
	return Finding{Severity: Error, Rule: RuleSecret, File: file, Line: line, Message: "Secret db: data.password has a plaintext value"}
}

func severities(list []Finding) string {
	var out []string
	for _, f := range list {
		out = append(out, fmt.Sprintf("%s:%d %s %t", f.File, f.Line, f.Severity, f.Known))
	}
	return strings.Join(out, "\n")
}

func TestBaselineApply(t *testing.T) {
	today := []Finding{secretAt("a.yaml", 3), secretAt("a.yaml", 9), {Severity: Warning, Rule: RuleEmpty, File: "a.yaml", Message: "m"}}
	b := NewBaseline("known.yaml", [][]Finding{today})
	if b.Total() != 2 || b.Files() != 1 || len(b.Entries) != 1 {
		t.Fatalf("%+v", b)
	}
	moved := b.Apply([]Finding{secretAt("a.yaml", 5), secretAt("a.yaml", 11), today[2]})
	if got, want := severities(moved), "a.yaml:5 warning true\na.yaml:11 warning true\na.yaml:0 warning false"; got != want {
		t.Errorf("moved lines:\n%s", got)
	}
	more := b.Apply([]Finding{secretAt("a.yaml", 3), secretAt("a.yaml", 9), secretAt("a.yaml", 12), secretAt("b.yaml", 1)})
	want := "a.yaml:3 warning true\na.yaml:9 warning true\na.yaml:12 error false\nb.yaml:1 error false"
	if got := severities(more); got != want {
		t.Errorf("more of them:\n%s", got)
	}
	if want := "the baseline has 2 of the 3 findings like this one in the file"; more[2].Fix != want || more[3].Fix != "" {
		t.Errorf("%q, %q", more[2].Fix, more[3].Fix)
	}
	var none *Baseline
	if got := none.Apply(today); !reflect.DeepEqual(got, today) || today[0].Known {
		t.Errorf("no baseline: %v", got)
	}
}

func TestBaselineIgnoresLinesInMessages(t *testing.T) {
	at := func(message string) []Finding {
		return []Finding{{Severity: Error, Rule: RuleBuild, File: "a", Message: message}}
	}
	b := NewBaseline("f", [][]Finding{at("yaml: line 4: did not find; see line 12")})
	if want := "yaml: line N: did not find; see line N"; b.Entries[0].Message != want {
		t.Error(b.Entries[0].Message)
	}
	if got := b.Apply(at("yaml: line 7: did not find; see line 1")); !got[0].Known {
		t.Error("another line is another finding")
	}
	if got := b.Apply(at("yaml: line 7: did find; see line 1")); got[0].Known {
		t.Error("another message is the same finding")
	}
}

func TestBaselineOfASharedFile(t *testing.T) {
	one, two := []Finding{secretAt("a.yaml", 3)}, []Finding{secretAt("a.yaml", 3), secretAt("a.yaml", 9)}
	b := NewBaseline("f", [][]Finding{one, two})
	if b.Total() != 2 {
		t.Errorf("%d known, of 2 in the component with more of them", b.Total())
	}
	if notes := b.Fixed([][]Finding{b.Apply(one), b.Apply(two)}); len(notes) > 0 {
		t.Errorf("nothing is fixed: %v", notes)
	}
}

func TestBaselineFixed(t *testing.T) {
	text := string(yamlOf(t, NewBaseline("f", [][]Finding{{secretAt("a.yaml", 3), secretAt("a.yaml", 9), secretAt("b.yaml", 1)}})))
	b, err := ParseBaseline("known.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range b.Fixed([][]Finding{b.Apply([]Finding{secretAt("a.yaml", 7)})}) {
		got = append(got, string(f.Severity)+" "+f.String())
	}
	line := func(of string) int { return strings.Count(text[:strings.Index(text, of)], "\n") } // of the entry's first key, which is before
	note := func(fixed, file string) string {
		return fmt.Sprintf("note known.yaml:%d: %s known findings are fixed: "+
			"%s: Secret db: data.password has a plaintext value (secret) (baseline); "+
			"write the baseline anew: keos-oci check --write-baseline known.yaml", line("file: "+file), fixed, file)
	}
	want := []string{note("1 of 2", "a.yaml"), note("1 of 1", "b.yaml")}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	more := []Finding{secretAt("a.yaml", 7), secretAt("a.yaml", 8), secretAt("a.yaml", 9), secretAt("b.yaml", 1)}
	if notes := b.Fixed([][]Finding{b.Apply(more)}); len(notes) > 0 {
		t.Errorf("more than known is not fixed: %v", notes)
	}
}

func yamlOf(t *testing.T, b *Baseline) []byte {
	t.Helper()
	raw, err := b.YAML()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestBaselineFile: the file is for people, and always the same.
func TestBaselineFile(t *testing.T) {
	list := []Finding{secretAt("b.yaml", 1), secretAt("a.yaml", 9), secretAt("a.yaml", 3),
		{Severity: Error, Rule: RuleDotenv, File: "a.yaml", Message: "m: n"}}
	want := `# Known findings of keos-oci check. To write this file anew: keos-oci check --write-baseline FILE
apiVersion: keos-oci.stratio.com/v1alpha1
kind: Baseline
findings:
  - rule: dotenv
    file: a.yaml
    message: 'm: n'
    count: 1
  - rule: secret
    file: a.yaml
    message: 'Secret db: data.password has a plaintext value'
    count: 2
  - rule: secret
    file: b.yaml
    message: 'Secret db: data.password has a plaintext value'
    count: 1
`
	for range 20 {
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		if got := string(yamlOf(t, NewBaseline("f", [][]Finding{list}))); got != want {
			t.Fatal(got)
		}
	}
}

// TestBaselineRoundTrip: whatever a file or a message has in it, the file of a baseline knows the findings that it was made of.
func TestBaselineRoundTrip(t *testing.T) {
	for i := range 500 {
		random := rand.New(rand.NewPCG(20261127, uint64(i)))
		odd := func() string {
			parts := []string{"a", ": ", "\n", "#", "'", `"`, "é", "\x00", "\xff", "- ",
				"line 4", "\t", "\u2028", "|", "{", "x/y", " ", "&", "*", "~", "1"}
			out := "x"
			for range random.IntN(8) {
				out += parts[random.IntN(len(parts))]
			}
			return out
		}
		var list []Finding
		for range random.IntN(6) {
			list = append(list, Finding{Severity: Error, Rule: RuleSecret, File: odd(), Message: odd()})
		}
		raw := yamlOf(t, NewBaseline("f", [][]Finding{list}))
		b, err := ParseBaseline("f", raw)
		if err != nil {
			t.Fatalf("%d: %v\n%s", i, err, raw)
		}
		for _, f := range b.Apply(list) {
			if !f.Known {
				t.Fatalf("%d: %+v is not known\n%s", i, f, raw)
			}
		}
		if notes := b.Fixed([][]Finding{list}); len(notes) > 0 {
			t.Errorf("%d: %v", i, notes)
		}
	}
}

func TestParseBaseline(t *testing.T) {
	head := "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Baseline\n"
	entry := "- rule: secret\n  file: a\n  message: m\n  count: 1\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":             {"", "f:1: the file is empty"},
		"too large":         {strings.Repeat("#", 8<<20+1), "f:1: the file is larger than 8 MiB"},
		"only a comment":    {"# x\n", "f:1: the file is empty"},
		"no mapping":        {"[]\n", "f:1: want a mapping of apiVersion, kind, findings"},
		"syntax":            {head + "findings:\n- a: b: c\n", "f:4: mapping values are not allowed in this context"},
		"two documents":     {head + "findings: []\n---\nx: y\n", "f:4: a second document: the file may have only one"},
		"another kind":      {strings.Replace(head, "Baseline", "Workspace", 1) + "findings: []\n", `f:2: kind is "Workspace", want Baseline`},
		"another version":   {"kind: Baseline\napiVersion: v2\nfindings: []\n", `f:2: apiVersion is "v2", want keos-oci.stratio.com/v1alpha1`},
		"no findings":       {head, "f:1: findings is missing"},
		"no list":           {head + "findings: {}\n", "f:3: findings is no list"},
		"unknown key":       {head + "findings: []\nmore: 1\n", `f:4: unknown key "more": known are apiVersion, kind, findings`},
		"a key twice":       {head + "kind: Baseline\nfindings: []\n", "f:3: kind is given twice"},
		"an entry's key":    {head + "findings:\n" + entry + "  line: 4\n", `f:8: unknown key "line": known are rule, file, message, count`},
		"no count":          {head + "findings:\n- {rule: secret, file: a, message: m}\n", "f:4: count is missing"},
		"count of nothing":  {head + "findings:\n" + strings.Replace(entry, "1", "0", 1), `f:7: count is "0", want a number of at least 1`},
		"count of a word":   {head + "findings:\n" + strings.Replace(entry, "1", "all", 1), `f:7: count is "all", want a number of at least 1`},
		"no text":           {head + "findings:\n- {rule: [secret], file: a, message: m, count: 1}\n", "f:4: rule is no text"},
		"an alias":          {head + "findings:\n- {rule: &a secret, file: *a, message: m, count: 1}\n", "f:4: file is no text"},
		"the same twice":    {head + "findings:\n" + entry + entry, "f:8: the same finding as on line 4"},
		"a list of texts":   {head + "findings: [a]\n", "f:3: want a mapping of rule, file, message, count"},
		"the first of many": {head + "findings:\n- x\n- y\nz: 1\n", "f:4: want a mapping of rule, file, message, count"},
	} {
		_, err := ParseBaseline("f", []byte(c.text))
		want := strings.Replace(c.want, ": ", ": invalid baseline: ", 1)
		if !errors.Is(err, ErrBaseline) || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	b, err := ParseBaseline("f", []byte(`{"apiVersion": "keos-oci.stratio.com/v1alpha1", "kind": "Baseline",
		"findings": [{"rule": "r", "file": "a", "message": "m", "count": 3}]}`))
	if err != nil || b.Total() != 3 {
		t.Errorf("JSON: %+v, %v", b, err)
	}
}

func FuzzParseBaseline(f *testing.F) {
	f.Add([]byte("apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Baseline\nfindings: [{rule: a, file: b, message: c, count: 1}]\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseBaseline("f", data)
		if err != nil && !errors.Is(err, ErrBaseline) {
			t.Error(err)
		}
		b.Apply([]Finding{secretAt("a", 1)})
	})
}

// TestFormerWords: a baseline in the words of a former version accepts the same findings.
func TestFormerWords(t *testing.T) {
	b, err := ParseBaseline("baseline.yaml", []byte(`apiVersion: `+baselineAPI+`
kind: `+baselineKind+`
findings:
  - rule: secret
    file: db.yaml
    message: 'Secret db: data.password holds a plaintext value'
    count: 1
`))
	if err != nil {
		t.Fatal(err)
	}
	list := b.Apply([]Finding{{Severity: Error, Rule: RuleSecret, File: "db.yaml", Line: 4,
		Message: "Secret db: data.password has a plaintext value"}})
	if len(list) != 1 || list[0].Severity == Error {
		t.Error(list)
	}
}

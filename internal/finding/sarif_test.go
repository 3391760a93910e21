package finding

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// sarifSample has every kind of finding.
func sarifSample() []Finding {
	known := secretAt("a dir/a:b?.yaml", 9)
	known.Severity, known.Known = Warning, true
	return []Finding{
		secretAt("a dir/a:b?.yaml", 3), known, secretAt("c:d.yaml", 0),
		{Severity: Warning, Rule: RuleEmpty, File: "x\xff", Message: "bad \xff text", Fix: "f"},
		{Severity: Note, Rule: RuleBaseline, File: "known.yaml", Line: 4, Message: "m"},
		{Severity: Warning, Rule: "held", Message: "no file"},
	}
}

// valid checks a report against what the format demands, and returns it parsed.
func valid(t *testing.T, report *SARIF) sarifRun {
	t.Helper()
	raw, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := os.ReadFile("testdata/sarif.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("sarif", text); err != nil {
		t.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiler.MustCompile("sarif").Validate(instance); err != nil {
		t.Errorf("%v\n%s", err, raw)
	}
	var back SARIF
	if err := json.Unmarshal(raw, &back); err != nil || len(back.Runs) != 1 {
		t.Fatalf("%v %s", err, raw)
	}
	return back.Runs[0]
}

func TestSARIF(t *testing.T) {
	run := valid(t, NewSARIF("v1.2.3", append(sarifSample(), secretAt("c:d.yaml", 0)), nil))
	if d := run.Tool.Driver; d.Name != "keos-oci" || d.Version != "v1.2.3" || len(d.Rules) != 4 || !run.Invocations[0].ExecutionSuccessful {
		t.Errorf("%+v", run)
	}
	if len(run.Results) != 6 {
		t.Fatalf("%d results: a finding of two components is one", len(run.Results))
	}
	for i, want := range []struct {
		level Severity
		uri   string
		line  int
	}{{Error, "a%20dir/a:b%3F.yaml", 3}, {Warning, "a%20dir/a:b%3F.yaml", 9},
		{Error, "./c:d.yaml", 0}, {Warning, "x%FF", 0}, {Note, "known.yaml", 4}} {
		r := run.Results[i]
		location := r.Locations[0].Physical
		line := 0
		if location.Region != nil {
			line = location.Region.StartLine
		}
		if r.Level != want.level || location.Artifact.URI != want.uri || line != want.line || run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("%d: %+v", i, r)
		}
		if known := len(r.Suppressions) == 1; known != (i == 1) {
			t.Errorf("%d: suppressions %v", i, r.Suppressions)
		}
	}
	if message := run.Results[3].Message.Text; message != "bad \uFFFD text; f" {
		t.Errorf("%q", message)
	}
	if len(run.Results[5].Locations) > 0 {
		t.Errorf("a finding without a file has a place: %+v", run.Results[5])
	}
}

func TestSARIFOfNothing(t *testing.T) {
	if run := valid(t, NewSARIF("", nil, nil)); run.Results == nil || run.Tool.Driver.Rules == nil {
		t.Errorf("lists are empty, not missing: %+v", run)
	}
}

func TestSARIFSaysWhatWasNotLookedAt(t *testing.T) {
	run := valid(t, NewSARIF("", nil, []string{"web: a symbolic link"}))
	i := run.Invocations[0]
	if i.ExecutionSuccessful || len(i.Notifications) != 1 || i.Notifications[0].Message.Text != "web: a symbolic link" {
		t.Errorf("%+v", i)
	}
}

// TestSARIFFingerprints: they are those of the same finding when lines move, and of no other finding.
func TestSARIFFingerprints(t *testing.T) {
	prints := func(list ...Finding) (out []string) {
		for _, r := range NewSARIF("", list, nil).Runs[0].Results {
			out = append(out, r.Fingerprints["keosOci/v1"])
		}
		return out
	}
	before := prints(secretAt("a", 3), secretAt("a", 9), secretAt("b", 3))
	after := prints(secretAt("a", 13), secretAt("a", 19), secretAt("b", 1))
	if strings.Join(before, " ") != strings.Join(after, " ") {
		t.Errorf("%v, then %v", before, after)
	}
	if before[0] == before[1] || before[0] == before[2] {
		t.Errorf("not unique: %v", before)
	}
	known := secretAt("a", 3)
	known.Severity, known.Known = Warning, true
	if got := prints(known); got[0] != before[0] {
		t.Errorf("known is another one: %v", got)
	}
}

// TestRulesAreDescribed: a code host shows what a rule is about, whatever rules there are, and the guide has the rule.
func TestRulesAreDescribed(t *testing.T) {
	const guide = "docs/guides/troubleshooting.md"
	text, err := os.ReadFile(filepath.Join("../..", guide))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## The gate")
	section, _, _ = strings.Cut(section, "\n## ")
	file, err := parser.ParseFile(token.NewFileSet(), "finding.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	rules := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Rule") {
			return true
		}
		rules++
		name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if about, help := describe(name); err != nil || about == name || help == "" {
			t.Errorf("%s is not described: add a case to describe in sarif.go: %q, %q", spec.Names[0].Name, about, help)
		}
		if !strings.Contains(section, "`"+name+"`") {
			t.Errorf("%s: the section \"The gate\" of %s does not explain the rule: add a row to its table, or a warning to the list below",
				name, guide)
		}
		return true
	})
	if rules < 15 {
		t.Errorf("only %d rules found", rules)
	}
}

package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

// issueForm is what GitHub demands of an issue form.
type issueForm struct {
	Name, Description string
	Body              []struct {
		Type       string
		ID         string
		Attributes struct{ Label, Value string }
	}
}

// TestIssueForms: GitHub shows a form that it cannot read as plain text, and says so to nobody.
func TestIssueForms(t *testing.T) {
	for _, name := range []string{"bug.yml", "feature.yml"} {
		raw, err := os.ReadFile(filepath.Join("../../.github/ISSUE_TEMPLATE", name))
		if err != nil {
			t.Fatal(err)
		}
		var form issueForm
		if err := yaml.Unmarshal(raw, &form); err != nil {
			t.Fatal(err)
		}
		if form.Name == "" || form.Description == "" || len(form.Body) == 0 {
			t.Errorf("%s has no name, no description or no body", name)
		}
		seen := map[string]bool{}
		for _, part := range form.Body {
			switch {
			case part.Type == "markdown":
				if part.Attributes.Value == "" {
					t.Errorf("%s: markdown without a value", name)
				}
			case !slices.Contains([]string{"input", "textarea", "dropdown", "checkboxes"}, part.Type):
				t.Errorf("%s: unknown type %q", name, part.Type)
			case part.ID == "" || seen[part.ID] || part.Attributes.Label == "":
				t.Errorf("%s: %q has no id of its own, or no label", name, part.ID)
			}
			seen[part.ID] = true
		}
	}
}

package check

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stratio/keos-oci/internal/finding"
)

// Workflows warns of workflows that sign and that others can start: a cluster sees a certificate's issuer and subject alone, and
// both are the same whoever called the workflow, or opened the pull request. files are those of the workspace.
func Workflows(fsys fs.FS, files []string) []finding.Finding {
	var found []finding.Finding
	for _, file := range files {
		if path.Dir(file) != ".github/workflows" || !slices.Contains([]string{".yml", ".yaml"}, path.Ext(file)) {
			continue
		}
		raw, err := fs.ReadFile(fsys, file)
		if err != nil || !strings.Contains(string(raw), "keos-oci") {
			continue
		}
		var doc yaml.Node
		if yaml.Unmarshal(raw, &doc) != nil || len(doc.Content) == 0 {
			continue
		}
		for _, trigger := range triggers(doc.Content[0]) {
			if why := started[trigger.Value]; why != "" {
				found = append(found, finding.Finding{Severity: finding.Warning, Rule: finding.RuleSigner, File: file, Line: trigger.Line,
					Message: fmt.Sprintf("%s: %s; clusters cannot tell its signature from your own", trigger.Value, why),
					Fix:     "sign in a workflow without this trigger"})
			}
		}
	}
	return found
}

// started says who can start a workflow by an event.
var started = map[string]string{
	"workflow_call":       "workflows of other repositories can call this workflow",
	"pull_request_target": "whoever opens a pull request starts this workflow with the rights of the branch",
}

// triggers lists the events of a workflow: on is a word, a list or a mapping.
func triggers(workflow *yaml.Node) []*yaml.Node {
	for i := 0; i+1 < len(workflow.Content); i += 2 {
		if workflow.Content[i].Value != "on" {
			continue
		}
		on := workflow.Content[i+1]
		switch on.Kind {
		case yaml.ScalarNode:
			return []*yaml.Node{on}
		case yaml.SequenceNode:
			return on.Content
		case yaml.MappingNode:
			var names []*yaml.Node
			for k := 0; k < len(on.Content); k += 2 {
				names = append(names, on.Content[k])
			}
			return names
		}
	}
	return nil
}

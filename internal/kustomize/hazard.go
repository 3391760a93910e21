package kustomize

import (
	"bytes"
	"fmt"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/manifest"
)

const (
	// maxDepth bounds nesting: kustomize needs seconds for 3,000 levels, and the deepest CRDs have fewer than 50.
	maxDepth = 256
	// maxNodes bounds what aliases expand to; kustomize copies an anchor wherever it is used.
	maxNodes = 1 << 20
)

// Risky is the cheap half of Hazard: without aliases, deep indentation or many brackets a file cannot be one.
func Risky(data []byte) bool {
	if bytes.IndexByte(data, '*') >= 0 && bytes.IndexByte(data, '&') >= 0 {
		return true
	}
	if bytes.Count(data, []byte("{"))+bytes.Count(data, []byte("[")) > maxDepth {
		return true
	}
	for line := range bytes.Lines(data) {
		if len(line)-len(bytes.TrimLeft(line, " -?\t")) > maxDepth {
			return true
		}
	}
	return false
}

// Hazard says what would make kustomize run out of memory or stack on these documents, and where; "" when nothing.
func Hazard(docs []*yaml.Node) (message string, line int) {
	for _, doc := range docs {
		m := measurer{done: map[*yaml.Node]int{}}
		if m.size(doc, 0); m.fault != "" {
			return m.fault, m.line
		}
	}
	return "", 0
}

// measurer counts the nodes a document expands to, each anchor once.
type measurer struct {
	done  map[*yaml.Node]int // 0 while being counted: an alias that meets it is a cycle
	fault string
	line  int
}

func (m *measurer) size(n *yaml.Node, depth int) int {
	if m.fault != "" {
		return 0
	}
	if n.Kind == yaml.AliasNode {
		return m.size(n.Alias, depth)
	}
	if size, ok := m.done[n]; ok {
		if size == 0 {
			m.fail(n, "a YAML alias that contains itself")
		}
		return size
	}
	if depth > maxDepth {
		m.fail(n, fmt.Sprintf("YAML nested deeper than %d levels", maxDepth))
		return 0
	}
	m.done[n] = 0
	total := 1
	for _, child := range n.Content {
		if total += m.size(child, depth+1); total > maxNodes {
			m.fail(child, fmt.Sprintf("YAML aliases that expand to more than %d nodes", maxNodes))
			return 0
		}
	}
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "\n") && Risky([]byte(n.Value)) {
		m.inner(n)
	}
	m.done[n] = total
	return total
}

// inner measures a string: an inline patch is YAML too.
func (m *measurer) inner(n *yaml.Node) {
	docs, err := manifest.Parse([]byte(n.Value))
	if err != nil || (len(docs) == 1 && docs[0].Kind == yaml.ScalarNode) {
		return
	}
	if fault, _ := Hazard(docs); fault != "" {
		m.fail(n, fault)
	}
}

func (m *measurer) fail(n *yaml.Node, fault string) {
	if m.fault == "" {
		m.fault, m.line = fault, n.Line
	}
}

package yamledit

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stratio/keos-oci/internal/manifest"
)

// Patch is an item of spec.patches of a Flux Kustomization. The comment "# Mark" above it makes it ours.
type Patch struct {
	Mark       string
	Target     Target
	Operations []Operation
	Merge      []string // lines of YAML that are merged into the objects, in the place of operations
}

// Target selects the objects that a patch changes.
type Target struct {
	Group     string `yaml:"group,omitempty"`
	Version   string `yaml:"version,omitempty"`
	Kind      string `yaml:"kind,omitempty"`
	Name      string `yaml:"name,omitempty"`
	Namespace string `yaml:"namespace,omitempty"`
}

// Operation is one change of JSON 6902. Operations without a Value, such as remove, have none in the file.
type Operation struct {
	Op    string `yaml:"op"`
	From  string `yaml:"from,omitempty"`
	Path  string `yaml:"path"`
	Value any    `yaml:"value,omitempty"`
}

// AddPatch adds an item to spec.patches of an object. It returns the same bytes when the patch is there, and ErrConflict when
// the item with its mark has other content.
func AddPatch(file []byte, object ID, patch Patch) ([]byte, error) {
	if err := checkMark(patch.Mark); err != nil {
		return nil, err
	}
	p, err := openPatches(file, object)
	if err != nil {
		return nil, err
	}
	content, err := patch.lines()
	if err != nil {
		return nil, err
	}
	item := patch.node(content)
	if i, line := p.marked(patch.Mark); i >= 0 {
		if !same(p.value.Content[i], item) {
			return nil, &Fault{line + 1, "the patch below # " + patch.Mark + " has other content", ErrConflict}
		}
		return file, nil
	}
	target, err := flow(patch.Target)
	if err != nil {
		return nil, err
	}
	render := func(column int) []string { return p.render(column, patch.Mark, target, content) }
	return p.add(render, []*yaml.Node{item}, func(after []byte) (sheet, error) { return removePatch(after, object, patch.Mark) })
}

// RemovePatch removes the item of spec.patches below a mark, whatever its content. Without one it returns the same bytes.
func RemovePatch(file []byte, object ID, mark string) ([]byte, error) {
	if err := checkMark(mark); err != nil {
		return nil, err
	}
	out, err := removePatch(file, object, mark)
	if err != nil {
		return nil, err
	}
	return out.bytes(), nil
}

func removePatch(file []byte, object ID, mark string) (sheet, error) {
	p, err := openPatches(file, object)
	if err != nil {
		return nil, err
	}
	i, line := p.marked(mark)
	if i < 0 {
		return p.lines, nil
	}
	item := p.value.Content[i]
	dash, column, err := p.head(i)
	if err != nil {
		return nil, err
	}
	return p.drop(i, 1, lineRange{line, line + 1}, lineRange{dash, p.leafEnd(dash, column+1, item)})
}

func openPatches(file []byte, object ID) (*place, error) {
	p, err := open(file)
	if err != nil {
		return nil, err
	}
	doc, err := p.find(object)
	if err != nil {
		return nil, err
	}
	if _, err := p.block(doc); err != nil {
		return nil, err
	}
	spec, err := p.block(doc, "spec")
	if err != nil {
		return nil, err
	}
	return p.place(spec, "patches", yaml.SequenceNode)
}

// marked finds the item with a mark in the comments right above it, and the mark's line from 0; -1 when there is none.
func (p *place) marked(mark string) (item, line int) {
	for i, node := range p.items() {
		for n := node.Line - 2; p.lines.isComment(n); n-- {
			if strings.TrimSpace(p.lines[n].text) == "# "+mark {
				return i, n
			}
		}
	}
	return -1, -1
}

// lines are the patch: what is merged, or the operations, one on each line.
func (p Patch) lines() ([]string, error) {
	if len(p.Merge) > 0 {
		return p.Merge, nil
	}
	if len(p.Operations) == 0 {
		return nil, fmt.Errorf("patch %s has no operations", p.Mark)
	}
	out := make([]string, len(p.Operations))
	for i, o := range p.Operations {
		text, err := flow(o)
		if err != nil {
			return nil, err
		}
		out[i] = "- " + text
	}
	return out, nil
}

// node is the patch as it is read.
func (p Patch) node(lines []string) *yaml.Node {
	var target yaml.Node
	_ = target.Encode(p.Target) // a struct of strings
	text := stringNode(strings.Join(lines, "\n") + "\n")
	return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{stringNode("patch"), text, stringNode("target"), &target}}
}

func (p *place) render(column int, mark, target string, operations []string) []string {
	dash, indent := strings.Repeat(" ", column), p.itemIndent()
	keys := dash + strings.Repeat(" ", indent)
	out := []string{
		dash + "# " + mark,
		dash + "-" + strings.Repeat(" ", indent-1) + "patch: |",
	}
	for _, o := range operations {
		out = append(out, keys+strings.Repeat(" ", p.step())+o)
	}
	return append(out, keys+"target: "+target) // last, so that the end of a file without a newline is not part of the patch
}

// Marks lists what is behind "# " in the comments right above the items of spec.patches of an object, where it begins with prefix.
func Marks(file []byte, object ID, prefix string) ([]string, error) {
	p, err := openPatches(file, object)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, node := range manifest.Items(p.value) {
		for n := node.Line - 2; p.lines.isComment(n); n-- {
			if mark, ok := strings.CutPrefix(strings.TrimSpace(p.lines[n].text), "# "); ok && strings.HasPrefix(mark, prefix) {
				out = append(out, mark)
			}
		}
	}
	return out, nil
}

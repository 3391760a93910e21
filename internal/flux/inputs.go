package flux

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// inputsDocument is a file with one ResourceSet, of whose inputs the lines are known.
type inputsDocument struct {
	sheet
	file     string
	before   []any    // all documents of the file
	at       int      // the ResourceSet among them
	key      string   // the input that names the component
	needed   []string // inputs that the resources cannot do without
	mentions []string // these, and those that may be missing
	decrypts bool     // the resources say how encrypted files are read
	margin   margin
	entries  []inputEntry
	added    []any
	tail     int // line before which a new input goes
}

// margin is where the keys of a mapping stand, in columns from 0.
type margin struct {
	dash int // of the list's item that the mapping is; -1 where it is none
	keys int
}

// inputEntry is one input, and its lines from first up to but not including last.
type inputEntry struct {
	node        *yaml.Node
	name        string
	first, last int
	want        any // what it is in the end, nil when it is removed
}

// nameKeys are the inputs that may name a component, the most usual first.
var nameKeys = []string{"tenant", "component", "app", "name"}

// openInputs finds the inputs of the only ResourceSet in a file.
func openInputs(file string, content []byte) (*inputsDocument, error) {
	d := &inputsDocument{file: file, sheet: newSheet(content), at: -1}
	documents, err := parseAll(content)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInput, file, err)
	}
	for i, doc := range documents {
		if text(lookup(doc, "kind")) != "ResourceSet" || !strings.HasPrefix(text(lookup(doc, "apiVersion")), "fluxcd.controlplane.io/") {
			continue
		}
		if d.at >= 0 {
			return nil, fmt.Errorf("%w: %s:%d: a second ResourceSet: keep each in a file of its own", ErrInput, file, doc.Line)
		}
		d.at = i
	}
	if d.at < 0 {
		return nil, fmt.Errorf("%w: %s has no ResourceSet of fluxcd.controlplane.io%s", ErrInput, file, onlyKinds(documents))
	}
	if d.before, err = values(content); err != nil {
		return nil, err
	}
	return d, d.open(documents[d.at])
}

// onlyKinds lists the kinds of documents for an error.
func onlyKinds(documents []*yaml.Node) string {
	var kinds []string
	for _, doc := range documents {
		if kind := text(lookup(doc, "kind")); kind != "" {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 {
		return ""
	}
	return ", only " + strings.Join(kinds, ", ")
}

// open reads the ResourceSet's inputs.
func (d *inputsDocument) open(doc *yaml.Node) error {
	spec := lookup(doc, "spec")
	if spec == nil || spec.Kind != yaml.MappingNode || spec.Style&yaml.FlowStyle != 0 {
		return d.fault(doc, "spec is not written as a block")
	}
	if from := lookup(spec, "inputsFrom"); from != nil {
		return d.fault(from, "the inputs come from providers (inputsFrom): write the file anew with generate resourceset --providers")
	}
	d.needed, d.mentions = references(lookup(spec, "resources"), lookup(spec, "resourcesTemplate"))
	d.decrypts = speaksOf(lookup(spec, "resources"), "decryption") || speaksOf(lookup(spec, "resourcesTemplate"), "decryption")
	inputs := lookup(spec, "inputs")
	if inputs == nil || len(inputs.Content) == 0 {
		return d.openEmpty(spec, inputs)
	}
	if inputs.Kind != yaml.SequenceNode || inputs.Style&yaml.FlowStyle != 0 {
		return d.fault(inputs, "inputs is not written with one item on each line")
	}
	for _, item := range inputs.Content {
		if item.Kind != yaml.MappingNode {
			return d.fault(item, "an input that is not a mapping")
		}
		d.entries = append(d.entries, inputEntry{node: item, want: value(item)})
	}
	return d.measure()
}

// openEmpty prepares for a ResourceSet that has no input yet.
func (d *inputsDocument) openEmpty(spec, inputs *yaml.Node) error {
	indent := spec.Content[0].Column - 1
	d.key, d.margin = nameKeys[0], margin{indent + 2, indent + 4}
	line := strings.Repeat(" ", indent) + "inputs:" + d.end
	if inputs == nil {
		d.tail = spec.Content[0].Line - 1
		for i := 0; i+1 < len(spec.Content); i += 2 {
			if strings.HasPrefix(spec.Content[i].Value, "resources") {
				d.tail = spec.Content[i].Line - 1
				break
			}
		}
		d.lines[d.tail-1] += line
		return nil
	}
	if inputs.Kind != yaml.SequenceNode && inputs.Tag != "!!null" {
		return d.fault(inputs, "inputs is not a list")
	}
	for i := 0; i+1 < len(spec.Content); i += 2 {
		if key := spec.Content[i]; key.Value == "inputs" {
			d.lines[key.Line-1], d.tail = line, key.Line
		}
	}
	return nil
}

// measure finds the lines of each input by its indentation, and which key names the component.
func (d *inputsDocument) measure() error {
	first := d.entries[0].node
	for _, key := range nameKeys {
		if !slices.ContainsFunc(d.entries, func(e inputEntry) bool { return text(lookup(e.node, key)) == "" }) {
			d.key = key
			break
		}
	}
	if d.key == "" {
		return d.fault(first, "the inputs do not all have one of the keys "+strings.Join(nameKeys, ", ")+" that could name the component")
	}
	for i := range d.entries {
		e := &d.entries[i]
		e.name, e.first = text(lookup(e.node, d.key)), e.node.Line-1
		head := d.lines[e.first]
		if i == 0 {
			d.margin = margin{strings.Index(head, "-"), e.node.Column - 1}
		}
		if dash := d.margin.dash; dash < 0 || dash >= len(head) || strings.TrimSpace(head[:dash]) != "" || head[dash] != '-' {
			return d.fault(e.node, "an input that does not begin right after its dash")
		}
		e.last = d.endOf(e.first, d.margin.dash+1)
	}
	d.tail = d.entries[len(d.entries)-1].last
	return nil
}

func (d *inputsDocument) fault(node *yaml.Node, message string) error {
	return fmt.Errorf("%w: %s:%d: %s", ErrInput, d.file, node.Line, message)
}

func (d *inputsDocument) find(name string) int {
	return slices.IndexFunc(d.entries, func(e inputEntry) bool { return e.name == name })
}

var (
	needsInput    = regexp.MustCompile(`\binputs\.([A-Za-z0-9_]+)`)
	mentionsInput = regexp.MustCompile(`\b(?:get|hasKey)\s+inputs\s+"([^"]+)"`)
)

// references lists the inputs that templates cannot do without, and all that they mention, each in the order of the text.
func references(templates ...*yaml.Node) (needed, mentioned []string) {
	var walk func(*yaml.Node)
	walk = func(node *yaml.Node) {
		for _, m := range needsInput.FindAllStringSubmatch(node.Value, -1) {
			needed = append(needed, m[1])
		}
		for _, m := range mentionsInput.FindAllStringSubmatch(node.Value, -1) {
			mentioned = append(mentioned, m[1])
		}
		for _, child := range node.Content {
			walk(child)
		}
	}
	for _, t := range templates {
		if t != nil {
			walk(t)
		}
	}
	return unique(needed), unique(append(mentioned, needed...))
}

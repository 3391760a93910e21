package flux

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Edit says how the inputs of a ResourceSet in a file are brought up to date.
type Edit struct {
	Tenants
	File  string // for errors
	Prune bool   // remove the inputs of components that are not among those followed
}

// Change is what an edit did to a file.
type Change struct {
	Content []byte
	Added   []string // components that got an input
	Updated []string // components whose input was changed
	Removed []string

	Environments []string // what the inputs say of the environment: literal ones, or the ${VARIABLE} that chooses it
}

// Apply returns the content of the file with an input for each component. It changes lines of inputs only: comments,
// order, quoting and everything else stay as they are, byte for byte. A new input takes the keys and values of its
// neighbours, with its own name. What is there already stays, but for a pin that was asked for and for keys that the
// resources need and the input lacks.
func (e Edit) Apply(content []byte) (Change, error) {
	for _, f := range e.Follow {
		if err := checkComponent(f.Component); err != nil {
			return Change{}, err
		}
	}
	d, err := openInputs(e.File, content)
	if err != nil {
		return Change{}, err
	}
	change, err := e.edit(d)
	if err != nil {
		return Change{}, fmt.Errorf("%s: %w", e.File, err)
	}
	change.Content, change.Environments = d.join(), d.environments()
	if err := d.verify(change.Content); err != nil {
		return Change{}, fmt.Errorf("%s: %w", e.File, err)
	}
	return change, nil
}

func (e Edit) edit(d *inputsDocument) (Change, error) {
	var change Change
	var add []Follow
	for _, f := range e.Follow {
		i := d.find(f.Component.Name)
		if i < 0 {
			add = append(add, f)
			change.Added = append(change.Added, f.Component.Name)
			continue
		}
		updated, err := e.update(d, i, f)
		if err != nil {
			return change, err
		}
		if updated {
			change.Updated = append(change.Updated, f.Component.Name)
		}
	}
	if e.Prune {
		change.Removed = d.prune(func(name string) bool {
			return slices.ContainsFunc(e.Follow, func(f Follow) bool { return f.Component.Name == name })
		})
	}
	if len(add) > 0 {
		if err := e.add(d, add); err != nil {
			return change, err
		}
	}
	if len(d.want()) == 0 {
		return change, fmt.Errorf("%w: no input would be left, and a ResourceSet without inputs fails: delete the file instead", ErrInput)
	}
	return change, nil
}

// update adds to an input the keys that the resources need and it lacks, and puts a pin that was asked for in place.
func (e Edit) update(d *inputsDocument, i int, f Follow) (bool, error) {
	node := clean(d.entries[i].node)
	own, err := e.ours(f)
	if err != nil {
		return false, err
	}
	for _, key := range d.needed {
		if lookup(node, key) == nil {
			if err := d.fill(node, key, f.Component.Name, own); err != nil {
				return false, err
			}
		}
	}
	if !f.Pin.IsZero() {
		if err := d.pin(node, f, own); err != nil {
			return false, err
		}
	}
	return d.rewriteInput(i, node)
}

// add appends inputs that look like their neighbours.
func (e Edit) add(d *inputsDocument, add []Follow) error {
	for _, f := range add {
		if f.Encrypted != "" && !d.decrypts {
			return fmt.Errorf("%w: component %s has the file %s, which SOPS encrypted, and the resources decrypt nothing: "+
				"write the file anew with generate resourceset --decryption sops=SECRET",
				ErrInput, f.Component.Name, f.Encrypted)
		}
		own, err := e.ours(f)
		if err != nil {
			return err
		}
		node, err := d.like(f.Component.Name, own)
		if err != nil {
			return err
		}
		if !f.Pin.IsZero() {
			if err := d.pin(node, f, own); err != nil {
				return err
			}
		}
		if err := d.insert(node); err != nil {
			return err
		}
	}
	return nil
}

// ours is the input that would be generated for f alone, as a node.
func (e Edit) ours(f Follow) (*yaml.Node, error) {
	alone := e.Tenants
	alone.Follow, alone.alone = []Follow{f}, true
	if len(f.DependsOn) > 0 {
		alone.Follow = e.Follow
	}
	inputs, err := alone.inputs()
	if err != nil {
		return nil, err
	}
	node := &yaml.Node{}
	at := max(0, slices.IndexFunc(alone.Follow, func(o Follow) bool { return o.Component.Name == f.Component.Name }))
	if err := node.Encode(inputs[at]); err != nil {
		return nil, err
	}
	return node, nil
}

// sheet is the lines of a file. A line that is removed becomes empty and new ones are appended to the line before them, so
// that the numbers of lines hold throughout.
type sheet struct {
	lines []string // with their line ends
	end   string   // \n or \r\n
}

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
		return nil, fmt.Errorf("%w: %s holds no ResourceSet of fluxcd.controlplane.io%s", ErrInput, file, holds(documents))
	}
	if d.before, err = values(content); err != nil {
		return nil, err
	}
	return d, d.open(documents[d.at])
}

func holds(documents []*yaml.Node) string {
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

// like makes an input for a component from the last one: its keys in their order, and the values that the neighbours
// agree upon. What is the component's own, and what they do not agree upon, comes from the generated input.
func (d *inputsDocument) like(name string, own *yaml.Node) (*yaml.Node, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	if len(d.entries) == 0 {
		if node = clean(own); !slices.Contains(d.mentions, inputDecrypt) {
			remove(node, inputDecrypt)
		}
	} else {
		last := d.entries[len(d.entries)-1].node
		node.Style = last.Style
		for i := 0; i+1 < len(last.Content); i += 2 {
			key := last.Content[i]
			if pinKeys[key.Value] && !slices.Contains(d.needed, key.Value) && lookup(own, key.Value) == nil {
				continue // another component's pin
			}
			v := d.agreed(key.Value, name, own)
			node.Content = append(node.Content, clean(key), v)
		}
	}
	for _, key := range d.needed {
		if lookup(node, key) == nil {
			if err := d.fill(node, key, name, own); err != nil {
				return nil, err
			}
		}
	}
	return node, nil
}

// pinKeys hold one component to something, which says nothing of its neighbours.
var pinKeys = map[string]bool{"semver": true, "digest": true}

// ownKeys are the inputs that differ by their nature from one component to the next.
var ownKeys = []string{"repository", "path", "phases", "dependsOn", "substitute", inputDecrypt, "signers", "semver", "digest"}

// agreed is the value of a key for a new input: the one most neighbours have once their names are taken out.
func (d *inputsDocument) agreed(key, name string, own *yaml.Node) *yaml.Node {
	if v := lookup(own, key); v != nil && slices.Contains(ownKeys, key) {
		return clean(v)
	}
	type form struct {
		node  *yaml.Node
		count int
	}
	var forms []form
	for _, e := range d.entries {
		v := lookup(e.node, key)
		if v == nil {
			continue
		}
		renamed := clean(v)
		rename(renamed, e.name, name)
		i := slices.IndexFunc(forms, func(f form) bool { return reflect.DeepEqual(value(f.node), value(renamed)) })
		if i < 0 {
			forms = append(forms, form{renamed, 1})
			continue
		}
		forms[i].node, forms[i].count = renamed, forms[i].count+1
	}
	best := slices.MaxFunc(forms, func(a, b form) int { return a.count - b.count })
	if v := lookup(own, key); v != nil && best.count == 1 && len(forms) > 1 {
		return styled(v, best.node)
	}
	return best.node
}

// fill adds a key that the resources need: from the neighbours, else as it would be generated.
func (d *inputsDocument) fill(node *yaml.Node, key, name string, own *yaml.Node) error {
	v := lookup(own, key)
	if slices.ContainsFunc(d.entries, func(e inputEntry) bool { return e.node != node && e.name != name && lookup(e.node, key) != nil }) {
		v = d.agreed(key, name, own)
	}
	if v == nil {
		return fmt.Errorf("%w: the resources use inputs.%s, and nothing says what it is for %s: add it to an input by hand", ErrInput, key, name)
	}
	node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, clean(v))
	return nil
}

// pin puts a component's pin into its input, in place of another one.
func (d *inputsDocument) pin(node *yaml.Node, f Follow, own *yaml.Node) error {
	if f.Pin.Semver+f.Pin.Digest != "" && !slices.Contains(d.mentions, "semver") {
		return fmt.Errorf("%w: the resources do not know inputs.semver and inputs.digest: write the file anew with generate resourceset --pin",
			ErrInput)
	}
	for key := range pinKeys {
		remove(node, key)
	}
	for _, key := range []string{"tag", "semver", "digest", inputGitRef, "signers"} {
		v := lookup(own, key)
		if v == nil || lookup(node, key) == nil && !slices.Contains(d.mentions, key) {
			continue
		}
		set(node, key, v)
	}
	return nil
}

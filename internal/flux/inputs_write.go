package flux

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// insert writes a new input after the last one.
func (d *inputsDocument) insert(node *yaml.Node) error {
	text, err := d.render(node, d.margin)
	if err != nil {
		return err
	}
	d.appendLine(d.tail-1, text)
	d.added = append(d.added, value(node))
	return nil
}

// rewriteInput changes an input to what it should be, and reports whether it was something else.
func (d *inputsDocument) rewriteInput(i int, now *yaml.Node) (bool, error) {
	e := &d.entries[i]
	after := value(now)
	if reflect.DeepEqual(value(e.node), after) {
		return false, nil
	}
	e.want = after
	if e.node.Style&yaml.FlowStyle == 0 && lookup(now, e.node.Content[0].Value) != nil { // its key is behind the dash
		return true, d.rewrite(e.node, now, d.margin, e.last)
	}
	text, err := d.render(now, d.margin)
	if err == nil {
		d.setLines(e.first, e.last, text)
	}
	return true, err
}

// prune removes the inputs, with the comments right above them, of components that are not kept.
func (d *inputsDocument) prune(keep func(string) bool) []string {
	var removed []string
	for i := range d.entries {
		e := &d.entries[i]
		if keep(e.name) {
			continue
		}
		first := e.first
		for i > 0 && first > d.entries[i-1].last && strings.HasPrefix(strings.TrimSpace(d.lines[first-1]), "#") {
			first--
		}
		d.setLines(first, e.last, "")
		e.want = nil
		removed = append(removed, e.name)
	}
	return removed
}

// want is what the inputs are to be in the end.
func (d *inputsDocument) want() []any {
	want := []any{}
	for _, e := range d.entries {
		if e.want != nil {
			want = append(want, e.want)
		}
	}
	return append(want, d.added...)
}

// environments is the different values of the input environment.
func (d *inputsDocument) environments() []string {
	var all []string
	for _, in := range d.want() {
		if m, ok := in.(map[string]any); ok && m["environment"] != nil {
			all = append(all, fmt.Sprint(m["environment"]))
		}
	}
	return unique(all)
}

// verify reads the file as it would be and checks that the inputs are what they should be and all else is as it was.
func (d *inputsDocument) verify(content []byte) error {
	after, err := values(content)
	if err != nil {
		return fmt.Errorf("%w: the file is written in a way that cannot be edited: %w", ErrInput, err)
	}
	want := slices.Clone(d.before)
	set, _ := want[d.at].(map[string]any)
	spec, _ := set["spec"].(map[string]any)
	spec["inputs"] = d.want()
	if !reflect.DeepEqual(want, after) {
		return fmt.Errorf("%w: the file is written in a way that cannot be edited without changing more than its inputs: write one input key on each line", ErrInput)
	}
	return nil
}

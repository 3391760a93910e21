package yamledit

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Setting is an entry of data of a ConfigMap.
type Setting struct {
	Key, Value string
	Replace    bool // another value of the key is replaced, or removed, instead of an ErrConflict
}

// AddSetting adds an entry to data of an object. The value is between double quotes unless the other values have none. It
// returns the same bytes when the entry is there. RemoveSetting does not bring back a value that was replaced.
func AddSetting(configMap []byte, object ID, setting Setting) ([]byte, error) {
	p, err := openData(configMap, object)
	if err != nil {
		return nil, err
	}
	if _, value, err := p.setting(setting); err != nil || value != nil {
		if err == nil && value.Value != setting.Value {
			return SetField(configMap, object, []string{"data", setting.Key}, setting.Value)
		}
		return configMap, err
	}
	style := yaml.DoubleQuotedStyle
	if p.allPlain() {
		style = 0
	}
	key, err := text(setting.Key, 0)
	if err != nil {
		return nil, err
	}
	value, err := text(setting.Value, style)
	if err != nil {
		return nil, err
	}
	render := func(column int) []string { return []string{strings.Repeat(" ", column) + key + ": " + value} }
	nodes := []*yaml.Node{stringNode(setting.Key), stringNode(setting.Value)}
	return p.add(render, nodes, func(after []byte) (sheet, error) { return removeSetting(after, object, setting) })
}

// RemoveSetting removes an entry from data of an object, and data when AddSetting created it. Without the entry it returns the
// same bytes. Another value is an ErrConflict, unless it may be replaced.
func RemoveSetting(configMap []byte, object ID, setting Setting) ([]byte, error) {
	out, err := removeSetting(configMap, object, setting)
	if err != nil {
		return nil, err
	}
	return out.bytes(), nil
}

func removeSetting(configMap []byte, object ID, setting Setting) (sheet, error) {
	p, err := openData(configMap, object)
	if err != nil {
		return nil, err
	}
	at, value, err := p.setting(setting)
	if err != nil || value == nil {
		return p.lines, err
	}
	if p.value.Style&yaml.FlowStyle != 0 {
		return nil, unsafe(p.value, "data is written in one line, with braces: write each key on its own line")
	}
	n, column, err := p.head(at)
	if err != nil {
		return nil, err
	}
	return p.drop(at, 2, lineRange{n, p.leafEnd(n, column+1, value)})
}

func openData(configMap []byte, object ID) (*place, error) {
	p, err := open(configMap)
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
	return p.place(doc, "data", yaml.MappingNode)
}

// setting finds an entry by its key: where it is in the content, and its value; nil when there is none.
func (p *place) setting(s Setting) (at int, value *yaml.Node, err error) {
	if p.value == nil || p.value.Kind != yaml.MappingNode {
		return 0, nil, nil
	}
	name, value, err := entry(p.value, s.Key)
	if err != nil || name == nil {
		return 0, nil, err
	}
	for p.value.Content[at] != name {
		at += 2
	}
	switch {
	case value.Kind != yaml.ScalarNode || value.Anchor != "" || name.Anchor != "":
		return 0, nil, unsafe(value, "the value of %s is not a text of its own", s.Key)
	case value.Value != s.Value && !s.Replace:
		return 0, nil, &Fault{name.Line, s.Key + " has another value", ErrConflict}
	}
	return at, value, nil
}

// allPlain reports whether no value of a mapping has quotes.
func (p *place) allPlain() bool {
	for i, item := range p.items() {
		if i%2 == 1 && (item.Kind != yaml.ScalarNode || item.Style&quoteStyles != 0) {
			return false
		}
	}
	return len(p.items()) > 0
}

package component

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

//go:embed schema.json
var schemaJSON []byte

// Schema returns the JSON schema (draft 2020-12) of the config file, for editors and documentation.
func Schema() []byte { return bytes.Clone(schemaJSON) }

// schema is the compiled schema together with its text, in which the known keys of a place are looked up.
type schema struct {
	compiled *jsonschema.Schema
	text     map[string]any
}

// compileSchema takes about a millisecond, which is why only a config file makes it happen.
func compileSchema() (*schema, error) {
	text, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaJSON))
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	root := text.(map[string]any)
	id := root["$id"].(string)
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(id, text); err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	compiled, err := compiler.Compile(id)
	if err != nil {
		return nil, fmt.Errorf("compile schema: %w", err)
	}
	return &schema{compiled: compiled, text: root}, nil
}

// check notes in d everything that the schema does not allow.
func (s *schema) check(d *document) {
	var failed *jsonschema.ValidationError
	if errors.As(s.compiled.Validate(plain(d.root)), &failed) {
		s.report(d, failed)
	}
}

// report descends to the faults themselves; above them are only the schemas that contain them.
func (s *schema) report(d *document, failed *jsonschema.ValidationError) {
	at := failed.InstanceLocation
	switch k := failed.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, key := range k.Properties {
			d.add(with(at, key), "%s", s.unknownKey(key, failed.SchemaURL))
		}
	case *kind.Required:
		for _, key := range k.Missing {
			d.add(at, "%s is missing", key)
		}
	default:
		for _, cause := range failed.Causes {
			s.report(d, cause)
		}
		if len(failed.Causes) == 0 {
			d.add(at, "%s", describe(failed.ErrorKind, d.value(at...).Value))
		}
	}
}

// unknownKey says which keys there are instead of one that there is not.
func (s *schema) unknownKey(key, schemaURL string) string {
	known := s.keysAt(schemaURL)
	if len(known) == 0 {
		return fmt.Sprintf("%q is not a name allowed here", key)
	}
	if near := Nearest(key, known); len(near) > 0 {
		return "unknown key: did you mean " + strings.Join(near, " or ") + "?"
	}
	return "unknown key: known are " + strings.Join(known, ", ")
}

// keysAt returns the properties of the schema at a URL such as …#/$defs/component.
func (s *schema) keysAt(schemaURL string) []string {
	_, pointer, _ := strings.Cut(schemaURL, "#")
	at := s.text
	for step := range strings.SplitSeq(strings.Trim(pointer, "/"), "/") {
		if next, ok := at[step].(map[string]any); ok {
			at = next
		}
	}
	properties, _ := at["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(properties))
}

// describe words a fault of a value for people who never saw a JSON schema.
func describe(fault jsonschema.ErrorKind, value string) string {
	switch k := fault.(type) {
	case *kind.Type:
		return fmt.Sprintf("is %s, want %s", article(k.Got), article(strings.Join(k.Want, " or ")))
	case *kind.Enum:
		return fmt.Sprintf("%s is not one of %s", quote(k.Got), list(k.Want))
	case *kind.Const:
		return fmt.Sprintf("is %s, want %s", quote(k.Got), quote(k.Want))
	case *kind.Pattern:
		return fmt.Sprintf("%q does not have the form %s", k.Got, k.Want)
	case *kind.MinLength:
		return "must not be empty"
	case *kind.MinItems:
		return "must not be an empty list"
	case *kind.Minimum:
		return fmt.Sprintf("%s is less than %s", value, k.Want.RatString())
	}
	return fmt.Sprintf("%v is not allowed here", fault)
}

// article is JSON's types in the words of YAML.
func article(jsonType string) string {
	return strings.NewReplacer("object", "a mapping", "array", "a list", "string", "a text", "integer", "a whole number",
		"number", "a number", "boolean", "true or false", "null", "empty").Replace(jsonType)
}

func quote(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}

func list(values []any) string {
	words := make([]string, len(values))
	for i, value := range values {
		words[i] = fmt.Sprint(value)
	}
	return strings.Join(words, ", ")
}

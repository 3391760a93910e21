package scaffold

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"
)

//go:embed all:templates
var texts embed.FS

// fillIn writes a template. Its marks are [[ and ]], since {{ is the workflows' own.
func fillIn(name string, data any) ([]byte, error) {
	text, err := texts.ReadFile("templates/" + name)
	if err != nil {
		return nil, err
	}
	t, err := template.New(name).Delims("[[", "]]").
		Funcs(template.FuncMap{"plain": plain, "quoted": quoted, "list": list, "comment": comment, "join": strings.Join}).Parse(string(text))
	if err == nil && strings.HasPrefix(name, "github/") {
		t, err = t.New("parts").ParseFS(texts, "templates/github/parts") // what the workflows share
		t = t.Lookup(name)
	}
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	return out.Bytes(), nil
}

// cutHeader splits a config file after its apiVersion and kind.
func cutHeader(content []byte) (before, after []byte, found bool) {
	return bytes.Cut(content, []byte(header))
}

// plain is a text as YAML writes it on a line of its own, with quotes only where it takes them: "on" and "1e3" do.
func plain(text string) (string, error) {
	raw, err := yaml.Marshal(text)
	if err == nil && bytes.Count(raw, []byte("\n")) > 1 {
		return quoted(text)
	}
	return strings.TrimSpace(string(raw)), err
}

// quoted is a text between double quotes, whose escapes in YAML are those of JSON.
func quoted(text string) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(text)
	return strings.TrimSpace(b.String()), err
}

// list is texts in brackets.
func list(texts []string) (string, error) {
	items := make([]string, len(texts))
	for i, text := range texts {
		var err error
		if items[i], err = quoted(text); err != nil {
			return "", err
		}
	}
	return "[" + strings.Join(items, ", ") + "]", nil
}

// comment is a text as comment lines of some columns. The text may come from the checkout: no letter of it may end
// a line.
func comment(margin int, text string) string {
	const width = 110
	indent := strings.Repeat(" ", margin) + "#"
	lines := []string{indent}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		if len(*last)+1+len(word) > width && *last != indent {
			lines = append(lines, indent)
			last = &lines[len(lines)-1]
		}
		*last += " " + strings.ToValidUTF8(word, "\uFFFD")
	}
	return strings.Join(lines, "\n")
}

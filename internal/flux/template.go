package flux

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"
)

// templates are the files that D2 has the same in every cluster but for a few values.
//
//go:embed templates
var templates embed.FS

// fillIn writes a template with the values of data.
func fillIn(name string, data any) ([]byte, error) {
	text, err := templates.ReadFile("templates/" + name)
	if err != nil {
		return nil, err
	}
	t, err := template.New(name).Funcs(template.FuncMap{"plain": plain, "quoted": doubleQuoted, "indent": indent}).Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	return out.Bytes(), nil
}

// plain is a value as YAML writes it on one line, with quotes only where it takes them.
func plain(value string) (string, error) {
	if strings.ContainsAny(value, "\r\n") {
		return "", fmt.Errorf("%w: %q has several lines", ErrInput, value)
	}
	raw, err := encodeOne(value, false)
	return strings.TrimSpace(string(raw)), err
}

// doubleQuoted is a value between double quotes, whose escapes are those of JSON.
func doubleQuoted(value string) (string, error) {
	raw, err := json.Marshal(value)
	return string(raw), err
}

func indent(columns int, text string) string {
	margin := strings.Repeat(" ", columns)
	return margin + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+margin)
}

// Package secret says what must not be published in plain text: in the text of files, in documents, and in the objects that a build makes.
// No value of a secret is in what it returns.
package secret

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/manifest"
)

// maxWrap bounds how many times text is unwrapped: a string in a string, base64 in base64.
const maxWrap = 5

// EncryptAdvice is what to do with a plaintext value of a Secret.
const EncryptAdvice = "encrypt it with SOPS or let an operator create it"

// Scanner collects what must not be in plain text in one file. Fix is advice, to which others add how an allowance is written.
type Scanner struct {
	Found []finding.Finding
	name  string
	// tokenLines are the lines that have a finding of the rule token.
	tokenLines map[int]bool
}

// NewScanner is for a file of this name, in which findings are.
func NewScanner(name string) *Scanner { return &Scanner{name: name, tokenLines: map[int]bool{}} }

// position maps lines of a text to lines of the file with it.
type position struct {
	base  int
	fixed bool // every line is the base: a quoted or encoded text has no lines of its own in the file
}

func top() position { return position{} }

func (p position) line(n int) int {
	if p.fixed {
		return p.base
	}
	return p.base + n
}

// inside is the position of the text in a scalar. A literal block begins on the line after its indicator.
func (p position) inside(n *yaml.Node) position {
	return position{base: p.line(n.Line), fixed: p.fixed || n.Style&yaml.LiteralStyle == 0}
}

func (s *Scanner) report(rule string, line int, message, advice string) {
	severity := finding.Error
	if rule == finding.RulePassword {
		severity = finding.Warning
	}
	s.Found = append(s.Found, finding.Finding{Severity: severity, Rule: rule, File: s.name, Line: line, Message: message, Fix: advice})
}

// Text looks at the file as text, whatever it is.
func (s *Scanner) Text(data []byte) {
	s.dotenv(data)
	s.keyFile(data)
	s.keys(data, top())
	s.blobs(data, top(), 0)
	folded := fold(data)
	s.tokens(data, folded, top())
	if !IsDotenv(s.name) { // which is refused as a whole
		s.passwords(data, folded)
	}
}

// Document looks at a document of the file: at every mapping, and into every string that may hold a document.
func (s *Scanner) Document(doc *yaml.Node) { s.document(doc, top(), "", 0) }

// Lines looks at a file that does not parse, most often a template.
func (s *Scanner) Lines(data []byte) { s.lines(string(data), top(), "") }

// Patch looks at a patch of a Secret, in either form, which need not say that it is one. The text begins on a line of the file, or is the
// whole file where that is 0; block says that its lines are lines of the file.
func (s *Scanner) Patch(text string, line int, block bool) {
	s.patch([]byte(text), position{base: line, fixed: line > 0 && !block})
}

// document looks at a document. prefix says where the text came from, for the message.
func (s *Scanner) document(doc *yaml.Node, p position, prefix string, depth int) {
	s.node(doc, isEncrypted(doc), p, prefix, depth)
}

func (s *Scanner) node(n *yaml.Node, encrypted bool, p position, prefix string, depth int) {
	switch n.Kind {
	case yaml.MappingNode:
		if isSecret(n) {
			s.secret(n, encrypted, p, prefix)
		}
	case yaml.ScalarNode:
		if depth < maxWrap && mayHoldSecret(n.Value) {
			s.wrapped(n, p, prefix, depth+1)
		}
	}
	for _, child := range n.Content {
		s.node(child, encrypted, p, prefix, depth) // an alias has no content: its anchor is looked at in its own place
	}
}

func mayHoldSecret(value string) bool {
	return strings.Contains(value, "Secret") && strings.Contains(value, "kind") && strings.ContainsAny(value, "\n{")
}

// wrapped looks at the documents in a string: Helm values, a ConfigMap's data, a ResourceSet's template.
func (s *Scanner) wrapped(n *yaml.Node, p position, prefix string, depth int) {
	if prefix == "" {
		prefix = "in a string: "
	}
	s.documents(n.Value, p.inside(n), prefix, depth)
}

func (s *Scanner) documents(value string, p position, prefix string, depth int) {
	docs, err := manifest.Parse([]byte(value))
	if err != nil {
		s.lines(value, p, prefix)
		return
	}
	for _, doc := range docs {
		if doc.Kind != yaml.ScalarNode {
			s.document(doc, p, prefix, depth)
		}
	}
}

func isSecret(n *yaml.Node) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch n.Content[i].Value {
		case "kind":
			if manifest.Text(n.Content[i+1]) == "Secret" {
				return true
			}
		case "<<":
			if manifest.Text(manifest.Field(n, "kind")) == "Secret" {
				return true
			}
		}
	}
	return false
}

// secret checks every value of one Secret.
func (s *Scanner) secret(n *yaml.Node, encrypted bool, p position, prefix string) {
	label := strings.TrimSpace("Secret " + manifest.Text(manifest.Field(manifest.Field(n, "metadata"), "name")))
	for _, entry := range manifest.Pairs(n) {
		if key := entry.Key.Value; key == "data" || key == "stringData" {
			s.values(label, key, entry, encrypted, p, prefix)
		}
	}
}

func (s *Scanner) values(label, key string, entry manifest.Pair, encrypted bool, p position, prefix string) {
	if entry.Value.Kind != yaml.MappingNode {
		s.value(label, key, entry, encrypted, p, prefix)
		return
	}
	for _, inner := range manifest.Pairs(entry.Value) {
		s.value(label, key+"."+inner.Key.Value, inner, encrypted, p, prefix)
	}
}

func (s *Scanner) value(label, key string, entry manifest.Pair, encrypted bool, p position, prefix string) {
	if isHarmless(entry.Value) {
		return
	}
	line := p.line(entry.Key.Line)
	cipher := IsCipher(manifest.Text(entry.Value))
	switch {
	case cipher && encrypted:
	case cipher:
		s.report(finding.RuleSecret, line, fmt.Sprintf("%s%s: %s is encrypted but the document has no SOPS metadata", prefix, label, key),
			"encrypt the whole document with SOPS")
	case encrypted:
		s.report(finding.RuleSecret, line, fmt.Sprintf("%s%s: %s is plaintext in a document that SOPS encrypted only in part",
			prefix, label, key), "encrypt it with SOPS (see encrypted_regex)")
	default:
		s.report(finding.RuleSecret, line, fmt.Sprintf("%s%s: %s has a plaintext value", prefix, label, key), EncryptAdvice)
	}
}

// isHarmless reports whether a value of a Secret carries nothing: it is empty, or only says where the secret comes from.
func isHarmless(n *yaml.Node) bool {
	switch n = manifest.Resolve(n); {
	case n == nil:
		return true
	case n.Kind == yaml.ScalarNode:
		return n.Tag == "!!null" || IsReferenceOnly(n.Value)
	case len(n.Content) == 2 && len(n.Content[0].Content) == 2:
		// Unquoted, {{ .Values.password }} is to YAML a mapping in a mapping.
		return IsReferenceOnly("{{" + manifest.Text(n.Content[0].Content[0]) + "}}")
	}
	return len(n.Content) == 0
}

// areHarmless reports whether a value carries nothing, be it one of a Secret or several of them.
func areHarmless(n *yaml.Node) bool {
	if isHarmless(n) {
		return true
	}
	entries := manifest.Pairs(n)
	return len(entries) > 0 && !slices.ContainsFunc(entries, func(p manifest.Pair) bool { return !isHarmless(p.Value) })
}

// IsReferenceOnly reports whether a text is empty or made of nothing but templates ({{ }}, << >>, ${ }) without a default
// of their own: such a text names a secret and does not hold one.
func IsReferenceOnly(value string) bool {
	for _, quotes := range [][2]string{{"{{", "}}"}, {"<<", ">>"}, {"${", "}"}} {
		for {
			before, rest, ok := strings.Cut(value, quotes[0])
			if !ok {
				break
			}
			expression, after, closed := strings.Cut(rest, quotes[1])
			if !closed || holdsLiteral(expression) {
				return false
			}
			value = before + after
		}
	}
	return strings.Trim(value, " \t\r\n\"'") == ""
}

// holdsLiteral finds a value inside a template expression: `default "x"`, a quoted start, or a shell-like default.
func holdsLiteral(expression string) bool {
	e := strings.TrimSpace(strings.Trim(strings.TrimSpace(expression), "-"))
	if e == "" {
		return false
	}
	if strings.ContainsAny(e[:1], "\"'`") {
		return true
	}
	for _, word := range []string{"default", "printf", "print", "coalesce", "ternary"} {
		if _, rest, ok := strings.Cut(e, word+" "); ok && strings.ContainsAny(rest, "\"`") &&
			!strings.HasPrefix(strings.TrimSpace(rest), `""`) {
			return true
		}
	}
	_, fallback, ok := strings.Cut(e, "=")
	if !ok {
		_, fallback, ok = strings.Cut(e, ":-")
	}
	return ok && fallback != ""
}

// patch looks at a patch of a Secret, in either form.
func (s *Scanner) patch(data []byte, p position) {
	docs, _ := manifest.Parse(data)
	for _, doc := range docs {
		if doc.Kind == yaml.MappingNode && !isSecret(doc) {
			s.secret(doc, isEncrypted(doc), p, "patch of a ")
		}
		for _, operation := range manifest.Items(doc) {
			where, value := manifest.Text(manifest.Field(operation, "path")), manifest.Field(operation, "value")
			if isSecretPath(where) && value != nil && !areHarmless(value) {
				s.report(finding.RuleSecret, p.line(value.Line), "patch of a Secret: "+where+" gets a plaintext value", EncryptAdvice)
			}
		}
	}
}

// isSecretPath reports whether a JSON pointer leads to the values of a Secret.
func isSecretPath(pointer string) bool {
	return pointer == "/data" || pointer == "/stringData" || strings.HasPrefix(pointer, "/data/") ||
		strings.HasPrefix(pointer, "/stringData/")
}

// Values lists all values of a document's Secrets, plaintext or not.
func Values(n *yaml.Node) []string {
	var out []string
	if n.Kind == yaml.MappingNode && isSecret(n) {
		for _, key := range []string{"data", "stringData"} {
			for _, entry := range manifest.Pairs(manifest.Field(n, key)) {
				out = append(out, manifest.Text(entry.Value))
			}
		}
	}
	for _, child := range n.Content {
		out = append(out, Values(child)...)
	}
	return out
}

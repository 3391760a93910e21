package check

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/finding"
)

// maxWrap bounds how many times text is unwrapped: a string in a string, base64 in base64.
const maxWrap = 5

const encryptAdvice = "encrypt it with SOPS or let an operator create it"

// scanner looks for secrets in one file.
type scanner struct {
	g    *gate
	name string // relative to the root
	off  bool   // an allowance covers the file
}

func newScanner(g *gate, name string) *scanner {
	return &scanner{g: g, name: name, off: g.allowed(name)}
}

// position maps lines of a text to lines of the file that holds it.
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

func (s *scanner) report(rule string, line int, message, advice string) {
	if s.off {
		return
	}
	s.g.report(finding.Finding{Severity: finding.Error, Rule: rule, File: s.name, Line: line, Message: message,
		Fix: s.g.allowFix(advice, s.name)})
}

// raw looks at a file as text, whatever it is.
func (s *scanner) raw(data []byte) {
	if s.off {
		return
	}
	s.dotenv(data)
	s.keyFile(data)
	s.keys(data, top())
	s.blobs(data, top(), 0)
}

// document looks at one parsed document: at every mapping, and into every string that may hold a document. prefix tells
// where the text came from, for the message.
func (s *scanner) document(doc *yaml.Node, p position, prefix string, depth int) {
	if s.off {
		return
	}
	s.node(doc, isEncrypted(doc), p, prefix, depth)
}

func (s *scanner) node(n *yaml.Node, encrypted bool, p position, prefix string, depth int) {
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
		s.node(child, encrypted, p, prefix, depth) // an alias has no content: its anchor is looked at where it stands
	}
}

func mayHoldSecret(value string) bool {
	return strings.Contains(value, "Secret") && strings.Contains(value, "kind") && strings.ContainsAny(value, "\n{")
}

// wrapped looks at the documents in a string: Helm values, a ConfigMap's data, a ResourceSet's template.
func (s *scanner) wrapped(n *yaml.Node, p position, prefix string, depth int) {
	if prefix == "" {
		prefix = "in a string: "
	}
	s.documents(n.Value, p.inside(n), prefix, depth)
}

func (s *scanner) documents(value string, p position, prefix string, depth int) {
	docs, err := parse([]byte(value))
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
			if text(n.Content[i+1]) == "Secret" {
				return true
			}
		case "<<":
			if text(field(n, "kind")) == "Secret" {
				return true
			}
		}
	}
	return false
}

// secret checks every value of one Secret.
func (s *scanner) secret(n *yaml.Node, encrypted bool, p position, prefix string) {
	label := strings.TrimSpace("Secret " + text(field(field(n, "metadata"), "name")))
	for _, entry := range pairs(n) {
		if key := entry.key.Value; key == "data" || key == "stringData" {
			s.values(label, key, entry, encrypted, p, prefix)
		}
	}
}

func (s *scanner) values(label, key string, entry pair, encrypted bool, p position, prefix string) {
	if entry.value.Kind != yaml.MappingNode {
		s.value(label, key, entry, encrypted, p, prefix)
		return
	}
	for _, inner := range pairs(entry.value) {
		s.value(label, key+"."+inner.key.Value, inner, encrypted, p, prefix)
	}
}

func (s *scanner) value(label, key string, entry pair, encrypted bool, p position, prefix string) {
	if isHarmless(entry.value) {
		return
	}
	line := p.line(entry.key.Line)
	cipher := isCipher(text(entry.value))
	switch {
	case cipher && encrypted:
	case cipher:
		s.report(finding.RuleSecret, line, fmt.Sprintf("%s%s: %s is encrypted but the document has no SOPS metadata", prefix, label, key),
			"encrypt the whole document with SOPS")
	case encrypted:
		s.report(finding.RuleSecret, line, fmt.Sprintf("%s%s: %s is plaintext in a document that SOPS encrypted only in part",
			prefix, label, key), "encrypt it with SOPS (see encrypted_regex)")
	default:
		s.report(finding.RuleSecret, line, fmt.Sprintf("%s%s: %s holds a plaintext value", prefix, label, key), encryptAdvice)
	}
}

// isHarmless tells whether a value of a Secret carries nothing: it is empty, or only says where the secret comes from.
func isHarmless(n *yaml.Node) bool {
	switch n = deref(n); {
	case n == nil:
		return true
	case n.Kind == yaml.ScalarNode:
		return n.Tag == "!!null" || isReferenceOnly(n.Value)
	case len(n.Content) == 2 && len(n.Content[0].Content) == 2:
		// Unquoted, {{ .Values.password }} is to YAML a mapping in a mapping.
		return isReferenceOnly("{{" + text(n.Content[0].Content[0]) + "}}")
	}
	return len(n.Content) == 0
}

// isReferenceOnly tells whether a text is empty or made of nothing but templates ({{ }}, << >>, ${ }) without a default
// of their own: such a text names a secret and does not hold one.
func isReferenceOnly(value string) bool {
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

// isEncrypted tells whether a document bears SOPS metadata that vouches for its values.
func isEncrypted(doc *yaml.Node) bool {
	return isCipher(text(field(field(doc, "sops"), "mac")))
}

func isCipher(value string) bool {
	value = strings.TrimSpace(value)
	return strings.HasPrefix(value, "ENC[") && strings.HasSuffix(value, "]") && strings.Contains(value, "data:") &&
		strings.Contains(value, "tag:")
}

// checkSecretGenerators reports what a kustomization would make a Secret of: its literals, and files that lie in the
// component in plain text.
func (g *gate) checkSecretGenerators(name string, doc *yaml.Node) {
	for _, generator := range items(anyCase(doc, "secretGenerator")) {
		g.checkSecretGenerator(name, generator)
	}
}

// checkSecretPatches reports values that a patch puts into a Secret by its target: such a patch need not say `kind: Secret`.
func (g *gate) checkSecretPatches(name string, doc *yaml.Node) {
	for _, list := range []string{"patches", "patchesJson6902"} {
		for _, item := range items(anyCase(doc, list)) {
			if text(anyCase(anyCase(item, "target"), "kind")) != "Secret" {
				continue
			}
			if patch := anyCase(item, "patch"); patch != nil {
				newScanner(g, name).patch([]byte(text(patch)), top().inside(patch))
			}
			file := path.Join(path.Dir(name), text(anyCase(item, "path")))
			if data, err := g.read(file); g.files[file] && err == nil {
				newScanner(g, file).patch(data, top())
			}
		}
	}
}

// patch looks at a patch of a Secret, in either form.
func (s *scanner) patch(data []byte, p position) {
	docs, _ := parse(data)
	for _, doc := range docs {
		if doc.Kind == yaml.MappingNode && !isSecret(doc) {
			s.secret(doc, isEncrypted(doc), p, "patch of a ")
		}
		for _, operation := range items(doc) {
			where, value := text(field(operation, "path")), field(operation, "value")
			if isSecretPath(where) && value != nil && !isHarmless(value) {
				s.report(finding.RuleSecret, p.line(value.Line), "patch of a Secret: "+where+" gets a plaintext value", encryptAdvice)
			}
		}
	}
}

// isSecretPath tells whether a JSON pointer leads to the values of a Secret.
func isSecretPath(pointer string) bool {
	return pointer == "/data" || pointer == "/stringData" || strings.HasPrefix(pointer, "/data/") ||
		strings.HasPrefix(pointer, "/stringData/")
}

// secretValues lists all values of a document's Secrets and secret generators, plaintext or not.
func secretValues(n *yaml.Node) []string {
	var out []string
	if n.Kind == yaml.MappingNode && isSecret(n) {
		for _, key := range []string{"data", "stringData"} {
			for _, entry := range pairs(field(n, key)) {
				out = append(out, text(entry.value))
			}
		}
	}
	for _, generator := range items(anyCase(n, "secretGenerator")) {
		for _, literal := range items(anyCase(generator, "literals")) {
			_, value, _ := strings.Cut(text(literal), "=")
			out = append(out, text(literal), value)
		}
	}
	for _, child := range n.Content {
		out = append(out, secretValues(child)...)
	}
	return slices.DeleteFunc(out, func(s string) bool { return len(s) < 4 }) // a shorter one would eat words
}

func (g *gate) checkSecretGenerator(name string, generator *yaml.Node) {
	s := newScanner(g, name)
	label := strings.TrimSpace("secretGenerator " + text(field(generator, "name")))
	for _, item := range items(field(generator, "literals")) {
		key, value, _ := strings.Cut(text(item), "=")
		if !isReferenceOnly(value) {
			s.report(finding.RuleSecret, item.Line, fmt.Sprintf("%s: the literal %s holds a plaintext value", label, key), encryptAdvice)
		}
	}
	sources := &kustomization{}
	sources.addSources("secretGenerator", generator)
	for _, r := range sources.refs {
		g.checkSecretSource(s, label, r)
	}
}

// checkSecretSource reports a file that feeds a Secret unless it is encrypted. A .env file has its own finding.
func (g *gate) checkSecretSource(s *scanner, label string, r reference) {
	file := path.Join(path.Dir(s.name), r.path)
	if !g.files[file] || s.off || g.allowed(file) || isDotenv(file) {
		return
	}
	data, err := g.read(file)
	if err != nil || len(bytes.TrimSpace(data)) == 0 || isEncryptedFile(data) {
		return
	}
	g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleSecret, File: s.name, Line: r.line,
		Message: fmt.Sprintf("%s: %s is a plaintext file", label, r.path), Fix: g.allowFix(encryptAdvice, file)})
}

// isEncryptedFile tells whether SOPS encrypted a file in any of its formats: YAML, JSON, binary (JSON too), dotenv, ini.
func isEncryptedFile(data []byte) bool {
	if bytes.Contains(data, []byte("sops_mac=ENC[")) {
		return dotenvEncrypted(data)
	}
	if !bytes.Contains(data, []byte("sops")) || !bytes.Contains(data, []byte("ENC[")) {
		return false
	}
	docs, err := parse(data)
	if err != nil {
		return bytes.Contains(data, []byte("[sops]")) && bytes.Contains(data, []byte("mac"))
	}
	for _, doc := range docs {
		if !isEncrypted(doc) {
			return false
		}
	}
	return len(docs) > 0
}

// dotenvEncrypted demands that no assignment of a SOPS dotenv file was left in plain text.
func dotenvEncrypted(data []byte) bool {
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(key, "#") || strings.HasPrefix(key, "sops_") || value == "" {
			continue
		}
		if !isCipher(value) {
			return false
		}
	}
	return true
}

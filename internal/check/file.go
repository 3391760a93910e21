package check

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/finding"
)

const (
	// maxFile bounds what is read of one file. Flux itself refuses artifacts far smaller than that.
	maxFile = 16 << 20
	// maxDepth bounds nesting: kustomize needs seconds for 3,000 levels, and the deepest CRDs have fewer than 50.
	maxDepth = 256
	// maxNodes bounds what aliases expand to; kustomize copies an anchor wherever it is used.
	maxNodes = 1 << 20
)

// inspect reads one file once and lets every rule that looks at single files see it.
func (g *gate) inspect(name string) error {
	data, err := g.read(name)
	if errors.Is(err, errTooLarge) {
		g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleSize, File: name, Message: err.Error(),
			Fix: "keep it out of the artifact (artifact.ignore)"})
		return nil
	}
	if err != nil {
		return err
	}
	g.checkFilter(name, data)
	s := newScanner(g, name)
	s.raw(data)
	g.risky[name] = looksRisky(data)
	g.variables.collectText(name, data)
	if !needsParsing(name, data) {
		return nil
	}
	docs, err := parse(data)
	if isKustomization(name) {
		g.kusts[path.Dir(name)] = newKustomization(name, docs, data)
		g.warnDeprecated(name, data, docs)
	}
	if err != nil {
		s.lines(string(data), top(), "")
		return nil
	}
	for _, doc := range docs {
		s.document(doc, top(), "", 0)
		g.warnObjects(name, doc)
		if isKustomization(name) {
			g.checkSecretGenerators(name, doc)
			g.checkSecretPatches(name, doc)
		}
	}
	return nil
}

// checkFilter refuses what a filter left in Git in the place of a file's content, where .gitattributes no longer says that there is one:
// a pointer of Git LFS (its specification, "The Pointer"), or what git-crypt encrypted.
func (g *gate) checkFilter(name string, data []byte) {
	for prefix, filter := range map[string]string{"version https://git-lfs.github.com/spec/": "a Git LFS pointer", "\x00GITCRYPT\x00": "encrypted by git-crypt"} {
		if bytes.HasPrefix(data, []byte(prefix)) {
			g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleFilter, File: name, Message: "this is " + filter + ", not the file's content",
				Fix: "commit the file itself, or keep it out of the artifact (artifact.ignore)"})
		}
	}
}

var errTooLarge = fmt.Errorf("larger than the %d MiB that are inspected", maxFile>>20)

// read returns a file of the unpacked folder as UTF-8.
func (g *gate) read(name string) ([]byte, error) {
	data, err := readLimited(filepath.Join(g.c.Unpacked, filepath.FromSlash(name)))
	return toUTF8(data), err
}

func readLimited(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, errTooLarge
	}
	data := make([]byte, info.Size())
	n, err := io.ReadFull(f, data)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	return data[:n], err
}

// toUTF8 makes UTF-16 readable, which a YAML parser accepts and a search for bytes does not.
func toUTF8(data []byte) []byte {
	little := bytes.HasPrefix(data, []byte{0xff, 0xfe})
	if !little && !bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return data
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 2; i+1 < len(data); i += 2 {
		lo, hi := data[i], data[i+1]
		if !little {
			lo, hi = hi, lo
		}
		units = append(units, uint16(lo)|uint16(hi)<<8)
	}
	return []byte(string(utf16.Decode(units)))
}

func isKustomization(name string) bool {
	return slices.Contains(kustomizationNames(), path.Base(name))
}

func isYAML(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return isKustomization(name)
}

// needsParsing keeps the parser, which costs more than all the searching, away from files in which it has nothing to find.
// "\x53ecret" is "Secret" to YAML, hence the escapes.
func needsParsing(name string, data []byte) bool {
	if isKustomization(name) || bytes.Contains(data, []byte("Secret")) {
		return true
	}
	if !isYAML(name) {
		return false
	}
	return bytes.Contains(data, []byte("toolkit.fluxcd.io")) || bytes.Contains(data, []byte(`\x`)) ||
		bytes.Contains(data, []byte(`\u`)) || bytes.Contains(data, []byte(`\U`)) ||
		(!isStandalone(name) && bytes.Contains(data, []byte("${")))
}

// parse reads all documents of a YAML or JSON text. It never panics.
func parse(data []byte) (docs []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			docs, err = nil, fmt.Errorf("yaml: parser panic: %v", r)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
			docs = append(docs, doc.Content[0])
		}
	}
}

// errorLine is the line of a YAML error. The parser leaves it out on the first line, and for bytes that are no text.
func errorLine(data []byte, err error) int {
	if match := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(err.Error()); match != nil {
		n, _ := strconv.Atoi(match[1])
		if strings.Contains(err.Error(), "did not find expected") {
			n++ // the parser, other than the scanner, counts lines from zero
		}
		return n
	}
	for at, r := range string(data) {
		if r == utf8.RuneError || r < ' ' && r != '\n' && r != '\r' && r != '\t' {
			return lineAt(data, at)
		}
	}
	return 1
}

// looksRisky is the cheap half of hazard: without aliases, deep indentation or many brackets a file cannot be one.
func looksRisky(data []byte) bool {
	if bytes.IndexByte(data, '*') >= 0 && bytes.IndexByte(data, '&') >= 0 {
		return true
	}
	if bytes.Count(data, []byte("{"))+bytes.Count(data, []byte("[")) > maxDepth {
		return true
	}
	for line := range bytes.Lines(data) {
		if len(line)-len(bytes.TrimLeft(line, " -?\t")) > maxDepth {
			return true
		}
	}
	return false
}

// hazard says what would make kustomize run out of memory or stack on these documents, and where; "" when nothing.
func hazard(docs []*yaml.Node) (message string, line int) {
	for _, doc := range docs {
		m := measurer{done: map[*yaml.Node]int{}}
		if m.size(doc, 0); m.fault != "" {
			return m.fault, m.line
		}
	}
	return "", 0
}

// measurer counts the nodes a document expands to, each anchor once.
type measurer struct {
	done  map[*yaml.Node]int // 0 while being counted: an alias that meets it is a cycle
	fault string
	line  int
}

func (m *measurer) size(n *yaml.Node, depth int) int {
	if m.fault != "" {
		return 0
	}
	if n.Kind == yaml.AliasNode {
		return m.size(n.Alias, depth)
	}
	if size, ok := m.done[n]; ok {
		if size == 0 {
			m.fail(n, "a YAML alias that contains itself")
		}
		return size
	}
	if depth > maxDepth {
		m.fail(n, fmt.Sprintf("YAML nested deeper than %d levels", maxDepth))
		return 0
	}
	m.done[n] = 0
	total := 1
	for _, child := range n.Content {
		if total += m.size(child, depth+1); total > maxNodes {
			m.fail(child, fmt.Sprintf("YAML aliases that expand to more than %d nodes", maxNodes))
			return 0
		}
	}
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "\n") && looksRisky([]byte(n.Value)) {
		m.inner(n)
	}
	m.done[n] = total
	return total
}

// inner measures a string: an inline patch is YAML too.
func (m *measurer) inner(n *yaml.Node) {
	docs, err := parse([]byte(n.Value))
	if err != nil || (len(docs) == 1 && docs[0].Kind == yaml.ScalarNode) {
		return
	}
	if fault, _ := hazard(docs); fault != "" {
		m.fail(n, fault)
	}
}

func (m *measurer) fail(n *yaml.Node, fault string) {
	if m.fault == "" {
		m.fault, m.line = fault, n.Line
	}
}

// deref follows aliases.
func deref(n *yaml.Node) *yaml.Node {
	for i := 0; n != nil && n.Kind == yaml.AliasNode && i < maxDepth; i++ {
		n = n.Alias
	}
	return n
}

// field returns the value of a mapping's key, nil when there is none. Of a key given twice the last one counts.
func field(n *yaml.Node, key string) *yaml.Node {
	var found *yaml.Node
	for _, p := range pairs(n) {
		if p.key.Value == key {
			found = p.value
		}
	}
	return found
}

// anyCase is field for kustomize's own files, which it reads without minding the case of a key.
func anyCase(n *yaml.Node, key string) *yaml.Node {
	var found *yaml.Node
	for _, p := range pairs(n) {
		if strings.EqualFold(p.key.Value, key) {
			found = p.value
		}
	}
	return found
}

// text returns a scalar's value, "" for anything else.
func text(n *yaml.Node) string {
	if n = deref(n); n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

type pair struct{ key, value *yaml.Node }

// pairs lists a mapping's entries, those behind merge keys first.
func pairs(n *yaml.Node) []pair {
	budget := 1000 // merge keys can be built to multiply
	return mergedPairs(n, &budget)
}

func mergedPairs(n *yaml.Node, budget *int) []pair {
	n = deref(n)
	if *budget--; n == nil || n.Kind != yaml.MappingNode || *budget < 0 {
		return nil
	}
	var merged []pair
	out := make([]pair, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := deref(n.Content[i]), deref(n.Content[i+1])
		if key.Value != "<<" {
			out = append(out, pair{key, value})
			continue
		}
		merged = append(merged, mergedPairs(value, budget)...)
		for _, item := range items(value) {
			merged = append(merged, mergedPairs(item, budget)...)
		}
	}
	return append(merged, out...)
}

func items(n *yaml.Node) []*yaml.Node {
	if n = deref(n); n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

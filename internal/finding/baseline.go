package finding

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ErrBaseline reports a file that is no baseline.
var ErrBaseline = errors.New("invalid baseline")

const (
	baselineAPI  = "keos-oci.stratio.com/v1alpha1"
	baselineKind = "Baseline"
	maxBaseline  = 8 << 20
	baselineHead = "# Known findings of keos-oci check. To write this file anew: keos-oci check --write-baseline FILE\n"
)

// Baseline is the errors that a workspace had on some day. They are known, and refuse nothing as long as there are no more of them.
// The zero value and nil know none.
type Baseline struct {
	File    string // relative to the workspace
	Entries []Entry
}

// Entry is errors of one rule in one file with the same message, and how many of them are known. It has no line numbers: findings
// stay known when lines move.
type Entry struct {
	Rule    string `yaml:"rule"`
	File    string `yaml:"file"`
	Message string `yaml:"message"`
	Count   int    `yaml:"count"`

	line int // of the baseline's file
}

// key is what makes a finding one of an entry.
type key struct{ rule, file, message string }

func (e Entry) key() key   { return key{e.Rule, e.File, e.Message} }
func (f Finding) key() key { return key{f.Rule, text(f.File), withoutLines(text(f.Message))} }

// text is what a file in YAML can have.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// withoutLines takes the numbers of lines out of a message: "line 12" becomes "line N".
func withoutLines(message string) string {
	parts := strings.Split(message, "line ")
	for i, part := range parts[1:] {
		if rest := strings.TrimLeft(part, "0123456789"); rest != part {
			parts[i+1] = "N" + rest
		}
	}
	return strings.Join(parts, "line ")
}

// present is a message in the words of this version. Baselines of former versions have their words, and stay valid.
func present(message string) string {
	const self = ", in which it lies itself: the folder has no kustomization, so that Flux takes every YAML below it"
	if rest, ok := strings.CutSuffix(message, self); ok {
		before, after, _ := strings.Cut(rest, " applies ")
		return before + " is inside the folder it applies, " + after + ": Flux would apply it to itself, because the folder has no kustomization"
	}
	return strings.NewReplacer(
		"holds a plaintext value", "has a plaintext value",
		"is named like a private key and holds no public one", "is named like a private key and contains no public key",
		"holds encoded text (!!binary), which kustomize may read otherwise than you do",
		"has encoded text (!!binary): kustomize may read this differently",
		", which kustomize may read otherwise than you do", ": kustomize may read this differently",
		"is remote: a cluster would build what that place holds on that day", "is remote: each cluster would build its content of that day",
	).Replace(message)
}

// known reports whether a finding is one that a baseline has, or would have.
func (f Finding) known() bool { return f.Severity == Error || f.Known }

func counts(list []Finding) map[key]int {
	n := map[key]int{}
	for _, f := range list {
		if f.known() {
			n[f.key()]++
		}
	}
	return n
}

// most is how many findings of each kind the components have. A file that is in two components counts as in the one with more of them.
func most(components [][]Finding) map[key]int {
	all := map[key]int{}
	for _, list := range components {
		for k, n := range counts(list) {
			all[k] = max(all[k], n)
		}
	}
	return all
}

// NewBaseline takes the errors of components as known. Each list is of one component.
func NewBaseline(file string, components [][]Finding) *Baseline {
	b := &Baseline{File: file}
	for k, n := range most(components) {
		b.Entries = append(b.Entries, Entry{Rule: k.rule, File: k.file, Message: k.message, Count: n})
	}
	slices.SortFunc(b.Entries, func(x, y Entry) int {
		return cmp.Or(cmp.Compare(x.File, y.File), cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.Message, y.Message))
	})
	return b
}

// Total is how many findings are known.
func (b *Baseline) Total() int {
	total := 0
	for _, e := range b.Entries {
		total += e.Count
	}
	return total
}

// Files is how many files have known findings.
func (b *Baseline) Files() int {
	files := map[string]bool{}
	for _, e := range b.Entries {
		files[e.File] = true
	}
	return len(files)
}

// Apply makes warnings of the known errors of one component. Where there are more errors than an entry has, the last of them stay
// errors.
func (b *Baseline) Apply(list []Finding) []Finding {
	if b == nil {
		return list
	}
	left := map[key]int{}
	for _, e := range b.Entries {
		left[e.key()] = e.Count
	}
	allowed, found := maps.Clone(left), counts(list)
	out := slices.Clone(list)
	for i, f := range out {
		k := f.key()
		switch {
		case f.Severity != Error || allowed[k] == 0:
		case left[k] > 0:
			left[k]--
			out[i].Severity, out[i].Known = Warning, true
		default:
			more := fmt.Sprintf("the baseline has %d of the %d findings like this one in the file", allowed[k], found[k])
			out[i].Fix = strings.TrimPrefix(f.Fix+"; "+more, "; ")
		}
	}
	return out
}

// Fixed returns a note for each entry of which the components have fewer findings than are known. Each list is of one component;
// together they are all of the workspace.
func (b *Baseline) Fixed(components [][]Finding) []Finding {
	if b == nil {
		return nil
	}
	left := most(components)
	var notes []Finding
	for _, e := range b.Entries {
		n := left[e.key()]
		if n >= e.Count {
			continue
		}
		notes = append(notes, Finding{Severity: Note, Rule: RuleBaseline, File: b.File, Line: e.line,
			Message: fmt.Sprintf("%d of %d known findings are fixed: %s: %s (%s)", e.Count-n, e.Count, e.File, e.Message, e.Rule),
			Fix:     fmt.Sprintf("write the baseline anew: keos-oci check --write-baseline %s", b.File)})
	}
	return notes
}

// YAML is the baseline as a file. Equal baselines have equal files.
func (b *Baseline) YAML() ([]byte, error) {
	out := bytes.NewBufferString(baselineHead)
	e := yaml.NewEncoder(out)
	e.SetIndent(2)
	err := e.Encode(struct {
		APIVersion string  `yaml:"apiVersion"`
		Kind       string  `yaml:"kind"`
		Findings   []Entry `yaml:"findings"`
	}{baselineAPI, baselineKind, b.Entries})
	return out.Bytes(), errors.Join(err, e.Close())
}

// ParseBaseline reads a file that YAML wrote, strictly. JSON is YAML, too. The error is an ErrBaseline with file and line.
func ParseBaseline(file string, data []byte) (*Baseline, error) {
	p := &baselineParser{file: file, seen: map[key]int{}}
	root, err := p.document(data)
	if err != nil {
		return nil, err
	}
	for name, value := range p.fields(root, "apiVersion", "kind", "findings") {
		switch {
		case name == "apiVersion" && value.Value != baselineAPI:
			p.fail(value, "apiVersion is %q, want %s", value.Value, baselineAPI)
		case name == "kind" && value.Value != baselineKind:
			p.fail(value, "kind is %q, want %s", value.Value, baselineKind)
		case name == "findings" && value.Kind != yaml.SequenceNode:
			p.fail(value, "findings is no list")
		case name == "findings":
			for _, item := range value.Content {
				p.entry(item)
			}
		}
	}
	if p.err != nil {
		return nil, p.err
	}
	return &Baseline{File: file, Entries: p.entries}, nil
}

// baselineParser keeps the first fault in the file.
type baselineParser struct {
	file    string
	entries []Entry
	seen    map[key]int // the line of each
	first   yaml.Node
	err     error
}

func (p *baselineParser) fail(at *yaml.Node, format string, args ...any) {
	if p.err == nil || cmp.Or(cmp.Compare(at.Line, p.first.Line), cmp.Compare(at.Column, p.first.Column)) < 0 {
		p.first, p.err = *at, fmt.Errorf("%s:%d: %w: %s", p.file, at.Line, ErrBaseline, fmt.Sprintf(format, args...))
	}
}

// document is the one mapping in a file.
func (p *baselineParser) document(data []byte) (*yaml.Node, error) {
	if len(data) > maxBaseline {
		return nil, fmt.Errorf("%s:1: %w: the file is larger than 8 MiB", p.file, ErrBaseline)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:1: %w: the file is empty", p.file, ErrBaseline)
	} else if err != nil {
		return nil, p.syntax(err)
	}
	if err := decoder.Decode(&second); err == nil {
		p.fail(&second, "a second document: the file may have only one")
		return nil, p.err
	} else if !errors.Is(err, io.EOF) {
		return nil, p.syntax(err)
	}
	return doc.Content[0], nil
}

// syntax takes the line out of an error of the YAML library.
func (p *baselineParser) syntax(err error) error {
	line, message := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		number, text, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			line, message = n, text
		}
	}
	return fmt.Errorf("%s:%d: %w: %s", p.file, line, ErrBaseline, message)
}

// fields returns the values of a mapping that has exactly these keys.
func (p *baselineParser) fields(node *yaml.Node, names ...string) map[string]*yaml.Node {
	if node.Kind != yaml.MappingNode {
		p.fail(node, "want a mapping of %s", strings.Join(names, ", "))
		return nil
	}
	values := map[string]*yaml.Node{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name := node.Content[i]
		switch _, twice := values[name.Value]; {
		case !slices.Contains(names, name.Value):
			p.fail(name, "unknown key %q: known are %s", name.Value, strings.Join(names, ", "))
		case twice:
			p.fail(name, "%s is given twice", name.Value)
		}
		values[name.Value] = node.Content[i+1]
	}
	for _, name := range names {
		if values[name] == nil {
			p.fail(node, "%s is missing", name)
		}
	}
	return values
}

func (p *baselineParser) entry(node *yaml.Node) {
	e := Entry{line: node.Line}
	texts := map[string]*string{"rule": &e.Rule, "file": &e.File, "message": &e.Message}
	for name, value := range p.fields(node, "rule", "file", "message", "count") {
		if text := texts[name]; text != nil {
			if value.Kind != yaml.ScalarNode || value.Value == "" {
				p.fail(value, "%s is no text", name)
			}
			*text = value.Value
		} else if name == "count" {
			n, err := strconv.Atoi(value.Value)
			if err != nil || n < 1 {
				p.fail(value, "count is %q, want a number of at least 1", value.Value)
			}
			e.Count = n
		}
	}
	e.Message = present(e.Message)
	if first, twice := p.seen[e.key()]; twice {
		p.fail(node, "the same finding as on line %d", first)
	}
	p.seen[e.key()] = node.Line
	p.entries = append(p.entries, e)
}

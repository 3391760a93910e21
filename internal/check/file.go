package check

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/manifest"
	"github.com/stratio/keos-oci/internal/secret"
	"github.com/stratio/keos-oci/internal/substitution"
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
	g.risky[name] = kustomize.Risky(data)
	g.variables.Standalone(name, data)
	var docs []*yaml.Node
	parsed := false
	if needsParsing(name, data) {
		docs, err = manifest.Parse(data)
		parsed = true
	}
	g.checkSecrets(name, data, docs, parsed && err != nil)
	for _, doc := range docs {
		g.warnObjects(name, doc)
	}
	if kustomize.IsFile(name) {
		g.warnDeprecated(name, data, docs)
		k := kustomize.New(name, docs, data)
		g.tree.Put(k)
		g.checkGenerators(k)
	}
	return nil
}

// checkSecrets reports what must not be in plain text in a file. Broken says that it is no YAML although it should be.
func (g *gate) checkSecrets(name string, data []byte, docs []*yaml.Node, broken bool) {
	if g.allowed(name) {
		return
	}
	s := secret.NewScanner(name)
	s.Text(data)
	if broken {
		s.Lines(data)
	}
	for _, doc := range docs {
		s.Document(doc)
	}
	g.reportSecrets(g.passwords(s.Found))
}

// passwords gives passwords the severity that the workspace wants, and leaves out those on a line that is refused in any case.
func (g *gate) passwords(found []finding.Finding) []finding.Finding {
	refused := map[int]bool{}
	for _, f := range found {
		refused[f.Line] = refused[f.Line] || f.Rule != finding.RulePassword
	}
	found = slices.DeleteFunc(found, func(f finding.Finding) bool { return f.Rule == finding.RulePassword && refused[f.Line] })
	for i := range found {
		if found[i].Rule == finding.RulePassword && g.o.Passwords != "" {
			found[i].Severity = g.o.Passwords
		}
	}
	return found
}

// reportSecrets adds to findings about secrets how an allowance is written.
func (g *gate) reportSecrets(found []finding.Finding) {
	for _, f := range found {
		f.Fix = g.allowFix(f.Fix, f.File)
		g.report(f)
	}
}

// checkFilter refuses what a filter left in Git in the place of a file's content, where .gitattributes no longer says that there is one:
// a pointer of Git LFS (its specification, "The Pointer"), or what git-crypt encrypted.
func (g *gate) checkFilter(name string, data []byte) {
	for prefix, filter := range map[string]string{"version https://git-lfs.github.com/spec/": "a Git LFS pointer",
		"\x00GITCRYPT\x00": "encrypted by git-crypt"} {
		if bytes.HasPrefix(data, []byte(prefix)) {
			g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleFilter, File: name, Message: "this is " + filter +
				", not the file's content",
				Fix: "commit the file itself, or keep it out of the artifact (artifact.ignore)"})
		}
	}
}

var errTooLarge = fmt.Errorf("larger than the %d MiB that are inspected", kustomize.MaxFile>>20)

// read returns a file of the unpacked folder as UTF-8.
func (g *gate) read(name string) ([]byte, error) {
	data, err := readLimited(filepath.Join(g.c.Unpacked, filepath.FromSlash(name)))
	return manifest.UTF8(data), err
}

// readable is read for those who do not mind what is missing or too large: other findings say so.
func (g *gate) readable(name string) ([]byte, error) {
	data, err := g.read(name)
	if errors.Is(err, errTooLarge) || errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return data, err
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
	if info.Size() > kustomize.MaxFile {
		return nil, errTooLarge
	}
	data := make([]byte, info.Size())
	n, err := io.ReadFull(f, data)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	return data[:n], err
}

func isYAML(name string) bool { return manifest.IsYAML(name) || kustomize.IsFile(name) }

// needsParsing keeps the parser, which costs more than all the searching, away from files in which it has nothing to find.
// "\x53ecret" is "Secret" to YAML: so escapes are looked for, too.
func needsParsing(name string, data []byte) bool {
	if kustomize.IsFile(name) || bytes.Contains(data, []byte("Secret")) {
		return true
	}
	if !isYAML(name) {
		return false
	}
	return bytes.Contains(data, []byte("toolkit.fluxcd.io")) || bytes.Contains(data, []byte(`\x`)) ||
		bytes.Contains(data, []byte(`\u`)) || bytes.Contains(data, []byte(`\U`)) ||
		(!substitution.IsStandalone(name) && bytes.Contains(data, []byte("${")))
}

package check

import (
	"fmt"
	"path"
	"strings"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/secret"
)

// checkGenerators reports what a kustomization puts into Secrets, whether or not a variant is built with it: literals of generators,
// their files in plain text, and patches of Secrets, which need not say `kind: Secret`.
func (g *gate) checkGenerators(k *kustomize.Kustomization) {
	if g.allowed(k.Name) {
		return
	}
	for _, s := range k.Secrets {
		g.checkGenerator(k.Name, s)
	}
	for _, p := range k.Patches {
		if p.Kind != "Secret" {
			continue
		}
		s := secret.NewScanner(k.Name)
		s.Patch(p.Text.Value, p.Text.Line, p.Text.Block)
		g.reportSecrets(s.Found)
		g.checkPatchFile(path.Join(path.Dir(k.Name), p.Path))
	}
}

func (g *gate) checkPatchFile(file string) {
	if !g.files[file] || g.allowed(file) {
		return
	}
	data, err := g.read(file)
	if err != nil {
		return
	}
	s := secret.NewScanner(file)
	s.Patch(string(data), 0, true)
	g.reportSecrets(s.Found)
}

func (g *gate) checkGenerator(name string, generator kustomize.Generator) {
	label := strings.TrimSpace("secretGenerator " + generator.Name)
	for _, literal := range generator.Literals {
		key, value, _ := strings.Cut(literal.Value, "=")
		if !secret.IsReferenceOnly(value) {
			g.reportSecrets([]finding.Finding{{Severity: finding.Error, Rule: finding.RuleSecret, File: name, Line: literal.Line,
				Message: fmt.Sprintf("%s: the literal %s has a plaintext value", label, key), Fix: secret.EncryptAdvice}})
		}
	}
	for _, r := range generator.Files {
		g.checkSource(name, label, r)
	}
}

// checkSource reports a file that feeds a Secret unless it is encrypted or has references only. A .env file has its own finding.
func (g *gate) checkSource(name, label string, r kustomize.Reference) {
	file := path.Join(path.Dir(name), r.Path)
	if !g.files[file] || g.allowed(file) || secret.IsDotenv(file) {
		return
	}
	data, err := g.read(file)
	if err != nil || secret.IsEncryptedFile(data) || secret.IsReferenceOnly(string(data)) ||
		strings.HasPrefix(r.Field, "secretGenerator.env") && secret.AreReferences(data) {
		return
	}
	g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleSecret, File: file,
		Message: fmt.Sprintf("%s makes a Secret of this plaintext file (%s:%d)", label, g.workspacePath(name),
			r.Line), Fix: g.allowFix(secret.EncryptAdvice, file)})
}

package check

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/secret"
)

// leak is a plaintext value of a Secret as a variant is built.
type leak struct {
	secret.Value
	id, name string // of the Secret
}

// checkRendered looks at the Secrets that a variant is built to. Files are looked at one by one before; what generators, transformers
// and patches put into a Secret shows here, in whatever way they are written.
func (g *gate) checkRendered(ctx context.Context, variant string, built resmap.ResMap, read kustomize.Inputs) {
	var leaks []leak
	for _, r := range built.Resources() {
		if r.GetKind() != "Secret" {
			continue
		}
		if object, err := r.Map(); err == nil {
			for _, v := range secret.InSecret(object) {
				leaks = append(leaks, leak{v, r.CurId().String(), r.GetName()})
			}
		}
	}
	if len(leaks) == 0 || g.reportedOf(read) {
		return
	}
	made := g.makers(ctx, variant)
	for _, l := range leaks {
		g.reportLeak(variant, l, made[l.id])
	}
}

// reportedOf reports whether a file of a build has a finding about secrets already: what it gives is not reported twice.
func (g *gate) reportedOf(read kustomize.Inputs) bool {
	files := map[string]bool{}
	for name := range read.Files {
		files[g.workspacePath(name)] = true
	}
	return slices.ContainsFunc(g.findings, func(f finding.Finding) bool {
		return f.Severity == finding.Error && (f.Rule == finding.RuleSecret || f.Rule == finding.RuleDotenv) && files[f.File]
	})
}

// makers builds a variant once more, to know the files that each Secret comes from: its own, or the configuration of its generator,
// and then what transforms it. Paths are relative to the root. Nothing is known where that build fails.
func (g *gate) makers(ctx context.Context, variant string) map[string][]string {
	built, err := kustomize.Build(ctx, g.c.Unpacked, variant, kustomize.Options{RemoteBases: g.o.RemoteBases, Origins: true})
	if err != nil {
		return nil
	}
	made := map[string][]string{}
	for _, r := range built.Resources() {
		if r.GetKind() != "Secret" {
			continue
		}
		for _, file := range makersOf(r) {
			made[r.CurId().String()] = append(made[r.CurId().String()], path.Join(variant, file))
		}
	}
	return made
}

// makersOf lists the files that make an object, relative to the folder that is built.
func makersOf(r *resource.Resource) []string {
	var files []string
	if o, err := r.GetOrigin(); err == nil && o != nil {
		files = append(files, o.Path, o.ConfiguredIn)
	}
	if list, err := r.GetTransformations(); err == nil {
		for _, t := range list {
			files = append(files, t.ConfiguredIn)
		}
	}
	return slices.DeleteFunc(files, func(f string) bool { return f == "" })
}

// reportLeak reports the file that a value comes from, where it is known, else the file that makes the Secret. An allowance for that
// file lets the value pass.
func (g *gate) reportLeak(variant string, l leak, made []string) {
	var fallback string
	for _, name := range g.givers(made) {
		if k := g.kustomization(path.Dir(name)); k != nil && fallback == "" {
			fallback = k.Name
		}
		line, gives := g.gives(name, l.Text)
		if gives {
			g.tellLeak(name, line, l)
			return
		}
	}
	if fallback == "" {
		fallback = g.kustomizationOf(variant)
	}
	g.tellLeak(fallback, 0, l)
}

func (g *gate) tellLeak(name string, line int, l leak) {
	if g.allowed(name) {
		return
	}
	g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleSecret, File: name, Line: line,
		Message: fmt.Sprintf("Secret %s: %s is built with a plaintext value", l.name, l.Field), Fix: g.allowFix(secret.EncryptAdvice, name)})
}

// givers are the files that make a Secret, then the kustomizations beside them and what these point to, then what plugins point to.
func (g *gate) givers(made []string) []string {
	list := slices.Clone(made)
	for _, name := range made {
		dir := path.Dir(name)
		k := g.kustomization(dir)
		if k == nil {
			continue
		}
		list = append(append(list, k.Name), g.targets(dir, k)...)
		for _, r := range k.References {
			if !r.IsPlugin() {
				continue
			}
			plugins, _ := g.tree.Plugins(path.Join(dir, r.Path)) // what cannot be read has a finding of its own
			for _, plugin := range plugins {
				list = append(append(list, plugin.Name), g.targets(dir, plugin)...)
			}
		}
	}
	return list
}

// targets are the files to which a kustomization or the configuration of plugins points, read from a folder.
func (g *gate) targets(dir string, k *kustomize.Kustomization) []string {
	var list []string
	for _, r := range k.References {
		if file := path.Join(dir, r.Path); g.files[file] {
			list = append(list, file)
		}
	}
	return list
}

// gives reports whether a file has a value in it, as it is or in base64, and on which line.
func (g *gate) gives(name, value string) (line int, gives bool) {
	data, err := g.read(name)
	if err != nil || !g.files[name] {
		return 0, false
	}
	for _, form := range []string{strings.TrimSpace(value), base64.StdEncoding.EncodeToString([]byte(value))} {
		first, _, _ := strings.Cut(form, "\n")
		if at := bytes.Index(data, []byte(first)); first != "" && at >= 0 {
			return bytes.Count(data[:at], []byte("\n")) + 1, true
		}
	}
	return 0, false
}

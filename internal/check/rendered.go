package check

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/finding"
)

// leak is a plaintext value of a Secret as a variant is built.
type leak struct {
	id, name string // of the Secret
	key      string
	value    string
}

// checkRendered looks at the Secrets that a variant is built to. Files are looked at one by one before; what generators, transformers and patches
// put into a Secret shows here, however they are spelled.
func (g *gate) checkRendered(ctx context.Context, variant string, built resmap.ResMap, read closure) {
	var leaks []leak
	for _, r := range built.Resources() {
		if r.GetKind() == "Secret" {
			leaks = append(leaks, leaksOf(r)...)
		}
	}
	if len(leaks) == 0 || g.toldOf(read) {
		return
	}
	made := g.makers(ctx, variant)
	for _, l := range leaks {
		g.reportLeak(variant, l, made[l.id])
	}
}

// toldOf reports whether a file of a build has a finding about secrets already: what it gives is not told twice.
func (g *gate) toldOf(read closure) bool {
	files := map[string]bool{}
	for _, name := range read.files {
		files[g.workspacePath(name)] = true
	}
	for _, k := range read.kusts {
		files[g.workspacePath(k.file)] = true
	}
	return slices.ContainsFunc(g.findings, func(f finding.Finding) bool {
		return f.Severity == finding.Error && (f.Rule == finding.RuleSecret || f.Rule == finding.RuleDotenv) && files[f.File]
	})
}

// leaksOf lists the plaintext values of a Secret.
func leaksOf(r *resource.Resource) []leak {
	object, err := r.Map()
	if err != nil {
		return nil
	}
	var leaks []leak
	for _, field := range []string{"data", "stringData"} {
		values, _ := object[field].(map[string]any)
		_, dotenv := values["sops_mac"] // generated from a file of assignments that SOPS encrypted
		for _, key := range sortedKeys(values) {
			value := fmt.Sprint(values[key])
			if decoded, err := base64.StdEncoding.DecodeString(value); field == "data" && err == nil {
				value = string(decoded)
			}
			if values[key] == nil || isReferenceOnly(value) || isEncryptedFile([]byte(value)) || isCipher(value) || dotenv && strings.HasPrefix(key, "sops_") {
				continue
			}
			leaks = append(leaks, leak{r.CurId().String(), r.GetName(), field + "." + key, value})
		}
	}
	return leaks
}

// makers builds a variant once more, to know the files that each Secret comes from: its own, or the configuration of its generator, and then what
// transforms it. Paths are relative to the root. Nothing is known where that build fails.
func (g *gate) makers(ctx context.Context, variant string) map[string][]string {
	fs, err := overlay(g.c.Unpacked, g.o.RemoteBases)
	if err != nil {
		return nil
	}
	built, err := inTurn(ctx, func() (resmap.ResMap, error) {
		return buildWith(fs, g.c.Unpacked, filepath.Join(g.c.Unpacked, filepath.FromSlash(variant)), withOrigins)
	})
	if err != nil {
		return nil
	}
	made := map[string][]string{}
	for _, r := range built.Resources() {
		if r.GetKind() != "Secret" {
			continue
		}
		var files []string
		if o, err := r.GetOrigin(); err == nil && o != nil {
			files = append(files, o.Path, o.ConfiguredIn)
		}
		if list, err := r.GetTransformations(); err == nil {
			for _, t := range list {
				files = append(files, t.ConfiguredIn)
			}
		}
		files = slices.DeleteFunc(files, func(f string) bool { return f == "" })
		for i := range files {
			files[i] = path.Join(variant, files[i])
		}
		made[r.CurId().String()] = files
	}
	return made
}

// withOrigins asks kustomize to say of each object where it comes from.
func withOrigins(manifest []byte) ([]byte, error) {
	k, err := yaml.Parse(string(manifest))
	if err != nil {
		return nil, err
	}
	err = k.PipeE(yaml.SetField("buildMetadata", yaml.NewListRNode("originAnnotations", "transformerAnnotations")))
	if err != nil {
		return nil, err
	}
	text, err := k.String()
	return []byte(text), err
}

// reportLeak tells of the file that gives a value, if that can be told, else of what makes the Secret. An allowance for that file lets it pass.
func (g *gate) reportLeak(variant string, l leak, made []string) {
	var fallback string
	for _, name := range g.givers(made) {
		if g.kusts[path.Dir(name)] != nil && fallback == "" {
			fallback = g.kusts[path.Dir(name)].file
		}
		line, gives := g.gives(name, l.value)
		if gives {
			g.tellLeak(name, line, l)
			return
		}
	}
	if fallback == "" {
		fallback = g.kustomizationAt("", variant)
	}
	g.tellLeak(fallback, 0, l)
}

func (g *gate) tellLeak(name string, line int, l leak) {
	if g.allowed(name) {
		return
	}
	g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleSecret, File: name, Line: line,
		Message: fmt.Sprintf("Secret %s: %s is built with a plaintext value", l.name, l.key), Fix: g.allowFix(encryptAdvice, name)})
}

// givers are the files that make a Secret, then the kustomizations beside them and what these name.
func (g *gate) givers(made []string) []string {
	list := slices.Clone(made)
	for _, name := range made {
		dir := path.Dir(name)
		k := g.kusts[dir]
		if k == nil {
			continue
		}
		list = append(list, k.file)
		for _, r := range k.refs {
			if file := path.Join(dir, r.path); g.files[file] {
				list = append(list, file)
			}
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

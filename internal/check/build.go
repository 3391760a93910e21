package check

import (
	"bytes"
	"context"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/manifest"
	"github.com/stratio/keos-oci/internal/secret"
)

// buildVariants builds each variant from the artifact and, where that proves anything, from the checkout.
func (g *gate) buildVariants(ctx context.Context) error {
	equal, err := g.compareTrees()
	if err != nil {
		return err
	}
	unread, err := g.unread(ctx)
	if err != nil {
		return err
	}
	for _, variant := range slices.Concat(g.c.Variants, unread) {
		if err := g.buildVariant(ctx, path.Clean(variant), equal); err != nil {
			return err
		}
	}
	return nil
}

// unread is the folders that hold a rendered base and that no variant reads: what was changed there has to be proven as well.
func (g *gate) unread(ctx context.Context) ([]string, error) {
	if len(g.vendored) == 0 {
		return nil, nil
	}
	variants := make([]string, len(g.c.Variants))
	for i, variant := range g.c.Variants {
		variants[i] = path.Clean(variant)
	}
	read, err := g.tree.Walk(ctx, variants...)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, name := range sortedKeys(g.vendored) {
		k := g.kustomization(path.Dir(name))
		if _, is := read.Files[name]; !is && k != nil && !k.Component {
			dirs = append(dirs, path.Dir(name))
		}
	}
	return dirs, nil
}

func (g *gate) buildVariant(ctx context.Context, variant string, equal treeDiff) error {
	if !g.dirs[variant] {
		g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleBuild, File: variant, Message: "the variant has no files in the artifact",
			Fix: "create it, or take it out of the variants"})
		return nil
	}
	read, wrong, err := g.closure(ctx, variant)
	if err != nil {
		return err
	}
	// A wrong reference has its finding already, and building would only repeat it or, for a URL, go and fetch it.
	if wrong || g.reportHazards(read) {
		return nil
	}
	built, err := kustomize.Build(ctx, g.c.Unpacked, variant, kustomize.Options{RemoteBases: g.o.RemoteBases})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		f := g.explain(err, variant, read)
		if slices.ContainsFunc(read.Parsed, func(name string) bool { return g.vendored[name] }) {
			f.Fix = "if it builds in the checkout, it reaches into how a remote base is made, which is rendered here: " + keepBase
		}
		g.report(f)
		return nil
	case built.Size() == 0:
		g.warnEmpty(variant)
	}
	g.checkRendered(ctx, variant, built, read)
	g.checkEqual(ctx, variant, built, equal, read)
	return ctx.Err()
}

// keepBase is what helps where a remote base cannot be rendered.
const keepBase = "copy it into the repository, or set artifact: {remoteBases: allow}"

// reportHazards keeps from kustomize what would cost it gigabytes or overflow its stack, which no recover can catch.
func (g *gate) reportHazards(read kustomize.Reached) bool {
	found := false
	for _, name := range read.Parsed {
		if !g.risky[name] {
			continue
		}
		data, err := g.read(name)
		if err != nil {
			continue
		}
		docs, _ := manifest.Parse(data)
		if message, line := kustomize.Hazard(docs); message != "" {
			g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleBuild, File: name, Line: line, Message: message,
				Fix: "write it out flat"})
			found = true
		}
	}
	return found
}

// explain turns kustomize's error, a nest of sentences around the one that matters, into a finding at the place that has
// to be edited.
func (g *gate) explain(err error, variant string, read kustomize.Reached) finding.Finding {
	f := finding.Finding{Severity: finding.Error, Rule: finding.RuleBuild, File: variant}
	if file, line, fault := g.syntaxError(read); fault != "" {
		f.File, f.Line, f.Message = file, line, fault
		return f
	}
	full := g.hidePaths(err.Error(), g.c.Unpacked)
	f.Message = g.redact(kustomize.Innermost(full), read)
	f.File = g.kustomizationAt(full, variant)
	g.locate(&f)
	g.locateObject(&f, read)
	return f
}

// syntaxError finds the first file of a build that is no YAML. Kustomize tells the line of some of them only.
func (g *gate) syntaxError(read kustomize.Reached) (file string, line int, message string) {
	for _, name := range read.Parsed {
		data, err := g.read(name)
		if err != nil {
			continue
		}
		if _, err := manifest.Parse(data); err != nil {
			line, message = manifest.Fault(data, err)
			return name, line, "not valid YAML: " + message
		}
	}
	return "", 0, ""
}

// hidePaths makes the paths of a message relative to the workspace.
func (g *gate) hidePaths(message, root string) string {
	roots := []string{root}
	if real, err := filepath.EvalSymlinks(root); err == nil && real != root {
		roots = append(roots, real)
	}
	for _, r := range roots {
		message = strings.ReplaceAll(message, r+string(filepath.Separator), prefix(g.c.Root))
		message = strings.ReplaceAll(message, r, g.c.Root)
	}
	return strings.ReplaceAll(message, os.TempDir()+string(filepath.Separator), "")
}

// redact takes out of a message every value of a Secret that the build read: kustomize quotes what it cannot use.
func (g *gate) redact(message string, read kustomize.Reached) string {
	for _, name := range read.Parsed {
		for _, value := range g.secretsIn(name) {
			if len(value) >= 4 { // a shorter one would eat words
				message = strings.ReplaceAll(message, value, "…")
			}
		}
	}
	return kustomize.Shortened(strings.Join(strings.Fields(kustomize.Shareable(message)), " "))
}

// secretsIn lists the values of Secrets and secret generators in a file.
func (g *gate) secretsIn(name string) []string {
	data, err := g.read(name)
	if err != nil || !kustomize.IsFile(name) && !bytes.Contains(data, []byte("Secret")) {
		return nil
	}
	var values []string
	docs, _ := manifest.Parse(data)
	for _, doc := range docs {
		values = append(values, secret.Values(doc)...)
	}
	for _, generator := range kustomize.New(name, docs, data).Secrets {
		for _, literal := range generator.Literals {
			_, value, _ := strings.Cut(literal.Value, "=")
			values = append(values, literal.Value, value)
		}
	}
	return values
}

// kustomizationAt is the kustomization file, relative to the root, of the folder where a build failed.
func (g *gate) kustomizationAt(message, variant string) string {
	dir := variant
	frames := regexp.MustCompile(`(?:recursed accumulation of|couldn't make target for) path '([^']*)'`)
	if all := frames.FindAllStringSubmatch(message, -1); all != nil {
		last := all[len(all)-1][1]
		dir = path.Clean(strings.TrimPrefix(last, prefix(g.c.Root)))
		if last == g.c.Root {
			dir = "."
		}
	}
	for _, d := range []string{dir, variant} { // a clone is no folder of the component
		if k := g.kustomization(d); k != nil {
			return k.Name
		}
	}
	return variant
}

// locate finds the line of what a message names: a resource in the kustomization's list, an unknown field, a file.
func (g *gate) locate(f *finding.Finding) {
	k := g.kustomization(path.Dir(f.File))
	if match := regexp.MustCompile(`resources from '([^']*)'`).FindStringSubmatch(f.Message); match != nil && k != nil {
		for _, r := range k.References {
			if r.Path == match[1] {
				f.Line = r.Line
			}
		}
		return
	}
	if match := regexp.MustCompile(`unknown field "([^"]*)"`).FindStringSubmatch(f.Message); match != nil {
		f.Line = g.lineOfKey(f.File, match[1])
		return
	}
	if match := regexp.MustCompile(`(?:YAML from|File:) (\S+?):? `).FindStringSubmatch(f.Message + " "); match != nil {
		if name := strings.TrimPrefix(match[1], prefix(g.c.Root)); g.files[name] {
			f.File = name
		}
	}
}

func (g *gate) lineOfKey(name, key string) int {
	data, err := g.read(name)
	if err != nil {
		return 0
	}
	docs, _ := manifest.Parse(data)
	for _, doc := range docs {
		if found := manifest.LineOfKey(doc, key); found > 0 {
			return found
		}
	}
	return 0
}

// locateObject finds the object that a message names by kustomize's id (Kind.version.group/name.namespace), in the last
// file that has it: the patch without a target, the second of two equal ids.
func (g *gate) locateObject(f *finding.Finding, read kustomize.Reached) {
	match := regexp.MustCompile(`\b([A-Z]\w*)\.[^/\s"]*/([^\s"]+)\.(?:\[noNs\]|[\w-]+)`).FindStringSubmatch(f.Message)
	if match == nil {
		return
	}
	for _, name := range slices.Backward(read.Parsed) {
		if kustomize.IsFile(name) {
			continue
		}
		data, err := g.read(name)
		if err != nil {
			continue
		}
		docs, _ := manifest.Parse(data)
		for _, doc := range slices.Backward(docs) {
			if manifest.Text(manifest.Field(doc, "kind")) == match[1] && manifest.Text(manifest.Field(manifest.Field(doc, "metadata"), "name")) == match[2] {
				f.File, f.Line = name, doc.Line
				return
			}
		}
	}
}

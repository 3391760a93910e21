package check

import (
	"bytes"
	"context"
	"path"
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
		g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleBuild, File: variant,
			Message: "the variant has no files in the artifact",
			Fix:     "create it, or take it out of the variants"})
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

// reportHazards refuses files for which kustomize would need gigabytes or overflow its stack. No recover can catch that.
func (g *gate) reportHazards(read kustomize.Inputs) bool {
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

// explain makes a finding of an error of kustomize, without values of Secrets.
func (g *gate) explain(err error, variant string, read kustomize.Inputs) finding.Finding {
	f := g.tree.Explain(err, kustomize.Place{Folder: g.c.Unpacked, Name: g.c.Root}, variant, read)
	return finding.Finding{Severity: finding.Error, Rule: finding.RuleBuild, File: f.File, Line: f.Line, Message: g.redact(f.Message, read)}
}

// redact takes out of a message every value of a Secret that the build read: kustomize quotes what it cannot use.
func (g *gate) redact(message string, read kustomize.Inputs) string {
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

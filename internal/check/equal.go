package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/resmap"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/kustomize"
)

// treeDiff is how the checkout below the root differs from the unpacked tarball, as far as a build could see.
type treeDiff struct {
	leftOut []string // relative to the root
	changed []string
}

func (d treeDiff) none() bool { return len(d.leftOut) == 0 && len(d.changed) == 0 }

// compareTrees finds what could make a build of the checkout differ from one of the artifact. Such a build reads files
// that a kustomization names, which are in the artifact or have a reference finding; it looks which kustomization file a
// folder has; and it takes every YAML below a folder that has none. So with the same bytes on both sides and no
// kustomization and no YAML left out, a build that is confined to the root cannot differ and need not be done twice.
func (g *gate) compareTrees() (treeDiff, error) {
	var diff treeDiff
	for _, name := range g.c.Files {
		if _, ok := g.standIns[name]; ok {
			continue // for a remote base, beside the kustomization that names it
		}
		same, err := g.sameFile(name)
		if err != nil {
			return diff, err
		}
		if !same {
			diff.changed = append(diff.changed, name)
		}
	}
	root := filepath.Join(g.c.Workspace, filepath.FromSlash(g.c.Root))
	err := filepath.WalkDir(root, func(full string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == ".git" {
				return filepath.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, full)
		name := filepath.ToSlash(rel)
		if ext := path.Ext(name); !g.files[name] && (ext == ".yaml" || ext == ".yml" || kustomize.IsFile(name)) {
			diff.leftOut = append(diff.leftOut, name)
		}
		return err
	})
	return diff, err
}

// sameFile compares a file of the artifact with the checkout's. Only files that a build may parse are worth reading.
func (g *gate) sameFile(name string) (bool, error) {
	packed, err := readLimited(filepath.Join(g.c.Unpacked, filepath.FromSlash(name)))
	if errors.Is(err, errTooLarge) {
		return true, nil // it has a finding of its own
	} else if err != nil {
		return false, err
	}
	there, err := readLimited(g.checkoutPath(name))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, errTooLarge) {
		return false, nil
	}
	return slices.Equal(packed, there), err
}

// checkEqual builds a variant from the checkout too, and demands the same bytes.
func (g *gate) checkEqual(ctx context.Context, variant string, built resmap.ResMap, diff treeDiff, read kustomize.Inputs) {
	if diff.none() {
		return
	}
	objects, err := g.asYAML(built)
	if err != nil {
		g.report(g.explain(err, variant, read))
		return
	}
	root := filepath.Join(g.c.Workspace, filepath.FromSlash(g.c.Root))
	there, err := g.buildThere(ctx, root, variant)
	if ctx.Err() != nil || (err == nil && slices.Equal(objects, there)) {
		return
	}
	message := "builds to other objects in the checkout than from the artifact"
	if err != nil {
		message = "builds from the artifact but not in the checkout: " +
			g.redact(kustomize.Innermost(kustomize.Place{Folder: root, Name: g.c.Root}.Hide(err.Error())), read)
	}
	if err != nil && len(g.c.Vendored) > 0 {
		g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleRemote, File: variant, Message: message,
			Fix: "run it again; where a remote base cannot be built a second time, " + keepBase})
		return
	}
	fix := "commit what the variant needs, and remove or ignore nothing that it reads"
	if len(g.c.Vendored) > 0 {
		fix += "; if the remote base has not just moved, " + keepBase
	}
	g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleEqual, File: variant, Message: message + g.describe(variant, diff),
		Fix: fix})
}

// buildThere builds a variant in the checkout, where a rendered base is fetched once more.
func (g *gate) buildThere(ctx context.Context, root, variant string) (objects []byte, err error) {
	build := func() error {
		built, err := kustomize.Build(ctx, root, variant, kustomize.Options{RemoteBases: g.o.RemoteBases || len(g.c.Vendored) > 0})
		if err == nil {
			objects, err = g.asYAML(built)
		}
		return err
	}
	if len(g.c.Vendored) == 0 {
		return objects, build()
	}
	return objects, kustomize.Retry(ctx, build)
}

// asYAML leaves out where objects come from, which a kustomization may ask for: a rendered base comes from elsewhere.
func (g *gate) asYAML(built resmap.ResMap) ([]byte, error) {
	if len(g.c.Vendored) > 0 {
		if err := built.RemoveOriginAnnotations(); err != nil {
			return nil, err
		}
	}
	return built.AsYaml()
}

// describe names the files that most likely make the difference: those below the variant, else any.
func (g *gate) describe(variant string, diff treeDiff) string {
	var names []string
	for _, name := range diff.leftOut {
		names = append(names, fmt.Sprintf("%s (%s)", g.workspacePath(name), g.leftOut(name)))
	}
	for _, name := range diff.changed {
		why := "changed since it was packed"
		if g.vendored[name] {
			why = "its remote base is rendered in the artifact"
		}
		names = append(names, fmt.Sprintf("%s (%s)", g.workspacePath(name), why))
	}
	below := slices.DeleteFunc(slices.Clone(names), func(s string) bool {
		return !strings.HasPrefix(s, prefix(g.workspacePath(variant)))
	})
	if len(below) > 0 {
		names = below
	}
	if len(names) > 3 {
		names = append(names[:3], "…")
	}
	return ": " + strings.Join(names, ", ")
}

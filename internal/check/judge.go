package check

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/kustomize"
)

// checkReferences looks at every reference of every kustomization, reachable from a variant or not.
func (g *gate) checkReferences() error {
	for _, dir := range g.tree.Folders() {
		k, err := g.tree.At(dir)
		if err != nil {
			return err
		}
		g.checkUnclear(k)
		for _, r := range k.References {
			if r.IsPlugin() {
				if err := g.checkPlugins(dir, k, path.Join(dir, r.Path)); err != nil {
					return err
				}
			}
			g.checkReference(dir, k, r)
		}
	}
	return nil
}

// checkPlugins looks into the configuration of builtin plugins, which refers to files of its own. Kustomize reads those from dir,
// where the kustomization is that names the plugins.
func (g *gate) checkPlugins(dir string, by *kustomize.Kustomization, target string) error {
	plugins, err := g.tree.Plugins(target)
	for _, k := range plugins {
		if !k.Plugin {
			if k.Alters { // and with it the files that plugins name, out of sight
				g.broken[k.Name], g.broken[by.Name] = true, true
				g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleReference, File: k.Name, Line: 1,
					Message: "patches or replaces parts of plugins' configuration, so that nobody can say which files they point to",
					Fix:     "write the configuration out in the files that it lists"})
			}
			continue
		}
		g.checkUnclear(k)
		for _, r := range k.References {
			g.checkReference(dir, k, r)
		}
	}
	return err
}

// checkUnclear refuses a file whose references are not sure.
func (g *gate) checkUnclear(k *kustomize.Kustomization) {
	if k.Unclear == "" {
		return
	}
	g.broken[k.Name] = true
	g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleReference, File: k.Name, Line: k.UnclearLine,
		Message: k.Unclear + ": kustomize may read this differently", Fix: "write each key once, without merges or !!binary"})
}

// kustomization is that of a folder, nil when it has none or cannot be read.
func (g *gate) kustomization(dir string) *kustomize.Kustomization {
	k, err := g.tree.At(dir)
	if err != nil {
		return nil
	}
	return k
}

// kustomizationOf is the kustomization of a variant, or the folder where it has none.
func (g *gate) kustomizationOf(variant string) string {
	if k := g.kustomization(variant); k != nil {
		return k.Name
	}
	return variant
}

// closure is what the build of one variant reads, and whether one of its references is known to be wrong.
func (g *gate) closure(ctx context.Context, variant string) (read kustomize.Inputs, wrong bool, err error) {
	read, err = g.tree.Walk(ctx, variant)
	for file := range read.Files {
		wrong = wrong || g.broken[file]
	}
	return read, wrong, err
}

// checkReference reports at most one fault of one reference, which kustomize reads from dir.
func (g *gate) checkReference(dir string, k *kustomize.Kustomization, r kustomize.Reference) {
	if r.Maybe {
		return
	}
	message, fix := g.judge(dir, r)
	if message == "" {
		return
	}
	g.broken[k.Name] = true
	g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleReference, File: k.Name, Line: r.Line,
		Message: fmt.Sprintf("%s: %s %s", r.Field, kustomize.Shareable(r.Path), message), Fix: fix})
}

func (g *gate) judge(dir string, r kustomize.Reference) (message, fix string) {
	switch {
	case kustomize.IsRemote(r.Path):
		return g.judgeRemote(r)
	case path.IsAbs(r.Path) || filepath.IsAbs(r.Path):
		return "is an absolute path", "move the file into the component and name it by a relative path"
	}
	target := path.Join(dir, r.Path)
	if target == ".." || strings.HasPrefix(target, "../") {
		return g.judgeOutside(dir, r)
	}
	return g.judgeInside(target, r)
}

// judgeRemote says why a URL may not stay in the artifact. A rendered base is not referred to any more.
func (g *gate) judgeRemote(r kustomize.Reference) (message, fix string) {
	if why, advice := kustomize.Forbidden(r.Path); why != "" || g.o.RemoteBases {
		return why, advice
	}
	message = "is remote: each cluster would build its content of that day"
	if r.IsBase() {
		return message,
			"copy it into the component, or in keos-oci.yaml set artifact: {remoteBases: vendor}, which renders it into the artifact, or {remoteBases: allow}"
	}
	return message, "copy it into the component (only resources can be rendered), or set artifact: {remoteBases: allow} in keos-oci.yaml"
}

// judgeOutside describes a reference that climbs above the artifact's root. One that climbs and comes back is no better:
// the root has no name in the artifact.
func (g *gate) judgeOutside(dir string, r kustomize.Reference) (message, fix string) {
	full := path.Join(g.c.Root, dir, r.Path)
	if full == ".." || strings.HasPrefix(full, "../") {
		return "leaves the repository", "move the file into the component"
	}
	if inside, ok := strings.CutPrefix(full, g.c.Root+"/"); ok {
		return "goes through the component's own folder, which has no name in the artifact",
			"write " + relative(dir, inside)
	}
	fix = "root: and paths:"
	if g.c.External {
		fix = fmt.Sprintf("components: {%q: {root: %q}}", g.c.Name, commonFolder(g.c.Root, full))
	}
	return fmt.Sprintf("is outside the component (%s)", full),
		fmt.Sprintf("move it below %s, or widen the component with %s in keos-oci.yaml", g.c.Root, fix)
}

// commonFolder is the innermost folder with both.
func commonFolder(dir, p string) string {
	for dir != "." && !strings.HasPrefix(p, dir+"/") {
		dir = path.Dir(dir)
	}
	return dir
}

func (g *gate) judgeInside(target string, r kustomize.Reference) (message, fix string) {
	switch {
	case g.files[target]:
		return "", ""
	case g.dirs[target] && r.Dir:
		return g.judgeFolder(target)
	case g.dirs[target]:
		return "is a folder where a file is needed", ""
	}
	info, err := os.Stat(g.checkoutPath(target))
	switch {
	case err != nil:
		return "does not exist", "create it, or remove the line"
	case g.isForeign(target):
		return g.judgeForeign(target)
	case info.IsDir() && !r.Dir:
		return "is a folder where a file is needed", ""
	case info.IsDir():
		return g.judgeFolder(target)
	}
	return "exists but is not in the artifact: " + g.leftOut(target), "commit the file and let no ignore rule match it"
}

// isForeign reports whether a path below the root is none of the component's own, and is not taken along either.
func (g *gate) isForeign(target string) bool {
	full := g.workspacePath(target)
	return len(g.c.Paths) > 0 && !g.c.External && !slices.ContainsFunc(g.c.Paths, func(p string) bool {
		return p == "." || p == full || strings.HasPrefix(full, p+"/") || strings.HasPrefix(p, full+"/")
	})
}

func (g *gate) judgeForeign(target string) (message, fix string) {
	return fmt.Sprintf("is outside the component (%s)", g.workspacePath(target)),
		"add it to the component's paths, or set artifact: {external: include} in keos-oci.yaml"
}

// judgeFolder demands a kustomization in a folder.
func (g *gate) judgeFolder(dir string) (message, fix string) {
	if g.kustomization(dir) != nil {
		return "", ""
	}
	for _, name := range kustomize.FileNames() {
		file := path.Join(dir, name)
		if _, err := os.Stat(g.checkoutPath(file)); err == nil {
			return "has a " + name + " that is not in the artifact: " + g.leftOut(file),
				"commit the file and let no ignore rule match it"
		}
	}
	return "is a folder without a kustomization", "add a kustomization.yaml, or list the files"
}

func (g *gate) checkoutPath(name string) string {
	return filepath.Join(g.c.Workspace, filepath.FromSlash(g.workspacePath(name)))
}

func (g *gate) leftOut(name string) string {
	if g.c.LeftOut != nil {
		if why := g.c.LeftOut(g.workspacePath(name)); why != "" {
			return why
		}
	}
	return "left out when packing"
}

// relative is the way from a folder to a file, both below the root.
func relative(dir, file string) string {
	rel, err := filepath.Rel(filepath.FromSlash(dir), filepath.FromSlash(file))
	if err != nil {
		return file
	}
	return filepath.ToSlash(rel)
}

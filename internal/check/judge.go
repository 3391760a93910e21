package check

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	fluxkustomize "github.com/fluxcd/pkg/kustomize"

	"github.com/stratio/keos-oci/internal/finding"
)

// checkReferences looks at every reference of every kustomization, reachable from a variant or not.
func (g *gate) checkReferences() {
	for _, dir := range sortedKeys(g.kusts) {
		k := g.kusts[dir]
		g.checkUnclear(k)
		for _, r := range k.refs {
			if r.isPlugin() {
				g.checkPluginConfig(dir, path.Join(dir, r.path), map[string]bool{})
			}
			g.checkReference(dir, k, r)
		}
	}
}

// checkPluginConfig looks into the configuration of builtin plugins, a file or the resources of a folder, which names files
// of its own. Kustomize reads those from dir, where the plugins are named.
func (g *gate) checkPluginConfig(dir, name string, visited map[string]bool) {
	if visited[name] {
		return
	}
	visited[name] = true
	if k := g.kusts[name]; k != nil {
		if k.alters { // and with it the files that plugins name, out of sight
			g.broken[name], g.broken[dir] = true, true
			g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleReference, File: k.file, Line: 1, Message: "patches or replaces parts of plugins' configuration, so that the files that they name cannot be told",
				Fix: "write the configuration out in the files that it lists"})
		}
		for _, r := range k.refs {
			if r.dir {
				g.checkPluginConfig(dir, path.Join(name, r.path), visited)
			}
		}
	}
	if !g.files[name] {
		return
	}
	data, err := g.read(name)
	if err != nil {
		return
	}
	docs, _ := parse(data)
	plugin := &kustomization{file: name}
	for _, doc := range docs {
		plugin.collectPlugin(doc, 0)
	}
	g.checkUnclear(plugin)
	for _, ref := range plugin.refs {
		g.checkReference(dir, plugin, ref)
	}
}

// checkReference reports at most one fault of one reference, which kustomize reads from dir.
func (g *gate) checkReference(dir string, k *kustomization, r reference) {
	if r.maybe {
		return
	}
	message, fix := g.judge(dir, r)
	if message == "" {
		return
	}
	g.broken[path.Dir(k.file)] = true
	g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleReference, File: k.file, Line: r.line,
		Message: fmt.Sprintf("%s: %s %s", r.field, shareable(r.path), message), Fix: fix})
}

func (g *gate) judge(dir string, r reference) (message, fix string) {
	switch {
	case isRemote(r.path):
		return g.judgeRemote(r)
	case path.IsAbs(r.path) || filepath.IsAbs(r.path):
		return "is an absolute path", "move the file into the component and name it by a relative path"
	}
	target := path.Join(dir, r.path)
	if target == ".." || strings.HasPrefix(target, "../") {
		return g.judgeOutside(dir, r)
	}
	return g.judgeInside(target, r)
}

// judgeRemote says whether a URL may stay in the artifact, which those that were rendered have left.
func (g *gate) judgeRemote(r reference) (message, fix string) {
	if why, advice := forbidden(r.path); why != "" || g.o.RemoteBases {
		return why, advice
	}
	message = "is remote: a cluster would build what that place holds on that day"
	if r.isBase() {
		return message, "copy it into the component, or in keos-oci.yaml set artifact: {remoteBases: vendor}, which renders it into the artifact, or {remoteBases: allow}"
	}
	return message, "copy it into the component (only resources can be rendered), or set artifact: {remoteBases: allow} in keos-oci.yaml"
}

// judgeOutside describes a reference that climbs above the artifact's root. One that climbs and comes back is no better:
// the root has no name in the artifact.
func (g *gate) judgeOutside(dir string, r reference) (message, fix string) {
	full := path.Join(g.c.Root, dir, r.path)
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

// commonFolder is the innermost folder that holds both.
func commonFolder(dir, p string) string {
	for dir != "." && !strings.HasPrefix(p, dir+"/") {
		dir = path.Dir(dir)
	}
	return dir
}

func (g *gate) judgeInside(target string, r reference) (message, fix string) {
	switch {
	case g.files[target]:
		return "", ""
	case g.dirs[target] && r.dir:
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
	case info.IsDir() && !r.dir:
		return "is a folder where a file is needed", ""
	case info.IsDir():
		return g.judgeFolder(target)
	}
	return "exists but is not in the artifact: " + g.leftOut(target), "commit the file and let no ignore rule match it"
}

// isForeign tells whether a path below the root is none of the component's own, and is not taken along either.
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
	if g.kusts[dir] != nil {
		return "", ""
	}
	for _, name := range kustomizationNames() {
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

// forbidden says why a URL is fetched under no setting, "" if it may be.
func forbidden(p string) (why, advice string) {
	if onThisMachine.MatchString(p) {
		return "is a place on this machine, which no cluster has", "copy it into the component"
	}
	_, query, _ := strings.Cut(p, "?")
	values, _ := url.ParseQuery(query)
	for _, ref := range append(values["ref"], values["version"]...) {
		if strings.HasPrefix(ref, "-") { // kustomize hands it to git as it is
			return "has a ref that git would take for an option", "name a branch, a tag or a commit"
		}
	}
	return "", ""
}

// isRemote follows kustomize, whose own parser of repository URLs is internal: a URL with a scheme, Git's scp form, and
// GitHub's short form. Flux exports the list of prefixes; the rest is what it leaves to kustomize.
func isRemote(p string) bool {
	if !fluxkustomize.IsLocalRelativePath(p) && !filepath.IsAbs(p) {
		return true
	}
	if strings.Contains(p, "?ref=") || strings.Contains(p, "?version=") || strings.Contains(p, "://") {
		return true
	}
	return urlOrSCP.MatchString(p)
}

// Forms of remote references, in any case of letters as kustomize takes them.
var (
	onThisMachine = regexp.MustCompile(`(?i)^(?:git::)*file:`)
	urlOrSCP      = regexp.MustCompile(`(?i)^(?:file|https?):|^[a-z][a-z0-9-]*@[^/:]+[/:]`)
)

// relative is the way from a folder to a file, both below the root.
func relative(dir, file string) string {
	rel, err := filepath.Rel(filepath.FromSlash(dir), filepath.FromSlash(file))
	if err != nil {
		return file
	}
	return filepath.ToSlash(rel)
}

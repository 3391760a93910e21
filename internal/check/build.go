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

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/finding"
)

// maxMessage bounds what is repeated of kustomize's errors, in characters.
const maxMessage = 600

// buildVariants builds each variant from the artifact and, where that proves anything, from the checkout.
func (g *gate) buildVariants(ctx context.Context) error {
	equal, err := g.compareTrees()
	if err != nil {
		return err
	}
	for _, variant := range slices.Concat(g.c.Variants, g.unread()) {
		if err := ctx.Err(); err != nil {
			return err
		}
		g.buildVariant(ctx, path.Clean(variant), equal)
	}
	return ctx.Err()
}

// unread is the folders that hold a rendered base and that no variant reads: what was changed there is to be proven, too.
func (g *gate) unread() []string {
	if len(g.vendored) == 0 {
		return nil
	}
	read := map[string]bool{}
	for _, variant := range g.c.Variants {
		for _, name := range g.closure(path.Clean(variant)).files {
			read[name] = true
		}
	}
	var dirs []string
	for _, name := range sortedKeys(g.vendored) {
		if !read[name] && !g.kusts[path.Dir(name)].component {
			dirs = append(dirs, path.Dir(name))
		}
	}
	return dirs
}

func (g *gate) buildVariant(ctx context.Context, variant string, equal treeDiff) {
	if !g.dirs[variant] {
		g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleBuild, File: variant, Message: "the variant has no files in the artifact",
			Fix: "create it, or take it out of the variants"})
		return
	}
	read := g.closure(variant)
	// A wrong reference has its finding already, and building would only repeat it or, for a URL, go and fetch it.
	if read.fault || g.reportHazards(read) {
		return
	}
	built, err := render(ctx, g.c.Unpacked, variant, g.o.RemoteBases)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		f := g.explain(err, variant, read)
		if slices.ContainsFunc(read.files, func(name string) bool { return g.vendored[name] }) {
			f.Fix = "if it builds in the checkout, it reaches into how a remote base is made, which is rendered here: " + keepBase
		}
		g.report(f)
		return
	case built.Size() == 0:
		g.warnEmpty(variant)
	}
	g.checkRendered(ctx, variant, built, read)
	g.checkEqual(ctx, variant, built, equal)
}

// keepBase is what helps where a remote base cannot be rendered.
const keepBase = "copy it into the repository, or set artifact: {remoteBases: allow}"

// reportHazards keeps from kustomize what would cost it gigabytes or overflow its stack, which no recover can catch.
func (g *gate) reportHazards(read closure) bool {
	found := false
	for _, name := range read.files {
		if !g.risky[name] {
			continue
		}
		data, err := g.read(name)
		if err != nil {
			continue
		}
		docs, _ := parse(data)
		if message, line := hazard(docs); message != "" {
			g.report(finding.Finding{Severity: finding.Error, Rule: finding.RuleBuild, File: name, Line: line, Message: message,
				Fix: "write it out flat"})
			found = true
		}
	}
	return found
}

// explain turns kustomize's error, a nest of sentences around the one that matters, into a finding at the place that has
// to be edited.
func (g *gate) explain(err error, variant string, read closure) finding.Finding {
	f := finding.Finding{Severity: finding.Error, Rule: finding.RuleBuild, File: variant}
	if file, line, fault := g.syntaxError(read); fault != "" {
		f.File, f.Line, f.Message = file, line, fault
		return f
	}
	full := g.hidePaths(err.Error(), g.c.Unpacked)
	f.Message = g.redact(innermost(full), read)
	f.File = g.kustomizationAt(full, variant)
	g.locate(&f)
	g.locateObject(&f, read)
	return f
}

// syntaxError finds the first file of a build that is no YAML. Kustomize tells the line of some of them only.
func (g *gate) syntaxError(read closure) (file string, line int, message string) {
	for _, name := range read.files {
		data, err := g.read(name)
		if err != nil {
			continue
		}
		if _, err := parse(data); err != nil {
			text := strings.TrimPrefix(err.Error(), "yaml: ")
			return name, errorLine(data, err), "not valid YAML: " + regexp.MustCompile(`^line \d+: `).ReplaceAllString(text, "")
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
func (g *gate) redact(message string, read closure) string {
	for _, name := range read.files {
		data, err := g.read(name)
		if err != nil || !isKustomization(name) && !bytes.Contains(data, []byte("Secret")) {
			continue
		}
		docs, _ := parse(data)
		for _, doc := range docs {
			for _, value := range secretValues(doc) {
				message = strings.ReplaceAll(message, value, "…")
			}
		}
	}
	return shortened(strings.Join(strings.Fields(shareable(message)), " "))
}

func shortened(message string) string {
	if runes := []rune(message); len(runes) > maxMessage {
		return string(runes[:maxMessage]) + "…"
	}
	return message
}

// innermost cuts the sentences with which kustomize says through which folders it came.
func innermost(message string) string {
	for _, frame := range []string{`recursed accumulation of path '[^']*': `, `couldn't make target for path '[^']*': `} {
		if all := regexp.MustCompile(frame).FindAllStringIndex(message, -1); all != nil {
			message = message[all[len(all)-1][1]:]
		}
	}
	message = strings.TrimPrefix(message, "accumulating resources: ")
	// What follows is kustomize trying the file as a folder, which it never was.
	if cause, _, ok := strings.Cut(message, "': must build at directory: "); ok {
		message = strings.TrimPrefix(cause, "accumulation err='")
	}
	return message
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
		if k := g.kusts[d]; k != nil {
			return k.file
		}
	}
	return variant
}

// locate finds the line of what a message names: a resource in the kustomization's list, an unknown field, a file.
func (g *gate) locate(f *finding.Finding) {
	k := g.kusts[path.Dir(f.File)]
	if match := regexp.MustCompile(`resources from '([^']*)'`).FindStringSubmatch(f.Message); match != nil && k != nil {
		for _, r := range k.refs {
			if r.path == match[1] {
				f.Line = r.line
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
	docs, _ := parse(data)
	for _, doc := range docs {
		if found := lineOfKey(doc, key); found > 0 {
			return found
		}
	}
	return 0
}

func lineOfKey(n *yaml.Node, key string) int {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Value == key {
			return child.Line
		}
		if found := lineOfKey(child, key); found > 0 {
			return found
		}
	}
	return 0
}

// locateObject finds the object that a message names by kustomize's id (Kind.version.group/name.namespace), in the last
// file that has it: the patch without a target, the second of two equal ids.
func (g *gate) locateObject(f *finding.Finding, read closure) {
	match := regexp.MustCompile(`\b([A-Z]\w*)\.[^/\s"]*/([^\s"]+)\.(?:\[noNs\]|[\w-]+)`).FindStringSubmatch(f.Message)
	if match == nil {
		return
	}
	for _, name := range slices.Backward(read.files) {
		if isKustomization(name) {
			continue
		}
		data, err := g.read(name)
		if err != nil {
			continue
		}
		docs, _ := parse(data)
		for _, doc := range slices.Backward(docs) {
			if text(field(doc, "kind")) == match[1] && text(field(field(doc, "metadata"), "name")) == match[2] {
				f.File, f.Line = name, doc.Line
				return
			}
		}
	}
}

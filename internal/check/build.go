package check

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	fluxkustomize "github.com/fluxcd/pkg/kustomize"
	securefs "github.com/fluxcd/pkg/kustomize/filesys"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// maxMessage bounds what is repeated of kustomize's errors, in characters.
const maxMessage = 600

// kustomizeTurn guards kustomize's OpenAPI schema, which is global to the process. It is no mutex because whoever waits for
// a build that waits for the network must be able to give up.
var kustomizeTurn = make(chan struct{}, 1)

// Render builds one folder below root as Flux's kustomize-controller does, and returns the objects as YAML and their
// number. Nothing outside root is read and nothing at all is written: a kustomization that Flux would add or complete
// exists in memory only. remoteBases allows URLs, which are fetched with Git or HTTP.
func Render(ctx context.Context, root, dir string, remoteBases bool) (objects []byte, count int, err error) {
	built, err := render(ctx, root, dir, remoteBases)
	if err != nil {
		return nil, 0, err
	}
	objects, err = built.AsYaml()
	return objects, built.Size(), err
}

// render builds without writing the objects out, which is half of the work.
func render(ctx context.Context, root, dir string, remoteBases bool) (resmap.ResMap, error) {
	fs, err := overlay(root, remoteBases)
	if err != nil {
		return nil, err
	}
	return inTurn(ctx, func() (resmap.ResMap, error) {
		built, err := build(fs, root, filepath.Join(root, filepath.FromSlash(dir)))
		if err != nil && fs.refused != nil {
			err = fs.refused // which kustomize takes for a file that is not there
		}
		return built, err
	})
}

// inTurn runs one build at a time. Kustomize fetches without a deadline: a build is left behind when ctx ends.
func inTurn(ctx context.Context, build func() (resmap.ResMap, error)) (resmap.ResMap, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case kustomizeTurn <- struct{}{}:
	}
	type result struct {
		built resmap.ResMap
		err   error
	}
	done := make(chan result, 1)
	go func() {
		built, err := recovered(build)
		<-kustomizeTurn
		done <- result{built, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		return r.built, r.err
	}
}

// recovered makes an error of kustomize's panics on some invalid objects, as Flux does.
func recovered(build func() (resmap.ResMap, error)) (built resmap.ResMap, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("kustomize panicked: %v", r)
		}
	}()
	return build()
}

// overlay is Flux's own file system: confined to root, symlinks resolved, writes kept in memory.
func overlay(root string, remoteBases bool) (*cloneFS, error) {
	open := securefs.MakeFsOnDiskSecure
	if remoteBases {
		open = securefs.MakeFsOnDiskSecureBuild
	}
	disk, err := open(root)
	if err != nil {
		return nil, err
	}
	clones, err := securefs.TmpConfirmedDirPrefix()
	return &cloneFS{FileSystem: securefs.MakeFsInMemory(disk), disk: disk, clones: clones}, err
}

// cloneFS lets kustomize remove its clones of remote bases, which are on disk and not in memory.
type cloneFS struct {
	filesys.FileSystem
	disk    filesys.FileSystem
	clones  string // how the paths of clones begin; a root that begins so is refused
	refused error  // the first file of a clone that must not be read
}

func (f *cloneFS) RemoveAll(name string) error {
	if strings.HasPrefix(name, f.clones) {
		return f.disk.RemoveAll(name)
	}
	return f.FileSystem.RemoveAll(name)
}

// ReadFile holds what was fetched to what holds for the checkout: it names no place on this machine, and is nothing that costs
// kustomize gigabytes.
func (f *cloneFS) ReadFile(name string) ([]byte, error) {
	data, err := f.FileSystem.ReadFile(name)
	if err != nil || !strings.HasPrefix(name, f.clones) || !isKustomization(name) && !looksRisky(data) {
		return data, err
	}
	if fault := refuse(name, data); fault != "" {
		err = fmt.Errorf("%s: %s", filepath.Base(name), fault)
		f.refused = cmp.Or(f.refused, err)
		return nil, err
	}
	return data, nil
}

// refuse says what is wrong with a fetched file, "" when nothing is.
func refuse(name string, data []byte) string {
	docs, _ := parse(data) // what does not parse is for kustomize to tell
	if message, _ := hazard(docs); message != "" || !isKustomization(name) {
		return message
	}
	k := &kustomization{}
	for _, doc := range docs {
		k.collect(doc)
	}
	if k.unclear != "" {
		return fmt.Sprintf("line %d %s", k.unclearLine, k.unclear)
	}
	for _, r := range k.refs {
		if why, _ := forbidden(r.path); why != "" && !r.maybe {
			return fmt.Sprintf("line %d: %s: %s %s", r.line, r.field, shareable(r.path), why)
		}
	}
	return ""
}

// build is fluxcd/pkg/kustomize's Build but for one thing: Flux parses Kubernetes' OpenAPI schema anew for each build, 50 ms
// that isolate builds which bring a schema of their own. Here the schema is loaded when first needed and thrown away only
// after such a build; a test holds both to the same output.
func build(fs filesys.FileSystem, root, dir string) (resmap.ResMap, error) {
	generator := fluxkustomize.NewGenerator(root, unstructured.Unstructured{})
	manifest, file, _, err := generator.GenerateManifest(dir)
	if err != nil {
		return nil, err
	}
	if err := fs.WriteFile(file, manifest); err != nil {
		return nil, err
	}
	if strings.Contains(string(manifest), "openapi:") {
		_ = openapi.Schema() // as in Flux, a schema of its own adds to the builtin one only when that is loaded before
	}
	builtin := openapi.GetSchemaVersion()
	defer func() {
		if openapi.GetSchemaVersion() != builtin {
			openapi.ResetOpenAPI()
		}
	}()
	return krusty.MakeKustomizer(&krusty.Options{
		LoadRestrictions: types.LoadRestrictionsNone, // the file system restricts
		PluginConfig:     types.DisabledPluginConfig(),
	}).Run(fs, dir)
}

// buildVariants builds each variant from the artifact and, where that proves anything, from the checkout.
func (g *gate) buildVariants(ctx context.Context) error {
	equal, err := g.compareTrees()
	if err != nil {
		return err
	}
	for _, variant := range append(g.c.Variants, g.unread()...) {
		if err := ctx.Err(); err != nil {
			return err
		}
		g.buildVariant(ctx, path.Clean(variant), equal)
	}
	return ctx.Err()
}

// unread is the folders that hold a rendered base and that no variant reads: what was changed there is to be proven, too.
func (g *gate) unread() []string {
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
		g.report(Finding{Severity: Error, Rule: RuleBuild, File: variant, Message: "the variant has no files in the artifact",
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
			g.report(Finding{Severity: Error, Rule: RuleBuild, File: name, Line: line, Message: message,
				Fix: "write it out flat"})
			found = true
		}
	}
	return found
}

// explain turns kustomize's error, a nest of sentences around the one that matters, into a finding at the place that has
// to be edited.
func (g *gate) explain(err error, variant string, read closure) Finding {
	f := Finding{Severity: Error, Rule: RuleBuild, File: variant}
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
	if k := g.kusts[dir]; k != nil {
		return k.file
	}
	return dir
}

// locate finds the line of what a message names: a resource in the kustomization's list, an unknown field, a file.
func (g *gate) locate(f *Finding) {
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
func (g *gate) locateObject(f *Finding, read closure) {
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
		if _, ok := g.stands[name]; ok {
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
		if ext := path.Ext(name); !g.files[name] && (ext == ".yaml" || ext == ".yml" || isKustomization(name)) {
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
func (g *gate) checkEqual(ctx context.Context, variant string, built resmap.ResMap, diff treeDiff) {
	if diff.none() {
		return
	}
	objects, err := g.asYAML(built)
	if err != nil {
		g.report(g.explain(err, variant, g.closure(variant)))
		return
	}
	root := filepath.Join(g.c.Workspace, filepath.FromSlash(g.c.Root))
	there, err := g.buildThere(ctx, root, variant)
	if ctx.Err() != nil || (err == nil && slices.Equal(objects, there)) {
		return
	}
	message := "builds to other objects in the checkout than from the artifact"
	if err != nil {
		message = "builds from the artifact but not in the checkout: " + g.redact(innermost(g.hidePaths(err.Error(), root)), g.closure(variant))
	}
	if err != nil && len(g.c.Vendored) > 0 {
		g.report(Finding{Severity: Error, Rule: RuleRemote, File: variant, Message: message, Fix: "run it again; where a remote base cannot be built a second time, " + keepBase})
		return
	}
	fix := "commit what the variant needs, and remove or ignore nothing that it reads"
	if len(g.c.Vendored) > 0 {
		fix += "; if the remote base has not just moved, " + keepBase
	}
	g.report(Finding{Severity: Error, Rule: RuleEqual, File: variant, Message: message + g.describe(variant, diff), Fix: fix})
}

// buildThere builds a variant in the checkout, where a rendered base is fetched once more.
func (g *gate) buildThere(ctx context.Context, root, variant string) (objects []byte, err error) {
	build := func() error {
		built, err := render(ctx, root, variant, g.o.RemoteBases || len(g.c.Vendored) > 0)
		if err == nil {
			objects, err = g.asYAML(built)
		}
		return err
	}
	if len(g.c.Vendored) == 0 {
		return objects, build()
	}
	return objects, again(ctx, build)
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

package check

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
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
)

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
		built, err := quietly(build)
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

// quietly keeps kustomize from writing about deprecated fields to the process's stderr, over and over: they are a finding. One build runs at a time.
func quietly(build func() (resmap.ResMap, error)) (resmap.ResMap, error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	stderr := os.Stderr
	os.Stderr = null
	defer func() { os.Stderr = stderr }()
	return recovered(build)
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

// cloneFS stands between kustomize and its clones of remote bases. They are on disk and not in memory, so that it can remove
// them, and what is read of them is judged first.
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
	if err != nil || !strings.HasPrefix(name, f.clones) {
		return data, err
	}
	if fault := refuse(name, data); fault != "" {
		err = fmt.Errorf("%s: %s", filepath.Base(name), fault)
		f.refused = cmp.Or(f.refused, err)
		return nil, err
	}
	return data, nil
}

// inGit tells whether a file of a clone is in its .git folder, be it by a link.
func inGit(name string) bool {
	real, err := filepath.EvalSymlinks(name)
	return err != nil || slices.Contains(strings.Split(filepath.ToSlash(real), "/"), ".git")
}

// refuse says what is wrong with a fetched file, "" when nothing is.
func refuse(name string, data []byte) string {
	switch {
	case inGit(name):
		return "is Git's own, and knows the login of the clone"
	case !isKustomization(name) && !looksRisky(data):
		return ""
	}
	docs, _ := parse(data) // what does not parse is for kustomize to tell
	if message, _ := hazard(docs); message != "" || !isKustomization(name) {
		return message
	}
	k := newKustomization(name, docs, data)
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
	return buildWith(fs, root, dir, func(manifest []byte) ([]byte, error) { return manifest, nil })
}

// buildWith is build with a change to the folder's kustomization, in memory only.
func buildWith(fs filesys.FileSystem, root, dir string, change func([]byte) ([]byte, error)) (resmap.ResMap, error) {
	generator := fluxkustomize.NewGenerator(root, unstructured.Unstructured{})
	manifest, file, _, err := generator.GenerateManifest(dir)
	if err == nil {
		manifest, err = change(manifest)
	}
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

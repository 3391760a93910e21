package kustomize

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
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/manifest"
)

// kustomizeTurn guards kustomize's OpenAPI schema, which is global to the process. It is no mutex because whoever waits for
// a build that waits for the network must be able to give up.
var kustomizeTurn = make(chan struct{}, 1)

// Options are how a folder is built.
type Options struct {
	RemoteBases bool // URLs are allowed, which are fetched with Git or HTTP
	Origins     bool // each object has annotations that say where it comes from
	// Kustomization is the Flux Kustomization that builds the folder, with its patches, images and namespace; nil for none.
	Kustomization map[string]any
}

// Render builds one folder and returns its objects as YAML.
func Render(ctx context.Context, root, dir string, o Options) ([]byte, error) {
	built, err := Build(ctx, root, dir, o)
	if err != nil {
		return nil, err
	}
	return built.AsYaml()
}

// Build builds one folder below root as Flux's kustomize-controller does. Nothing outside root is read and nothing at all is
// written: a kustomization that Flux would add or complete exists in memory only. To write the objects out is half of the work, and
// left to those who need it.
func Build(ctx context.Context, root, dir string, o Options) (resmap.ResMap, error) {
	fs, err := overlay(root, o.RemoteBases)
	if err != nil {
		return nil, err
	}
	change := func(text []byte) ([]byte, error) { return text, nil }
	if o.Origins {
		change = withOrigins
	}
	return inTurn(ctx, func() (resmap.ResMap, error) {
		object := unstructured.Unstructured{Object: o.Kustomization}
		built, err := build(fs, root, filepath.Join(root, filepath.FromSlash(dir)), object, change)
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

// quietly keeps kustomize from writing about deprecated fields to the process's stderr, over and over: they are a finding.
// One build runs at a time.
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

// cloneFS is the files that kustomize sees of its clones of remote bases. Clones are on disk and not in memory, so that kustomize
// can remove them. Files of clones are checked before kustomize reads them.
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

// ReadFile refuses in fetched files what is refused in the checkout: paths of this machine, and files for which
// kustomize needs gigabytes.
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

// inGit reports whether a file of a clone is in its .git folder, be it by a link.
func inGit(name string) bool {
	real, err := filepath.EvalSymlinks(name)
	return err != nil || slices.Contains(strings.Split(filepath.ToSlash(real), "/"), ".git")
}

// refuse says what is wrong with a fetched file, "" when nothing is.
func refuse(name string, data []byte) string {
	switch {
	case inGit(name):
		return "is Git's own, and knows the login of the clone"
	case !IsFile(name) && !Risky(data):
		return ""
	}
	docs, _ := manifest.Parse(data) // what does not parse is for kustomize to tell
	if message, _ := Hazard(docs); message != "" || !IsFile(name) {
		return message
	}
	k := New(name, docs, data)
	if k.Unclear != "" {
		return fmt.Sprintf("line %d %s", k.UnclearLine, k.Unclear)
	}
	for _, r := range k.References {
		if why, _ := Forbidden(r.Path); why != "" && !r.Maybe {
			return fmt.Sprintf("line %d: %s: %s %s", r.Line, r.Field, Shareable(r.Path), why)
		}
	}
	return ""
}

// build is fluxcd/pkg/kustomize's Build but for one thing: Flux parses Kubernetes' OpenAPI schema anew for each build, 50 ms
// that isolate builds which bring a schema of their own. Here the schema is loaded when first needed and thrown away only
// after such a build; a test compares the output of both. The folder's kustomization is changed in memory only.
func build(fs filesys.FileSystem, root, dir string, object unstructured.Unstructured, change func([]byte) ([]byte, error)) (resmap.ResMap, error) {
	generator := fluxkustomize.NewGenerator(root, object)
	text, file, _, err := generator.GenerateManifest(dir)
	if err == nil {
		text, err = change(text)
	}
	if err != nil {
		return nil, err
	}
	if err := fs.WriteFile(file, text); err != nil {
		return nil, err
	}
	if strings.Contains(string(text), "openapi:") {
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

// withOrigins asks kustomize to say of each object where it comes from.
func withOrigins(text []byte) ([]byte, error) {
	k, err := yaml.Parse(string(text))
	if err != nil {
		return nil, err
	}
	err = k.PipeE(yaml.SetField("buildMetadata", yaml.NewListRNode("originAnnotations", "transformerAnnotations")))
	if err != nil {
		return nil, err
	}
	out, err := k.String()
	return []byte(out), err
}

package release

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/pack"
)

// TestRandomRepositories: whatever a repository looks like, each variant builds from the artifact to the same bytes as in
// the checkout, or the gate names a file. Every run has the same ones, so that a change alone can make it fail;
// KEOS_OCI_SEED takes others (make random), KEOS_OCI_REPOSITORIES more of them.
func TestRandomRepositories(t *testing.T) {
	seed := uint64(1)
	if text := os.Getenv("KEOS_OCI_SEED"); text != "" {
		seed = number(t, text)
	}
	count := uint64(500)
	if text := os.Getenv("KEOS_OCI_REPOSITORIES"); text != "" {
		count = number(t, text)
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := strings.CutPrefix(r.URL.Path, "/there/"); ok {
			fmt.Fprintf(w, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {far: \"1\"}\n", name)
			return
		}
		http.NotFound(w, r)
	}))
	defer elsewhere.Close()
	var sum tally
	for i := range count {
		r := randomRepository(seed+i, elsewhere.URL)
		dir := t.TempDir()
		s := r.service(t, dir)
		for _, c := range s.Workspace.Components {
			if err := r.examine(t, s, c, &sum); err != nil {
				t.Fatalf("KEOS_OCI_SEED=%d KEOS_OCI_REPOSITORIES=1, component %s: %v\n%s", seed+i, c.Name, err, r)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%+v", sum)
	if all := sum.accepted + sum.refused; count >= 500 && (sum.accepted*4 < all || sum.refused*10 < all || sum.remote < 20) {
		t.Errorf("the repositories prove little: %+v", sum)
	}
}

func number(t *testing.T, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type tally struct{ accepted, refused, builds, changes, remote int }

// repository is a checkout in the making.
type repository struct {
	*rand.Rand
	files     map[string]string
	links     map[string]string
	untracked map[string]bool
	config    string
	messy     bool   // it may hold mistakes
	remote    string // where some of what it refers to is; empty for one that refers to nothing remote
	objects   int
}

// folder is one with a kustomization, or without.
type folder struct {
	dir       string
	component bool
	files     []string // relative to it
}

func (r *repository) String() string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		fmt.Fprintf(&out, "-- %s -- %s\n%s", name, map[bool]string{true: "(untracked)"}[r.untracked[name]], r.files[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.links)) {
		fmt.Fprintf(&out, "-- %s -> %s\n", name, r.links[name])
	}
	return out.String()
}

func (r *repository) oneIn(n int) bool { return r.IntN(n) == 0 }

func pick[T any](r *repository, list []T) T { return list[r.IntN(len(list))] }

// randomRepository lays out apps below one folder, each on bases and commons that may be shared.
func randomRepository(seed uint64, elsewhere string) *repository {
	r := &repository{Rand: rand.New(rand.NewPCG(seed, 1)), files: map[string]string{}, links: map[string]string{},
		untracked: map[string]bool{}}
	r.messy = r.oneIn(2)
	if r.oneIn(5) {
		r.remote = elsewhere
	}
	layout := pick(r, []string{"components", "layer", "envFirst", "envFirst", "named"})
	var low []folder
	r.files["shared/outside.yaml"] = r.object()
	for i := range r.IntN(3) {
		low = append(low, r.folder(fmt.Sprintf("apps/common/c%d", i), low, r.oneIn(2)))
	}
	var apps []string
	for i := range 1 + r.IntN(2) {
		apps = append(apps, pick(r, []string{"web", "db-2", "3rd", "a.b"})+strconv.Itoa(i))
	}
	place := func(stage, app string) string {
		if layout == "components" {
			return path.Join("apps", app, stage)
		}
		return path.Join("apps", stage, app)
	}
	for _, app := range apps {
		below := low
		if !r.oneIn(4) {
			below = append(slices.Clone(low), r.folder(place("base", app), low, false))
		}
		for _, stage := range []string{"staging", "production"}[:1+r.IntN(2)] {
			r.folder(place(stage, app), below, false)
		}
	}
	r.configure(layout, apps, place)
	if r.messy {
		r.mess()
	}
	return r
}

func (r *repository) configure(layout string, apps []string, place func(stage, app string) string) {
	config := "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nregistry: ghcr.io/o/r\n"
	switch layout {
	case "components":
		config += "discover: [{layout: components, path: apps}]\ncomponents:\n  common: {paths: [shared], variants: [.]}\n"
		delete(r.files, "apps/common/kustomization.yaml")
		config = strings.Replace(config, "  common: {paths: [shared], variants: [.]}\n", "", 1)
		for _, app := range apps {
			config += fmt.Sprintf("  %q: {root: %s}\n", app, pick(r, []string{"apps", "apps/" + app, "."}))
		}
	case "layer":
		config += "discover: [{layout: layer, path: apps}]\n"
	case "envFirst":
		config += "discover: [{layout: envFirst, path: apps, environments: [staging]}]\n"
		if r.oneIn(2) {
			config = strings.Replace(config, ", environments: [staging]", "", 1)
			r.files["apps/keep.yaml"] = r.object()
		}
	case "named":
		config += "components:\n"
		for _, app := range apps {
			var paths []string
			for _, stage := range []string{"base", "staging", "production"} {
				if r.has(place(stage, app)) {
					paths = append(paths, place(stage, app))
				}
			}
			config += fmt.Sprintf("  %q: {paths: [%s], root: %s}\n", app, strings.Join(paths, ", "), pick(r, []string{"apps", "."}))
		}
	}
	config += fmt.Sprintf("artifact: {remoteBases: %s, mode: %s, external: %s, ignore: [%s]}\n",
		map[bool]string{true: "vendor", false: "error"}[r.remote != ""], pick(r, []string{"closure", "closure", "folder"}),
		pick(r, []string{"include", "include", "include", "error"}), pick(r, []string{"", "", `"*.md"`}))
	r.config = config
}

func (r *repository) has(dir string) bool {
	for name := range r.files {
		if strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

func (r *repository) object() string {
	r.objects++
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: n%d\ndata:\n  a: b%d\n", r.objects, r.IntN(100))
}

// name is one that a file may have, and that an unwary reader of paths gets wrong.
func (r *repository) name(ext string) string {
	r.objects++
	return pick(r, []string{"x", "x", "x", "with space", "a=b", "ümlaut", "-dash", "a{b", "dot.", "sub/x", "#hash", "50%", "a'b", "con+"}) +
		strconv.Itoa(r.objects) + ext
}

func (r *repository) add(f *folder, ext, content string) string {
	name := r.name(ext)
	r.files[path.Join(f.dir, name)] = content
	f.files = append(f.files, name)
	return name
}

// from writes the way to a file in one of several forms.
func (r *repository) from(dir, target string) string {
	rel, _ := filepath.Rel(dir, target)
	switch r.IntN(6) {
	case 0:
		return "./" + rel
	case 1:
		return "gone/../" + rel
	case 2:
		return strings.Replace(rel, "/", "//", 1)
	}
	return rel
}

// folder makes one that refers to files of its own and to folders made before.
func (r *repository) folder(dir string, low []folder, isComponent bool) folder {
	f := folder{dir: dir, component: isComponent}
	if !isComponent && strings.HasSuffix(path.Dir(dir), "staging") && r.oneIn(8) { // Flux takes what it finds
		r.plain(&f)
		return f
	}
	var k strings.Builder
	if isComponent {
		k.WriteString("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n")
	}
	local := fmt.Sprintf("n%d", r.objects+1)
	content := r.object()
	fmt.Fprintf(&k, "resources:\n- %q\n", r.from(dir, path.Join(dir, r.add(&f, ".yaml", content))))
	used := map[string]bool{}
	var components []string
	for range r.IntN(3) {
		if len(low) == 0 {
			break
		}
		if g := pick(r, low); !used[g.dir] {
			used[g.dir] = true
			if g.component {
				components = append(components, g.dir)
			} else {
				fmt.Fprintf(&k, "- %q\n", r.from(dir, g.dir)+pick(r, []string{"", "", "/"}))
			}
		}
	}
	if r.remote != "" && r.oneIn(2) {
		r.objects++
		where := "there"
		if r.messy && r.oneIn(6) {
			where = "gone"
		}
		fmt.Fprintf(&k, pick(r, []string{"- %s/%s/r%d\n", "-   \"%s/%s/r%d\"  # far\n", "- '%s/%s/r%d'\n"}), r.remote, where, r.objects)
	}
	if len(components) > 0 {
		k.WriteString("components:\n")
		for _, c := range components {
			fmt.Fprintf(&k, "- %q\n", r.from(dir, c))
		}
	}
	for _, field := range r.Perm(fields)[:r.IntN(4)] {
		r.field(&k, &f, low, local, field)
	}
	if r.oneIn(3) {
		r.add(&f, ".md", "notes\n")
	}
	if r.oneIn(4) {
		r.add(&f, ".yaml", r.object())
	}
	name := pick(r, []string{"kustomization.yaml", "kustomization.yaml", "kustomization.yml", "Kustomization"})
	r.files[path.Join(dir, name)] = k.String()
	return f
}

// plain is a folder without a kustomization, in which others may have one.
func (r *repository) plain(f *folder) {
	r.add(f, ".yaml", r.object())
	r.files[f.dir+"/deeper/readme.txt"] = "x\n"
	r.files[f.dir+"/deeper/more.yaml"] = r.object()
	r.files[f.dir+"/inner/kustomization.yaml"] = "resources: [deep/x.yaml]\n"
	r.files[f.dir+"/inner/deep/x.yaml"] = r.object()
	r.files[f.dir+"/inner/deep/left.yaml"] = r.object()
}

// fields is how many kinds of reference field knows.
const fields = 16

// field adds a reference of one kind. The file may be one of the folder's own or of another one.
func (r *repository) field(k *strings.Builder, f *folder, low []folder, local string, kind int) {
	at := *f
	if len(low) > 0 && r.oneIn(2) {
		at = pick(r, low)
	}
	file := func(ext, content string) string { return r.from(f.dir, path.Join(at.dir, r.add(&at, ext, content))) }
	json := "- {op: add, path: /metadata/annotations, value: {p: \"1\"}}\n"
	r.objects++
	id := r.objects
	switch kind {
	case 0:
		fmt.Fprintf(k, "patches:\n- path: %q\n  target: {kind: ConfigMap}\n", file(".yaml", json))
	case 1:
		fmt.Fprintf(k, "patchesJson6902:\n- path: %q\n  target: {version: v1, kind: ConfigMap, name: %s}\n",
			file(".json", "["+`{"op": "add", "path": "/data/j", "value": "1"}`+"]"), local)
	case 2:
		fmt.Fprintf(k, "patchesStrategicMerge:\n- %q\n",
			file(".yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+local+"}\ndata: {s: \"1\"}\n"))
	case 3:
		fmt.Fprintf(k, "replacements:\n- path: %q\n", file(".yaml",
			"source: {kind: ConfigMap, name: "+local+", fieldPath: metadata.name}\ntargets:\n- select: {kind: ConfigMap, name: "+local+"}\n  fieldPaths: [data.r]\n  options: {create: true}\n"))
	case 4:
		fmt.Fprintf(k, "configMapGenerator:\n- name: g%d\n  files:\n  - %q\n", id, "key="+file(".txt", "text\n"))
	case 5:
		fmt.Fprintf(k, "configMapGenerator:\n- name: g%d\n  envs: [%q]\n", id, file(".env", "A=1\n"))
	case 6:
		fmt.Fprintf(k, "configMapGenerator:\n- name: g%d\n  env: %q\n", id, file(".properties", "B=1\n"))
	case 7:
		fmt.Fprintf(k, "crds: [%q]\n", file(".json", "{}\n"))
	case 8:
		fmt.Fprintf(k, "configurations: [%q]\n", file(".yaml", "namePrefix: []\n"))
	case 9:
		fmt.Fprintf(k, "generators:\n- %q\n", file(".yaml",
			fmt.Sprintf("apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: p%d}\nname: p%d\nfiles: [%q]\n", id, id,
				"k="+file(".bin", "x"))))
	case 10:
		fmt.Fprintf(k,
			"generators:\n- |-\n  apiVersion: builtin\n  kind: ConfigMapGenerator\n  metadata: {name: p%d}\n  name: p%d\n  envs: [%q]\n", id, id,
			file(".env", "C=1\n"))
	case 11:
		fmt.Fprintf(k, "transformers:\n- %q\n", file(".yaml",
			fmt.Sprintf("apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: p%d}\npath: %q\ntarget: {kind: ConfigMap}\n", id,
				file(".yaml", json))))
	case 12:
		dir := fmt.Sprintf("%s/plugins%d", f.dir, id)
		r.files[dir+"/kustomization.yaml"] = "resources: [deep/plugin.yaml]\n"
		r.files[dir+"/deep/plugin.yaml"] = fmt.Sprintf("apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: p%d}\npath: %q\ntarget: {kind: ConfigMap}\n", id, file(".yaml", json))
		fmt.Fprintf(k, "transformers: [%q]\n", r.from(f.dir, dir))
	case 13:
		if r.oneIn(4) { // it costs a new schema each time
			fmt.Fprintf(k, "openapi: {path: %q}\n", file(".json", `{"definitions": {}}`))
		}
	case 14:
		fmt.Fprintf(k, "validators:\n- %q\n", file(".yaml",
			fmt.Sprintf("apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: p%d}\npath: %q\ntarget: {kind: Nothing}\n", id,
				file(".yaml", json))))
	case 15:
		fmt.Fprintf(k, "bases: [%q]\n", r.from(f.dir, r.sideBase(at.dir, id)))
	}
	if at.dir == f.dir {
		*f = at
	}
}

// sideBase makes a folder that is no app.
func (r *repository) sideBase(dir string, id int) string {
	side := fmt.Sprintf("%s/side%d", dir, id)
	r.files[side+"/kustomization.yaml"] = "resources: [x.yaml]\n"
	r.files[side+"/x.yaml"] = r.object()
	return side
}

// mess makes one or two mistakes, some of which are none.
func (r *repository) mess() {
	names := slices.Sorted(maps.Keys(r.files))
	for range 1 + r.IntN(2) {
		name := pick(r, names)
		if _, there := r.files[name]; !there {
			continue
		}
		isKustomization := strings.Contains(strings.ToLower(path.Base(name)), "kustomization")
		switch r.IntN(12) {
		case 0:
			r.untracked[name] = true
		case 1:
			delete(r.files, name)
		case 2: // a link where the file was
			r.files[name+".real"] = r.files[name]
			delete(r.files, name)
			r.links[name] = path.Base(name) + ".real"
		case 3: // a linked folder
			if dir := path.Dir(name); isKustomization {
				r.links[dir+"-link"] = path.Base(dir)
				for other, text := range r.files {
					if strings.HasSuffix(path.Base(other), "yaml") && strings.Contains(text, "/"+path.Base(dir)+`"`) {
						r.files[other] = strings.ReplaceAll(text, "/"+path.Base(dir)+`"`, "/"+path.Base(dir)+`-link"`)
					}
				}
			}
		case 4:
			r.files[path.Join("apps", pick(r, []string{".", "common", "base", "staging"}), ".sourceignore")] = pick(r,
				[]string{"*.env\n", "common/\n", "x*\n", "deep\n", "*\n!*.yaml\n"})
		case 5:
			r.files[".sourceignore"] = pick(r, []string{"*.json\n", "/apps/common\n", "**/base/**\n"})
		case 6:
			if isKustomization {
				r.files[name] += pick(r, []string{"crds: [../../../shared/outside.yaml]\n", "crds: [../../../../../etc/passwd]\n",
					"crds: [/etc/passwd]\n", "components: [https://example.com/x]\n",
					"components: [../..]\n", "crds: [../]\n", "validators: [absent.yaml]\n", "helmCharts: [{name: x, valuesFile: values.yaml}]\n", "nonsense: [a]\n"})
			}
		case 7:
			r.files[name] += "a: b: c\n"
		case 8:
			if isKustomization {
				r.files[path.Join(path.Dir(name), pick(r, []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}))] = "resources: []\n"
			}
		case 9:
			r.files[path.Join(path.Dir(name), "untracked.yaml")] = r.object()
			r.untracked[path.Join(path.Dir(name), "untracked.yaml")] = true
		case 10:
			r.files[name] = strings.Replace(r.files[name], "../", "../../", 1)
		case 11:
			r.files[name] = strings.Replace(r.files[name], "resources:", "Resources:", 1)
		}
	}
}

// service writes the repository and loads it.
func (r *repository) service(t *testing.T, dir string) *Service {
	t.Helper()
	temp := filepath.Join(dir, "unpacked")
	dir = filepath.Join(dir, "checkout")
	for _, d := range []string{dir, temp} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var tracked []git.File
	for name, content := range r.files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
		if !r.untracked[name] {
			tracked = append(tracked, git.File{Path: name, Mode: git.Regular})
		}
	}
	for name, target := range r.links {
		if err := os.Symlink(target, filepath.Join(dir, filepath.FromSlash(name))); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		} else if err == nil {
			tracked = append(tracked, git.File{Path: name, Mode: git.Symlink})
		}
	}
	slices.SortFunc(tracked, func(a, b git.File) int { return strings.Compare(a.Path, b.Path) })
	options := component.Options{Dir: dir, Config: []byte(r.config)}
	for _, f := range tracked {
		options.Files = append(options.Files, f.Path)
	}
	w, err := component.Load(options)
	if err != nil {
		if !r.messy {
			t.Fatalf("%v\n%s\n%s", err, r.config, r)
		}
		return &Service{Workspace: &component.Workspace{}} // told with its line, which other tests demand
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return &Service{Workspace: w, FS: root.FS(), Files: tracked, TempDir: temp, Remotes: new(kustomize.Remotes)}
}

// examine packs one component and checks what the gate promises.
func (r *repository) examine(t *testing.T, s *Service, c component.Component, sum *tally) error {
	p, err := s.pack(t.Context(), c)
	var fault *pack.PathError
	if errors.As(err, &fault) && fault.Path != "" {
		sum.refused++
		return r.mayRefuse(t, s, c, err)
	}
	if errors.Is(err, ErrRefused) { // a remote base that is not there
		sum.refused++
		return errors.Join(named(err), r.mayRefuse(t, s, c, err))
	}
	if err != nil {
		return err
	}
	for _, f := range p.source.Files {
		if !within(c.Root, f.Path) {
			return fmt.Errorf("%s is taken from outside the root %s", f.Path, c.Root)
		}
	}
	untracked := changes{untracked: r.untracked}
	if _, err = s.gate(t.Context(), p, untracked, nil); err != nil {
		sum.refused++
		return errors.Join(named(err), r.mayRefuse(t, s, c, err))
	}
	sum.accepted++
	sum.remote += len(p.remote)
	dir, err := os.MkdirTemp(s.TempDir, "")
	if err != nil {
		return err
	}
	if err := pack.Extract(t.Context(), bytes.NewReader(p.layer.Bytes), dir, pack.Limits{}); err != nil {
		return err
	}
	for _, v := range c.Variants {
		there, err := kustomize.Render(t.Context(), s.Workspace.Dir, path.Join(c.Root, v), kustomize.Options{RemoteBases: r.remote != ""})
		if err != nil {
			return fmt.Errorf("accepted, but in the checkout %s does not build: %w", v, err)
		}
		here, err := kustomize.Render(t.Context(), dir, v, kustomize.Options{RemoteBases: false})
		if err != nil || !bytes.Equal(here, there) {
			return fmt.Errorf("accepted, but from the artifact %s builds to other objects: %w\n%s\n--\n%s", v, err, here, there)
		}
		sum.builds++
	}
	return r.change(t, s, p, sum)
}

// named demands a place in every finding.
func named(err error) error {
	var refused *RefusedError
	if !errors.As(err, &refused) {
		return err
	}
	for _, f := range refused.Findings {
		if f.File == "" || f.Rule == finding.RuleReference && f.Line == 0 {
			return fmt.Errorf("a finding without a place: %s", f)
		}
	}
	return nil
}

// mayRefuse: where nothing is wrong, a reference that leaves a component may be refused, and nothing else.
func (r *repository) mayRefuse(t *testing.T, s *Service, c component.Component, reason error) error {
	artifact := s.Workspace.Config.Artifact
	if r.messy || artifact.External != component.ExternalInclude || len(artifact.Ignore) > 0 ||
		strings.Contains(reason.Error(), "is outside the component") {
		return nil
	}
	for _, v := range c.Variants {
		if _, err := kustomize.Render(t.Context(), s.Workspace.Dir, path.Join(c.Root, v),
			kustomize.Options{RemoteBases: r.remote != ""}); err != nil {
			return nil // two ways to the same base, say
		}
	}
	return fmt.Errorf("refused without a reason: %w", reason)
}

// change edits a tracked file: an artifact that changes with it must have been known to.
func (r *repository) change(t *testing.T, s *Service, p packed, sum *tally) error {
	file := pick(r, s.Files)
	if file.Mode != git.Regular {
		return nil
	}
	full := filepath.Join(s.Workspace.Dir, filepath.FromSlash(file.Path))
	edited := []byte(r.files[file.Path] + "# edited\n")
	if err := os.WriteFile(full, edited, 0o644); err != nil {
		return err
	}
	defer os.WriteFile(full, []byte(r.files[file.Path]), 0o644)
	after, err := s.pack(t.Context(), p.component)
	if err != nil {
		return err
	}
	if after.tree.ContentDigest == p.tree.ContentDigest {
		return nil
	}
	sum.changes++
	if !p.changedBy(file.Path) {
		return fmt.Errorf("%s changes the artifact and is not known to", file.Path)
	}
	return nil
}

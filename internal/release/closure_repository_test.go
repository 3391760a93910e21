package release

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

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

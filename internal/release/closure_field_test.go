package release

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/kustomize"
)

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
		return &Service{Workspace: &component.Workspace{}} // reported with its line, which other tests demand
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return &Service{Workspace: w, FS: root.FS(), Files: tracked, TempDir: temp, Remotes: new(kustomize.Remotes)}
}

package kustomize

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// walk follows from the folders of apps/ and returns "file <- why" for each file reached.
func walk(t *testing.T, files map[string]string, external bool, starts ...string) Inputs {
	t.Helper()
	tree := &Tree{Root: "apps", Paths: []string{"apps/web"}, External: external, Files: slices.Sorted(maps.Keys(files)),
		Read: InFolder(os.DirFS(write(t, files)))}
	reached, err := tree.Walk(t.Context(), starts...)
	if err != nil {
		t.Fatal(err)
	}
	return reached
}

func edges(r Inputs) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(r.Files)) {
		e := r.Files[name]
		why := e.Start
		if why == "" {
			why = fmt.Sprintf("%s:%d %s", strings.TrimPrefix(e.File, "apps/"), e.Line, e.Field)
		}
		list = append(list, strings.TrimPrefix(name, "apps/")+" <- "+strings.TrimPrefix(why, "apps/"))
	}
	return list
}

// TestWalk_fields: each field that kustomize follows is followed, with its line.
func TestWalk_fields(t *testing.T) {
	for text, want := range map[string]string{
		"resources:\n- ../common/f":                               "common/f <- web/kustomization.yaml:2 resources",
		"Resources:\n- ../common/f":                               "common/f <- web/kustomization.yaml:2 resources",
		"resources: [../common/sub/]":                             "common/sub/Kustomization <- web/kustomization.yaml:1 resources",
		"bases: [../common/sub]":                                  "common/sub/Kustomization <- web/kustomization.yaml:1 bases",
		"components: [./../common/sub]":                           "common/sub/Kustomization <- web/kustomization.yaml:1 components",
		"crds: [../common/f]":                                     "common/f <- web/kustomization.yaml:1 crds",
		"configurations: [../common/f]":                           "common/f <- web/kustomization.yaml:1 configurations",
		"generators: [../common/f]":                               "common/f <- web/kustomization.yaml:1 generators",
		"transformers: [../common/sub]":                           "common/sub/Kustomization <- web/kustomization.yaml:1 transformers",
		"validators: [../common/f]":                               "common/f <- web/kustomization.yaml:1 validators",
		"patches:\n- target: {kind: X}\n  path: ../common/f":      "common/f <- web/kustomization.yaml:3 patches.path",
		"patchesStrategicMerge: [../common/f]":                    "common/f <- web/kustomization.yaml:1 patchesStrategicMerge",
		"patchesJson6902: [{path: ../common/f}]":                  "common/f <- web/kustomization.yaml:1 patchesJson6902.path",
		"replacements: [{path: ../common/f}]":                     "common/f <- web/kustomization.yaml:1 replacements.path",
		"configMapGenerator: [{files: [k=../common/f]}]":          "common/f <- web/kustomization.yaml:1 configMapGenerator.files",
		"secretGenerator: [{files: [../common/f]}]":               "common/f <- web/kustomization.yaml:1 secretGenerator.files",
		"configMapGenerator: [{envs: [../common/f]}]":             "common/f <- web/kustomization.yaml:1 configMapGenerator.envs",
		"configMapGenerator: [{env: ../common/f}]":                "common/f <- web/kustomization.yaml:1 configMapGenerator.env",
		"openapi: {path: ../common/f}":                            "common/f <- web/kustomization.yaml:1 openapi.path",
		"helmCharts: [{valuesFile: ../common/f}]":                 "common/f <- web/kustomization.yaml:1 helmCharts.valuesFile",
		"generators:\n- |\n  kind: X\n  files: [../common/f]":     "common/f <- web/kustomization.yaml:4 X.files",
		"transformers: [../common/plugin.yaml]":                   "web/own <- common/plugin.yaml:2 path",
		"transformers: [../common/plugins]":                       "web/own <- common/plugins/deep.yaml:1 path",
		"resources: [gone/../../common/f, https://e.com/x, /etc]": "common/f <- web/kustomization.yaml:1 resources",
		"resources: [../../apps/common/f]":                        "",
		"resources: [../../other/f, ../../../x]":                  "",
		"resources: [../common]":                                  "",
		"patches: [{patch: '{path: ../common/f}'}]":               "",
		"resources: a: b":                                         "",
	} {
		got := edges(walk(t, map[string]string{"apps/web/kustomization.yaml": text + "\n", "apps/web/own": "", "apps/common/f": "", "other/f": "",
			"apps/common/sub/Kustomization": "", "apps/common/plugin.yaml": "kind: X\npath: own\n",
			"apps/common/plugins/kustomization.yml": "resources: [deep.yaml]", "apps/common/plugins/deep.yaml": "{path: own}"}, true, "apps/web"))
		if !slices.Contains(got, "web/kustomization.yaml <- web") {
			t.Errorf("%s: %q lacks the kustomization itself", text, got)
		}
		if want != "" && !slices.Contains(got, want) || want == "" && len(got) != 1 {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestWalk(t *testing.T) {
	repository := map[string]string{
		"apps/web/kustomization.yaml": "resources: [a.yaml, ../base, inner, ../gone]\n", "apps/web/a.yaml": "", "apps/web/unused.yaml": "",
		"apps/web/inner/kustomization.yaml": "resources: [../../base]\n", "apps/web/inner/.gitkeep": "",
		"apps/base/kustomization.yaml": "resources: [b.yaml]\ncomponents: [../cycle]\n", "apps/base/kustomization.yml": "resources: [c.yaml]\n",
		"apps/base/b.yaml": "", "apps/base/c.yaml": "", "apps/cycle/Kustomization": "resources: [../base]\n",
		"apps/plain/x.yaml": "", "apps/plain/x.json": "", "apps/plain/deep/y.yml": "", "apps/plain/in/kustomization.yaml": "resources: [more]\n",
		"apps/plain/in/z.yaml": "", "apps/plain/in/more/kustomization.yaml": "", "apps/kept/.gitkeep": "",
	}
	for name, tc := range map[string]struct {
		external bool
		starts   []string
		want     []string
	}{
		"far": {true, []string{"apps/web"}, []string{
			"base/b.yaml <- base/kustomization.yaml:1 resources", "base/c.yaml <- base/kustomization.yaml:1 resources",
			"base/kustomization.yaml <- web/kustomization.yaml:1 resources", "base/kustomization.yml <- web/kustomization.yaml:1 resources",
			"cycle/Kustomization <- base/kustomization.yaml:2 components", "web/a.yaml <- web/kustomization.yaml:1 resources",
			"web/inner/kustomization.yaml <- web/kustomization.yaml:1 resources", "web/kustomization.yaml <- web"}},
		"near": {false, []string{"apps/web"}, []string{"web/a.yaml <- web/kustomization.yaml:1 resources",
			"web/inner/kustomization.yaml <- web/kustomization.yaml:1 resources", "web/kustomization.yaml <- web"}},
		"without a kustomization": {false, []string{"apps/plain"}, []string{"plain/deep/y.yml <- plain", "plain/in/kustomization.yaml <- plain",
			"plain/x.yaml <- plain"}},
		"without anything": {false, []string{"apps/kept", "apps/absent"}, []string{"kept/.gitkeep <- kept"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := edges(walk(t, repository, tc.external, tc.starts...)); !slices.Equal(got, tc.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
	reached := walk(t, repository, true, "apps/web")
	for file, want := range map[string]bool{"apps/base/b.yaml": true, "apps/gone/kustomization.yaml": true, "apps/gone": true,
		"apps/gone2/x":         false,
		"apps/web/unused.yaml": false, "apps/.sourceignore": true, ".sourceignore": true, "apps/base/.sourceignore": true, "apps/kept/.sourceignore": false} {
		if reached.Concerns(file) != want {
			t.Errorf("Concerns(%s) = %v", file, !want)
		}
	}
}

// TestWalk_unreadable: a tracked file that is no longer there leads nowhere; one that cannot be read is an error.
func TestWalk_unreadable(t *testing.T) {
	dir := write(t, map[string]string{"apps/web/kustomization.yaml/x": ""})
	tree := &Tree{Read: InFolder(os.DirFS(dir)), Root: "apps", Paths: []string{"apps"},
		Files: []string{"apps/gone/kustomization.yaml", "apps/web/kustomization.yaml"}}
	if got, err := tree.Walk(t.Context(), "apps/gone"); err != nil || len(got.Files) != 1 {
		t.Errorf("Walk = %v, %v", got, err)
	}
	if _, err := tree.Walk(t.Context(), tree.Folders()...); err == nil {
		t.Error("a folder was read as a kustomization")
	}
}

package component

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// corpus loads a real repository, taking every file of it for tracked.
func corpus(t *testing.T, name string) *Workspace {
	t.Helper()
	root := os.Getenv("KEOS_OCI_CORPORA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "corpora")
	}
	dir, err := filepath.Abs(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no real repositories at %s: set KEOS_OCI_CORPORA to their folder", root)
	}
	o := Options{Dir: dir, RemoteURL: func() (string, error) { return "git@github.com:Stratio/" + name + ".git", nil }}
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			o.Files = append(o.Files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestCorpora(t *testing.T) {
	for name, tc := range map[string]struct {
		names    []string
		kind     Kind
		variants []string // of each component
		phases   []string
	}{
		"d2-apps": {[]string{"backend", "frontend"}, App, []string{"production", "staging"}, nil},
		"d2-infra": {[]string{"cert-manager", "monitoring"}, Infra,
			[]string{"configs/production", "configs/staging", "controllers/production", "controllers/staging"}, []string{"controllers", "configs"}},
		"keos-apps": {[]string{"connectors-management", "dg-s3-agent", "discovery", "eureka-agent", "genai-api", "genai-gateway",
			"genai-ui", "governance", "opensearch", "opensearch-agent", "pgbouncer", "postgres", "postgres-agent", "rocket", "virtualizer"},
			App, []string{"S"}, nil},
		"keos-system-services": {[]string{"gosec", "monitoring", "sis", "stratio-home", "stratio-panel-ui"}, Infra,
			[]string{"configs/talk-to-your-data"}, []string{"configs"}},
		"d2-fleet": {[]string{"d2-fleet"}, Fleet,
			[]string{"clusters/prod-eu", "clusters/prod-us", "clusters/staging", "clusters/update", "tenants"}, nil},
		"keos-fleet": {[]string{"keos-fleet"}, Fleet,
			// eosdev2-old is a copy that still points at the folder it was copied from.
			[]string{"clusters/eosdev2/default"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := corpus(t, name)
			if got := w.Components.Names(); !slices.Equal(got, tc.names) {
				t.Fatalf("components = %v, want %v", got, tc.names)
			}
			for _, c := range w.Components {
				if c.Kind != tc.kind || !slices.Equal(c.Variants, tc.variants) || !slices.Equal(c.Phases, tc.phases) {
					t.Errorf("%s = %s %v %v, want %s %v %v", c.Name, c.Kind, c.Variants, c.Phases, tc.kind, tc.variants, tc.phases)
				}
				want := "ghcr.io/stratio/" + name
				if c.Kind != Fleet {
					want += "/" + c.Name
				}
				if c.Repository.Name() != want || strings.Contains(c.GitTag, "/") != (c.Kind != Fleet) {
					t.Errorf("%s = %s %s, want %s", c.Name, c.Repository, c.GitTag, want)
				}
			}
		})
	}
}

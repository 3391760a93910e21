package main

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// seed makes two runs of the benchmark publish the same bytes.
const seed = 42

// checkout is a Git work tree with n generated components.
type checkout struct {
	dir     string
	n       int
	least   int // files of each component
	env     []string
	rev     int // of the components
	commits int
}

func newCheckout(ctx context.Context, dir string, n int, env []string) (*checkout, error) {
	c := &checkout{dir: dir, n: n, env: env}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch", "main"},
		{"remote", "add", "origin", "https://github.com/example/apps.git"},
		{"config", "maintenance.auto", "false"}, // nothing in the background while something is measured
		{"config", "gc.auto", "0"},              // the same for older versions of git
	} {
		if _, err := c.git(ctx, args...); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// change writes the next revision of every component and commits it.
func (c *checkout) change(ctx context.Context) error {
	c.rev++
	if err := generate(c.dir, c.n, c.rev, c.least); err != nil {
		return err
	}
	return c.commit(ctx)
}

// commit makes the next commit, an empty one where nothing changed.
func (c *checkout) commit(ctx context.Context) error {
	if _, err := c.git(ctx, "add", "--all"); err != nil {
		return err
	}
	c.commits++
	_, err := c.git(ctx, "commit", "--quiet", "--allow-empty", "--message", fmt.Sprintf("commit %d", c.commits))
	return err
}

func (c *checkout) git(ctx context.Context, args ...string) (string, error) {
	at := time.Date(2026, 1, 1, 0, c.commits, 0, 0, time.UTC).Format(time.RFC3339)
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", c.dir}, args...)...)
	cmd.Env = append(c.env[:len(c.env):len(c.env)],
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_AUTHOR_DATE="+at, "GIT_COMMITTER_DATE="+at,
		"GIT_AUTHOR_NAME=bench", "GIT_AUTHOR_EMAIL=bench@example.com", "GIT_COMMITTER_NAME=bench", "GIT_COMMITTER_EMAIL=bench@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// generate writes n components of revision rev, each of at least so many files, below dir/components.
func generate(dir string, n, rev, least int) error {
	for i := range n {
		name, files := component(i, rev, least)
		for path, content := range files {
			path = filepath.Join(dir, "components", name, filepath.FromSlash(path))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// component is the i-th component at a revision, by path, of at least so many files: the same arguments give the same bytes,
// another revision other ones for every component. It has the shape of the D2 reference's apps; the file sizes follow the
// quantiles of the YAML in huangyingting/flux2-gitops (p25 157, median 300, p75 522, p90 2500 bytes).
func component(i, rev, least int) (name string, files map[string]string) {
	r := rand.New(rand.NewSource(seed*1_000_003 + int64(i)))
	name = fmt.Sprintf("comp-%04d", i)
	files = map[string]string{
		"base/" + name + ".yaml": fmt.Sprintf(releaseYAML, name, 1+r.Intn(8), r.Intn(30), rev, 10*(1+r.Intn(20)), 32*(1+r.Intn(16))),
	}
	resources := []string{name + ".yaml"}
	for _, kind := range []string{"networkpolicy", "alerts", "dashboard", "pdb"}[:r.Intn(5)] {
		resources = append(resources, kind+".yaml")
		size := []int{157, 300, 522, 2500, 5200}[r.Intn(5)]
		var b strings.Builder
		fmt.Fprintf(&b, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s-%s\ndata:\n", name, kind)
		for j := 0; b.Len() < size; j++ {
			fmt.Fprintf(&b, "  key-%03d: \"%016x-%08x\"\n", j, r.Uint64(), r.Uint32())
		}
		files["base/"+kind+".yaml"] = b.String()
	}
	for j := len(files); j < least-5; j++ { // the other five follow
		resources = append(resources, fmt.Sprintf("more-%d.yaml", j))
		files["base/"+resources[len(resources)-1]] = fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s-%d\ndata:\n  key: \"%0200x\"\n", name, j, r.Uint64())
	}
	files["base/kustomization.yaml"] = kustomization + "resources:\n  - " + strings.Join(resources, "\n  - ") + "\n"
	for _, env := range []string{"staging", "production"} {
		files[env+"/kustomization.yaml"] = kustomization +
			fmt.Sprintf("resources:\n  - ../base\nconfigMapGenerator:\n  - name: %[1]s-values\n    files: [values.yaml=%[1]s-values.yaml]\n", name)
		files[env+"/"+name+"-values.yaml"] = fmt.Sprintf("replicaCount: %d\nlogLevel: %s\nrevision: r%d\nhost: %s.%s.example.com\n",
			1+r.Intn(5), []string{"debug", "info"}[r.Intn(2)], rev, name, env)
	}
	return name, files
}

const kustomization = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"

const releaseYAML = `apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata:
  name: %[1]s
spec:
  interval: 60m
  layerSelector:
    mediaType: "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
    operation: copy
  url: "oci://ghcr.io/example/charts/%[1]s"
  ref:
    semver: "%[2]d.%[3]d.x"
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: %[1]s
spec:
  releaseName: %[1]s
  interval: 60m
  timeout: 5m
  chartRef:
    kind: OCIRepository
    name: %[1]s
  install:
    strategy:
      name: RetryOnFailure
      retryInterval: 5m
  upgrade:
    strategy:
      name: RetryOnFailure
      retryInterval: 5m
  driftDetection:
    mode: enabled
    ignore:
      - paths: ["/spec/replicas"]
        target:
          kind: Deployment
  valuesFrom:
    - kind: ConfigMap
      name: %[1]s-values
      valuesKey: values.yaml
  values:
    image:
      repository: ghcr.io/example/%[1]s
      tag: "%[2]d.%[3]d.%[4]d"
    resources:
      requests: {cpu: %[5]dm, memory: %[6]dMi}
`

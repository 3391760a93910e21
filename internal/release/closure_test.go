package release

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
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

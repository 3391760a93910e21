package release

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/secret"
	"github.com/stratio/keos-oci/internal/substitution"
)

// Needs is what the files of a component's artifact ask of the Kustomizations that apply them.
type Needs struct {
	Encrypted string                        // the first file that SOPS encrypted, as the checkout calls it; empty where there is none
	Uses      map[string]*substitution.Uses // by folder that a cluster may build, relative to the artifact's root; "" is all of the artifact
}

// Needs reads the tracked files of a component. It asks no registry and fetches no remote base.
func (s *Service) Needs(ctx context.Context, c component.Component) (Needs, error) {
	all, err := s.contents(ctx, c)
	if err != nil {
		return Needs{}, err
	}
	files, err := all.regular()
	if err != nil {
		return Needs{}, err
	}
	read := kustomize.InFolder(s.FS)
	needs := Needs{Uses: map[string]*substitution.Uses{}}
	for _, file := range files {
		data, err := read(file)
		if err != nil {
			return Needs{}, err
		}
		if secret.HasEncrypted(data) {
			needs.Encrypted = file
			break
		}
	}
	if needs.Uses[""], err = substitution.Scan(files, read); err != nil {
		return Needs{}, err
	}
	tree := s.tree(all)
	for _, variant := range c.Variants {
		reached, err := tree.Walk(ctx, path.Join(c.Root, variant))
		if err != nil {
			return Needs{}, fmt.Errorf("follow references: %w", err)
		}
		if needs.Uses[variant], err = substitution.Scan(slices.Sorted(maps.Keys(reached.Files)), read); err != nil {
			return Needs{}, err
		}
	}
	return needs, nil
}

// EncryptedIn is the first tracked file in a folder that SOPS encrypted, empty where there is none.
func (s *Service) EncryptedIn(folder string) (string, error) {
	read := kustomize.InFolder(s.FS)
	for _, f := range s.below(folder) {
		if f.Mode != git.Regular && f.Mode != git.Executable {
			continue
		}
		data, err := read(f.Path)
		if err != nil {
			return "", err
		}
		if secret.HasEncrypted(data) {
			return f.Path, nil
		}
	}
	return "", nil
}

// regular lists the files that are packed, without links and without what rules leave out.
func (c contents) regular() ([]string, error) {
	ignored, err := pack.Ignored(c.source)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, f := range c.source.Files {
		if ignored[f.Path] == "" && (f.Mode == pack.Regular || f.Mode == pack.Executable) {
			files = append(files, f.Path)
		}
	}
	return files, nil
}

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

// Needs is what the tracked files of a component ask of the Kustomizations that apply them: the first file that SOPS encrypted, as the
// checkout calls it and empty where there is none, and the ${VARIABLES} by folder that a cluster may build, relative to the artifact's
// root; "" is all of the artifact. It asks no registry and fetches no remote base.
func (s *Service) Needs(ctx context.Context, c component.Component) (encrypted string, uses map[string]*substitution.Uses, err error) {
	all, err := s.contents(ctx, c)
	if err != nil {
		return "", nil, err
	}
	files, err := all.regular()
	if err != nil {
		return "", nil, err
	}
	read := kustomize.InFolder(s.FS)
	if encrypted, err = firstEncrypted(files, read); err != nil {
		return "", nil, err
	}
	uses = map[string]*substitution.Uses{}
	if uses[""], err = substitution.Scan(files, read); err != nil {
		return "", nil, err
	}
	tree := s.tree(all)
	for _, variant := range c.Variants {
		reached, err := tree.Walk(ctx, path.Join(c.Root, variant))
		if err != nil {
			return "", nil, fmt.Errorf("follow references: %w", err)
		}
		if uses[variant], err = substitution.Scan(slices.Sorted(maps.Keys(reached.Files)), read); err != nil {
			return "", nil, err
		}
	}
	return encrypted, uses, nil
}

// EncryptedIn is the first tracked file in a folder that SOPS encrypted, empty where there is none.
func (s *Service) EncryptedIn(folder string) (string, error) {
	var files []string
	for _, f := range s.below(folder) {
		if f.Mode == git.Regular || f.Mode == git.Executable {
			files = append(files, f.Path)
		}
	}
	return firstEncrypted(files, kustomize.InFolder(s.FS))
}

// firstEncrypted is the first of the files that SOPS encrypted, empty where there is none.
func firstEncrypted(files []string, read func(string) ([]byte, error)) (string, error) {
	for _, file := range files {
		data, err := read(file)
		if err != nil {
			return "", err
		}
		if secret.HasEncrypted(data) {
			return file, nil
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

package component

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/kustomize"
)

// environments sorts the folders in f by whether they are environments, and says whether the others consist of variants.
func (t tree) environments(f *Folder) {
	f.Apps = true
	var base bool
	var others []string
	for _, name := range t.folders(f.Path) {
		dir := path.Join(f.Path, name)
		switch {
		case f.Path == "." && (name == clustersDir || name == componentsDir), len(t.kustomizations(dir)) == 0:
		case isBase(name):
			base = true
			f.Environments = append(f.Environments, name)
		case isEnvironment(name):
			f.Environments = append(f.Environments, name)
		default:
			others = append(others, name)
		}
	}
	// Beside a base, whatever builds is an overlay; but at the top, any folder may be beside it.
	if base && f.Path != "." {
		f.Environments, others = append(f.Environments, others...), nil
		slices.Sort(f.Environments)
	}
	f.Others = others
	for _, name := range others {
		f.Apps = f.Apps && t.hasVariants(path.Join(f.Path, name))
	}
}

// hasVariants reports whether a folder is laid out as a component: with a base, or with a folder for an environment.
func (t tree) hasVariants(dir string) bool {
	if t.kustomizationOf(dir) != "" {
		return false
	}
	return slices.ContainsFunc(t.folders(dir), func(name string) bool {
		return (isBase(name) || isEnvironment(name)) && len(t.kustomizations(path.Join(dir, name))) > 0
	})
}

// isEnvironment reports whether a folder has one of the names that environments have everywhere.
func isEnvironment(name string) bool {
	switch strings.ToLower(name) {
	case "staging", "stage", "production", "prod", "preproduction", "preprod", "pre", "development", "develop", "dev", "integration",
		"test", "testing", "qa", "uat", "sandbox", "live":
		return true
	}
	return false
}

// templates returns the folders of dir whose names keep them from being components or clusters.
func (t tree) templates(dir string) []string {
	var found []string
	for _, file := range t.below(dir) {
		name, _, inFolder := strings.Cut(file[len(dir)+1:], "/")
		if folder := path.Join(dir, name); inFolder && (name[0] == '_' || name[0] == '.') && !slices.Contains(found, folder) {
			found = append(found, folder)
		}
	}
	return found
}

// remoteReferences returns the remote URLs among the resources of a kustomization.
func (l *loader) remoteReferences(file string) ([]Remote, error) {
	data, err := l.read(file)
	if err != nil {
		return nil, fmt.Errorf("look for references: %w", err)
	}
	k, err := kustomize.Parse(file, data)
	if err != nil {
		return nil, nil // whether it is valid is for check to say
	}
	var found []Remote
	for _, r := range k.Lists() {
		if kustomize.IsRemote(r.Path) {
			found = append(found, Remote{file, kustomize.Shareable(r.Path)}) // a proposal is no place for a login
		}
	}
	return found, nil
}

// documents splits a YAML file.
func documents(data []byte) [][]byte {
	return bytes.Split(slices.Concat([]byte("\n"), data), []byte("\n---"))
}

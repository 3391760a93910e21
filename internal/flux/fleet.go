package flux

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxSettings bounds what is read of a cluster's settings.
const maxSettings = 1 << 20

// Known is a cluster that a fleet has already.
type Known struct {
	Name     string            // of its folder
	Settings map[string]string // of its runtime-info; nil where it has none that can be read
}

// Clusters lists the clusters of a fleet, and none where there is no folder clusters.
func Clusters(fleet fs.FS) ([]Known, error) {
	folders, err := fs.ReadDir(fleet, "clusters")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read clusters: %w", err)
	}
	var all []Known
	for _, folder := range folders {
		if !folder.IsDir() || strings.HasPrefix(folder.Name(), "_") || strings.HasPrefix(folder.Name(), ".") {
			continue
		}
		settings, err := readSettings(fleet, path.Join("clusters", folder.Name(), "flux-system/runtime-info.yaml"))
		if err != nil {
			return nil, err
		}
		all = append(all, Known{folder.Name(), settings})
	}
	return all, nil
}

func readSettings(fleet fs.FS, file string) (map[string]string, error) {
	f, err := fleet.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxSettings))
	if err != nil {
		return nil, err
	}
	var configMap struct {
		Data map[string]string `yaml:"data"`
	}
	if err := yaml.Unmarshal(raw, &configMap); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInput, file, err)
	}
	return configMap.Data, nil
}

// SelectedBy checks that each component has what each cluster selects, with environment being a literal one or the
// ${VARIABLE} of the clusters' settings that chooses it.
func SelectedBy(follow []Follow, environment string, clusters []Known) error {
	name, isVariable := strings.CutPrefix(environment, "${")
	if !isVariable {
		return Selects(follow, environment)
	}
	name = strings.TrimSuffix(name, "}")
	var faults []error
	var seen []string
	for _, c := range clusters {
		value, ok := c.Settings[name]
		if !ok || slices.Contains(seen, value) {
			continue
		}
		seen = append(seen, value)
		if err := Selects(follow, value); err != nil {
			faults = append(faults, fmt.Errorf("cluster %s: %w", c.Name, err))
		}
	}
	return errors.Join(faults...)
}

// CheckNew demands that no cluster of the fleet has the name, nor the display name or domain, of c.
func (c Cluster) CheckNew(known []Known) error {
	for _, k := range known {
		for key, value := range map[string]string{"CLUSTER_NAME": c.displayName(), "CLUSTER_DOMAIN": c.Domain} {
			if k.Name != c.Name && k.Settings[key] == value {
				return fmt.Errorf("%w: cluster %s has the %s %s already", ErrTaken, k.Name, key, value)
			}
		}
	}
	return nil
}

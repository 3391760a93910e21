package flux

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stratio/keos-oci/internal/fileset"
)

// maxSettings bounds what is read of a cluster's settings.
const maxSettings = 1 << 20

// TenantsFolder is the folder of a fleet that generated clusters apply, unless another one is named.
const TenantsFolder = "tenants"

var folderName = regexp.MustCompile(`\A[A-Za-z0-9][-A-Za-z0-9._]*\z`)

// checkTenantsFolder demands the name of a folder at the fleet's top; an empty one is the default.
func checkTenantsFolder(name string) error {
	if name != "" && (name == "clusters" || !folderName.MatchString(name)) {
		return fmt.Errorf("%w: folder %q of the tenants: want the name of a folder at the top of the fleet, other than clusters", ErrInput, name)
	}
	return nil
}

// tenantsFile is the path of a generated file that all clusters apply.
func tenantsFile(folder, name string) string {
	return path.Join(cmp.Or(folder, TenantsFolder), name+".yaml")
}

// tenantsFiles lists the files that are generated in the folder of the tenants.
func tenantsFiles(folder string) []string {
	return []string{tenantsFile(folder, "apps"), tenantsFile(folder, "infra"), tenantsFile(folder, "policies")}
}

// KnownCluster is a cluster that a fleet has already.
type KnownCluster struct {
	Name     string            // of its folder
	Settings map[string]string // of its runtime-info; nil where it has none that can be read
}

// clustersIn lists the clusters of the fleet in a folder, and none where there is no such folder.
func clustersIn(dir string) ([]KnownCluster, error) {
	if dir == "" {
		return nil, nil
	}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return knownClusters(root.FS())
}

// knownClusters lists the clusters of a fleet, and none where there is no folder clusters.
func knownClusters(fleet fs.FS) ([]KnownCluster, error) {
	folders, err := fs.ReadDir(fleet, "clusters")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read clusters: %w", err)
	}
	var all []KnownCluster
	for _, folder := range folders {
		if !folder.IsDir() || strings.HasPrefix(folder.Name(), "_") || strings.HasPrefix(folder.Name(), ".") {
			continue
		}
		settings, err := readSettings(fleet, path.Join("clusters", folder.Name(), "flux-system/runtime-info.yaml"))
		if err != nil {
			return nil, err
		}
		all = append(all, KnownCluster{folder.Name(), settings})
	}
	return all, nil
}

// clusterFolder is what a cluster builds of the fleet, as Flux wants it: the folder that is given, or the one of the cluster of that name.
func clusterFolder(f Followed, cluster string) (string, error) {
	c := f.Component
	given := strings.TrimPrefix(path.Clean("/"+cluster), "/") // as Flux reads paths, nothing is above the fleet
	folder := given
	if !strings.HasPrefix(given, "clusters/") {
		folder = path.Join("clusters", given)
	}
	if variable(cluster) {
		if pattern, err := variantPattern(c, "", cluster); err == nil {
			folder = pattern
		}
		return "./" + folder, nil
	}
	for _, exact := range []string{given, folder} {
		if slices.Contains(c.Variants, exact) {
			return strings.TrimSuffix("./"+exact, "/."), nil
		}
	}
	fit := outermost(c.Variants, folder)
	switch {
	case given == "": // no name
	case len(fit) == 1:
		return "./" + fit[0], nil
	case len(fit) > 1:
		return "", noVariant(c, "", cluster, fit)
	case slices.Contains(f.Clusters, folder):
		return "./" + folder, nil
	}
	known := cmp.Or(strings.Join(f.Clusters, ", "), "none")
	return "", fmt.Errorf("%w: fleet %s has no cluster %s: it has %s", ErrVariant, c.Name, cluster, known)
}

// outermost lists the variants below a folder that are in no other of them.
func outermost(variants []string, folder string) []string {
	var fit []string
	for _, v := range slices.Sorted(slices.Values(variants)) {
		inner := slices.ContainsFunc(fit, func(outer string) bool { return strings.HasPrefix(v, outer+"/") })
		if strings.HasPrefix(v, folder+"/") && !inner {
			fit = append(fit, v)
		}
	}
	return fit
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

// selectedBy checks that each component has what each cluster selects, with environment being a literal one or the
// ${VARIABLE} of the clusters' settings that chooses it.
func selectedBy(follow []Followed, environment string, clusters []KnownCluster) error {
	name, isVariable := strings.CutPrefix(environment, "${")
	if !isVariable {
		return selects(follow, environment)
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
		if err := selects(follow, value); err != nil {
			faults = append(faults, fmt.Errorf("cluster %s: %w", c.Name, err))
		}
	}
	return errors.Join(faults...)
}

// checkNew checks that no cluster of the fleet has the name, nor the display name or domain, of c.
func (c Cluster) checkNew(known []KnownCluster) error {
	for _, k := range known {
		for key, value := range map[string]string{"CLUSTER_NAME": c.displayName(), "CLUSTER_DOMAIN": c.Domain} {
			if k.Name != c.Name && k.Settings[key] == value {
				return fmt.Errorf("%w: cluster %s has the %s %s already", fileset.ErrTaken, k.Name, key, value)
			}
		}
	}
	return nil
}

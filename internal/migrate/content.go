package migrate

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/secret"
)

// encryptedIn is the first file of a component that SOPS encrypted, "" for none.
func encryptedIn(checkout string, c component.Component) string {
	found := ""
	for _, p := range c.Paths {
		_ = filepath.WalkDir(filepath.Join(checkout, filepath.FromSlash(p)), func(full string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() || found != "" {
				return nil //nolint:nilerr // what cannot be read does not build either
			}
			data, err := os.ReadFile(full)
			if err == nil && secret.HasEncrypted(data) {
				rel, _ := filepath.Rel(checkout, full)
				found = filepath.ToSlash(rel)
			}
			return nil
		})
	}
	return found
}

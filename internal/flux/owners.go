package flux

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/fileset"
	"github.com/stratio/keos-oci/internal/kustomize"
)

// maxOwners is how many files of a folder an error names.
const maxOwners = 5

// checkTenants refuses a folder of tenants that has other files than generate writes. A generated cluster applies the whole folder, so
// that the objects of a cluster that follows Git would get a second owner. With --overwrite it is only a note.
func checkTenants(o *fileset.Request, folder string) error {
	folder = cmp.Or(folder, TenantsFolder)
	others, err := foreign(o.Dir, folder)
	if err != nil || len(others) == 0 {
		return err
	}
	named := strings.Join(others[:min(len(others), maxOwners)], ", ")
	if more := len(others) - maxOwners; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	if o.Overwrite {
		o.Note(fmt.Sprintf("generated clusters apply all of ./%s, also what no generate command writes: %s", folder, named))
		return nil
	}
	return fmt.Errorf("%w: %s: no generate command writes these files, and each generated cluster would apply them, since it applies "+
		"all of ./%s: move them to a folder that no generated cluster applies, or choose another folder with --tenants-folder NAME in each generate command; "+
		"if clusters are to apply them, say --overwrite", fileset.ErrTaken, named, folder)
}

// foreign lists the files in a folder of the fleet that clusters would apply and no generate command writes.
func foreign(fleet, folder string) ([]string, error) {
	if fleet == "" {
		return nil, nil
	}
	root, err := os.OpenRoot(fleet)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	ours := tenantsFiles(folder)
	var found []string
	err = fs.WalkDir(root.FS(), folder, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && file == folder:
			return fs.SkipAll
		case err != nil:
			return err
		case entry.IsDir() || !applied(file) || slices.Contains(ours, file):
			return nil
		}
		if !entry.Type().IsRegular() {
			found = append(found, file)
			return nil
		}
		data, err := fileset.ReadIn(root, file)
		if err != nil {
			return err
		}
		if _, generated, _ := fileset.Body(data); !generated {
			found = append(found, file)
		}
		return nil
	})
	return found, err
}

// applied reports whether Flux builds a file of a folder.
func applied(file string) bool {
	ext := path.Ext(file)
	return (ext == ".yaml" || ext == ".yml") && path.Base(file) != ".sops.yaml" || kustomize.IsFile(file)
}

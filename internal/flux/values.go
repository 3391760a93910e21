package flux

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxValues bounds what is read of a file that may have a ConfigMap.
const maxValues = 1 << 20

// findValues looks for a ConfigMap in a folder, and then in the folders above it as far as the checkout's top. Several
// clusters may have one of that name: all that the first of these folders has are given, and none where there is no file of
// it.
func findValues(dir, name, namespace string) ([]Values, error) {
	if dir == "" || name == "" {
		return nil, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for top := topOf(dir); ; dir = filepath.Dir(dir) {
		found, err := valuesIn(dir, name, cmp.Or(namespace, "flux-system"))
		if err != nil || len(found) > 0 || dir == top {
			return found, err
		}
	}
}

// topOf is the top folder of the Git checkout that a folder is in, else the folder itself.
func topOf(dir string) string {
	for above := dir; ; above = filepath.Dir(above) {
		switch {
		case exists(filepath.Join(above, ".git")):
			return above
		case filepath.Dir(above) == above:
			return dir
		}
	}
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// valuesIn finds the ConfigMaps of a name in a folder.
func valuesIn(dir, name, namespace string) ([]Values, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var found []Values
	err = fs.WalkDir(root.FS(), ".", func(file string, entry fs.DirEntry, err error) error {
		switch ext := path.Ext(file); {
		case err != nil:
			return err
		case entry.IsDir() && file != "." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case !entry.Type().IsRegular() || ext != ".yaml" && ext != ".yml":
			return nil
		}
		data, err := fs.ReadFile(root.FS(), file)
		if err != nil || len(data) > maxValues || !bytes.Contains(data, []byte(name)) {
			return err
		}
		found = append(found, configMaps(data, name, namespace, "ConfigMap "+name+" of "+file)...)
		return nil
	})
	return found, err
}

// configMaps reads those of a name from a file. What is no YAML has none.
func configMaps(data []byte, name, namespace, label string) []Values {
	var found []Values
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var object struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
			Data     map[string]string
		}
		err := dec.Decode(&object)
		if errors.Is(err, io.EOF) {
			return found
		}
		var typed *yaml.TypeError
		if err != nil && !errors.As(err, &typed) {
			return found
		}
		if err == nil && object.Kind == "ConfigMap" && object.Metadata.Name == name && cmp.Or(object.Metadata.Namespace, namespace) == namespace {
			found = append(found, Values{Name: label, Known: object.Data})
		}
	}
}

package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// loginFiles are the files that a run looks for logins in.
type loginFiles struct {
	docker *loginFile
	podman []*loginFile // those that exist
}

// loginFile is Docker's config or Podman's auth.json. Both have the same form.
type loginFile struct {
	path  string
	store *credentials.DynamicStore

	Auths       map[string]json.RawMessage `json:"auths"`
	CredsStore  string                     `json:"credsStore"`
	CredHelpers map[string]string          `json:"credHelpers"`
}

// readLoginFiles reads Docker's config and Podman's files, in the order in which Podman looks for its own.
func readLoginFiles() (loginFiles, error) {
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return loginFiles{}, fmt.Errorf("docker config: %w", err)
	}
	files := loginFiles{docker: &loginFile{path: store.ConfigPath(), store: store}}
	if err := files.docker.read(); err != nil {
		return loginFiles{}, fmt.Errorf("docker config: %w", err)
	}
	for _, path := range podmanFiles() {
		f := &loginFile{path: path}
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if f.store, err = credentials.NewStore(path, credentials.StoreOptions{}); err == nil {
			err = f.read()
		}
		if err != nil {
			return loginFiles{}, fmt.Errorf("podman's logins: %w", err)
		}
		files.podman = append(files.podman, f)
	}
	return files, nil
}

// podmanFiles is where Podman may have put logins. Whoever names a file means no other.
func podmanFiles() []string {
	if file := os.Getenv("REGISTRY_AUTH_FILE"); file != "" {
		return []string{file}
	}
	var files []string
	for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), configDir()} {
		if dir != "" {
			files = append(files, filepath.Join(dir, "containers", "auth.json"))
		}
	}
	return files
}

func configDir() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return os.Getenv("XDG_CONFIG_HOME")
	}
	return cmp.Or(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(home, ".config"))
}

// read reads what the store keeps for itself: which logins there are, and who gives them. A file that is missing or empty has none.
func (f *loginFile) read() error {
	raw, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(string(raw)) == "" {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, f); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	return nil
}

// keyOf is the entry of Podman's file for a repository: the longest of HOST/a/b, HOST/a and HOST. "" is none.
func (f *loginFile) keyOf(host, repository string) string {
	if host == "registry-1.docker.io" {
		host = "docker.io"
	}
	for want := strings.TrimSuffix(host+"/"+repository, "/"); ; want = want[:strings.LastIndex(want, "/")] {
		for key := range f.Auths {
			if normalKey(key) == want {
				return key
			}
		}
		if want == host {
			break
		}
	}
	if f.helper(host) != "" {
		return host
	}
	return ""
}

// normalKey is an entry without the scheme and the path of the API that old files have.
func normalKey(key string) string {
	_, rest, found := strings.Cut(key, "://")
	if !found {
		return strings.TrimSuffix(key, "/")
	}
	host, _, _ := strings.Cut(rest, "/")
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		return "docker.io"
	}
	return host
}

// helper is the name of the program that gives the login of a host, without its beginning docker-credential-. "" is none.
func (f *loginFile) helper(key string) string { return cmp.Or(f.CredHelpers[key], f.CredsStore) }

// program is the name of a credential helper.
func program(helper string) string { return "docker-credential-" + helper }

// login reads the login of an entry, from the file or from the helper that the file names.
func (f *loginFile) login(ctx context.Context, key string) (Login, error) {
	from := f.path
	if helper := f.helper(key); helper != "" {
		from = fmt.Sprintf("%s (%s)", program(helper), f.path)
		if err := f.lacks(helper, key); err != nil {
			return Login{}, err
		}
	}
	c, err := f.store.Get(ctx, key)
	switch {
	case err != nil:
		return Login{}, fmt.Errorf("login for %s from %s: %w", key, from, err)
	case c == auth.EmptyCredential:
		return Login{}, nil
	}
	return Login{User: c.Username, From: from, credential: c, scope: key}, nil
}

// lacks reports a credential helper that is not installed.
func (f *loginFile) lacks(helper, key string) error {
	_, err := exec.LookPath(program(helper))
	if err == nil {
		return nil
	}
	field := "credsStore"
	if f.CredHelpers[key] != "" {
		field = "credHelpers"
	}
	return &LoginError{err: err,
		text: fmt.Sprintf("not logged in: %s says that %s gives the login for %s (%s), and this program is not in PATH", f.path,
			program(helper), key, field),
		Do: fmt.Sprintf("install %s; or remove it from %s in %s, then log in: keos-oci login %s", program(helper), field, f.path, key)}
}

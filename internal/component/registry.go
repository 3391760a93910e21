package component

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// maxRepository is how long a repository with its host may be, by the distribution spec's advice.
const maxRepository = 255

// unnamed is used in place of a registry that is not known. No such host exists (RFC 2606, section 2).
const unnamed = "registry.invalid/unnamed"

// Named reports whether it is known where the components are published.
func (w *Workspace) Named() bool { return w.Registry != unnamed }

// registry decides which prefix all repositories start with, and the scheme of their host: by the option, the config file, or
// the default for the Git remote.
func (s *settings) registry(o Options) (scheme, prefix string, err error) {
	if o.Registry != "" {
		scheme, prefix = splitScheme(o.Registry)
		if err := checkPrefix(prefix); err != nil {
			return "", "", fmt.Errorf("registry %q: %w: %w", o.Registry, ErrConfig, err)
		}
		return scheme, prefix, nil
	}
	if s.config.Registry != "" {
		scheme, prefix = splitScheme(s.config.Registry)
		if err := checkPrefix(prefix); err != nil {
			s.doc.add([]string{"registry"}, "%q: %v", s.config.Registry, err)
		}
		return scheme, prefix, s.doc.err()
	}
	prefix, err = defaultPrefix(o.RemoteURL)
	if err != nil && o.Unnamed {
		return "", unnamed, nil
	}
	if err != nil {
		return "", "", fmt.Errorf("%w: no registry: set registry in %s or pass --registry HOST/PREFIX: %w", ErrConfig, ConfigFile, err)
	}
	return "", prefix, nil
}

// splitScheme takes http:// or https:// off a registry.
func splitScheme(registry string) (scheme, prefix string) {
	for _, scheme := range []string{"http", "https"} {
		if prefix, found := strings.CutPrefix(registry, scheme+"://"); found {
			return scheme, prefix
		}
	}
	return "", registry
}

// defaultPrefix is GitHub's registry for a remote on GitHub.
func defaultPrefix(remoteURL func() (string, error)) (string, error) {
	if remoteURL == nil {
		return "", errors.New("the checkout has no Git remote")
	}
	remote, err := remoteURL()
	if err != nil {
		return "", err
	}
	host, path, err := splitRemote(remote)
	if err != nil {
		return "", err
	}
	if host != "github.com" && host != "ssh.github.com" {
		return "", fmt.Errorf("the Git remote is on %s, and ghcr.io is for github.com only", host)
	}
	prefix := "ghcr.io/" + strings.ToLower(strings.TrimSuffix(strings.Trim(path, "/"), ".git"))
	if strings.Count(prefix, "/") != 2 {
		return "", fmt.Errorf("the Git remote %s does not have the form github.com/<owner>/<repository>", remote)
	}
	if err := checkPrefix(prefix); err != nil {
		return "", fmt.Errorf("the Git remote %s does not make a repository: %w", remote, err)
	}
	return prefix, nil
}

// splitRemote takes the host (lower case, without port) and the path out of the forms of address that Git knows.
func splitRemote(remote string) (string, string, error) {
	if strings.Contains(remote, "://") {
		u, err := url.Parse(remote)
		if err != nil || u.Hostname() == "" {
			return "", "", errors.New("the Git remote is not on a server")
		}
		return strings.ToLower(u.Hostname()), u.Path, nil
	}
	// scp's form, [user@]host:path; a slash before the colon makes it a folder on this machine.
	host, path, found := strings.Cut(remote, ":")
	if !found || strings.Contains(host, "/") {
		return "", "", errors.New("the Git remote is not on a server")
	}
	return strings.ToLower(host[strings.LastIndex(host, "@")+1:]), path, nil
}

// checkPrefix checks a registry with the beginning of a repository.
func checkPrefix(prefix string) error {
	if _, rest, found := strings.Cut(prefix, "://"); found {
		return fmt.Errorf("leave the scheme out: %s", rest)
	}
	host, path, found := strings.Cut(prefix, "/")
	if !found || path == "" {
		return errors.New("want HOST/PREFIX, such as ghcr.io/stratio/keos-apps")
	}
	// Clients take a first element without these for a part of Docker Hub's path.
	if !strings.ContainsAny(host, ".:") && host != "localhost" {
		return fmt.Errorf("it starts with %q, which is not a host name with a domain or a port", host)
	}
	for element := range strings.SplitSeq(path, "/") {
		if !isElement(element) {
			return fmt.Errorf("%q is not a repository name: it takes lower case letters and digits, separated by "+
				`".", "_", "__" or dashes%s`, element, proposal(element, ": try %q"))
		}
	}
	_, err := newRepository(prefix)
	return err
}

func newRepository(text string) (name.Repository, error) {
	if len(text) > maxRepository {
		return name.Repository{}, fmt.Errorf("%s… has %d letters, and registries take no more than %d", text[:40], len(text), maxRepository)
	}
	repository, err := name.NewRepository(text, name.StrictValidation)
	if err != nil {
		return name.Repository{}, fmt.Errorf("not a repository: %w", err)
	}
	return repository, nil
}

// isElement reports whether s is one element of a repository by the grammar of the distribution spec:
// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
func isElement(s string) bool {
	for s != "" {
		rest := strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyz0123456789")
		if len(rest) == len(s) {
			return false
		}
		if rest == "" {
			return true
		}
		s = strings.TrimLeft(rest, "._-")
		separator := rest[:len(rest)-len(s)]
		if separator != "." && separator != "_" && separator != "__" && strings.Trim(separator, "-") != "" {
			return false
		}
	}
	return false
}

// slug makes a name of text that a repository can have; it is empty where nothing in text is of use.
func slug(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else {
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), "-")
}

// proposal formats the name that text could have instead, and nothing where there is none.
func proposal(text, format string) string {
	if slug(text) == "" {
		return ""
	}
	return fmt.Sprintf(format, slug(text))
}

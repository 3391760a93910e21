package component

import (
	"errors"
	"strings"
	"testing"
)

func TestIsElement(t *testing.T) {
	for text, want := range map[string]bool{
		"a": true, "3rd": true, "a.b": true, "a_b": true, "a__b": true, "a-b": true, "a---b": true, "a.b_c-d": true, "007": true, "1e3": true,
		"": false, ".": false, "-": false, "a.": false, ".a": false, "a..b": false, "a___b": false, "a._b": false, "a_-b": false, "a-": false,
		"_a": false, "S": false, "My_App": false, "a b": false, "a/b": false, "a:b": false, "ñ": false, "a\n": false,
	} {
		if got := isElement(text); got != want {
			t.Errorf("isElement(%q) = %v", text, got)
		}
	}
}

func TestSlug(t *testing.T) {
	for text, want := range map[string]string{
		"My_App": "my-app", "S": "s", "_TEMPLATE": "template", "a..b": "a-b", "ünïcode": "n-code", "___": "", "": "",
	} {
		if got := slug(text); got != want || got != "" && !isElement(got) {
			t.Errorf("slug(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestLoad_registry(t *testing.T) {
	app := func(config string) files { return paths("components/a/x/kustomization.yaml").with(ConfigFile, config) }
	for name, tc := range map[string]struct{ option, config, remote, want string }{
		"option wins":      {"localhost:5000/x", "registry: ghcr.io/b/c\n", "", "localhost:5000/x"},
		"config":           {"", "registry: ghcr.io/b/c\n", "https://github.com/o/r", "ghcr.io/b/c"},
		"https":            {"", "", "https://github.com/Stratio/KEOS-Apps.git", "ghcr.io/stratio/keos-apps"},
		"https, no suffix": {"", "", "https://github.com/o/r/", "ghcr.io/o/r"},
		"scp":              {"", "", "git@github.com:O/R.git", "ghcr.io/o/r"},
		"scp, no user":     {"", "", "github.com:o/r", "ghcr.io/o/r"},
		"ssh":              {"", "", "ssh://git@github.com:22/o/r.git", "ghcr.io/o/r"},
		"ssh over https":   {"", "", "ssh://git@ssh.github.com:443/o/r.git", "ghcr.io/o/r"},
		"git":              {"", "", "git://GitHub.com/o/r.git", "ghcr.io/o/r"},
		"address":          {"127.0.0.1:5000/x", "", "", "127.0.0.1:5000/x"},
		"IPv6":             {"[::1]:5000/x", "", "", "[::1]:5000/x"},
	} {
		t.Run(name, func(t *testing.T) {
			o := app(header + tc.config).options(t)
			o.Registry = tc.option
			o.RemoteURL = func() (string, error) {
				if tc.remote == "" {
					t.Error("the remote was read and not used")
				}
				return tc.remote, nil
			}
			w, err := Load(o)
			if err != nil {
				t.Fatal(err)
			}
			if c := w.Components[0]; w.Registry != tc.want || c.Repository.Name() != tc.want+"/a" {
				t.Errorf("registry = %s, repository = %s, want %s", w.Registry, c.Repository, tc.want)
			}
		})
	}
}

// TestLoad_scheme: a scheme decides between HTTP and TLS, and is no part of a name.
func TestLoad_scheme(t *testing.T) {
	for _, tc := range []struct{ option, config, scheme, registry string }{
		{"https://127.0.0.1:5000/x", "", "https", "127.0.0.1:5000/x"},
		{"http://reg.test/b/c", "registry: https://ghcr.io/b/c\n", "http", "reg.test/b/c"},
		{"reg.test/b/c", "registry: https://ghcr.io/b/c\n", "", "reg.test/b/c"},
		{"", "registry: http://reg.test/b/c\n", "http", "reg.test/b/c"},
		{"", "registry: reg.test/b/c\n", "", "reg.test/b/c"},
	} {
		o := paths("components/a/x/kustomization.yaml").with(ConfigFile, header+tc.config).options(t)
		o.Registry = tc.option
		w, err := Load(o)
		if err != nil {
			t.Fatal(err)
		}
		if repository := w.Components[0].Repository.Name(); w.Scheme != tc.scheme || w.Registry != tc.registry || repository != tc.registry+"/a" {
			t.Errorf("%+v: %q, %s, %s", tc, w.Scheme, w.Registry, repository)
		}
	}
}

func TestLoad_registryRefused(t *testing.T) {
	no := errors.New("no git remote named origin")
	for name, tc := range map[string]struct {
		option, config, remote, want string
		err                          error
	}{
		"no remote": {err: no, want: "--registry HOST/PREFIX: no git remote"},
		"GitHub Enterprise": {remote: "git@github.stratio.com:o/r.git",
			want: "set registry in keos-oci.yaml or pass --registry HOST/PREFIX: the Git remote is on github.stratio.com"},
		"GitLab":            {remote: "https://gitlab.com/a/b/c.git", want: "ghcr.io is for github.com only"},
		"folder":            {remote: "/srv/git/r.git", want: "the Git remote is not on a server"},
		"folder with colon": {remote: "./a:b", want: "the Git remote is not on a server"},
		"file":              {remote: "file:///srv/r.git", want: "the Git remote is not on a server"},
		"deeper path":       {remote: "https://github.com/a/b/c", want: "does not have the form github.com/<owner>/<repository>"},
		"bad name":          {remote: "https://github.com/o/.github", want: `".github" is not a repository name`},
		"scheme":            {option: "oci://ghcr.io/o/r", want: "leave the scheme out: ghcr.io/o/r"},
		"scheme twice":      {option: "https://http://ghcr.io/o/r", want: "leave the scheme out: ghcr.io/o/r"},
		"only a scheme":     {option: "https://", want: "want HOST/PREFIX"},
		"no prefix":         {option: "ghcr.io", want: "want HOST/PREFIX"},
		"trailing slash":    {option: "ghcr.io/", want: "want HOST/PREFIX"},
		"no host":           {option: "stratio/keos", want: `"stratio", which is not a host name`},
		"upper case":        {option: "ghcr.io/Stratio/x", want: `try "stratio"`},
		"tag":               {option: "ghcr.io/o/r:v1", want: `"r:v1" is not a repository name`},
		"digest":            {option: "ghcr.io/o/r@sha256:00", want: "is not a repository name"},
		"empty element":     {option: "ghcr.io/o//r", want: `"" is not a repository name`},
		"bad port":          {option: "ghcr.io:http/o/r", want: "not a repository"},
		"user":              {option: "u@ghcr.io:1/o/r", want: "not a repository"},
		"too long":          {option: "ghcr.io/" + strings.Repeat("a", 250), want: "no more than 255"},
		"in the config":     {config: "\nregistry: ghcr.io/O\n", want: `keos-oci.yaml:4: registry: "ghcr.io/O": "O" is not a repository name`},
	} {
		t.Run(name, func(t *testing.T) {
			o := paths("components/a/x/kustomization.yaml").with(ConfigFile, header+tc.config).options(t)
			o.Registry = tc.option
			o.RemoteURL = func() (string, error) { return tc.remote, tc.err }
			_, err := Load(o)
			if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Load = %v, want %q", err, tc.want)
			}
		})
	}
	o := paths("components/a/x/kustomization.yaml").options(t)
	o.Registry = ""
	if _, err := Load(o); !errors.Is(err, ErrConfig) {
		t.Errorf("Load without a remote = %v", err)
	}
}

func TestLoad_names(t *testing.T) {
	for name, tc := range map[string]struct {
		files files
		want  string
	}{
		"folder": {paths("components/My_App/x/kustomization.yaml"),
			`components/My_App cannot be published as "My_App": the name takes lower case letters and digits, separated by ".", "_", "__" or dashes; give it one with components: {"My_App": {name: my-app}}`},
		"no proposal": {paths("components/ñ/x/kustomization.yaml"), `or dashes`},
		"named": {paths("apps/x.yaml").with(ConfigFile, header+"components:\n  My_App: {paths: [apps]}\n"),
			`keos-oci.yaml:4: components.My_App: My_App cannot be published as "My_App": the name takes lower case letters and digits, separated by ".", "_", "__" or dashes: try "my-app"`},
		"two elements": {paths("apps/x.yaml").with(ConfigFile, header+"components:\n  team/app: {paths: [apps]}\n"),
			`keos-oci.yaml:4: components.team/app: `},
		"name twice": {paths("components/a/x/kustomization.yaml", "components/b/x/kustomization.yaml").
			with(ConfigFile, header+"components:\n  b: {name: a}\n"),
			"keos-oci.yaml:4: components.b: components/a and components/b are both named a: give one of them a name of its own"},
		"found twice": {paths("x/a/x/kustomization.yaml", "y/a/x/kustomization.yaml").
			with(ConfigFile, header+"discover:\n- {layout: components, path: x}\n- {layout: components, path: y}\n"),
			"keos-oci.yaml:5: discover[1]: x/a and y/a are both named a"},
		"Git tag twice": {paths("components/a/x/kustomization.yaml", "components/b/x/kustomization.yaml").
			with(ConfigFile, header+"components:\n  b: {gitTag: 'a/v{version}'}\n"),
			"keos-oci.yaml:4: components.b: components/a and components/b are both released by the Git tag a/v{version}"},
		"too long": {paths("components/" + strings.Repeat("a", 245) + "/x/kustomization.yaml"), "no more than 255"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(tc.files.options(t))
			if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Load = %v, want %q", err, tc.want)
			}
		})
	}
}

package component

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestLoad_configErrors compares the whole text of each error, with its line.
func TestLoad_configErrors(t *testing.T) {
	const v = "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\n"
	for name, tc := range map[string]struct{ config, want string }{
		"empty":       {"", ":1: the file is empty: it needs apiVersion and kind"},
		"comment":     {"# nothing\n", ":1: the file is empty: it needs apiVersion and kind"},
		"null":        {"null\n", ":1: is empty, want a mapping"},
		"list":        {"- a\n", ":1: is a list, want a mapping"},
		"missing":     {"\nregistry: ghcr.io/a/b\n", ":2: apiVersion is missing\nkeos-oci.yaml:2: kind is missing"},
		"version":     {"apiVersion: v1\nkind: Workspace\n", `:1: apiVersion: is "v1", want "keos-oci.stratio.com/v1alpha1"`},
		"kind":        {"apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Fleet\n", `:2: kind: is "Fleet", want "Workspace"`},
		"unknown key": {v + "\nregistri: x\n", ":4: registri: unknown key: did you mean registry?"},
		"unlike any key": {v + "xyzzy: x\n",
			":3: xyzzy: unknown key: known are apiVersion, artifact, baseline, channels, componentKind, components, discover, formerly, generate, kind, mirrors, registry, secrets, signing"},
		"deep unknown key": {v + "components:\n  a:\n    gittag: v{version}\n",
			":5: components.a.gittag: unknown key: did you mean gitTag?"},
		"in a list": {v + "channels:\n  latest:\n    movers:\n    - issuer: a\n    - issuer: b\n      subjct: c\n",
			":8: channels.latest.movers[1].subjct: unknown key: did you mean subject?"},
		"flow style": {v + "artifact: {external: error,\n  maxsize: 5Mi}\n",
			":4: artifact.maxsize: unknown key: did you mean maxSize?"},
		"enum":       {v + "componentKind: apps\n", `:3: componentKind: "apps" is not one of fleet, infra, app`},
		"type":       {v + "components: [a]\n", ":3: components: is a list, want a mapping"},
		"null entry": {v + "components:\n  a:\n", ":4: components.a: is empty, want a mapping"},
		"number":     {v + "registry: 5\n", ":3: registry: is a number, want a text"},
		"boolean":    {v + "channels: {latest: {journal: yes}}\n", ":3: channels.latest.journal: is a text, want true or false"},
		"empty text": {v + "registry: ''\n", ":3: registry: must not be empty"},
		"no paths":   {v + "components: {a: {paths: []}}\n", ":3: components.a.paths: must not be an empty list"},
		"git tag": {v + "components: {a: {gitTag: v1}}\n",
			`:3: components.a.gitTag: "v1" does not have the form ^[^{}]*\{version\}[^{}]*$`},
		"git tag, twice": {v + "components: {a: {gitTag: '{version}{version}'}}\n",
			`:3: components.a.gitTag: "{version}{version}" does not have the form ^[^{}]*\{version\}[^{}]*$`},
		"git tag, illegal": {v + "components: {a: {gitTag: 'a..b{version}'}}\n",
			`:3: components.a.gitTag: "a..b{version}" is not a name that Git allows`},
		"size": {v + "artifact: {maxSize: 5 MB}\n",
			`:3: artifact.maxSize: "5 MB" does not have the form ^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|k|M|G)?$`},
		"size of nothing": {v + "artifact:\n  maxSize: 0\n", ":4: artifact.maxSize: 0 is less than 1"},
		"size of nothing, as text": {v + "artifact:\n  maxSize: 0Mi\n",
			`:4: artifact.maxSize: "0Mi" is not a size: want a number of bytes, or one such as 5Mi`},
		"hexadecimal size": {v + "artifact: {maxSize: 0x10}\n",
			`:3: artifact.maxSize: "0x10" is not a size: want a number of bytes, or one such as 5Mi`},
		"reason": {v + "secrets:\n  allow:\n  - path: a\n", ":5: secrets.allow[0]: reason is missing"},
		"baseline outside": {v + "baseline: ../known.yaml\n",
			`:3: baseline: "../known.yaml" is no file of the workspace: want a path relative to its top folder`},
		"absolute baseline": {v + "baseline: /etc/known.yaml\n",
			`:3: baseline: "/etc/known.yaml" is no file of the workspace: want a path relative to its top folder`},
		"baseline of a folder": {v + "baseline: a/..\n",
			`:3: baseline: "a/.." is no file of the workspace: want a path relative to its top folder`},
		"url": {v + "signing: {fulcioURL: fulcio.example.com}\n",
			`:3: signing.fulcioURL: "fulcio.example.com" does not have the form ^https?://[^/\s]+`},
		"closure of nothing": {v + "artifact: {mode: closure}\ncomponents:\n  b: {paths: [other]}\n",
			`:3: artifact.mode: closure takes what variants reach, and b has none: name them with components: {"b": {variants: […]}}`},
		"two subjects": {v + "signing:\n  identity:\n    subject: a\n    subjectRegexp: b\n",
			":6: signing.identity.subjectRegexp: give either subject or subjectRegexp"},
		"until": {v + "channels: {latest: {movers: [{issuer: i, subject: s, until: soon}]}}\n",
			`:3: channels.latest.movers[0].until: "soon" is not a day such as 2026-11-01`},
		"until of no mover": {v + "signing: {identity: {issuer: i, subject: s, until: 2026-11-01}}\n",
			":3: signing.identity.until: unknown key: known are issuer, repository, repositoryID, subject, subjectRegexp, triggers"},
		"regexp": {v + "channels: {latest: {movers: [{subjectRegexp: '('}]}}\n",
			":3: channels.latest.movers[0].subjectRegexp: error parsing regexp: missing closing ): `(`"},
		"source": {v + "channels:\n  edge: {branch: next}\n", ":4: channels.edge: from is missing: want branch or version"},
		"promote": {v + "channels:\n  latest:\n    promote: manual\n",
			":5: channels.latest.promote: only for channels that follow versions (from: version)"},
		"branch": {v + "channels: {latest-stable: {branch: main}}\n",
			":3: channels.latest-stable.branch: only for channels that follow a branch (from: branch)"},
		"empty name":   {v + "components:\n  '': {}\n", `:4: components."": "" is not a name allowed here`},
		"channel name": {v + "channels:\n  a/b: {from: branch}\n", `:4: channels.a/b: "a/b" is not a name allowed here`},
		"version channel": {v + "channels:\n  v1.2.3: {from: branch}\n",
			`:4: channels."v1.2.3": "v1.2.3" cannot be a channel: such tags have another meaning`},
		"digest channel": {v + "channels:\n  sha256-00: {from: branch}\n",
			`:4: channels.sha256-00: "sha256-00" cannot be a channel: such tags have another meaning`},
		"env first": {v + "discover:\n- {layout: envFirst}\n", ":4: discover[0].path: path is missing"},
		"no environment there": {v + "discover:\n- layout: envFirst\n  path: components\n  environments: [a, b]\n",
			":6: discover[0].environments[1]: components/b has no file that Git tracks"},
		"environment that is none": {v + "discover:\n- layout: envFirst\n  path: components\n  environments: [a/x]\n",
			`:6: discover[0].environments[0]: "a/x" is not the name of a folder in components`},
		"base as environment": {v + "discover:\n- layout: envFirst\n  path: components\n  environments: [base]\n",
			":6: discover[0].environments[0]: components/base is what environments build upon, and none itself"},
		"nothing enables": {v + "discover:\n- layout: envFirst\n  path: components\n  environments: [a]\n  enabledFrom: kustomization\n",
			":6: discover[0].environments[0]: components/a has no kustomization to list the apps that are enabled (enabledFrom: kustomization)"},
		"no environments": {v + "discover:\n- layout: envFirst\n  path: other\n",
			":4: discover[0]: no folder of other is an environment, with folders that have a kustomization"},
		"environments at the top": {v + "discover:\n- layout: envFirst\n  path: .\n",
			":4: discover[0]: environments is missing: at the top of a repository any folder could be one"},
		"environments of a layer": {v + "discover:\n- {layout: layer, path: other, environments: [a]}\n",
			":4: discover[0].environments: only for layout: envFirst"},
		"layer": {v + "discover:\n- layout: layer\n", ":4: discover[0].path: path is missing"},
		"absent layer": {v + "discover:\n- layout: layer\n  path: absent\n",
			":5: discover[0].path: absent has no file that Git tracks"},
		"no components": {v + "discover:\n- layout: components\n  path: other\n",
			":4: discover[0]: no folder of other has a kustomization"},
		"no fleet": {v + "discover:\n- layout: fleet\n  path: other\n",
			":4: discover[0]: no folder of other has a FluxInstance, a gotk-sync.yaml or a Flux Kustomization"},
		"absolute path": {v + "components:\n  b:\n    paths:\n    - other\n    - /etc\n",
			`:7: components.b.paths[1]: "/etc" is absolute: want a path relative to the workspace`},
		"path outside": {v + "components: {b: {paths: [other/../../x]}}\n",
			`:3: components.b.paths[0]: "other/../../x" may not contain .. elements`},
		"backslash": {v + "components: {b: {paths: ['other\\x']}}\n",
			`:3: components.b.paths[0]: "other\\x" is not a path: want folders separated by /`},
		"untracked path": {v + "components: {b: {paths: [oth]}}\n", ":3: components.b.paths[0]: oth has no file that Git tracks"},
		"root outside": {v + "components: {b: {paths: [other], root: ..}}\n",
			`:3: components.b.root: ".." may not contain .. elements`},
		"root beside": {v + "components: {b: {paths: [other], root: components}}\n",
			":3: components.b.root: components does not hold other"},
		"root is a file": {v + "components: {b: {paths: [other/x/f.yaml], root: other/x/f.yaml}}\n",
			":3: components.b.root: other/x/f.yaml does not hold other/x/f.yaml"},
		"variant beside": {v + "components:\n  b:\n    paths: [other]\n    variants:\n    - x\n    - z\n",
			":8: components.b.variants[1]: other/z is no folder of the component with a file that Git tracks"},
		"unknown component": {v + "components:\n  aa: {gitTag: 'v{version}'}\n",
			`:4: components.aa: unknown component "aa"; did you mean a? known: a; an entry that defines a component has paths`},
		"duplicate key":  {v + "registry: a\ncomponents:\n  b: {}\n  b: {}\n", ":6: components.b: given twice, first on line 5"},
		"duplicate flow": {v + "artifact: {mode: a, mode: a}\n", ":3: artifact.mode: given twice, first on line 3"},
		"two documents":  {v + "---\n" + v, ":3: a second document: the file may hold only one"},
		"merge key": {v + "signing: &s {}\ncomponents:\n  a:\n    <<: *s\n",
			":6: components.a: merge keys (<<) are not supported: write the values out"},
		"key of a mapping":   {v + "? {a: b}\n: c\n", ":3: a key must be a plain text"},
		"alias of itself":    {v + "components: &c\n  a: *c\n", ":4: components.a: the alias *c contains itself"},
		"unknown alias":      {v + "components:\n  a: *nothing\n", ":4: unknown anchor 'nothing' referenced"},
		"syntax":             {v + "a: b: c\n", ":3: mapping values are not allowed in this context"},
		"indentation":        {v + "components:\n    a: {}\n  b: {}\n", ":5: did not find expected key"},
		"tab":                {v + "components:\n\ta: {}\n", ":4: found character that cannot start any token"},
		"open bracket":       {v + "discover: [a, b\nregistry: c\n", ":3: did not find expected ',' or ']'"},
		"open brace":         {v + "artifact: {a: b\n", ":3: did not find expected ',' or '}'"},
		"open quote":         {v + "registry: \"a\n", ":3: found unexpected end of stream"},
		"syntax, line 1":     {"a: b: c\n", ":1: mapping values are not allowed in this context"},
		"syntax of a second": {v + "---\na: b: c\n", ":4: mapping values are not allowed in this context"},
		"control letter":     {v + "registry: a\x00b\n", ":3: not a text in UTF-8"},
		"not UTF-8":          {v + "\nregistry: \xff\n", ":4: not a text in UTF-8"},
		"UTF-16":             {"\xff\xfea\x00", ":1: not a text in UTF-8"},
		"windows lines": {"apiVersion: keos-oci.stratio.com/v1alpha1\r\nkind: Workspace\r\nregistri: x\r\n",
			":3: registri: unknown key: did you mean registry?"},
		"infinity": {v + "artifact: {maxSize: .inf}\n",
			`:3: artifact.maxSize: ".inf" does not have the form ^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|k|M|G)?$`},
		"not a number": {v + "artifact: {maxSize: .nan}\n",
			`:3: artifact.maxSize: ".nan" does not have the form ^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|k|M|G)?$`},
		"day of a rename": {v + "formerly:\n- repository: org/apps\n  until: soon\n",
			`:5: formerly[0].until: "soon" is not a day such as 2026-11-01`},
		"rename without a day": {v + "formerly: [{repository: org/apps}]\n", ":3: formerly[0]: until is missing"},
		"identity of a list": {v + "signing:\n  identities:\n  - issuer: i\n    subjectRegexp: '('\n",
			":6: signing.identities[0].subjectRegexp: error parsing regexp: missing closing ): `(`"},
		"repository's id": {v + "signing: {identity: {repositoryID: x}}\n",
			`:3: signing.identity.repositoryID: "x" does not have the form ^[0-9]+$`},
		"date": {v + "registry: 2026-11-20\n",
			`:3: registry: "2026-11-20": want HOST/PREFIX, such as ghcr.io/stratio/keos-apps`},
	} {
		t.Run(name, func(t *testing.T) {
			o := paths("components/a/x/kustomization.yaml", "other/x/f.yaml").with(ConfigFile, tc.config).options(t)
			o.Registry, o.RemoteURL = "", func() (string, error) { return "https://github.com/o/r", nil }
			_, err := Load(o)
			if !errors.Is(err, ErrConfig) || err.Error() != ConfigFile+tc.want {
				t.Errorf("Load =\n%v, want\n%s", err, ConfigFile+tc.want)
			}
		})
	}
}

func TestLoad_allErrorsInOrder(t *testing.T) {
	_, err := Load(paths("components/a/x/kustomization.yaml").with(ConfigFile, header+
		"x: 1\nartifact: {external: no, maxSize: x}\nsigning: 5\n").options(t))
	var config *ConfigError
	if !errors.As(err, &config) {
		t.Fatalf("Load = %v", err)
	}
	var places []string
	for _, v := range config.Violations {
		places = append(places, v.Path)
	}
	if want := []string{"x", "artifact.external", "artifact.maxSize", "signing"}; !slices.Equal(places, want) {
		t.Errorf("places = %v, want %v", places, want)
	}
}

// TestLoad_hostileConfig only demands an answer: an error, soon, and no panic.
func TestLoad_hostileConfig(t *testing.T) {
	bomb := "x0: &x0 [a,a,a,a,a,a,a,a,a,a]\n"
	for i := range 9 {
		n, m := string(rune('0'+i)), string(rune('1'+i))
		bomb += "x" + m + ": &x" + m + " [" + strings.Repeat("*x"+n+",", 9) + "*x" + n + "]\n"
	}
	for name, config := range map[string]string{
		"alias bomb":       header + bomb,
		"deep flow":        header + "x: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		"deeper flow":      header + "x: " + strings.Repeat("[", 200_000),
		"deep mappings":    header + "x: " + strings.Repeat("{a: ", 3000) + strings.Repeat("}", 3000),
		"deep indentation": header + "x:\n" + indented(400),
		"too large":        header + "#" + strings.Repeat("x", 1<<20),
		"many keys":        header + "components: {" + strings.Repeat("a: {}, ", 20_000) + "}",
		"many list items":  header + "discover: [" + strings.Repeat("1,", 100_000) + "]",
		"long key":         header + strings.Repeat("k", 100_000) + ": 1",
		"tags":             header + "registry: !!binary aGVsbG8=\nx: !<tag:x> y\nz: !!int x\n",
		"bad binary":       header + "registry: !!binary '%%%'\n",
		"python":           header + "x: !!python/object/apply:os.system [ls]\n",
		"null key":         header + "~: x\n? \n: y\n",
		"big number":       header + "artifact: {maxSize: 1e400}\n",
		"big size":         header + "artifact: {maxSize: x" + strings.Repeat("9", 10_000) + "Gi}\n",
		"directive":        "%YAML 9.9\n---\n" + header,
		"json":             `{"apiVersion":"keos-oci.stratio.com/v1alpha1","kind":"Workspace","\u0000":1}`,
		"secret of regexp": header + "signing: {identity: {subjectRegexp: '" + strings.Repeat("(a{1000}){1000}", 10) + "'}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := Load(paths("components/a/x/kustomization.yaml").with(ConfigFile, config).options(t))
			if !errors.Is(err, ErrConfig) {
				t.Errorf("Load = %.200v", err)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

func indented(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i+1) + "a:\n")
	}
	return b.String()
}

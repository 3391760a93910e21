package component

import (
	"slices"
	"strings"
	"testing"
)

// layered is a repository of layers whose environments hold apps.
func layered() files {
	return paths("apps/base/podinfo/kustomization.yaml", "apps/base/redis/kustomization.yaml", "apps/base/old/kustomization.yaml",
		"apps/common/x.yaml", "apps/staging/podinfo/kustomization.yaml", "apps/staging/redis/sub/kustomization.yaml", "apps/staging/README.md",
		"apps/staging/plain/x.yaml", "apps/production/podinfo/kustomization.yml", "apps/production/extra/Kustomization",
		"infra/base/cni/kustomization.yaml", "infra/staging/cni/kustomization.yaml").
		with("apps/staging/kustomization.yaml", "resources:\n- podinfo\n- ./redis/\n# - extra\n- ../base/old\n- https://example.com/x\n").
		with("apps/production/kustomization.yaml", "resources: [podinfo]\nbases: [missing]\n")
}

func TestEnvFirst(t *testing.T) {
	for name, tc := range map[string]struct {
		discover string
		want     []string
		disabled string
	}{
		"given": {"[{layout: envFirst, path: apps, environments: [staging, production]}]", []string{
			"extra app apps [apps/production/extra] [production/extra] [] extra/v{version}",
			"podinfo app apps [apps/base/podinfo apps/production/podinfo apps/staging/podinfo] [production/podinfo staging/podinfo] [] podinfo/v{version}",
			"redis app apps [apps/base/redis apps/staging/redis] [staging/redis] [] redis/v{version}"}, "old: no environment has it"},
		"detected": {"[{layout: envFirst, path: apps}]", []string{
			"extra app apps [apps/production/extra] [production/extra] [] extra/v{version}",
			"podinfo app apps [apps/base/podinfo apps/production/podinfo apps/staging/podinfo] [production/podinfo staging/podinfo] [] podinfo/v{version}",
			"redis app apps [apps/base/redis apps/staging/redis] [staging/redis] [] redis/v{version}"}, "old: no environment has it"},
		"one environment": {"[{layout: envFirst, path: apps, environments: [production]}]", []string{
			"extra app apps [apps/production/extra] [production/extra] [] extra/v{version}",
			"podinfo app apps [apps/base/podinfo apps/production/podinfo] [production/podinfo] [] podinfo/v{version}"},
			"old: no environment has it redis: no environment has it"},
		"enabled": {"[{layout: envFirst, path: apps, enabledFrom: kustomization}]", []string{
			"podinfo app apps [apps/base/podinfo apps/production/podinfo apps/staging/podinfo] [production/podinfo staging/podinfo] [] podinfo/v{version}",
			"redis app apps [apps/base/redis apps/staging/redis] [staging/redis] [] redis/v{version}"},
			"extra: apps/production/kustomization.yaml does not list extra old: no environment has it"},
		"wider root": {"[{layout: envFirst, path: apps, environments: [production]}]\ncomponents: {podinfo: {root: ., name: info}, extra: {gitTag: 'x{version}'}}", []string{
			"extra app apps [apps/production/extra] [production/extra] [] x{version}",
			"info app . [apps/base/podinfo apps/production/podinfo] [apps/production/podinfo] [] info/v{version}"},
			"old: no environment has it redis: no environment has it"},
		"mixed": {"[{layout: envFirst, path: apps, environments: [production]}, {layout: layer, path: infra}]", []string{
			"extra app apps [apps/production/extra] [production/extra] [] extra/v{version}",
			"infra app infra [infra] [staging/cni] [] infra/v{version}",
			"podinfo app apps [apps/base/podinfo apps/production/podinfo] [production/podinfo] [] podinfo/v{version}"},
			"old: no environment has it redis: no environment has it"},
	} {
		t.Run(name, func(t *testing.T) {
			w := layered().with(ConfigFile, header+"discover: "+tc.discover+"\n").load(t)
			wantComponents(t, w, tc.want...)
			var disabled []string
			for _, d := range w.Disabled {
				disabled = append(disabled, d.Name+": "+d.Why)
			}
			if got := strings.Join(disabled, " "); got != tc.disabled {
				t.Errorf("disabled = %q, want %q", got, tc.disabled)
			}
		})
	}
}

// TestEnvFirst_top: environments may be at the top of a repository; and of two apps of one name, the first can be renamed.
func TestEnvFirst_top(t *testing.T) {
	w := paths("base/a/kustomization.yaml", "staging/a/kustomization.yaml", "clusters/x/kustomization.yaml", "more/prod/a/kustomization.yaml").
		with(ConfigFile,
			header+"discover: [{layout: envFirst, path: ., environments: [staging]}, {layout: envFirst, path: more}]\ncomponents: {a: {name: first}}\n").load(t)
	wantComponents(t, w, "a app more [more/prod/a] [prod/a] [] a/v{version}", "first app . [base/a staging/a] [staging/a] [] first/v{version}")
}

// TestMonorepo: a fleet, infrastructure in phases and apps, each by its own layout.
func TestMonorepo(t *testing.T) {
	w := layered().with("clusters/one/flux-system/gotk-sync.yaml", "").with("infrastructure/dns/controllers/staging/kustomization.yaml", "").
		with("infrastructure/dns/configs/staging/kustomization.yaml", "").
		with(ConfigFile,
			header+"componentKind: app\ndiscover:\n- {layout: components, path: infrastructure}\n- {layout: envFirst, path: apps, enabledFrom: kustomization}\n"+
				"components:\n  clusters: {paths: [clusters], root: ., kind: fleet, gitTag: 'v{version}', variants: [clusters/one]}\n  dns: {kind: infra}\n"+
				"artifact: {mode: closure, external: include}\n").load(t)
	wantComponents(t, w, "clusters fleet . [clusters] [clusters/one] [] v{version}",
		"dns infra infrastructure/dns [infrastructure/dns] [configs/staging controllers/staging] [controllers configs] dns/v{version}",
		"podinfo app apps [apps/base/podinfo apps/production/podinfo apps/staging/podinfo] [production/podinfo staging/podinfo] [] podinfo/v{version}",
		"redis app apps [apps/base/redis apps/staging/redis] [staging/redis] [] redis/v{version}")
}

// TestEnvFirst_changes: what enables apps concerns those that it could enable.
func TestEnvFirst_changes(t *testing.T) {
	w := layered().with(ConfigFile, header+"discover: [{layout: envFirst, path: apps, enabledFrom: kustomization}]\n").load(t)
	for file, want := range map[string][]string{
		"apps/production/kustomization.yaml":      {"podinfo", "redis"},
		"apps/base/redis/kustomization.yaml":      {"redis"},
		"apps/production/extra/kustomization.yml": {},
		"apps/.sourceignore":                      {"podinfo", "redis"},
		ConfigFile:                                {"podinfo", "redis"},
	} {
		if got := w.Components.ChangedIn([]string{file}).Names(); !slices.Equal(got, want) {
			t.Errorf("ChangedIn(%s) = %v, want %v", file, got, want)
		}
	}
}

func TestEnvFirst_errors(t *testing.T) {
	for name, tc := range map[string]struct {
		files files
		want  string
	}{
		"same name in two layers": {layered().with("infra/base/redis/kustomization.yaml", "").with("infra/staging/redis/kustomization.yaml", "").
			with(ConfigFile, header+"discover:\n- {layout: envFirst, path: apps}\n- {layout: envFirst, path: infra}\n"),
			":5: discover[1]: apps/base/redis and infra/base/redis are both named redis: give one of them a name of its own"},
		"name that no repository has": {paths("apps/staging/S/kustomization.yaml").with(ConfigFile,
			header+"discover:\n- {layout: envFirst, path: apps}\n"),
			`:4: discover[0]: apps/staging/S cannot be published as "S": the name takes lower case letters`},
		"none enabled": {paths("apps/staging/a/kustomization.yaml").with("apps/staging/kustomization.yaml", "resources: []\n").
			with(ConfigFile, header+"discover:\n- {layout: envFirst, path: apps, enabledFrom: kustomization}\n"),
			":4: discover[0]: no environment of apps has an app with a kustomization that its own kustomization lists"},
		"enabled by what is no YAML": {paths("apps/staging/a/kustomization.yaml").with("apps/staging/kustomization.yaml", "resources: a: b\n").
			with(ConfigFile, header+"discover:\n- {layout: envFirst, path: apps, enabledFrom: kustomization}\n"),
			":4: discover[0]: apps/staging/kustomization.yaml does not say which apps are enabled: yaml: mapping values"},
		"layer beside its apps": {layered().with(ConfigFile,
			header+"discover:\n- {layout: layer, path: apps}\n- {layout: envFirst, path: apps, environments: [production]}\n"),
			"overlaps with apps of apps"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(tc.files.options(t))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Load = %v, want %s", err, tc.want)
			}
		})
	}
}

// TestEnvFirst_listedFromAfar: an environment may name its apps by a way through other folders.
func TestEnvFirst_listedFromAfar(t *testing.T) {
	f := paths("apps/staging/a/kustomization.yaml", "apps/staging/b/kustomization.yaml", "apps/staging/c/kustomization.yaml").
		with("apps/staging/kustomization.yaml", "resources: [../../apps/staging/a, ./b/, ../../apps/other/c, ../staging]\n").
		with(ConfigFile, header+"discover:\n- {layout: envFirst, path: apps, enabledFrom: kustomization}\n")
	if got := f.load(t).Components.Names(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("enabled are %v", got)
	}
}

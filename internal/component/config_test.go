package component

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLoad_defaults(t *testing.T) {
	for name, f := range map[string]files{
		"without a file":    paths("components/a/x/kustomization.yaml"),
		"with a short file": paths("components/a/x/kustomization.yaml").with(ConfigFile, header),
	} {
		t.Run(name, func(t *testing.T) {
			w := f.load(t)
			want := Config{
				File:     w.Config.File,
				Artifact: Artifact{ExternalError, RemoteBasesError, nil, 5 << 20, ModeFolder},
				Signing:  Signing{Format: FormatBundle},
				Channels: Channels{
					{Name: "latest", From: FromBranch, Branch: "main"},
					{Name: "latest-stable", From: FromVersion, Promote: PromoteAuto, Journal: true},
				},
			}
			if !reflect.DeepEqual(w.Config, want) {
				t.Errorf("Config = %+v, want %+v", w.Config, want)
			}
			c := w.Components[0]
			if !reflect.DeepEqual(c.Channels, want.Channels) || !reflect.DeepEqual(c.Signing, want.Signing) || c.MaxSize != 5<<20 {
				t.Errorf("component = %+v", c)
			}
		})
	}
}

func TestLoad_everySetting(t *testing.T) {
	w := paths("components/a/x/kustomization.yaml", "components/b/x/kustomization.yaml").with(ConfigFile, header+`
registry: ghcr.io/stratio/keos-apps
artifact: {remoteBases: allow, ignore: ["docs/"], maxSize: 1048576, mode: folder}
secrets: {allow: [{path: "clusters/_TEMPLATE/**", reason: placeholders}]}
baseline: ./ci/known.yaml
signing:
  format: both
  identity: {issuer: https://i, subject: https://s}
  key: keys/cosign.pub
  fulcioURL: https://fulcio.example.com
  rekorURL: http://127.0.0.1:3000
  trustedRoot: /etc/trusted_root.json
channels:
  latest: {branch: trunk, journal: true}
  latest-stable: {promote: manual, movers: [{issuer: https://i, subjectRegexp: "^https://m/.*$"}]}
  edge: {from: branch, branch: next, identity: {subject: https://edge}}
components:
  a:
    signing: {identity: {subjectRegexp: ".*"}}
    channels: {latest-stable: {promote: auto, journal: false}, edge: {identity: {issuer: https://other}}, own: {from: version}}
`).load(t)
	signing := Signing{Format: FormatBoth, Identity: Identity{Issuer: "https://i", Subject: "https://s"},
		Key:       filepath.Join(w.Dir, "keys/cosign.pub"),
		FulcioURL: "https://fulcio.example.com", RekorURL: "http://127.0.0.1:3000", TrustedRoot: "/etc/trusted_root.json"}
	want := Config{
		File: ConfigFile, Registry: "ghcr.io/stratio/keos-apps",
		Artifact: Artifact{ExternalError, RemoteBasesAllow, []string{"docs/"}, 1 << 20, ModeFolder},
		Secrets:  []SecretException{{"clusters/_TEMPLATE/**", "placeholders"}},
		Baseline: "ci/known.yaml",
		Signing:  signing,
		Channels: Channels{
			{"edge", FromBranch, "next", "", false, nil, []Identity{{Subject: "https://edge"}}},
			{"latest", FromBranch, "trunk", "", true, nil, []Identity{signing.Identity}},
			{"latest-stable", FromVersion, "", PromoteManual, true,
				[]Mover{{Identity: Identity{Issuer: "https://i", SubjectRegexp: "^https://m/.*$"}}}, []Identity{signing.Identity}},
		},
	}
	if !reflect.DeepEqual(w.Config, want) {
		t.Errorf("Config =\n%+v, want\n%+v", w.Config, want)
	}
	b, _ := w.Components.Find("b")
	if !reflect.DeepEqual(b.Channels, want.Channels) || !reflect.DeepEqual(b.Signing, signing) {
		t.Errorf("b = %+v", b)
	}
	a, _ := w.Components.Find("a")
	own := Identity{Issuer: "https://i", SubjectRegexp: ".*"}
	wantOwn := Channels{
		{"edge", FromBranch, "next", "", false, nil, []Identity{{Issuer: "https://other", Subject: "https://edge"}}},
		{"latest", FromBranch, "trunk", "", true, nil, []Identity{own}},
		{"latest-stable", FromVersion, "", PromoteAuto, false,
			[]Mover{{Identity: Identity{Issuer: "https://i", SubjectRegexp: "^https://m/.*$"}}}, []Identity{own}},
		{"own", FromVersion, "", PromoteAuto, true, nil, []Identity{own}},
	}
	if !reflect.DeepEqual(a.Channels, wantOwn) {
		t.Errorf("channels of a =\n%+v, want\n%+v", a.Channels, wantOwn)
	}
	if a.Signing.Format != FormatBoth || !reflect.DeepEqual(a.Signing.Identity, own) || a.Signing.Key != signing.Key ||
		a.Signing.RekorURL != signing.RekorURL {
		t.Errorf("signing of a = %+v", a.Signing)
	}
}

// TestLoad_journalOfOneComponent guards against a setting that leaks from one component into the next.
func TestLoad_journalOfOneComponent(t *testing.T) {
	w := paths("components/a/x/kustomization.yaml", "components/b/x/kustomization.yaml").with(ConfigFile, header+`
channels: {latest: {journal: true}}
components: {a: {channels: {latest: {journal: false}}}, b: {ignore: [x]}}
`).load(t)
	for i, want := range []bool{false, true} {
		latest, err := w.Components[i].Channels.Find("latest")
		if err != nil || latest.Journal != want {
			t.Errorf("%s: journal = %v, %v, want %v", w.Components[i].Name, latest.Journal, err, want)
		}
	}
	if latest, _ := w.Config.Channels.Find("latest"); !latest.Journal {
		t.Error("the workspace's journal was turned off")
	}
}

func TestChannels(t *testing.T) {
	channels := finish(defaultChannels(), Signing{})
	if _, err := channels.Find("latest-stabel"); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "did you mean latest-stable?") {
		t.Errorf("Find = %v", err)
	}
	if got := channels.From(FromVersion); len(got) != 1 || got[0].Name != "latest-stable" || len(channels) != 2 {
		t.Errorf("From = %v", got)
	}
}

// TestLoad_signers: several identities, keys, and former names.
func TestLoad_signers(t *testing.T) {
	w := paths("components/a/x/kustomization.yaml").with(ConfigFile, header+`
formerly: [{repository: org/apps, until: 2026-11-01}, {repository: o/a, until: "2025-01-02T03:04:05Z"}]
signing:
  keys: [new.pub, /etc/old.pub]
  identity: {issuer: https://i, subject: https://s, repositoryID: "7", triggers: [push]}
  identities: [{issuer: https://j, subjectRegexp: "https://t/{component}/v{version}", repository: org/shared}]
channels: {latest: {identities: [{issuer: https://k, subject: https://u}]}}
`).load(t)
	first := Identity{Issuer: "https://i", Subject: "https://s", RepositoryID: "7", Triggers: []string{"push"}}
	second := Identity{Issuer: "https://j", SubjectRegexp: "https://t/{component}/v{version}", Repository: "org/shared"}
	latest, stable := w.Components[0].Channels[0], w.Components[0].Channels[1]
	if want := []Identity{{Issuer: "https://k", Subject: "https://u"}}; !reflect.DeepEqual(latest.Identities, want) {
		t.Errorf("latest = %+v", latest.Identities)
	}
	if want := []Identity{first, second}; !reflect.DeepEqual(stable.Identities, want) {
		t.Errorf("latest-stable = %+v", stable.Identities)
	}
	if want := []string{filepath.Join(w.Dir, "new.pub"), "/etc/old.pub"}; !slices.Equal(w.Config.Signing.Keys, want) {
		t.Errorf("keys = %v", w.Config.Signing.Keys)
	}
	want := []Former{{"org/apps", time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}, {"o/a", time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)}}
	if !reflect.DeepEqual(w.Config.Formerly, want) {
		t.Errorf("formerly = %v", w.Config.Formerly)
	}
}

func TestLoad_aliases(t *testing.T) {
	w := paths("components/a/x/kustomization.yaml").with(ConfigFile, header+`
signing: {identity: &me {issuer: https://i, subject: https://s}}
channels: {latest-stable: {movers: [*me]}}
`).load(t)
	if got := w.Config.Channels[1].Movers; !reflect.DeepEqual(got, []Mover{{Identity: Identity{Issuer: "https://i", Subject: "https://s"}}}) {
		t.Errorf("movers = %v", got)
	}
}

func TestLoad_configElsewhere(t *testing.T) {
	f := paths("components/a/x/kustomization.yaml").with("ci/oci.yaml", header+"components: {b: {}}\n").with("keos-oci.yml", header)
	o := f.options(t)
	if _, err := Load(o); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "keos-oci.yml is to be called keos-oci.yaml") {
		t.Errorf("Load = %v", err)
	}
	for _, file := range []string{"ci/oci.yaml", filepath.Join(o.Dir, "ci/oci.yaml")} {
		o.ConfigFile = file
		if _, err := Load(o); err == nil || !strings.HasPrefix(err.Error(), file+":3: components.b: ") {
			t.Errorf("Load = %v, want an error in %s", err, file)
		}
	}
	if err := os.WriteFile(filepath.Join(o.Dir, "ci/oci.yaml"), []byte(header), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.Components.ChangedIn([]string{"ci/oci.yaml"}); len(got) != 1 {
		t.Errorf("ChangedIn of the config file = %v", got.Names())
	}
	for _, file := range []string{"absent.yaml", "components"} {
		o.ConfigFile = file
		if _, err := Load(o); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), file) {
			t.Errorf("Load with the config %s = %v", file, err)
		}
	}
}

func FuzzParseDocument(f *testing.F) {
	for _, seed := range []string{header, header + "components: {a: &a {paths: [x]}, b: *a}\n", "a: [1, 2", "? a\n: b", "--- a\n--- b"} {
		f.Add([]byte(seed))
	}
	schema, err := compileSchema()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := parseDocument(ConfigFile, data)
		if err == nil {
			schema.check(doc)
			err = doc.err()
		}
		var config *ConfigError
		if err == nil {
			return
		}
		if !errors.As(err, &config) {
			t.Fatalf("error = %v", err)
		}
		for _, v := range config.Violations {
			if v.Line < 1 || v.Line > lastLine(data) {
				t.Fatalf("line %d of %q: %v", v.Line, data, err)
			}
		}
	})
}

// TestSchema_describesItself: for editors, every property is described, and no object
// takes a key that it does not know.
func TestSchema_describesItself(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	var visit func(path string, node any)
	visit = func(path string, node any) {
		object, ok := node.(map[string]any)
		if !ok {
			return
		}
		if properties, ok := object["properties"].(map[string]any); ok {
			if object["additionalProperties"] != false {
				t.Errorf("%s takes unknown keys", path)
			}
			for name, property := range properties {
				if text, _ := property.(map[string]any)["description"].(string); text == "" {
					t.Errorf("%s.%s has no description", path, name)
				}
			}
		} else if object["type"] == "object" && object["additionalProperties"] == nil {
			t.Errorf("%s takes any key", path)
		}
		for key, child := range object {
			visit(path+"/"+key, child)
		}
	}
	visit("", root)
}

// TestBaseline: a commit that lacks the baseline which its own config names is an error; one that is older than the config has none.
// The checkout as it is may lack it, until it is written.
func TestBaseline(t *testing.T) {
	f := paths("components/a/x/kustomization.yaml").with(ConfigFile, header+"baseline: known.yaml\n")
	if w := f.load(t); w.Config.Baseline != "known.yaml" || w.BaselineLine != 3 || !w.Components[0].ChangedBy("known.yaml") {
		t.Errorf("checkout: %q", w.Config.Baseline)
	}
	o := f.options(t)
	o.FS, o.Commit = os.DirFS(o.Dir), "1a2b"
	if _, err := Load(o); !errors.Is(err, ErrConfig) || err.Error() != "keos-oci.yaml:3: baseline: known.yaml is no file of this commit" {
		t.Errorf("commit: %v", err)
	}
	o.ConfigFile = filepath.Join(o.Dir, ConfigFile)
	w, err := Load(o)
	if err != nil || w.Config.Baseline != "" || len(w.Missing) != 1 {
		t.Errorf("older commit: %v, %+v", err, w)
	}
	with := f.with("known.yaml", "").options(t)
	with.FS, with.Commit = os.DirFS(with.Dir), "1a2b"
	if w, err := Load(with); err != nil || w.Config.Baseline != "known.yaml" {
		t.Errorf("commit with the file: %v", err)
	}
	if f := paths("components/a/x/kustomization.yaml"); f.load(t).Components[0].ChangedBy("known.yaml") {
		t.Error("without a baseline, the file concerns nobody")
	}
}

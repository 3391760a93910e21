package flux

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux/fluxtest"
	"github.com/stratio/keos-oci/internal/sign"
)

// valueAt is what an object has behind keys.
func valueAt(object map[string]any, keys ...string) any {
	var v any = object
	for _, key := range keys {
		inside, _ := v.(map[string]any)
		v = inside[key]
	}
	return v
}

// TestShared: one file serves clusters on different channels. With the settings of a channel, the source has its tag and
// accepts exactly who signs for it; without settings, nothing.
func TestShared(t *testing.T) {
	cart, shop := app(t, "cart"), app(t, "shop")
	s := Shared{Components: []Followed{cart, shop}, Access: Access{PullSecret: "login"}}
	content, err := s.Source(shop, "apps")
	if err != nil {
		t.Fatal(err)
	}
	const workflows = "https://github.com/org/apps/.github/workflows/release.yaml@"
	subjects := map[string]string{
		"main": workflows + "refs/heads/main", "release": workflows + "refs/tags/shop/v1.2.3",
		"another": workflows +
			"refs/tags/cart/v1.2.3", "elsewhere": "https://github.com/evil/apps/.github/workflows/release.yaml@refs/heads/main",
	}
	for channel, accepted := range map[string]string{"latest": "main", "latest-stable": "release", "": ""} {
		values := map[string]string{settingWorkflow: "", settingGitRef: ""} // as Flux takes variables that are not there
		if channel != "" {
			settings, err := s.Settings(channel)
			if err != nil {
				t.Fatal(err)
			}
			for _, setting := range settings {
				values[setting.Key] = setting.Value
				if strings.Contains(setting.Value, `\`) {
					t.Errorf("%s has a backslash, which double quotes do not keep: %s", setting.Key, setting.Value)
				}
			}
		}
		object, err := fluxtest.Substitute(documents(t, content)[0], values)
		if err != nil {
			t.Fatal(err)
		}
		tag := valueAt(object, "spec", "ref", "tag")
		if want := map[string]string{"": "unset"}[channel] + channel; tag != want {
			t.Errorf("%q: the tag is %v, want %s", channel, tag, want)
		}
		applied := valueAt(object, "metadata", "annotations", "kustomize.toolkit.fluxcd.io/reconcile") != "disabled"
		if applied != (channel != "") {
			t.Errorf("%q: the cluster gets the source: %v", channel, applied)
		}
		identities, _ := valueAt(object, "spec", "verify", "matchOIDCIdentity").([]any)
		if len(identities) != 1 {
			t.Fatalf("%v", object)
		}
		pattern := regexp.MustCompile(valueAt(identities[0].(map[string]any), "subject").(string))
		for who, subject := range subjects {
			if pattern.MatchString(subject) != (who == accepted) {
				t.Errorf("%q: %s matches %s: %v", channel, pattern, subject, who != accepted)
			}
		}
	}
}

// TestSharedKey: with a key pair the settings have the channel alone.
func TestSharedKey(t *testing.T) {
	f := app(t, "shop")
	for channel := range f.Policies {
		f.Policies[channel] = sign.Policy{Key: "cosign.pub"}
	}
	s := Shared{Components: []Followed{f}, Trust: TrustSecrets{Key: "cosign-key"}}
	if settings, err := s.Settings("latest"); err != nil || len(settings) != 1 || settings[0] != (Setting{"ARTIFACT_TAG", "latest"}) {
		t.Error(settings, err)
	}
	content, err := s.Source(f, "apps")
	if err != nil || !strings.Contains(string(content), "name: cosign-key") {
		t.Errorf("%v\n%s", err, content)
	}
	s.Trust.Key = ""
	if _, err := s.Source(f, "apps"); !errors.Is(err, ErrInput) {
		t.Error(err)
	}
}

// TestSharedRefuses: what no setting can say for all.
func TestSharedRefuses(t *testing.T) {
	odd := app(t, "odd")
	odd.Policies["latest"] = sign.Policy{Issuer: "https://example.com", Subject: "someone@example.com"}
	if _, err := (Shared{Components: []Followed{odd}}).Settings("latest"); !errors.Is(err, ErrInput) {
		t.Error(err)
	}
	other := app(t, "other")
	other.Policies["latest"] = sign.Policy{Issuer: "https://token.actions.githubusercontent.com",
		SubjectPattern: `https://github\.com/org/apps/\.github/workflows/other\.yaml@refs/heads/main`}
	if _, err := (Shared{Components: []Followed{app(t, "shop"), other}}).Settings("latest"); !errors.Is(err, ErrInput) {
		t.Error(err)
	}
	if _, err := (Shared{Components: []Followed{app(t, "shop")}}).Settings("nosuch"); !errors.Is(err, component.ErrUnknown) {
		t.Error(err)
	}
}

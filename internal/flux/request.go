package flux

import (
	"context"
	"fmt"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/fileset"
	"github.com/stratio/keos-oci/internal/sign"
)

// Request is what all generate commands ask for: components, and how clusters reach, verify and apply them.
type Request struct {
	Workspaces []string // folders of checkouts with components; Directory where empty
	Access     Access
	Trust      TrustSecrets
	Interval   string
	Pins       []string    // COMPONENT=PIN
	DependsOn  []string    // COMPONENT=COMPONENT
	Literal    []string    // components that are not substituted
	Health     []string    // COMPONENT=APIVERSION/KIND/NAMESPACE/NAME
	Decryption string      // sops=SECRET
	Key        string      // file of the key pair that signs artifacts
	Asked      sign.Policy // whose signature is expected, where the config does not count

	Directory    string // folder of the checkout to work on
	OneWorkspace bool   // a registry or a config was named, which is of one workspace
	Open         Open

	Output fileset.Request
}

// defaults takes from the config what was not asked for.
func (r *Request) defaults(ws *component.Workspace) {
	c := ws.Config.Generate
	fill(&r.Access.Registry, c.ClusterRegistry)
	fill(&r.Access.PullSecret, c.PullSecret)
	fill(&r.Access.ServiceAccount, c.ServiceAccount)
	fill(&r.Access.Provider, c.Provider)
	fill(&r.Access.CertSecret, c.CertSecret)
	fill(&r.Trust.Key, c.KeySecret)
	fill(&r.Trust.Root, c.TrustedRootSecret)
	fill(&r.Interval, c.Interval)
	fill(&r.Decryption, c.Decryption)
	r.Access.Insecure = r.Access.Insecure || c.Insecure
	registry := r.Access.Registry
	fill(&registry, ws.Registry)
	if r.Access.PullSecret == "" && strings.HasPrefix(registry, "ghcr.io/") && !r.Access.cloud() {
		r.Access.PullSecret = "ghcr-auth"
	}
	if r.Access.PullSecret == "none" {
		r.Access.PullSecret = ""
	}
}

func fill(value *string, other string) {
	if *value == "" {
		*value = other
	}
}

// decryptionSecret is the Secret with the key of files that SOPS encrypted, empty where none was named.
func (r *Request) decryptionSecret() (string, error) {
	if r.Decryption == "" {
		return "", nil
	}
	return parseDecryption(r.Decryption)
}

// Shared is how clusters reach and verify the components of workspaces, with sources that they share.
func (r *Request) Shared(ctx context.Context, workspaces ...Workspace) (Shared, error) {
	shared := Shared{}
	for _, ws := range workspaces {
		r.defaults(ws.Loaded())
		for _, c := range ws.Loaded().Components {
			f, err := r.of(ctx, ws, c)
			if err != nil {
				return shared, err
			}
			shared.Components = append(shared.Components, f)
		}
	}
	shared.Access, shared.Trust, shared.Interval = r.Access, r.Trust, r.Interval
	return shared, nil
}

// apply gives components their pins, dependencies and exceptions. All are the components of the workspaces.
func (r *Request) apply(chosen []Followed, all component.Set) error {
	to := target{chosen, all}
	for _, each := range []struct {
		flag  string
		texts []string
		set   func(f *Followed, value string) error
	}{
		{"pin", r.Pins, (*Followed).PinTo},
		{"component-depends-on", r.DependsOn, func(f *Followed, other string) error { f.DependsOn = append(f.DependsOn, other); return nil }},
		{"health-check", r.Health, (*Followed).watch},
	} {
		for _, text := range each.texts {
			name, value, err := KeyValue(each.flag, text)
			if err != nil {
				return err
			}
			f, err := to.find(each.flag, name)
			if err != nil {
				return err
			}
			if err := each.set(f, value); err != nil {
				return err
			}
		}
	}
	for _, name := range r.Literal {
		f, err := to.find("no-substitute", name)
		if err != nil {
			return err
		}
		f.NoSubstitute = true
	}
	return nil
}

// watch lets an object decide whether the component is ready.
func (f *Followed) watch(object string) error {
	h, err := parseHealth(object)
	if err != nil {
		return err
	}
	f.Health = append(f.Health, h)
	return nil
}

// target finds the components that flags are about.
type target struct {
	chosen []Followed
	all    component.Set
}

func (t target) find(flag, name string) (*Followed, error) {
	for i := range t.chosen {
		if t.chosen[i].Component.Name == name {
			return &t.chosen[i], nil
		}
	}
	_, err := t.all.Find(name)
	if err == nil {
		err = fmt.Errorf("%w: %s is not among the components asked for", exit.ErrUsage, name)
	}
	return nil, fmt.Errorf("--%s: %w", flag, err)
}

// KeyValue reads KEY=VALUE, of which neither may be empty.
func KeyValue(flag, text string) (string, string, error) {
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" || value == "" {
		return "", "", fmt.Errorf("%w: --%s %q: want KEY=VALUE", exit.ErrUsage, flag, text)
	}
	return key, value, nil
}

// parseSettings reads KEY=VALUE, of which the value may be empty.
func parseSettings(flag string, texts []string) ([]Setting, error) {
	var all []Setting
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("%w: --%s %q: want KEY=VALUE", exit.ErrUsage, flag, text)
		}
		all = append(all, Setting{Key: key, Value: value})
	}
	return all, nil
}

package flux

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/stratio/keos-oci/internal/sign"
)

// TrustSecrets names the Secrets in flux-system that signatures are checked with, where they are not those of the public
// Sigstore.
type TrustSecrets struct {
	Key  string // with entries ending in .pub, for artifacts signed with a key pair
	Root string // with trusted_root.json, for an own Sigstore
}

// verification is OCIRepository's spec.verify.
type verification struct {
	Provider             string       `yaml:"provider"`
	SecretRef            *reference   `yaml:"secretRef,omitempty"`
	TrustedRootSecretRef *reference   `yaml:"trustedRootSecretRef,omitempty"`
	MatchOIDCIdentity    []certifying `yaml:"matchOIDCIdentity,omitempty"`
}

// certifying is whose certificates are accepted: two regular expressions, which Flux does not anchor by itself.
type certifying struct {
	Issuer  string `yaml:"issuer"`
	Subject string `yaml:"subject"`
}

type reference struct {
	Name string `yaml:"name"`
}

func refer(name string) *reference {
	if name == "" {
		return nil
	}
	return &reference{name}
}

// verify is what a policy demands. Flux takes several identities for Sigstore bundles only as an error, so that there is
// always exactly one.
func (t TrustSecrets) verify(p sign.Policy) (*verification, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	if p.Key != "" {
		return t.byKey()
	}
	return t.byIdentity(certifying{Issuer: whole(p.Issuer, p.IssuerPattern), Subject: whole(p.Subject, p.SubjectPattern)})
}

func (t TrustSecrets) byKey() (*verification, error) {
	if t.Key == "" {
		return nil, fmt.Errorf("%w: artifacts are signed with a key: name the Secret in flux-system that has the public key, with an entry that ends in .pub (--key-secret)", ErrInput)
	}
	return &verification{Provider: "cosign", SecretRef: refer(t.Key), TrustedRootSecretRef: refer(t.Root)}, nil
}

func (t TrustSecrets) byIdentity(c certifying) (*verification, error) {
	if t.Key != "" {
		return nil, fmt.Errorf("%w: a Secret with a key was named, but artifacts are signed keyless by %s", ErrInput, c.Subject)
	}
	return &verification{Provider: "cosign", TrustedRootSecretRef: refer(t.Root), MatchOIDCIdentity: []certifying{c}}, nil
}

// whole is the regular expression that matches exact, or what pattern matches as a whole.
func whole(exact, pattern string) string {
	if exact != "" {
		return "^" + regexp.QuoteMeta(exact) + "$"
	}
	if strings.Contains(pattern, "|") {
		return "^(?:" + pattern + ")$"
	}
	pattern = strings.TrimPrefix(pattern, "^")
	if !strings.HasSuffix(pattern, `\$`) {
		pattern = strings.TrimSuffix(pattern, "$")
	}
	return "^" + pattern + "$"
}

// workflow is a policy for the workflows of a GitHub repository, in three parts of one regular expression.
type workflow struct {
	repository string // up to the folder of the workflows, with a slash at the end
	file       string // of the workflow
	ref        string // Git ref on which it ran
}

var githubSubject = regexp.MustCompile(`\A\^(https://github\\\.com/(?:[^/()]+/[^/()]+|\([^()]+\))/\\\.github/workflows/)(.+)@(refs/.+)\$\z`)

// asWorkflow takes a policy for GitHub apart; ok is false for any other.
func asWorkflow(p sign.Policy) (workflow, bool) {
	m := githubSubject.FindStringSubmatch(whole(p.Subject, p.SubjectPattern))
	if p.Key != "" || m == nil {
		return workflow{}, false
	}
	return workflow{m[1], m[2], m[3]}, true
}

var (
	escaped = regexp.MustCompile(`\\(.)`)
	literal = regexp.MustCompile(`\A[.+*?()|{}$/-]\z`) // what means itself within brackets
)

// withoutBackslash writes a regular expression so that it survives being put between double quotes, as values from a
// cluster's settings may be: [.] for \. and [0-9] for \d.
func withoutBackslash(pattern string) (string, error) {
	var fault error
	out := escaped.ReplaceAllStringFunc(pattern, func(s string) string {
		switch c := s[1:]; {
		case c == "d":
			return "[0-9]"
		case c == "w":
			return "[0-9A-Za-z_]"
		case literal.MatchString(c):
			return "[" + c + "]"
		}
		fault = fmt.Errorf("%w: %q in the regular expression %q does not survive in a cluster's settings: write it without a backslash", ErrInput,
			s, pattern)
		return s
	})
	return out, fault
}

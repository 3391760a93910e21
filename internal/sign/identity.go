// Package sign signs artifacts and checks their signatures as a cluster would. It is the only package that knows
// Sigstore. A signature is always of a digest, never of a tag.
package sign

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Identity is who made a signature: the issuer and subject of a certificate, or the fingerprint of a key.
type Identity struct {
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject,omitempty"`
	Key     string `json:"key,omitempty"` // base64 of the SHA-256 of the public key's PKIX form, as Sigstore bundles hint it
}

func (i Identity) String() string {
	if i.Key != "" {
		return "key " + i.Key
	}
	return fmt.Sprintf("%s (issuer %s)", i.Subject, i.Issuer)
}

// Claims is what a CI system's certificate says of the run beside its subject (Fulcio's certificate extensions).
type Claims struct {
	Repository   string `json:"repository,omitempty"`   // URL of the repository whose run it was
	RepositoryID string `json:"repositoryID,omitempty"` // which survives a rename
	Ref          string `json:"ref,omitempty"`          // Git ref that the run was of
	Caller       string `json:"caller,omitempty"`       // URL of the workflow that was started; it may have called the one that signed
	Workflow     string `json:"workflow,omitempty"`     // URL of the workflow that signed
	Trigger      string `json:"trigger,omitempty"`      // event that started the run
}

// Signed is one valid signature.
type Signed struct {
	Identity
	Format Format    `json:"format,omitempty"`
	Claims Claims    `json:"claims,omitzero"`
	Time   time.Time `json:"time,omitzero"` // of the log or a timestamp authority; zero where neither vouches
}

// Policy says whose signature is accepted: of a key, or of one issuer and subject. Patterns are regular expressions and
// must match as a whole. Each non-empty field must hold; the zero value accepts nobody.
type Policy struct {
	Key                           string // fingerprint, as Identity.Key
	Issuer, Subject               string
	IssuerPattern, SubjectPattern string
	Claims                        *Demands  // what the certificate must say of the run; nil demands nothing
	Until                         time.Time // the signature must be logged before; zero sets no end
	Former                        bool      // by a name that the repository no longer has: nothing new is signed under it, even before Until
}

// Demands is what the run that signed must have been. Clusters cannot ask for it: Flux sees issuer and subject alone.
type Demands struct {
	Slug     string   // owner/repository on Host: the run's, and of the workflow that was started; compared without case
	Host     string   // such as https://github.com
	ID       string   // of that repository, "" for any
	Ref      string   // pattern of the run's Git ref, "" for any
	Triggers []string // events that may have started the run; none for any

	CalledRef string // pattern of the run's Git ref where another workflow called the one that signed: the subject has another ref then
	TagRef    string // pattern of the run's Git ref where that is a tag; "" for any tag
}

// Exactly is the policy that accepts i alone.
func (i Identity) Exactly() Policy { return Policy{Key: i.Key, Issuer: i.Issuer, Subject: i.Subject} }

// IsZero says that nothing was asked for.
func (p Policy) IsZero() bool { return p == Policy{} }

// Validate checks that p can be met: a key, or both an issuer and a subject, with patterns that compile.
func (p Policy) Validate() error {
	for _, pattern := range []string{p.IssuerPattern, p.SubjectPattern} {
		if _, err := anchored(pattern); err != nil {
			return err
		}
	}
	if p.Key == "" && (p.Issuer+p.IssuerPattern == "" || p.Subject+p.SubjectPattern == "") {
		return errors.New("a policy needs a key, or an issuer and a subject")
	}
	return nil
}

// MatchesName reports whether p accepts i by its name alone, whatever its certificate says beside.
func (p Policy) MatchesName(i Identity) bool {
	if p.Validate() != nil || p.Key != i.Key {
		return false
	}
	return p.Key != "" || matches(p.Issuer, p.IssuerPattern, i.Issuer) &&
		(matches(p.Subject, p.SubjectPattern, i.Subject) || matches(p.Subject, p.SubjectPattern, p.Claims.fold(i.Subject)))
}

// Judge says why p does not accept a signature, nil when it does.
func (p Policy) Judge(s Signed) error {
	if !p.MatchesName(s.Identity) {
		return fmt.Errorf("expected %s", p)
	}
	if !p.Until.IsZero() && (s.Time.IsZero() || !s.Time.Before(p.Until)) {
		return fmt.Errorf("%s counts only if it was logged before %s", p.name(), p.Until.UTC().Format(time.DateOnly))
	}
	return p.Claims.judge(s.Claims)
}

// fold gives a subject the spelling of the owner and repository that are expected: GitHub compares both without case.
func (d *Demands) fold(subject string) string {
	if d == nil || d.Slug == "" {
		return subject
	}
	start := d.Host + "/" + d.Slug + "/"
	if len(subject) >= len(start) && strings.EqualFold(subject[:len(start)], start) {
		return start + subject[len(start):]
	}
	return subject
}

func (d *Demands) judge(c Claims) error {
	if d == nil {
		return nil
	}
	home := d.Host + "/" + d.Slug
	switch {
	case d.Slug != "" && !strings.EqualFold(c.Repository, home):
		return fmt.Errorf("the run that signed was of the repository %s, not of %s", or(c.Repository), home)
	case d.ID != "" && c.RepositoryID != d.ID:
		return fmt.Errorf("the run that signed was of the repository with the id %s, not %s", or(c.RepositoryID), d.ID)
	case d.Slug != "" && !hasFoldedPrefix(c.Caller, home+"/"):
		return fmt.Errorf("the run that signed was started by the workflow %s of another repository", or(c.Caller))
	case len(d.Triggers) > 0 && !slices.Contains(d.Triggers, c.Trigger):
		return fmt.Errorf("the run that signed was started by the event %s; allowed: %s", or(c.Trigger), strings.Join(d.Triggers, ", "))
	case d.Ref != "" && !wholly(d.Ref, c.Ref):
		return fmt.Errorf("the run that signed was of %s, expected %s", or(c.Ref), d.Ref)
	case d.CalledRef != "" && !strings.EqualFold(c.Caller, c.Workflow) && !wholly(d.CalledRef, c.Ref):
		return fmt.Errorf("the run that called the workflow was of %s, expected %s", or(c.Ref), d.CalledRef)
	case d.TagRef != "" && strings.HasPrefix(c.Ref, "refs/tags/") && !wholly(d.TagRef, c.Ref):
		return fmt.Errorf("the run that signed was of %s, which is another release: expected %s", c.Ref, d.TagRef)
	}
	return nil
}

func hasFoldedPrefix(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func or(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

func wholly(pattern, got string) bool {
	re, err := anchored(pattern)
	return err == nil && re.MatchString(got)
}

func matches(exact, pattern, got string) bool {
	if exact != "" && exact != got {
		return false
	}
	if pattern == "" {
		return exact != ""
	}
	return wholly(pattern, got)
}

// anchored compiles pattern so that it must match the whole string: cosign and Flux do not anchor by themselves, and a
// subject that contains the expected one belongs to another identity.
func anchored(pattern string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("identity pattern %q: %w", pattern, err)
	}
	return re, nil
}

func (p Policy) String() string {
	if p.Key != "" {
		return p.name()
	}
	s := fmt.Sprintf("%s (issuer %s)", p.name(), strings.TrimSpace(p.Issuer+" "+p.IssuerPattern))
	if !p.Until.IsZero() {
		s += " until " + p.Until.UTC().Format(time.DateOnly)
	}
	return s
}

func (p Policy) name() string {
	if p.Key != "" {
		return "key " + p.Key
	}
	return strings.TrimSpace(p.Subject + " " + p.SubjectPattern)
}

// Policies is a list of policies of which any one is enough. The empty list accepts nobody.
type Policies []Policy

// Judge says why no policy of the list accepts a signature, nil when one does.
func (ps Policies) Judge(s Signed) error {
	if len(ps) == 0 {
		return errors.New("nobody is accepted")
	}
	why := fmt.Errorf("expected %s", ps)
	for _, p := range ps {
		err := p.Judge(s)
		if err == nil {
			return nil
		}
		if p.MatchesName(s.Identity) {
			why = err // the closest miss explains the most
		}
	}
	return why
}

// MatchesName reports whether any policy of the list accepts i by its name alone.
func (ps Policies) MatchesName(i Identity) bool {
	return slices.ContainsFunc(ps, func(p Policy) bool { return p.MatchesName(i) })
}

// ForNewSignatures is the policies of those who may sign something new.
func (ps Policies) ForNewSignatures() Policies {
	return slices.DeleteFunc(slices.Clone(ps), func(p Policy) bool { return p.Former })
}

// Keyless reports whether any of the policies is about certificates.
func (ps Policies) Keyless() bool {
	return slices.ContainsFunc(ps, func(p Policy) bool { return p.Key == "" })
}

// Validate checks that each policy can be met and that there is one.
func (ps Policies) Validate() error {
	if len(ps) == 0 {
		return errors.New("nobody is accepted")
	}
	for _, p := range ps {
		if err := p.Validate(); err != nil {
			return err
		}
	}
	return nil
}

func (ps Policies) String() string {
	words := make([]string, len(ps))
	for i, p := range ps {
		words[i] = p.String()
	}
	return strings.Join(words, ", or ")
}

// fingerprint identifies a public key.
func fingerprint(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

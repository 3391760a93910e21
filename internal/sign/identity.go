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
	"strings"
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

// Policy says whose signature is accepted: of a key, or of one issuer and subject. Patterns are regular expressions and
// must match as a whole. Each non-empty field must hold; the zero value accepts nobody.
type Policy struct {
	Key                           string // fingerprint, as Identity.Key
	Issuer, Subject               string
	IssuerPattern, SubjectPattern string
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

// Allows says whether p accepts i.
func (p Policy) Allows(i Identity) bool {
	if p.Validate() != nil || p.Key != i.Key {
		return false
	}
	return p.Key != "" || matches(p.Issuer, p.IssuerPattern, i.Issuer) && matches(p.Subject, p.SubjectPattern, i.Subject)
}

func matches(exact, pattern, got string) bool {
	if exact != "" && exact != got {
		return false
	}
	if pattern == "" {
		return exact != ""
	}
	re, err := anchored(pattern)
	return err == nil && re.MatchString(got)
}

// anchored compiles pattern so that it must match the whole string: cosign and Flux do not anchor by themselves, and a
// subject that merely contains the expected one belongs to somebody else.
func anchored(pattern string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("identity pattern %q: %w", pattern, err)
	}
	return re, nil
}

func (p Policy) String() string {
	if p.Key != "" {
		return "key " + p.Key
	}
	return fmt.Sprintf("%s (issuer %s)", strings.TrimSpace(p.Subject+" "+p.SubjectPattern), strings.TrimSpace(p.Issuer+" "+p.IssuerPattern))
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

package sign

import (
	"crypto"
	"fmt"
	"sync"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore/pkg/signature"
)

// Services says which Sigstore instance is used; zero fields come from TUF.
type Services struct {
	FulcioURL     string
	RekorURL      string
	TrustedRoot   string // file
	SigningConfig string // file
	TUF           *TUF   // nil is the public instance's, without a copy
}

func (s Services) tuf() *TUF {
	if s.TUF == nil {
		return NewTUF(TUFOptions{})
	}
	return s.TUF
}

// endpoints are the services after all defaults are filled in.
type endpoints struct {
	fulcio string
	rekor  string
	// rekorVersion is 1 or 2; version 2 gives no time of its own, so it needs timestamp authorities.
	rekorVersion uint32
	tsa          []string
}

// resolve picks the endpoints: flags first, then the signing config's file, then TUF. A key pair needs no certificates.
func (s Services) resolve(now time.Time, keyPair bool) (endpoints, error) {
	if s.RekorURL != "" && (s.FulcioURL != "" || keyPair) && s.SigningConfig == "" {
		return endpoints{fulcio: s.FulcioURL, rekor: s.RekorURL, rekorVersion: 1}, nil
	}
	config, err := s.signingConfig()
	if err != nil {
		return endpoints{}, fmt.Errorf("sigstore signing config: %w", err)
	}
	e := endpoints{fulcio: s.FulcioURL, rekor: s.RekorURL, rekorVersion: 1}
	if e.fulcio == "" {
		svc, err := root.SelectService(config.FulcioCertificateAuthorityURLs(), sign.FulcioAPIVersions, now)
		if err != nil {
			return endpoints{}, fmt.Errorf("sigstore signing config: Fulcio: %w", err)
		}
		e.fulcio = svc.URL
	}
	if e.rekor == "" {
		svc, err := root.SelectService(config.RekorLogURLs(), sign.RekorAPIVersions, now)
		if err != nil {
			return endpoints{}, fmt.Errorf("sigstore signing config: Rekor: %w", err)
		}
		e.rekor, e.rekorVersion = svc.URL, svc.MajorAPIVersion
	}
	if len(config.TimestampAuthorityURLs()) > 0 {
		services, err := root.SelectServices(config.TimestampAuthorityURLs(), config.TimestampAuthorityURLsConfig(),
			sign.TimestampAuthorityAPIVersions, now)
		if err != nil {
			return endpoints{}, fmt.Errorf("sigstore signing config: timestamp authority: %w", err)
		}
		for _, svc := range services {
			e.tsa = append(e.tsa, svc.URL)
		}
	}
	return e, nil
}

func (s Services) signingConfig() (*root.SigningConfig, error) {
	if s.SigningConfig != "" {
		return root.NewSigningConfigFromPath(s.SigningConfig)
	}
	raw, err := s.tuf().target(signingConfig, "signing config")
	if err != nil {
		return nil, err
	}
	return root.NewSigningConfigFromJSON(raw)
}

// trust loads what certificates and log entries are checked against, once.
type trust struct {
	services Services
	once     sync.Once
	material root.TrustedMaterial
	err      error
}

func (t *trust) load() (root.TrustedMaterial, error) {
	t.once.Do(func() {
		if t.material, t.err = t.read(); t.err != nil {
			t.err = fmt.Errorf("sigstore trusted root: %w", t.err)
		}
	})
	return t.material, t.err
}

func (t *trust) read() (root.TrustedMaterial, error) {
	if t.services.TrustedRoot != "" {
		return root.NewTrustedRootFromPath(t.services.TrustedRoot)
	}
	raw, err := t.services.tuf().target(trustedRoot, "trusted root")
	if err != nil {
		return nil, err
	}
	return root.NewTrustedRootFromJSON(raw)
}

// keyMaterial trusts one public key for all times.
func keyMaterial(pub crypto.PublicKey) (root.TrustedMaterial, signature.Verifier, error) {
	verifier, err := signature.LoadDefaultVerifier(pub)
	if err != nil {
		return nil, nil, fmt.Errorf("public key: %w", err)
	}
	key := root.NewExpiringKey(verifier, time.Time{}, time.Time{})
	return root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return key, nil }), verifier, nil
}

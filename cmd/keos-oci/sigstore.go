package main

import (
	"github.com/spf13/pflag"

	"github.com/stratio/keos-oci/internal/setup"
)

// signFlags are the flags of signing and verification. They have cosign's names.
type signFlags struct{ setup.Signing }

// bindTrust adds what signing and verification share.
func (s *signFlags) bindTrust(f *pflag.FlagSet) {
	f.StringVar(&s.Key, "key", "", "cosign key instead of keyless: the private key to sign, the public key to verify")
	defer under(f, headingSigning)() // --key is a flag of every day
	f.StringVar(&s.Services.TrustedRoot, "trusted-root", "",
		"trusted_root.json of your own Sigstore (default the public Sigstore, through TUF)")
	f.StringVar(&s.TUFMirror, "tuf-mirror", "",
		"TUF repository of your own Sigstore with the trusted root and the addresses of the services; needs --tuf-root")
	f.StringVar(&s.TUFRoot, "tuf-root", "", "root.json of that TUF repository, as a first trusted file")
}

func (s *signFlags) bindSigner(f *pflag.FlagSet) {
	s.bindTrust(f)
	defer under(f, headingSigning)()
	f.StringVar(&s.Services.FulcioURL, "fulcio-url", "", "certificate authority (Fulcio) of your own Sigstore")
	f.StringVar(&s.Services.RekorURL, "rekor-url", "",
		"transparency log (Rekor) of your own Sigstore; with --key, signatures are logged there")
	f.StringVar(&s.Services.SigningConfig, "signing-config", "", "signing_config.json with the addresses of the services")
	f.StringVar(&s.IdentityToken, "identity-token", "",
		"file with the OIDC identity token (default GitHub Actions, SIGSTORE_ID_TOKEN or the browser)")
	f.StringVar(&s.OIDCIssuer, "oidc-issuer", "https://oauth2.sigstore.dev/auth", "OIDC issuer of the login in the browser")
	f.StringVar(&s.OIDCClientID, "oidc-client-id", "sigstore", "OIDC client of the login in the browser")
	f.StringVar(&s.Format, "signature-format", "",
		"bundle, or both: also the .sig of cosign v2 for Flux 2.6 and 2.7 (default from the config, else bundle)")
}

func (s *signFlags) bindVerifier(f *pflag.FlagSet) {
	s.bindTrust(f)
	s.VerifyOnly = true
	s.bindPolicy(f)
}

// bindMover is for verbs that verify artifacts and sign records. With --key, the private key alone serves both.
func (s *signFlags) bindMover(f *pflag.FlagSet) {
	s.bindSigner(f)
	s.bindPolicy(f)
}

func (s *signFlags) bindPolicy(f *pflag.FlagSet) {
	defer under(f, headingSigning)()
	f.StringVar(&s.Expected.Subject, "certificate-identity", "", "expected subject of the signing certificate")
	f.StringVar(&s.Expected.SubjectPattern, "certificate-identity-regexp", "",
		"regular expression for the whole expected subject")
	f.StringVar(&s.Expected.Issuer, "certificate-oidc-issuer", "", "expected OIDC issuer of the signing certificate")
	f.StringVar(&s.Expected.IssuerPattern, "certificate-oidc-issuer-regexp", "",
		"regular expression for the whole expected OIDC issuer")
}

// settings is what the flags say; nil where the verb neither signs nor verifies.
func (s *signFlags) settings() *setup.Signing {
	if s == nil {
		return nil
	}
	return &s.Signing
}

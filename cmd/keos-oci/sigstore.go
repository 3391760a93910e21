package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/trust"
)

// signFlags are the flags of signing and verification; they bear cosign's names.
type signFlags struct {
	key, identityToken            string
	services                      sign.Services
	oidcIssuer, oidcClientID      string
	format                        string
	identity, identityPattern     string
	certIssuer, certIssuerPattern string
	verifies                      bool // the verb only verifies
	configured                    bool // the key comes from the config, which serves verbs that sign as well
	opened                        *sign.PrivateKey
	tufMirror, tufRoot            string
}

// bindTrust adds what signing and verification share.
func (s *signFlags) bindTrust(f *pflag.FlagSet) {
	f.StringVar(&s.key, "key", "", "cosign key pair instead of keyless: the private key to sign, the public key to verify")
	f.StringVar(&s.services.TrustedRoot, "trusted-root", "",
		"trusted_root.json of your own Sigstore (default: the public instance, through TUF)")
	f.StringVar(&s.tufMirror, "tuf-mirror", "",
		"TUF repository of your own Sigstore, where the trusted root and the addresses of the services come from; with --tuf-root")
	f.StringVar(&s.tufRoot, "tuf-root", "", "root.json of that repository that is trusted first")
}

func (s *signFlags) bindSigner(f *pflag.FlagSet) {
	s.bindTrust(f)
	f.StringVar(&s.services.FulcioURL, "fulcio-url", "", "certificate authority of your own Sigstore")
	f.StringVar(&s.services.RekorURL, "rekor-url", "", "transparency log of your own Sigstore; with --key, log signatures there")
	f.StringVar(&s.services.SigningConfig, "signing-config", "", "signing_config.json that names the services")
	f.StringVar(&s.identityToken, "identity-token", "",
		"file with the OIDC identity token (default: GitHub Actions, SIGSTORE_ID_TOKEN, the browser)")
	f.StringVar(&s.oidcIssuer, "oidc-issuer", "https://oauth2.sigstore.dev/auth", "OIDC issuer of the interactive login")
	f.StringVar(&s.oidcClientID, "oidc-client-id", "sigstore", "OIDC client of the interactive login")
	f.StringVar(&s.format, "signature-format", "",
		"bundle, or both to add cosign v2's .sig for Flux 2.6 and 2.7 (default from the config, else bundle)")
}

func (s *signFlags) bindVerifier(f *pflag.FlagSet) {
	s.bindTrust(f)
	s.verifies = true
	s.bindPolicy(f)
}

// bindMover is for verbs that verify artifacts and sign records. With --key, the private key alone serves both.
func (s *signFlags) bindMover(f *pflag.FlagSet) {
	s.bindSigner(f)
	s.bindPolicy(f)
}

func (s *signFlags) bindPolicy(f *pflag.FlagSet) {
	f.StringVar(&s.identity, "certificate-identity", "", "expected subject of the signing certificate")
	f.StringVar(&s.identityPattern, "certificate-identity-regexp", "",
		"expected subject as a regular expression; it must match the whole subject")
	f.StringVar(&s.certIssuer, "certificate-oidc-issuer", "", "expected OIDC issuer of the signing certificate")
	f.StringVar(&s.certIssuerPattern, "certificate-oidc-issuer-regexp", "",
		"expected OIDC issuer as a regular expression; it must match the whole issuer")
}

// policy is what the flags say of the expected identity, zero for nothing.
func (s *signFlags) policy() sign.Policy {
	return sign.Policy{Issuer: s.certIssuer, IssuerPattern: s.certIssuerPattern, Subject: s.identity, SubjectPattern: s.identityPattern}
}

// sigstore makes the signer, and says in rules what signatures are checked with: what flags say first and the config second.
func (a *app) sigstore(ctx context.Context, rules *trust.Rules, workspace *component.Workspace, s *signFlags,
	client *registry.Client) (*sign.Signer, error) {
	if (s.tufMirror == "") != (s.tufRoot == "") {
		return nil, fmt.Errorf("%w: --tuf-mirror and --tuf-root go together", errUsage)
	}
	config := workspace.Config.Signing
	s.services.TUF = a.tuf(ctx, client, s)
	s.configured = s.key == "" && config.Key != ""
	flagged := s.key != ""
	fill(&s.key, config.Key)
	fill(&s.services.FulcioURL, config.FulcioURL)
	fill(&s.services.RekorURL, config.RekorURL)
	fill(&s.services.TrustedRoot, config.TrustedRoot)
	fill(&s.format, string(config.Format))
	if s.format != string(component.FormatBundle) && s.format != string(component.FormatBoth) {
		return nil, fmt.Errorf("%w: --signature-format %s is neither bundle nor both", errUsage, s.format)
	}
	private, err := s.isPrivate()
	if err != nil {
		return nil, err
	}
	if flagged && !private && !s.verifies {
		return nil, fmt.Errorf("%w: %s is a public key, and signing needs the private one", sign.ErrKey, s.key)
	}
	var accepted []string
	switch {
	case flagged && !private:
		accepted = []string{s.key} // a public key in the flag replaces the keys of the config
	case len(config.Keys) > 0:
		accepted = config.Keys
	case s.key != "" && !private:
		accepted = []string{s.key}
	case private && s.verifies:
		public, err := s.publicHalf()
		if err != nil {
			return nil, err
		}
		accepted = []string{public}
	case private:
		accepted = s.besidePrivate()
	}
	atHand := flagged && (!private || len(config.Keys) == 0) // else the config says which keys there are
	rules.Asked = s.policy()
	if s.verifies {
		rules.Verifier = sign.NewVerifier(sign.VerifierOptions{Services: s.services, KeyFiles: accepted, AtHand: atHand, NotFound: isNotFound,
			Unanswered: registry.Unanswered})
		return nil, rules.Verifier.ReadKeys()
	}
	var key *sign.PrivateKey
	if private {
		key = s.privateKey(a)
	}
	part := func(name string) *http.Client {
		return client.Part(registry.Part{Name: name, Limit: a.global.sigstoreTimeout})
	}
	signer := sign.NewSigner(sign.Options{
		Clients:  sign.Clients{Fulcio: part("Fulcio"), Rekor: part("Rekor"), Timestamps: part("the timestamp authority")},
		Services: s.services, Format: sign.Format(s.format),
		Key: key, KeyFiles: accepted, AtHand: atHand, LogKey: s.services.RekorURL != "", Now: time.Now, NotFound: isNotFound, Unanswered: registry.Unanswered,
		Tokens: sign.TokenOptions{HTTP: part("the identity provider"), Getenv: a.getenv, File: s.identityToken, Issuer: s.oidcIssuer,
			ClientID: s.oidcClientID, Interactive: a.interactive()},
	})
	rules.Verifier = signer.Verifier()
	return signer, nil
}

// tuf is where the trusted root comes from when no file has it. It has half the time that other parts of Sigstore have.
func (a *app) tuf(ctx context.Context, client *registry.Client, s *signFlags) *sign.TUF {
	o := sign.TUFOptions{Mirror: s.tufMirror, Root: s.tufRoot, Warn: func(note string) { slog.New(a.progress).Warn(note) }}
	if dir, err := os.UserCacheDir(); err == nil {
		o.Cache = filepath.Join(dir, "keos-oci", "tuf")
	}
	part := client.Part(registry.Part{Name: "TUF", Limit: a.global.sigstoreTimeout / 2, InAll: true})
	o.Get = func(url string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		return part.Do(req)
	}
	return sign.NewTUF(o)
}

func isNotFound(err error) bool { return errors.Is(err, registry.ErrNotFound) }

// isPrivate says whether the key is one that can sign.
func (s *signFlags) isPrivate() (bool, error) {
	if s.key == "" {
		return false, nil
	}
	return sign.IsPrivateKey(s.key)
}

// privateKey is the key that signs, nil for none: always the same one, so that opening it may begin early.
func (s *signFlags) privateKey(a *app) *sign.PrivateKey {
	if s.opened == nil && s.key != "" {
		s.opened = a.newKey(s.key)
	}
	return s.opened
}

// newKey is a private key that is opened when it is needed. Tests that run many commands open theirs once.
func (a *app) newKey(file string) *sign.PrivateKey {
	if a.keys != nil {
		return a.keys(file)
	}
	return sign.NewPrivateKey(file, a.password)
}

// openKey begins to open the key that a flag names, before anything else is looked at.
func (s *signFlags) openKey(a *app) {
	if s.key != "" {
		s.privateKey(a).Open()
	}
}

// besidePrivate is the public key in the file beside the private key, where cosign writes it; none when there is no such file. With it,
// a run that finds nothing to sign needs no password. If the two keys are no pair, signing fails: the policy does not accept the
// private key.
func (s *signFlags) besidePrivate() []string {
	public := strings.TrimSuffix(s.key, ".key") + ".pub"
	if private, err := sign.IsPrivateKey(public); err != nil || private {
		return nil
	}
	return []string{public}
}

// publicHalf is the file beside a configured private key, where cosign puts it.
func (s *signFlags) publicHalf() (string, error) {
	public := strings.TrimSuffix(s.key, ".key") + ".pub"
	if _, err := os.Stat(public); s.configured && err == nil {
		return public, nil
	}
	if s.configured {
		return "", fmt.Errorf("%w: signing.key is a private key, and there is no %s beside it: verify with --key and the public one", errUsage,
			filepath.Base(public))
	}
	return "", fmt.Errorf("%w: %s is a private key; verify with the public one", errUsage, s.key)
}

func fill(flag *string, config string) {
	if *flag == "" {
		*flag = config
	}
}

// password opens a private key: COSIGN_PASSWORD, else the person at the terminal.
func (a *app) password() ([]byte, error) {
	if p, ok := os.LookupEnv("COSIGN_PASSWORD"); ok {
		return []byte(p), nil
	}
	if !a.interactive() {
		return nil, errors.New("COSIGN_PASSWORD is not set")
	}
	terminal := int(a.in.Fd())
	if state, err := term.GetState(terminal); err == nil {
		a.atEnd(func() { _ = term.Restore(terminal, state) }) // a signal ends the command while the terminal shows nothing that is typed
	}
	fmt.Fprint(a.err, "Password of the private key: ")
	defer fmt.Fprintln(a.err)
	return term.ReadPassword(terminal)
}

func (a *app) interactive() bool {
	return term.IsTerminal(int(a.in.Fd())) && isTerminal(a.err)
}

// generateKeyPairCmd serves places without Sigstore and without cosign.
func (a *app) generateKeyPairCmd() *cobra.Command {
	var prefix string
	cmd := &cobra.Command{
		Use:   "generate-key-pair",
		Short: "Make a cosign key pair for signing without Sigstore",
		Long: `Writes <prefix>.key, encrypted with COSIGN_PASSWORD or a password that is asked for, and <prefix>.pub. Existing files are
not overwritten. Clusters verify with the public key; keep the private key where only the publishing job can read it.`,
		Example: "  COSIGN_PASSWORD=… keos-oci generate-key-pair --output-key-prefix cosign",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			password, err := a.password()
			if err != nil {
				return err
			}
			private, public, err := sign.GenerateKey(password)
			if err != nil {
				return err
			}
			if err := writeNew(prefix+".key", private, 0o600); err != nil {
				return err
			}
			return writeNew(prefix+".pub", public, 0o644)
		},
	}
	cmd.Flags().StringVar(&prefix, "output-key-prefix", "cosign", "name of the two files without their endings")
	return cmd
}

func writeNew(file string, data []byte, mode os.FileMode) (err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.Write(data)
	return err
}

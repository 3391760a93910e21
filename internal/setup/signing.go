package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/trust"
)

// Signing is how a run signs and verifies. Fields that are empty are filled from the config when a service is opened.
type Signing struct {
	Key           string        // file of a key pair: the private key to sign, the public key to verify; "" is keyless
	IdentityToken string        // file with the OIDC token
	Services      sign.Services // of the user's own Sigstore
	OIDCIssuer    string        // of the interactive login
	OIDCClientID  string
	Format        string      // bundle or both
	Expected      sign.Policy // the requested identity; zero is the config's
	VerifyOnly    bool        // the verb signs nothing
	TUFMirror     string      // with TUFRoot: a TUF repository of the user's own Sigstore
	TUFRoot       string

	configured bool // the key comes from the config, which serves verbs that sign as well
	private    *sign.PrivateKey
}

// sigstore makes the signer, and says in rules what signatures are checked with: what the settings say first and the config second.
func (o *Opener) sigstore(ctx context.Context, rules *trust.Rules, workspace *component.Workspace, s *Signing,
	client *registry.Client) (*sign.Signer, error) {
	flagged := s.Key != ""
	if err := s.complete(workspace.Config.Signing); err != nil {
		return nil, err
	}
	s.Services.TUF = o.tuf(ctx, client, s)
	keys, err := s.keys(workspace.Config.Signing.Keys, flagged)
	if err != nil {
		return nil, err
	}
	rules.FromFlags = s.Expected
	if s.VerifyOnly {
		rules.Verifier = sign.NewVerifier(sign.VerifierOptions{Services: s.Services, KeyFiles: keys.accepted, AtHand: keys.atHand,
			NotFound: isNotFound, Unanswered: registry.Unanswered})
		return nil, rules.Verifier.ReadKeys()
	}
	part := func(name string) *http.Client {
		return client.Part(registry.Part{Name: name, Limit: o.SigstoreTimeout})
	}
	signer := sign.NewSigner(sign.Options{
		Clients:  sign.Clients{Fulcio: part("Fulcio"), Rekor: part("Rekor"), Timestamps: part("the timestamp authority")},
		Services: s.Services, Format: sign.Format(s.Format),
		Key: keys.private(o, s), KeyFiles: keys.accepted, AtHand: keys.atHand, LogKey: s.Services.RekorURL != "",
		Now: time.Now, NotFound: isNotFound, Unanswered: registry.Unanswered,
		Tokens: sign.TokenOptions{HTTP: part("the identity provider"), Getenv: o.Getenv, File: s.IdentityToken, Issuer: s.OIDCIssuer,
			ClientID: s.OIDCClientID, Interactive: o.Interactive, Output: o.LoginOutput, Log: o.Log},
	})
	rules.Verifier = signer.Verifier()
	return signer, nil
}

// complete fills from the config what the settings leave open.
func (s *Signing) complete(config component.Signing) error {
	if (s.TUFMirror == "") != (s.TUFRoot == "") {
		return fmt.Errorf("%w: --tuf-mirror and --tuf-root go together", exit.ErrUsage)
	}
	s.configured = s.Key == "" && config.Key != ""
	s.Key = cmp.Or(s.Key, config.Key)
	s.Services.FulcioURL = cmp.Or(s.Services.FulcioURL, config.FulcioURL)
	s.Services.RekorURL = cmp.Or(s.Services.RekorURL, config.RekorURL)
	s.Services.TrustedRoot = cmp.Or(s.Services.TrustedRoot, config.TrustedRoot)
	s.Format = cmp.Or(s.Format, string(config.Format))
	if s.Format != string(component.FormatBundle) && s.Format != string(component.FormatBoth) {
		return fmt.Errorf("%w: --signature-format %s is neither bundle nor both", exit.ErrUsage, s.Format)
	}
	return nil
}

// keyring is the keys of a run: whose signatures are accepted, and whether the run signs with a key.
type keyring struct {
	accepted []string // files with public keys
	atHand   bool     // else the config says which keys there are
	signs    bool     // Signing.Key is a private key
}

// private is the key that signs, nil where signing is keyless.
func (k keyring) private(o *Opener, s *Signing) *sign.PrivateKey {
	if !k.signs {
		return nil
	}
	return o.privateKey(s)
}

// keys decides which keys count. flagged says that the key is a flag's: a public key in the flag replaces those of the config.
func (s *Signing) keys(configured []string, flagged bool) (keyring, error) {
	private, err := s.isPrivate()
	if err != nil {
		return keyring{}, err
	}
	if flagged && !private && !s.VerifyOnly {
		return keyring{}, sign.NotPrivate(s.Key)
	}
	ring := keyring{signs: private, atHand: flagged && (!private || len(configured) == 0)}
	switch {
	case flagged && !private:
		ring.accepted = []string{s.Key}
	case len(configured) > 0:
		ring.accepted = configured
	case s.Key != "" && !private:
		ring.accepted = []string{s.Key}
	case private && s.VerifyOnly:
		public, err := s.publicHalf()
		if err != nil {
			return ring, err
		}
		ring.accepted = []string{public}
	case private:
		ring.accepted = s.besidePrivate()
	}
	return ring, nil
}

// tuf is where the trusted root comes from when no file has it. It has half the time that other parts of Sigstore have.
func (o *Opener) tuf(ctx context.Context, client *registry.Client, s *Signing) *sign.TUF {
	options := sign.TUFOptions{Mirror: s.TUFMirror, Root: s.TUFRoot, Warn: func(note string) { o.Log.Warn(note) }}
	if dir, err := os.UserCacheDir(); err == nil {
		options.Cache = filepath.Join(dir, "keos-oci", "tuf")
	}
	part := client.Part(registry.Part{Name: "TUF", Limit: o.SigstoreTimeout / 2, InAll: true})
	options.Get = func(url string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		return part.Do(req)
	}
	return sign.NewTUF(options)
}

func isNotFound(err error) bool { return errors.Is(err, registry.ErrNotFound) }

// isPrivate says whether the key is one that can sign.
func (s *Signing) isPrivate() (bool, error) {
	if s.Key == "" {
		return false, nil
	}
	return sign.IsPrivateKey(s.Key)
}

// privateKey is the key that signs: always the same one, so that opening it may begin early.
func (o *Opener) privateKey(s *Signing) *sign.PrivateKey {
	if s.private == nil && s.Key != "" {
		s.private = o.NewKey(s.Key)
	}
	return s.private
}

// OpenKey begins to open the key that the settings have, before anything else is looked at.
func (o *Opener) OpenKey(s *Signing) {
	if s.Key != "" {
		o.privateKey(s).Open()
	}
}

// besidePrivate is the public key in the file beside the private key, where cosign writes it; none when there is no such file. With it,
// a run that finds nothing to sign needs no password. If the two keys are no pair, signing fails: the policy does not accept the
// private key.
func (s *Signing) besidePrivate() []string {
	public := strings.TrimSuffix(s.Key, ".key") + ".pub"
	if private, err := sign.IsPrivateKey(public); err != nil || private {
		return nil
	}
	return []string{public}
}

// publicHalf is the file beside a configured private key, where cosign puts it.
func (s *Signing) publicHalf() (string, error) {
	public := strings.TrimSuffix(s.Key, ".key") + ".pub"
	if _, err := os.Stat(public); s.configured && err == nil {
		return public, nil
	}
	if s.configured {
		return "", fmt.Errorf("%w: signing.key is a private key, and there is no %s beside it: verify with --key and the public one",
			exit.ErrUsage,
			filepath.Base(public))
	}
	return "", fmt.Errorf("%w: %s is a private key; verify with the public one", exit.ErrUsage, s.Key)
}

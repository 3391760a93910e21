package sign

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/sign"
)

// credential is a short-lived key with the certificate that Fulcio gave for it.
type credential struct {
	keys     *sign.EphemeralKeypair
	leaf     *x509.Certificate
	leafPEM  []byte
	chainPEM []byte
	who      Signed

	asked time.Time     // when it was asked for, by a clock that does not jump
	lasts time.Duration // from then on
}

// GetCertificate implements sigstore-go's sign.CertificateProvider with the certificate that is there already.
func (c *credential) GetCertificate(context.Context, sign.Keypair, *sign.CertificateProviderOptions) ([]byte, error) {
	return c.leaf.Raw, nil
}

// authority hands out the run's one credential and renews it before it expires.
type authority struct {
	http   *http.Client
	url    string
	tokens TokenOptions
	now    func() time.Time

	mu      sync.Mutex
	current *credential
	failed  error // the other components of the run need not ask, wait and fail as well
}

// renewBefore leaves time for a log upload that starts with the old certificate: Rekor's time must fall within it.
const renewBefore = time.Minute

func (a *authority) credential(ctx context.Context) (*credential, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current != nil && a.current.lasts-a.now().Sub(a.current.asked) > renewBefore {
		return a.current, nil
	}
	if a.failed != nil {
		return nil, a.failed
	}
	c, err := a.request(ctx)
	if err != nil {
		if ctx.Err() == nil {
			a.failed = err
		}
		return nil, err
	}
	a.current = c
	return c, nil
}

// request proves possession of a fresh key and asks Fulcio's API v2 for its certificate.
func (a *authority) request(ctx context.Context) (*credential, error) {
	token, err := a.tokens.token(ctx)
	if err != nil {
		return nil, err
	}
	sub, err := token.subject(a.now())
	if err != nil {
		return nil, err
	}
	keys, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		return nil, err
	}
	proof, _, err := keys.SignData(ctx, []byte(sub))
	if err != nil {
		return nil, err
	}
	pub, err := keys.GetPublicKeyPem()
	if err != nil {
		return nil, err
	}
	asked := a.now()
	chain, at, err := a.fulcio(ctx, token.text, pub, proof)
	if err != nil {
		return nil, fmt.Errorf("certificate from Fulcio at %s: %w", shown(a.url), token.refused(err))
	}
	c, err := newCredential(keys, chain)
	if err != nil {
		return nil, fmt.Errorf("certificate from Fulcio at %s: %w", shown(a.url), err)
	}
	c.asked, c.lasts = asked, lifetime(c.leaf, at)
	return c, nil
}

// lifetime is how long a certificate counts, whatever this machine's clock says: until its end by the clock of who gave it. Some
// authorities let it begin in the past.
func lifetime(leaf *x509.Certificate, at clock) time.Duration {
	whole := leaf.NotAfter.Sub(leaf.NotBefore)
	if at.there.IsZero() {
		return whole
	}
	return min(whole, leaf.NotAfter.Sub(at.there))
}

func (a *authority) fulcio(ctx context.Context, token, pub string, proof []byte) ([]string, clock, error) {
	body, err := json.Marshal(map[string]any{
		"credentials": map[string]string{"oidcIdentityToken": token},
		"publicKeyRequest": map[string]any{
			"publicKey":         map[string]string{"algorithm": "ECDSA", "content": pub},
			"proofOfPossession": base64.StdEncoding.EncodeToString(proof),
		},
	})
	if err != nil {
		return nil, clock{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(a.url, "/")+"/api/v2/signingCert", bytes.NewReader(body))
	if err != nil {
		return nil, clock{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	type chained struct {
		Chain struct{ Certificates []string }
	}
	var answer struct{ SignedCertificateEmbeddedSct, SignedCertificateDetachedSct chained }
	at, err := call(a.http, req, &answer)
	if err != nil {
		return nil, at, err
	}
	chain := answer.SignedCertificateEmbeddedSct.Chain.Certificates
	if len(chain) == 0 {
		chain = answer.SignedCertificateDetachedSct.Chain.Certificates
	}
	if len(chain) == 0 {
		return nil, at, errors.New("the answer has no certificate")
	}
	return chain, at, nil
}

func newCredential(keys *sign.EphemeralKeypair, chain []string) (*credential, error) {
	block, _ := pem.Decode([]byte(chain[0]))
	if block == nil {
		return nil, errors.New("the certificate is not in PEM form")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	who, err := certificateOf(leaf)
	if err != nil {
		return nil, err
	}
	return &credential{keys: keys, leaf: leaf, leafPEM: []byte(chain[0]), chainPEM: []byte(strings.Join(chain[1:], "")), who: who}, nil
}

func certificateOf(cert *x509.Certificate) (Signed, error) {
	s, err := certificate.SummarizeCertificate(cert)
	if err != nil {
		return Signed{}, fmt.Errorf("certificate: %w", err)
	}
	return certified(s), nil
}

package sign

import (
	"bytes"
	"context"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

// ErrPassword reports a private key that its password does not open, ErrKey a file that is no key, or not the kind that is needed.
var (
	ErrPassword = errors.New("wrong password for the private key")
	ErrKey      = errors.New("wrong key file")
)

// keypair signs with a key that outlives the run. It implements sigstore-go's sign.Keypair.
type keypair struct {
	signer  signature.SignerVerifier
	pub     crypto.PublicKey
	details signature.AlgorithmDetails
	hint    string
}

// PrivateKey is a cosign private key that is opened once, when it is needed or ahead of that.
type PrivateKey struct{ open func() (*keypair, error) }

// NewPrivateKey names a key file; nothing is read yet.
func NewPrivateKey(file string, password func() ([]byte, error)) *PrivateKey {
	return &PrivateKey{open: sync.OnceValues(func() (*keypair, error) { return loadKey(file, password) })}
}

// Open starts opening the key, which takes a while, so that it is open when it is needed; whoever needs it gets the error.
func (k *PrivateKey) Open() { go func() { _, _ = k.open() }() }

// loadKey reads a cosign private key; password is asked only when the file is one.
func loadKey(file string, password func() ([]byte, error)) (*keypair, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block != nil && strings.HasSuffix(block.Type, "PUBLIC KEY") {
		return nil, NotPrivate(file)
	}
	if block == nil || block.Type != cosign.SigstorePrivateKeyPemType && block.Type != cosign.CosignPrivateKeyPemType {
		return nil, fmt.Errorf("%w: %s is no cosign private key: make one with keos-oci generate-key-pair, or import yours with "+
			"cosign import-key-pair", ErrKey, file)
	}
	pass, err := password()
	if err != nil {
		return nil, fmt.Errorf("password of %s: %w", file, err)
	}
	// No load options: ed25519 keys sign in-toto envelopes plainly, not pre-hashed.
	sv, err := cosign.LoadPrivateKey(raw, pass, &[]signature.LoadOption{})
	if err != nil {
		if strings.Contains(err.Error(), "decrypt") {
			return nil, fmt.Errorf("%s: %w (COSIGN_PASSWORD)", file, ErrPassword)
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	go debug.FreeOSMemory() // scrypt took 64 MiB, which would double the heap that is allowed before the next collection
	return newKeypair(sv)
}

func newKeypair(sv signature.SignerVerifier) (*keypair, error) {
	pub, err := sv.PublicKey()
	if err != nil {
		return nil, err
	}
	details, err := signature.GetDefaultAlgorithmDetails(pub)
	if err != nil {
		return nil, err
	}
	hint, err := fingerprint(pub)
	if err != nil {
		return nil, err
	}
	return &keypair{sv, pub, details, hint}, nil
}

func (k *keypair) GetHashAlgorithm() protocommon.HashAlgorithm { return k.details.GetProtoHashType() }
func (k *keypair) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return k.details.GetSignatureAlgorithm()
}
func (k *keypair) GetHint() []byte                { return []byte(k.hint) }
func (k *keypair) GetPublicKey() crypto.PublicKey { return k.pub }

func (k *keypair) GetKeyAlgorithm() string {
	switch k.details.GetKeyType() {
	case signature.ECDSA:
		return "ECDSA"
	case signature.RSA:
		return "RSA"
	default:
		return "ED25519"
	}
}

func (k *keypair) GetPublicKeyPem() (string, error) {
	raw, err := cryptoutils.MarshalPublicKeyToPEM(k.pub)
	return string(raw), err
}

func (k *keypair) SignData(_ context.Context, data []byte) ([]byte, []byte, error) {
	sig, err := k.signer.SignMessage(bytes.NewReader(data))
	if err != nil {
		return nil, nil, err
	}
	if k.details.GetKeyType() == signature.ED25519 {
		return sig, data, nil
	}
	h := k.details.GetHashType().New()
	h.Write(data)
	return sig, h.Sum(nil), nil
}

// loadPublicKey reads a PEM public key such as cosign.pub.
func loadPublicKey(file string) (crypto.PublicKey, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	pub, err := cryptoutils.UnmarshalPEMToPublicKey(raw)
	if err != nil {
		return nil, fmt.Errorf("public key %s: %w", file, err)
	}
	return pub, nil
}

// IsPrivateKey reports whether file is a cosign private key, and not a public one.
func IsPrivateKey(file string) (bool, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return false, fmt.Errorf("key: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return false, fmt.Errorf("%w: %s has no key in PEM form", ErrKey, file)
	}
	return strings.HasSuffix(block.Type, "PRIVATE KEY"), nil
}

// GenerateKey makes a key pair in cosign's form: the private key encrypted with password, and the public key.
func GenerateKey(password []byte) (private, public []byte, err error) {
	keys, err := cosign.GenerateKeyPair(func(bool) ([]byte, error) { return password, nil })
	if err != nil {
		return nil, nil, err
	}
	return keys.PrivateBytes, keys.PublicBytes, nil
}

// NotPrivate is the ErrKey of a file that has a public key where signing needs the private one.
func NotPrivate(file string) error {
	return fmt.Errorf("%w: %s is a public key. Signing needs the private key: pass --key cosign.key", ErrKey, file)
}

package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// bundle is a Sigstore bundle v0.3 that a key pair signed, with the fields that such a bundle needs.
type bundle struct {
	MediaType            string `json:"mediaType"`
	VerificationMaterial struct {
		PublicKey struct {
			Hint string `json:"hint"`
		} `json:"publicKey"`
	} `json:"verificationMaterial"`
	Envelope envelope `json:"dsseEnvelope"`
}

type envelope struct {
	Payload     []byte      `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	Sig []byte `json:"sig"`
}

// statement is the in-toto statement that cosign signs: its subject is the digest, and it says nothing but "signed".
type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
}

type subject struct {
	Digest map[string]string `json:"digest"`
}

const (
	typeBundle    = "application/vnd.dev.sigstore.bundle.v0.3+json"
	typeInToto    = "application/vnd.in-toto+json"
	predicateType = "https://sigstore.dev/cosign/sign/v1"
)

// signed makes the bundle of a digest.
func signed(key *ecdsa.PrivateKey, digest string) ([]byte, error) {
	payload, err := json.Marshal(statement{
		Type: "https://in-toto.io/Statement/v1", PredicateType: predicateType,
		Subject: []subject{{map[string]string{"sha256": strings.TrimPrefix(digest, "sha256:")}}},
	})
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	b := bundle{MediaType: typeBundle, Envelope: envelope{Payload: payload, PayloadType: typeInToto}}
	hint := sha256.Sum256(public)
	b.VerificationMaterial.PublicKey.Hint = base64.StdEncoding.EncodeToString(hint[:])
	raw, err := ecdsa.SignASN1(rand.Reader, key, b.Envelope.hash())
	if err != nil {
		return nil, err
	}
	b.Envelope.Signatures = []signature{{raw}}
	return json.Marshal(b)
}

// accepts checks that a bundle is of the key and about the digest.
func accepts(key *ecdsa.PublicKey, raw []byte, digest string) error {
	var b bundle
	if err := json.Unmarshal(raw, &b); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	if b.MediaType != typeBundle || len(b.Envelope.Signatures) != 1 ||
		!ecdsa.VerifyASN1(key, b.Envelope.hash(), b.Envelope.Signatures[0].Sig) {
		return errors.New("bundle: the key did not sign it")
	}
	var s statement
	if err := json.Unmarshal(b.Envelope.Payload, &s); err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	if len(s.Subject) != 1 || "sha256:"+s.Subject[0].Digest["sha256"] != digest {
		return fmt.Errorf("bundle: it is not about %s", digest)
	}
	return nil
}

// hash is of DSSE's encoding of type and payload: that is what is signed.
func (e envelope) hash() []byte {
	hash := sha256.New()
	fmt.Fprintf(hash, "DSSEv1 %d %s %d %s", len(e.PayloadType), e.PayloadType, len(e.Payload), e.Payload)
	return hash.Sum(nil)
}

package sign

import (
	"context"
	"errors"
	"fmt"

	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// Statement is something signed about a digest in a repository, other than that it is signed.
type Statement struct {
	Repository string
	Subject    digest.Digest
	Type       string // predicate type
	Predicate  map[string]any
}

// SignStatement signs a statement as a Sigstore bundle and checks it as a reader would. It is not attached to the
// subject: beside an artifact, clusters would take it for a signature.
func (s *Signer) SignStatement(ctx context.Context, st Statement) ([]byte, Signed, error) {
	id, err := s.Identity(ctx)
	if err != nil {
		return nil, Signed{}, err
	}
	predicate, err := structpb.NewStruct(st.Predicate)
	if err != nil {
		return nil, Signed{}, err
	}
	payload, err := protojson.Marshal(&intoto.Statement{
		Type: intoto.StatementTypeUri, PredicateType: st.Type, Predicate: predicate,
		Subject: []*intoto.ResourceDescriptor{{Name: st.Repository,
			Digest: map[string]string{st.Subject.Algorithm().String(): st.Subject.Encoded()}}},
	})
	if err != nil {
		return nil, Signed{}, err
	}
	raw, err := s.bundle(ctx, payload)
	if err != nil {
		return nil, Signed{}, err
	}
	_, got, err := s.verifier.Statement(raw, s.opts.Key == nil)
	if err != nil || got.Identity != id.Identity {
		return nil, Signed{}, fmt.Errorf("the new statement does not verify as %s: %w", id, err)
	}
	return raw, got, nil
}

// Verifier checks with this signer's own key or trust. The key is opened when the first signature is checked.
func (s *Signer) Verifier() *Verifier { return s.verifier }

// bundle signs a payload; an upload whose answer got lost is signed anew.
func (s *Signer) bundle(ctx context.Context, payload []byte) ([]byte, error) {
	for attempt := 1; ; attempt++ {
		keys, opts, err := s.bundleOptions(ctx)
		if err != nil {
			return nil, err
		}
		b, err := sign.Bundle(&sign.DSSEData{Data: payload, PayloadType: intotoType}, keys, opts)
		if err == nil {
			return protojson.Marshal(b)
		}
		if !conflict(err) || attempt == 3 {
			return nil, err
		}
	}
}

// Statement verifies a bundle and reads what it states. Whether its subject and signer are the right ones is the
// caller's to judge. keyless is whether certificates are checked. The error is ErrCannotCheck when there is no answer.
func (v *Verifier) Statement(raw []byte, keyless bool) (Statement, Signed, error) {
	result, signed, err := v.verify(raw, keyless, verify.WithoutArtifactUnsafe())
	if err != nil {
		return Statement{}, Signed{}, err
	}
	out, err := statementOf(result.Statement)
	return out, signed, err
}

func statementOf(st *intoto.Statement) (Statement, error) {
	if st == nil || len(st.GetSubject()) != 1 || len(st.GetSubject()[0].GetDigest()) != 1 {
		return Statement{}, errors.New("the bundle states nothing about one digest")
	}
	out := Statement{Repository: st.GetSubject()[0].GetName(), Type: st.GetPredicateType(), Predicate: st.GetPredicate().AsMap()}
	for algorithm, hex := range st.GetSubject()[0].GetDigest() {
		out.Subject = digest.NewDigestFromEncoded(digest.Algorithm(algorithm), hex)
	}
	return out, out.Subject.Validate()
}

// Unverified is what a bundle states, and the signer that it claims. Nothing is checked: the caller must have checked the bytes.
func Unverified(raw []byte) (st Statement, by string, err error) {
	var b bundle.Bundle
	if err := b.UnmarshalJSON(raw); err != nil {
		return st, "", err
	}
	envelope, err := b.Envelope()
	if err != nil {
		return st, "", err
	}
	stated, err := envelope.Statement()
	if err != nil {
		return st, "", err
	}
	content, err := b.VerificationContent()
	if err != nil {
		return st, "", err
	}
	if cert := content.Certificate(); cert != nil {
		by = claimedBy(cert)
	} else if key := content.PublicKey(); key != nil {
		by = Identity{Key: key.Hint()}.String()
	}
	st, err = statementOf(stated)
	return st, by, err
}

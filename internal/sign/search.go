package sign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// ErrNoIndex reports a transparency log that cannot be searched.
var ErrNoIndex = errors.New("the transparency log has no search index")

// Log is a transparency log that is searched: Rekor v1 (its OpenAPI description, searchIndex and searchLogQuery).
type Log struct {
	http *http.Client
	url  string
}

// NewLog names a log; nothing is requested yet.
func NewLog(client *http.Client, address string) *Log {
	return &Log{client, strings.TrimSuffix(address, "/")}
}

// Logged is an entry of a log. Who signed is what the entry says; the log checked that the signature fits.
type Logged struct {
	Signed
	ID      string
	Payload string // SHA-256 of what was signed, in hex
}

// maxLogged bounds how many entries of one digest are read, and how many are asked for at once, which Rekor limits.
const (
	maxLogged = 200
	logBatch  = 10
)

// About finds the signed statements about a digest that a log knows. The error is ErrNoIndex where it cannot be searched.
func (l *Log) About(ctx context.Context, d digest.Digest) ([]Logged, error) {
	var ids []string
	err := l.post(ctx, "/api/v1/index/retrieve", map[string]any{"hash": d.String()}, &ids)
	var he *httpError
	if errors.As(err, &he) && slices.Contains([]int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}, he.status) {
		return nil, ErrNoIndex
	}
	if err != nil {
		return nil, err
	}
	var list []Logged
	for batch := range slices.Chunk(ids[:min(len(ids), maxLogged)], logBatch) {
		var found []map[string]struct {
			Body           []byte
			IntegratedTime int64
		}
		if err := l.post(ctx, "/api/v1/log/entries/retrieve", map[string]any{"entryUUIDs": batch}, &found); err != nil {
			return nil, err
		}
		for _, entries := range found {
			for id, e := range entries {
				if logged, ok := parseLogged(e.Body); ok {
					logged.ID, logged.Time = id, time.Unix(e.IntegratedTime, 0).UTC()
					list = append(list, logged)
				}
			}
		}
	}
	return list, nil
}

func (l *Log) post(ctx context.Context, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if _, err := call(l.http, req, answer); err != nil {
		return fmt.Errorf("search Rekor at %s: %w", shown(l.url), err)
	}
	return nil
}

// parseLogged reads an entry of kind dsse. Others are no statements.
func parseLogged(raw []byte) (Logged, bool) {
	var entry struct {
		Kind string
		Spec struct {
			PayloadHash struct{ Value string }
			Signatures  []struct{ Verifier []byte }
		}
	}
	if err := json.Unmarshal(raw, &entry); err != nil || entry.Kind != "dsse" || len(entry.Spec.Signatures) != 1 {
		return Logged{}, false
	}
	pem := entry.Spec.Signatures[0].Verifier
	if certs, err := cryptoutils.UnmarshalCertificatesFromPEM(pem); err == nil && len(certs) > 0 {
		who, err := certificateOf(certs[0])
		return Logged{Signed: who, Payload: entry.Spec.PayloadHash.Value}, err == nil
	}
	pub, err := cryptoutils.UnmarshalPEMToPublicKey(pem)
	if err != nil {
		return Logged{}, false
	}
	key, err := fingerprint(pub)
	return Logged{Signed: Signed{Identity: Identity{Key: key}}, Payload: entry.Spec.PayloadHash.Value}, err == nil
}

// Remember keeps the hashes of all statements that are found valid from here on, for Saw.
func (v *Verifier) Remember() { v.remembers.Store(true) }

// Saw reports whether a statement with this hash was found valid.
func (v *Verifier) Saw(payload string) bool {
	_, saw := v.payloads.Load(payload)
	return saw
}

// remember keeps the hash of a valid bundle's statement.
func (v *Verifier) remember(b *bundle.Bundle) {
	if !v.remembers.Load() {
		return
	}
	envelope, err := b.Envelope()
	if err != nil {
		return
	}
	payload, err := envelope.RawEnvelope().DecodeB64Payload()
	if err != nil {
		return
	}
	sum := sha256.Sum256(payload)
	v.payloads.Store(hex.EncodeToString(sum[:]), true)
}

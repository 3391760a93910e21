package sign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-openapi/runtime"
	httptransport "github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	tiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	rekor "github.com/sigstore/rekor/pkg/generated/client"
	"github.com/sigstore/rekor/pkg/generated/client/entries"
	"github.com/sigstore/rekor/pkg/generated/models"
	rekorutil "github.com/sigstore/rekor/pkg/util"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"
)

// rekorClient is rekor/pkg/client.GetRekorClient on the run's own connections and retries.
func rekorClient(client *http.Client, address string) (*rekor.Rekor, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("rekor URL %q is no URL", address)
	}
	if u.Path == "" {
		u.Path = rekor.DefaultBasePath
	}
	rt := httptransport.NewWithClient(u.Host, u.Path, []string{u.Scheme}, client)
	rt.Consumers["application/json"] = runtime.JSONConsumer()
	rt.Producers["application/json"] = runtime.JSONProducer()
	formats := strfmt.NewFormats()
	formats.Add("signedCheckpoint", &rekorutil.SignedNote{}, rekorutil.SignedCheckpointValidator)
	log := rekor.New(rt, formats)
	log.Entries = &logV1{log.Entries}
	return log, nil
}

// noLimit keeps clients of others from ending a request: the HTTP client has a limit of its own.
const noLimit = 24 * time.Hour

// transparency is the log that signatures are uploaded to.
func (s *Signer) transparency() sign.Transparency {
	o := &sign.RekorOptions{BaseURL: s.ends.rekor, Version: s.ends.rekorVersion, Timeout: noLimit}
	if s.ends.rekorVersion == 1 {
		o.Client = s.log.Entries
	} else {
		o.ClientV2 = &logV2{s.opts.Clients.Rekor, s.ends.rekor}
	}
	return &named{sign.NewRekor(o), s.ends.rekor}
}

// named says of faults which log they are of.
type named struct {
	sign.Transparency
	url string
}

// GetTransparencyLogEntry implements sign.Transparency.
func (n *named) GetTransparencyLogEntry(ctx context.Context, pem []byte, b *protobundle.Bundle) error {
	return logFault(n.url, n.Transparency.GetTransparencyLogEntry(ctx, pem, b))
}

func logFault(address string, err error) error {
	if err == nil {
		return nil
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	return fmt.Errorf("log entry from Rekor at %s: %w", shown(address), err)
}

// logV1 is a Rekor v1 log. It takes no answer for an entry that has not all that an entry has: those who use the answer would panic.
type logV1 struct{ entries.ClientService }

// CreateLogEntry uploads an entry.
func (l *logV1) CreateLogEntry(params *entries.CreateLogEntryParams, opts ...entries.ClientOption) (*entries.CreateLogEntryCreated, error) {
	resp, err := l.ClientService.CreateLogEntry(params, opts...)
	if err != nil {
		return nil, err
	}
	entry, err := only(resp.Payload)
	if err != nil {
		return nil, err
	}
	resp.Payload = models.LogEntry{resp.ETag: entry} // where a proxy took the header away, the entry is found all the same
	return resp, nil
}

// GetLogEntryByUUID reads an entry.
func (l *logV1) GetLogEntryByUUID(params *entries.GetLogEntryByUUIDParams, opts ...entries.ClientOption) (*entries.GetLogEntryByUUIDOK, error) {
	resp, err := l.ClientService.GetLogEntryByUUID(params, opts...)
	if err == nil {
		_, err = only(resp.Payload)
	}
	return resp, err
}

// only is the one entry of an answer.
func only(payload models.LogEntry) (models.LogEntryAnon, error) {
	for _, e := range payload {
		proof := e.Verification != nil && e.Verification.InclusionProof != nil
		if len(payload) == 1 && e.LogID != nil && e.LogIndex != nil && e.IntegratedTime != nil && e.Body != nil && proof &&
			complete(e.Verification.InclusionProof) {
			return e, nil
		}
	}
	return models.LogEntryAnon{}, errors.New("the answer has no complete log entry: does a proxy change it?")
}

func complete(p *models.InclusionProof) bool {
	return p.RootHash != nil && p.LogIndex != nil && p.TreeSize != nil && p.Checkpoint != nil
}

// conflict reports that the log has this very entry: an answer got lost and the upload was repeated. The entry itself is
// not in that answer, so the signature is made anew.
func conflict(err error) bool {
	var c *entries.CreateLogEntryConflict
	return errors.As(err, &c)
}

// logV2 is a Rekor v2 log (rekor-tiles). It implements sign.RekorV2Client.
type logV2 struct {
	http *http.Client
	url  string
}

// Add uploads an entry.
func (l *logV2) Add(ctx context.Context, entry any) (*protorekor.TransparencyLogEntry, error) {
	hashed, ok := entry.(*tiles.HashedRekordRequestV002)
	if !ok {
		return nil, fmt.Errorf("log entry of type %T is not known", entry)
	}
	body, err := protojson.Marshal(&tiles.CreateEntryRequest{Spec: &tiles.CreateEntryRequest_HashedRekordRequestV002{HashedRekordRequestV002: hashed}})
	if err != nil {
		return nil, err
	}
	return l.post(ctx, body)
}

func (l *logV2) post(ctx context.Context, body []byte) (*protorekor.TransparencyLogEntry, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(l.url, "/")+"/api/v2/log/entries", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := l.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusCreated {
		return nil, &httpError{status: resp.StatusCode, message: message(raw)}
	}
	var logged protorekor.TransparencyLogEntry
	if err := protojson.Unmarshal(raw, &logged); err != nil {
		return nil, fmt.Errorf("the answer is no log entry: %w", err)
	}
	if logged.GetInclusionProof() == nil || logged.GetLogId() == nil || len(logged.GetCanonicalizedBody()) == 0 {
		return nil, errors.New("the answer has no complete log entry: does a proxy change it?")
	}
	return &logged, nil
}

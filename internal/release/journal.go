package release

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// How records are stored: one manifest per move, with a Sigstore bundle as an annotation. A record is written with one
// request and read with one.
const (
	recordType    = "application/vnd.stratio.keos-oci.move.v1+json"
	recordBundle  = "com.stratio.keos-oci.move"
	recordMeaning = "https://keos-oci.stratio.com/move/v1"
	// recordsRead is how many of the newest records are read where one does not tell enough.
	recordsRead = 50
)

// ledger reads and writes the journal of one channel.
type ledger struct {
	repo      *registry.Repository
	component component.Component
	channel   string
	verifier  *sign.Verifier
	movers    func() ([]sign.Policy, error) // asked when a record is checked: a key may take a while to open
}

// read gives the newest records, at most limit, verified. names is what the channel names.
func (l *ledger) read(ctx context.Context, tags []string, limit int, names digest.Digest) (tag.Journal, error) {
	all := tag.RecordTags(tags, l.channel)
	j := tag.Journal{Names: names, Entries: make([]tag.Entry, min(limit, len(all))), Partial: limit < len(all)}
	var group errgroup.Group
	group.SetLimit(16)
	for i := range j.Entries {
		group.Go(func() (err error) {
			j.Entries[i], err = l.entry(ctx, all[i])
			return err
		})
	}
	return j, group.Wait()
}

// entry reads one record. What is wrong with it goes into the entry; the error is for a registry that does not answer.
func (l *ledger) entry(ctx context.Context, name string) (tag.Entry, error) {
	e := tag.Entry{Tag: name}
	desc, raw, err := l.repo.Manifest(ctx, name)
	switch {
	case err == nil:
	case errors.Is(err, registry.ErrNotFound):
		e.Err = errors.New("its manifest is gone")
		return e, nil
	case ctx.Err() != nil, errors.Is(err, registry.ErrUnavailable), errors.Is(err, registry.ErrUnauthorized), errors.Is(err, registry.ErrForbidden):
		return e, err
	default: // damaged or too large: a record that somebody broke must not keep anybody from rolling back
		e.Err = err
		return e, nil
	}
	e.Digest = desc.Digest
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil || m.ArtifactType != recordType {
		e.Err = errors.New("it is no record of a move")
		return e, nil
	}
	e.Err = l.verify(&e, []byte(m.Annotations[recordBundle]))
	return e, nil
}

// verify checks who signed and that the statement is about this very repository, channel and time: a record that was
// copied from elsewhere or tagged anew is authentic, but not here.
func (l *ledger) verify(e *tag.Entry, bundle []byte) error {
	st, id, err := l.verifier.Statement(bundle)
	if err != nil {
		return err
	}
	e.Signer = id.String()
	if err := l.allows(id); err != nil {
		return fmt.Errorf("%w: signed by %s", err, id)
	}
	predicate, err := json.Marshal(st.Predicate)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(predicate, &e.Record); err != nil {
		return fmt.Errorf("it states no move: %w", err)
	}
	channel, at, _ := tag.ParseRecordTag(e.Tag)
	switch {
	case st.Type != recordMeaning:
		return fmt.Errorf("it states %s", st.Type)
	case st.Repository != l.repository() || e.Component != l.component.Name:
		return fmt.Errorf("it is a record of %s (%s)", e.Component, st.Repository)
	case st.Subject != recordSubject(e.Record):
		return errors.New("it was signed for another digest")
	case e.Channel != channel:
		return fmt.Errorf("it is a record of channel %s", e.Channel)
	case !e.Time.Equal(at):
		return fmt.Errorf("it is a record of %s", e.Time.UTC().Format(time.RFC3339Nano))
	}
	return nil
}

// repository is what records call theirs: without the host, so that a mirror's copy of a journal stays valid.
func (l *ledger) repository() string { return l.component.Repository.RepositoryStr() }

// recordSubject is the digest that a record's statement is about: where the channel goes. What another tool put on the
// channel may be signed by nobody, and a statement about it, hung onto it by somebody, would pass for a signature on a
// cluster; so an adoption is about a digest that no artifact has.
func recordSubject(r tag.Record) digest.Digest {
	if r.Action == tag.ActionAdopt {
		return digest.FromString("adopted: " + r.To.String())
	}
	return r.To
}

// allows says whether id may sign moves of the channel.
func (l *ledger) allows(id sign.Identity) error {
	movers, err := l.movers()
	if err != nil {
		return err
	}
	for _, p := range movers {
		if p.Allows(id) {
			return nil
		}
	}
	return sign.ErrWrongIdentity
}

// write signs and stores a record under a tag of its own and gives it as it will be read. Nothing is ever replaced: the
// tag holds the time to the millisecond and a random salt.
func (l *ledger) write(ctx context.Context, signer *sign.Signer, r tag.Record) (tag.Entry, error) {
	e := tag.Entry{Record: r}
	predicate, err := asMap(r)
	if err != nil {
		return e, err
	}
	bundle, id, err := signer.SignStatement(ctx, sign.Statement{Repository: l.repository(), Subject: recordSubject(r), Type: recordMeaning, Predicate: predicate})
	if err != nil {
		return e, fmt.Errorf("sign the record: %w", err)
	}
	if err := l.allows(id); err != nil {
		return e, fmt.Errorf("%w: %s may not move %s", err, id, l.channel)
	}
	empty := ocispec.Descriptor{MediaType: ocispec.MediaTypeEmptyJSON, Digest: ocispec.DescriptorEmptyJSON.Digest, Size: ocispec.DescriptorEmptyJSON.Size}
	raw, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: recordType,
		Config: empty, Layers: []ocispec.Descriptor{empty},
		Annotations: map[string]string{
			ocispec.AnnotationCreated: r.Time.UTC().Format(time.RFC3339),
			recordBundle:              string(bundle),
			ocispec.AnnotationTitle:   strings.TrimSpace(fmt.Sprintf("%s %s %s to %s %s", r.Action, r.Component, r.Channel, r.Version, r.To)),
		},
	})
	if err != nil {
		return e, err
	}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	var salt [2]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return e, err
	}
	e.Tag, e.Digest, e.Signer = tag.RecordTag(l.channel, r.Time, salt), desc.Digest, id.String()
	return e, l.store(ctx, e.Tag, desc, raw, empty)
}

// store writes the record. The empty blob is there wherever keos-oci published; elsewhere the registry misses it.
func (l *ledger) store(ctx context.Context, name string, desc ocispec.Descriptor, raw []byte, empty ocispec.Descriptor) error {
	err := l.repo.Tag(ctx, desc, raw, name)
	if !errors.Is(err, registry.ErrMissingBlob) {
		return err
	}
	if err := l.repo.PushBlob(ctx, empty, ocispec.DescriptorEmptyJSON.Data); err != nil {
		return err
	}
	return l.repo.Tag(ctx, desc, raw, name)
}

func asMap(v any) (map[string]any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	return m, json.Unmarshal(raw, &m)
}

// moversOf is who may sign moves: what the config says, the key, or on GitHub the workflows of this repository on the
// main branch or a version tag of the component. own is the run's policy for artifacts, the last resort.
func (s *Service) moversOf(ctx context.Context, v *sign.Verifier, c component.Component, ch component.Channel, own sign.Policy) ([]sign.Policy, error) {
	var list []sign.Policy
	for _, id := range ch.Movers {
		list = append(list, configuredPolicy(id))
	}
	if len(list) > 0 {
		return list, nil
	}
	if key, err := v.KeyPolicy(); err != nil || !key.IsZero() {
		return []sign.Policy{key}, err
	}
	slug, err := s.githubSlug(ctx)
	if err != nil || !own.IsZero() && own.Issuer != githubIssuer {
		return []sign.Policy{own}, nil //nolint:nilerr // without GitHub, who may sign the artifacts may move them
	}
	branch := "main"
	if list := c.Channels.From(component.FromBranch); len(list) > 0 {
		branch = list[0].Branch
	}
	ref := "(refs/heads/" + regexp.QuoteMeta(branch) + "|" + Target{Tag: ch.Name}.ref(c) + ")"
	return []sign.Policy{{Issuer: githubIssuer, SubjectPattern: githubSubject(slug, ref)}}, nil
}

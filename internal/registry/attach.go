package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// On a registry without the referrers API, all that refers to a subject is listed in one index under one tag. Writers read it,
// add their entry and write it back, and registries have no compare-and-swap: a writer that is slow writes an index which
// lacks what others added meanwhile. Signatures get lost like that, and a tag then names what its cluster refuses.
//
// So each of our writers first announces its write: it stores the entry's manifest under a tag that names subject, entry and round,
// then reads the index, and writes it with the entry, which says the round. An announcement whose round is not in the index is open:
// its writer may be about to write an index that lacks everything newer. A writer is done when, after its own last write, it lists
// the announcements, finds none of another writer open, and the index still has its own entry. Then no older index can come any more:
// its writer announced itself before it read, and would be seen open. An announcement that stays open for longer than a write can
// take is dead, and whoever waited for it marks it. attach_model_test.go checks this for all interleavings of two and three
// writers. Announcements also keep entries alive where a clean-up deletes what no tag names.
//
// Assumed: a finished write is seen by the next list and read, and requests end by their deadline.

const (
	writeTime = 12 * time.Second // from an announcement to the end of the write that it announces
	deadTime  = 20 * time.Second // after which a writer that is still open is dead
	pollTime  = 400 * time.Millisecond
)

// ErrBusy reports a list of signatures that other writers kept changing.
var ErrBusy = errors.New("other writers kept changing the list of signatures")

// AddReferrer stores a manifest that has a subject and answers with the subject's referrers once it is listed among them for
// good. alone says that nobody else can be adding to them: the listing of announcements is spared then.
func (r *Repository) AddReferrer(ctx context.Context, desc ocispec.Descriptor, raw []byte, alone bool) ([]ocispec.Descriptor, error) {
	var m struct {
		ArtifactType string
		Subject      ocispec.Descriptor
		Annotations  map[string]string
	}
	if err := json.Unmarshal(raw, &m); err != nil || m.Subject.Digest.Validate() != nil {
		return nil, fmt.Errorf("manifest %s has no subject", desc.Digest)
	}
	desc.ArtifactType, desc.Annotations = m.ArtifactType, m.Annotations
	supported, err := r.hasReferrersAPI(ctx, m.Subject.Digest)
	if err != nil {
		return nil, r.fault("list referrers of", m.Subject.Digest.String(), err)
	}
	e := &entry{Repository: r, subject: m.Subject.Digest, desc: desc, raw: raw, alone: alone, open: map[string]time.Time{},
		gone: map[string]bool{}}
	if supported {
		return e.listedByAPI(ctx)
	}
	return e.listedInIndex(ctx)
}

// entry is a referrer on its way into the list.
type entry struct {
	*Repository
	subject digest.Digest
	desc    ocispec.Descriptor
	raw     []byte
	alone   bool
	open    map[string]time.Time // open announcements of others, and when they were seen first
	gone    map[string]bool      // announcements without a manifest
}

// listedByAPI leaves the listing to the registry and waits until it shows the entry.
func (e *entry) listedByAPI(ctx context.Context) ([]ocispec.Descriptor, error) {
	if err := e.store(ctx, e.desc.Digest.String()); err != nil {
		return nil, err
	}
	for attempt := range 8 {
		list, _, err := e.referrersAPI(ctx, e.subject)
		if err != nil {
			return nil, e.fault("list referrers of", e.subject.String(), err)
		}
		if has(list, e.desc.Digest) {
			return list, nil
		}
		if err := sleep(ctx, 50*time.Millisecond<<attempt); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s does not list %s among the referrers of %s", e.name, e.desc.Digest, e.subject)
}

// store writes the entry's manifest. Its config, the empty object, is mostly there already: artifacts have the same one.
func (e *entry) store(ctx context.Context, ref string) error {
	return WithEmptyBlob(ctx, e, func(ctx context.Context) error {
		return e.Tag(ctx, e.desc, e.raw, ref) // where tags are immutable, an answer that was lost is found out there
	})
}

// listedInIndex announces the entry and adds it to the index until it is there for good.
func (e *entry) listedInIndex(ctx context.Context) ([]ocispec.Descriptor, error) {
	var failed error
	for round := range 8 {
		list, err := e.write(ctx, round)
		if err == nil {
			list, err = e.settle(ctx, list)
		}
		if err == nil && list != nil {
			return list, nil
		}
		if ctx.Err() != nil || overdue(err) || err != nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
		failed = err
		if err := sleep(ctx, e.client.opts.Retry.backoff(min(round+1, 4), nil)); err != nil {
			return nil, err
		}
	}
	return nil, errors.Join(fmt.Errorf("%w of %s@%s: run the same command again", ErrBusy, e.name, e.subject), failed)
}

// write announces the entry, reads the index and writes it with the entry, all within a bounded time. It returns the entries of the
// index.
func (e *entry) write(parent context.Context, round int) ([]ocispec.Descriptor, error) {
	ctx, cancel := context.WithTimeout(parent, writeTime)
	defer cancel()
	if err := e.store(ctx, announcement(e.subject, e.desc.Digest, round)); err != nil {
		return nil, err
	}
	list, err := e.referrersIndex(ctx, e.subject)
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(list, func(d ocispec.Descriptor) bool { return d.Digest == e.desc.Digest })
	if others, err = e.living(ctx, others); err != nil {
		return nil, err
	}
	own := e.desc
	own.Annotations = maps.Clone(own.Annotations)
	if own.Annotations == nil {
		own.Annotations = map[string]string{}
	}
	own.Annotations[annotationRound] = strconv.Itoa(round)
	index, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: append(others, own)})
	if err != nil {
		return nil, err
	}
	indexDesc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.FromBytes(index), Size: int64(len(index))}
	put := e.putManifest(once(ctx), indexDesc, index, fallbackTag(e.subject))
	if put != nil && status(put) != 0 && !errors.Is(put, ErrUnavailable) {
		return nil, put
	}
	return e.referrersIndex(parent, e.subject) // the index shows whether a write without an answer succeeded
}

// settle waits until nobody else can be writing an index that lacks the entry. nil without an error means that it has to be
// written again.
func (e *entry) settle(ctx context.Context, list []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	for {
		if !has(list, e.desc.Digest) {
			return nil, nil
		}
		if e.alone {
			return list, nil
		}
		tags, err := e.Tags(ctx)
		if err != nil {
			return nil, err
		}
		if list, err = e.referrersIndex(ctx, e.subject); err != nil {
			return nil, err
		}
		waiting, dead := e.look(tags, list)
		if !has(list, e.desc.Digest) {
			return nil, nil
		}
		if len(waiting)+len(dead) == 0 {
			return list, nil
		}
		for _, t := range dead {
			if err := e.bury(ctx, t); err != nil {
				return nil, err
			}
		}
		if len(waiting) > 0 {
			if err := sleep(ctx, pollTime); err != nil {
				return nil, err
			}
		}
	}
}

// look parts the open announcements into those whose writer may be at work, and those whose writer is dead. Of several rounds of an
// entry only the newest counts: its writer had finished the ones before.
func (e *entry) look(tags []string, list []ocispec.Descriptor) (waiting, dead []string) {
	newest := map[string]int{}
	for _, t := range tags {
		if hex, round, ok := e.announcedBy(t); ok && hex != e.desc.Digest.Encoded()[:announced] {
			if at, known := newest[hex]; !known || round > at {
				newest[hex] = round
			}
		}
	}
	now := time.Now()
	for hex, round := range newest {
		t := fallbackTag(e.subject) + "." + hex + suffix(round)
		if landed(list, hex) >= round || e.gone[t] || slices.Contains(tags, t+buried) {
			delete(e.open, t)
			continue
		}
		if e.open[t].IsZero() {
			e.open[t] = now
		}
		if now.Sub(e.open[t]) < deadTime {
			waiting = append(waiting, t)
		} else {
			dead = append(dead, t)
		}
	}
	return waiting, dead
}

// announcedBy reads entry and round of an announcement for the subject, false for any other tag.
func (e *entry) announcedBy(t string) (hex string, round int, ok bool) {
	rest, ours := strings.CutPrefix(t, fallbackTag(e.subject)+".")
	hex, number, several := strings.Cut(rest, ".")
	if !ours || len(hex) != announced {
		return "", 0, false
	}
	if !several {
		return hex, 0, true
	}
	round, err := strconv.Atoi(number)
	return hex, round, err == nil
}

// landed is the round in which an entry came into the index, -1 when it is not there, or another tool wrote it without its round.
func landed(list []ocispec.Descriptor, hex string) int {
	for _, d := range list {
		if !strings.HasPrefix(d.Digest.Encoded(), hex) {
			continue
		}
		if round, err := strconv.Atoi(d.Annotations[annotationRound]); err == nil {
			return round
		}
	}
	return -1
}

// buried ends the second tag of an announcement whose writer is dead.
const buried = ".dead"

// bury marks an announcement for those who come later.
func (e *entry) bury(ctx context.Context, announcement string) error {
	desc, raw, err := e.Manifest(ctx, announcement)
	if errors.Is(err, ErrNotFound) { // a tag without a manifest, as a broken write leaves it
		e.gone[announcement] = true
		return nil
	}
	if err != nil {
		return err
	}
	return e.Tag(ctx, desc, raw, announcement+buried)
}

// living leaves out entries whose manifests are gone: registries refuse an index that names them. A list that somebody has blown up
// is left as it is: to ask for each entry would take longer than a write may.
func (e *entry) living(ctx context.Context, list []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	if len(list) > maxAsked {
		return list, nil
	}
	gone := make([]bool, len(list))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, d := range list {
		group.Go(func() error {
			_, err := e.Resolve(gctx, d.Digest.String())
			if gone[i] = errors.Is(err, ErrNotFound); gone[i] {
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var left []ocispec.Descriptor
	for i, d := range list {
		if !gone[i] {
			left = append(left, d)
		}
	}
	return left, nil
}

func has(list []ocispec.Descriptor, d digest.Digest) bool {
	return slices.ContainsFunc(list, func(l ocispec.Descriptor) bool { return l.Digest == d })
}

// annotationRound says of an entry in which round its writer wrote it.
const annotationRound = "com.stratio.keos-oci.round"

// maxAsked is how many entries of a list are asked for.
const maxAsked = 200

// announced is how many digits of an entry's digest its announcement has.
const announced = 32

// announcement is the tag that announces an entry before it is in the index.
func announcement(subject, entry digest.Digest, round int) string {
	return fallbackTag(subject) + "." + entry.Encoded()[:announced] + suffix(round)
}

func suffix(round int) string {
	if round == 0 {
		return ""
	}
	return "." + strconv.Itoa(round)
}

package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/singleflight"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Repository is one repository of a registry. Its methods are safe for concurrent use.
type Repository struct {
	client *Client
	name   name.Repository
	remote *remote.Repository
	seen   seen
	pulled atomic.Bool // whether a read was answered: the login may pull

	listing singleflight.Group
}

// Name is the repository's name.
func (r *Repository) Name() name.Repository { return r.name }

// Manifest reads what ref, a tag or a digest, points to. The bytes are checked against the digest that the registry gave
// and, for a digest, against ref. ErrNotFound when there is no such manifest or no such repository.
func (r *Repository) Manifest(ctx context.Context, ref string) (ocispec.Descriptor, []byte, error) {
	desc, raw, err := r.manifest(ctx, ref)
	for attempt := 1; errors.Is(err, errDamaged) && attempt < r.client.opts.Retry.Attempts; attempt++ {
		desc, raw, err = r.manifest(ctx, ref)
	}
	if err != nil {
		return ocispec.Descriptor{}, nil, r.fault("read", ref, err)
	}
	return desc, raw, nil
}

func (r *Repository) manifest(ctx context.Context, ref string) (ocispec.Descriptor, []byte, error) {
	desc, body, err := r.remote.FetchReference(r.client.scoped(ctx, r.remote.Reference), ref)
	if err != nil {
		return desc, nil, err
	}
	defer body.Close()
	raw, err := io.ReadAll(body) // bounded by maxManifest
	if err != nil {
		return desc, nil, err
	}
	r.pulled.Store(true)
	if got := digest.FromBytes(raw); got != desc.Digest || int64(len(raw)) != desc.Size {
		return desc, nil, fmt.Errorf("%w: manifest is %s, the registry says %s", errDamaged, got, desc.Digest)
	}
	return desc, raw, nil
}

// Resolve asks for the digest that ref names without reading the manifest. ErrNotFound as for Manifest.
func (r *Repository) Resolve(ctx context.Context, ref string) (digest.Digest, error) {
	desc, err := r.remote.Resolve(r.client.scoped(ctx, r.remote.Reference), ref)
	if err != nil {
		return "", r.fault("read", ref, err)
	}
	r.pulled.Store(true)
	return desc.Digest, nil
}

// Blob reads a blob of at most limit bytes and checks it against its descriptor.
func (r *Repository) Blob(ctx context.Context, desc ocispec.Descriptor, limit int64) ([]byte, error) {
	if desc.Size > min(limit, maxBlob) {
		return nil, r.fault("read", desc.Digest.String(), fmt.Errorf("blob of %d bytes is larger than %d", desc.Size, limit))
	}
	var data []byte
	err := r.repeat(ctx, func() error {
		body, err := r.remote.Blobs().Fetch(r.client.scoped(ctx, r.remote.Reference), desc)
		if err != nil {
			return err
		}
		defer body.Close()
		if data, err = io.ReadAll(io.LimitReader(body, desc.Size+1)); err != nil {
			return err
		}
		if int64(len(data)) != desc.Size || digest.FromBytes(data) != desc.Digest {
			return fmt.Errorf("%w: blob does not have its digest", errDamaged)
		}
		return nil
	})
	if err != nil {
		return nil, r.fault("read", desc.Digest.String(), err)
	}
	return data, nil
}

// PushBlob uploads data in two requests, POST and PUT. A broken upload is begun anew.
func (r *Repository) PushBlob(ctx context.Context, desc ocispec.Descriptor, data []byte) error {
	err := r.repeat(ctx, func() error {
		return r.remote.Blobs().Push(r.client.scoped(ctx, r.remote.Reference), desc, bytes.NewReader(data))
	})
	if err != nil {
		return r.fault("upload blob", desc.Digest.String(), err)
	}
	return nil
}

// PushManifest stores a manifest without a subject under its digest.
func (r *Repository) PushManifest(ctx context.Context, desc ocispec.Descriptor, raw []byte) error {
	return r.putManifest(ctx, desc, raw, desc.Digest.String())
}

// Tag makes tag name the manifest. An answer that the tag is immutable is a success if it names this digest already.
func (r *Repository) Tag(ctx context.Context, desc ocispec.Descriptor, raw []byte, tag string) error {
	err := r.putManifest(ctx, desc, raw, tag)
	if !refusedAsImmutable(err) {
		return err
	}
	if now, resolveErr := r.Resolve(ctx, tag); resolveErr != nil || now != desc.Digest {
		return errors.Join(fmt.Errorf("%s:%s: %w", r.name, tag, ErrImmutable), err)
	}
	return nil
}

// TagOnce is Tag with one request, which is not repeated: a repetition that arrives late would write over what others wrote meanwhile. An
// error that Unanswered knows leaves it open whether the tag was written.
func (r *Repository) TagOnce(ctx context.Context, desc ocispec.Descriptor, raw []byte, tag string) error {
	return r.Tag(once(ctx), desc, raw, tag)
}

func (r *Repository) putManifest(ctx context.Context, desc ocispec.Descriptor, raw []byte, ref string) error {
	if err := r.remote.PushReference(r.client.scoped(ctx, r.remote.Reference), desc, bytes.NewReader(raw), ref); err != nil {
		return r.fault("write", ref, err)
	}
	r.seen.wrote(ref)
	return nil
}

// Tags lists all tags; none when the repository does not exist, which registries answer with 404.
func (r *Repository) Tags(ctx context.Context) ([]string, error) {
	all := []string{}
	err := r.remote.Tags(listed(r.client.scoped(ctx, r.remote.Reference)), "", func(tags []string) error {
		all = append(all, tags...)
		return nil
	})
	if err != nil && status(err) != http.StatusNotFound {
		return nil, r.fault("list tags of", "", err)
	}
	r.pulled.Store(true)
	r.seen.listed(all)
	return all, nil
}

// TagsBetween lists at least the tags behind one name and before another, in the order of their bytes, and reports whether
// it lists all tags. Registries begin a list behind the tag that a reader names (distribution spec, "Listing Tags",
// parameter last). Some do not, or have another order. So a page is trusted only if it is sorted and behind that tag.
// Otherwise all tags are listed, and this host is not asked that way again.
func (r *Repository) TagsBetween(ctx context.Context, after, before string) (tags []string, whole bool, err error) {
	host := r.name.RegistryStr()
	if _, unsorted := r.client.unsorted.Load(host); unsorted || tokenOnly(host) {
		tags, err = r.whole(ctx)
		return tags, true, err
	}
	err = r.remote.Tags(listed(r.client.scoped(ctx, r.remote.Reference)), after, func(page []string) error {
		for _, t := range page {
			if t <= after {
				return errUnsorted
			}
			after = t
		}
		tags = append(tags, page...)
		if after >= before {
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough), err == nil && len(tags) > 0:
		return tags, false, nil
	case errors.Is(err, errUnsorted), status(err) == http.StatusBadRequest:
		r.client.unsorted.Store(host, true)
	case err != nil && status(err) != http.StatusNotFound:
		return nil, false, r.fault("list tags of", "", err)
	}
	tags, err = r.whole(ctx) // an empty page shows no order
	return tags, true, err
}

// whole is Tags for readers that ask at the same time: they share one list, which begins after the first of them asked. Who
// needs a list that shows an own write asks when nobody else of the run does.
func (r *Repository) whole(ctx context.Context) ([]string, error) {
	tags, err, _ := r.listing.Do("", func() (any, error) { return r.Tags(ctx) })
	list, _ := tags.([]string)
	return slices.Clone(list), err
}

// Why reading pages ends before the last one.
var (
	errEnough   = errors.New("enough")
	errUnsorted = errors.New("not sorted")
)

// tokenOnly knows registries for which last is a token of their own, as Amazon ECR's documentation of ListImages describes nextToken.
func tokenOnly(host string) bool {
	return strings.Contains(host, ".dkr.ecr.") || host == "public.ecr.aws"
}

// repeat runs an operation of several requests up to three times when it failed in a way that may pass although the
// transport has repeated its single requests already: an upload whose session broke, bytes that lack their digest.
func (r *Repository) repeat(ctx context.Context, op func() error) error {
	for attempt := 1; ; attempt++ {
		err := op()
		if err == nil || attempt == 3 || ctx.Err() != nil || !broken(err) {
			return err
		}
		if err := sleep(ctx, r.client.opts.Retry.backoff(attempt, nil)); err != nil {
			return err
		}
	}
}

func broken(err error) bool {
	if overdue(err) {
		return false
	}
	return errors.Is(err, errDamaged) || transientStatus(status(err)) || status(err) == 0 && passing(err) ||
		isCode(err, errcode.ErrorCodeBlobUploadUnknown) || isCode(err, errcode.ErrorCodeBlobUploadInvalid) ||
		isCode(err, errcode.ErrorCodeDigestInvalid)
}

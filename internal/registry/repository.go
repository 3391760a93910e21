package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/singleflight"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// What a registry may answer, for errors.Is. ErrUnauthorized is a missing or refused login, ErrForbidden a login
// without the right, ErrUnavailable a fault that did not pass within the retries, ErrNoRegistry an answer of somebody else, ErrImmutable a
// tag that the registry itself does not let change, ErrMissingBlob a manifest whose blobs are not all there.
var (
	ErrNotFound     = errors.New("not found")
	ErrUnauthorized = errors.New("not logged in")
	ErrForbidden    = errors.New("forbidden")
	ErrUnavailable  = errors.New("registry unavailable")
	ErrNoRegistry   = errors.New("no registry answers")
	ErrImmutable    = errors.New("the registry holds this tag immutable")
	ErrMissingBlob  = errors.New("a blob of the manifest is missing")
)

// Unanswered says whether an error leaves it open what a registry has, as opposed to an answer that is damaged, too large or no.
func Unanswered(err error) bool {
	for _, open := range []error{ErrUnavailable, ErrNoRegistry, ErrUnauthorized, ErrForbidden, ErrInsecure, context.Canceled,
		context.DeadlineExceeded} {
		if errors.Is(err, open) {
			return true
		}
	}
	return false
}

// Answered says whether the registry itself answered with an error: then it is done with the request.
func Answered(err error) bool { return status(err) != 0 }

// Repository is one repository of a registry. Its methods are safe for concurrent use.
type Repository struct {
	client *Client
	name   name.Repository
	remote *remote.Repository
	seen   seen

	listing singleflight.Group
}

// Name is the repository's name.
func (r *Repository) Name() name.Repository { return r.name }

// Manifest reads what ref, a tag or a digest, names. The bytes are checked against the digest that the registry told
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

// fault says which repository and reference an error is about and which of the sentinels it is.
func (r *Repository) fault(verb, name string, err error) error {
	where := r.name.String()
	switch {
	case name == "":
	case digest.Digest(name).Validate() == nil:
		where += "@" + name
	default:
		where += ":" + name
	}
	ref := r.remote.Reference
	return fmt.Errorf("%s %s: %w", verb, where, r.client.logins.explain(ref.Host(), ref.Repository, classify(err)))
}

func classify(err error) error {
	var late *TimeoutError
	if errors.As(err, &late) {
		return late // who, and not at which address
	}
	var page *PageError
	if errors.As(err, &page) {
		return page
	}
	var login *LoginError
	if errors.As(err, &login) {
		return login
	}
	err = redact(err)
	var sentinel error
	switch code := status(err); {
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, ErrTooLarge), errors.Is(err, errListing), errors.Is(err, ErrInsecure), errors.Is(err, errDamaged):
		return err // the registry answers: trying later will not help
	case errors.Is(err, errdef.ErrNotFound):
		return ErrNotFound // oras-go repeats the reference
	case code == http.StatusNotFound:
		sentinel = ErrNotFound
	case errors.Is(err, auth.ErrBasicCredentialNotFound) || code == http.StatusUnauthorized:
		sentinel = ErrUnauthorized
	case code == http.StatusForbidden:
		sentinel = ErrForbidden
	case isCode(err, errcode.ErrorCodeManifestBlobUnknown) || isCode(err, errcode.ErrorCodeBlobUnknown):
		sentinel = ErrMissingBlob
	case transientStatus(code) || code == 0 && (passing(err) || isURLError(err)):
		sentinel = ErrUnavailable
	default:
		return err
	}
	return fmt.Errorf("%w: %w", sentinel, err)
}

// refusedAsImmutable recognises how registries say that a tag may not change: ECR (ImageTagAlreadyExistsException) and
// Harbor, Artifact Registry and ACR with 403, 409 or 412.
func refusedAsImmutable(err error) bool {
	switch status(err) {
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusBadRequest, http.StatusForbidden:
		return true
	}
	return false
}

func status(err error) int {
	var resp *errcode.ErrorResponse
	if errors.As(err, &resp) {
		return resp.StatusCode
	}
	return 0
}

func isCode(err error, code string) bool {
	var resp *errcode.ErrorResponse
	if !errors.As(err, &resp) {
		return false
	}
	for _, e := range resp.Errors {
		if e.Code == code {
			return true
		}
	}
	return false
}

func isURLError(err error) bool {
	var ue *url.Error
	return errors.As(err, &ue)
}

// redact drops the query of URLs in an error: upload sessions and redirects to storage carry their authority there.
func redact(err error) error {
	var resp *errcode.ErrorResponse
	if errors.As(err, &resp) && resp.URL != nil {
		resp.URL = withoutQuery(resp.URL)
		return err
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		if u, parseErr := url.Parse(ue.URL); parseErr == nil {
			return &url.Error{Op: ue.Op, URL: withoutQuery(u).String(), Err: ue.Err}
		}
	}
	return err
}

func withoutQuery(u *url.URL) *url.URL {
	clean := *u
	clean.RawQuery, clean.User = "", nil
	return &clean
}

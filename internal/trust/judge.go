package trust

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// judgement is a Verdict in the making.
type judgement struct {
	*Gate
	Question
	repo  *registry.Repository
	needs func() ([]need, error)
	out   Verdict
}

// Judge answers a question. Rules are asked in order, and without Question.All no further than the first that is not met.
func (g *Gate) Judge(ctx context.Context, q Question) Verdict {
	j := &judgement{Gate: g, Question: q, repo: g.repository(q.Component.Repository)}
	j.needs = sync.OnceValues(func() ([]need, error) { return g.needs(q.Component, q.Tags, q.Version, q.Ref) })
	j.out.Answer = Accepted
	for _, rule := range []func(context.Context){j.shape, j.component, j.signaturesAndRecord, j.source} {
		if rule(ctx); j.out.Answer != Accepted && !q.All {
			break
		}
	}
	j.out.Notes = append(j.out.Notes, g.Verifier.Notes()...)
	j.out.pass = Pass{q.Component, q.Artifact, q.Tags}
	return j.out
}

func (j *judgement) met(rule, detail string) {
	j.out.Rules = append(j.out.Rules, Rule{rule, Accepted, detail})
}

// failed notes a rule that is not met, or whose answer is not known.
func (j *judgement) failed(rule string, err error) {
	answer := CannotTell
	if IsRefusal(err) {
		answer = Refused
	}
	j.out.Rules = append(j.out.Rules, Rule{rule, answer, err.Error()})
	if j.out.Answer == Accepted || j.out.Answer == CannotTell && answer == Refused {
		j.out.Answer, j.out.Err = answer, err
	}
}

// shape is the first rule: a Flux artifact, whose manifest has the digest that was asked about. Who read it checked that.
func (j *judgement) shape(context.Context) {
	if _, ok := j.Artifact.Layer(); !ok || !j.Artifact.Flux() {
		j.failed("artifact", fmt.Errorf("%w: %s is not a Flux artifact of one layer", ErrForeign, j.Artifact.Descriptor.Digest))
		return
	}
	j.met("artifact", "a Flux artifact with this digest")
}

// component is the second rule's first half.
func (j *judgement) component(context.Context) {
	switch says := j.Artifact.Component(); says {
	case j.Component.Name:
		j.met("component", says)
	case "":
		j.failed("component", fmt.Errorf("%w: %s does not say of which component it is: another tool pushed it; publish it with keos-oci",
			ErrForeign, j.Artifact.Descriptor.Digest))
	default:
		j.failed("component", fmt.Errorf("%w: %s is an artifact of %s, not of %s", ErrForeign, j.Artifact.Descriptor.Digest, says,
			j.Component.Name))
	}
}

// source is the second rule's other half. It comes last, because a former name counts by the time of the signature.
func (j *judgement) source(context.Context) {
	remote, err := j.Remote()
	if err != nil {
		j.failed("source", err)
		return
	}
	says := Normalise(j.Artifact.Source())
	switch until, former := j.formerSource(says); {
	case remote == "":
		j.met("source", or(says)+" (the checkout has no Git remote to compare it with)")
	case strings.EqualFold(says, remote):
		j.met("source", says)
	case former && j.signedBefore(until):
		j.met("source", fmt.Sprintf("%s, this repository's name until %s", says, until.Format(time.DateOnly)))
	case former:
		j.failed("source", fmt.Errorf("%w: its source is %s, a former name of %s that counts only until %s", ErrForeign, says, remote,
			until.Format(time.DateOnly)))
	default:
		j.failed("source", fmt.Errorf("%w: its source is %s, and this checkout's remote is %s", ErrForeign, or(says), remote))
	}
}

// signedBefore reports whether the accepted signatures are older than a rename. A signature of a key has no time. The time of
// the signed commit is used instead.
func (j *judgement) signedBefore(until time.Time) bool {
	needs, err := j.needs()
	if err != nil {
		return false
	}
	for _, s := range j.out.Signed {
		if needs[0].accepted.Judge(s) != nil {
			continue
		}
		at := s.Time
		if at.IsZero() {
			at = j.Artifact.Created()
		}
		if at.Before(until) {
			return true
		}
	}
	return false
}

func or(s string) string {
	if s == "" {
		return "not said"
	}
	return s
}

// signaturesAndRecord reads what the third and the fourth rule need side by side.
func (j *judgement) signaturesAndRecord(ctx context.Context) {
	var found sign.Found
	var unread, unrecorded error
	var record journal.Release
	version := j.version()
	if j.Unrecorded {
		version = ""
	}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { found, unread = j.signatures(gctx); return nil })
	if version != "" {
		group.Go(func() error { record, unrecorded = j.record(gctx, version); return nil })
	}
	_ = group.Wait()
	j.out.Signed = found.Valid
	j.signature(ctx, found, unread)
	if version != "" && (j.out.Answer == Accepted || j.All) {
		j.release(version, record, unrecorded)
	}
}

// version is the one that the tags are or point to.
func (j *judgement) version() string {
	for _, t := range j.Tags {
		if _, err := tag.ParseVersion(t); err == nil {
			return t
		}
	}
	return j.Version
}

// signatures reads until the tags' policies are met.
func (j *judgement) signatures(ctx context.Context) (sign.Found, error) {
	how := sign.Search{Keyless: j.keyless}
	if !j.All {
		how.Enough = func(f sign.Found) bool { return j.unmet(f) == nil }
	}
	if j.Signed != nil && j.Signed.New() {
		how = j.Signed.Search(how)
	}
	return j.Verifier.Signatures(ctx, j.repo, j.Artifact.Descriptor.Digest, how)
}

func (j *judgement) keyless() (bool, error) {
	needs, err := j.needs()
	if err != nil {
		return false, err
	}
	for _, n := range needs {
		if n.accepted.Keyless() {
			return true, nil
		}
	}
	return false, nil
}

// unmet is why the signatures do not meet the policies of all tags.
func (j *judgement) unmet(f sign.Found) error {
	needs, err := j.needs()
	if err != nil {
		return err
	}
	for _, n := range needs {
		if err := f.Meets(n.accepted); err != nil {
			return err
		}
	}
	return nil
}

// signature is the third rule.
func (j *judgement) signature(ctx context.Context, found sign.Found, unread error) {
	needs, err := j.needs()
	if err == nil {
		words := make([]string, len(needs))
		for i, n := range needs {
			words[i] = n.accepted.String()
		}
		j.out.Policy = strings.Join(words, "; and ")
		err = unread
	}
	if err == nil {
		err = j.otherKey(ctx, j.Component, j.unmet(found))
	}
	if err == nil {
		err = j.legacy(ctx)
	}
	if err != nil {
		j.failed("signature", err)
		return
	}
	for _, s := range found.Valid {
		if needs[len(needs)-1].accepted.Judge(s) == nil {
			j.met("signature", s.String())
			return
		}
	}
}

// legacy demands what Flux 2.6 and 2.7 look for as well, where a channel's clusters are said to be of these versions.
func (j *judgement) legacy(ctx context.Context) error {
	if j.Component.Signing.Format != component.FormatBoth || j.Version == "" || j.Signed != nil {
		return nil
	}
	found, err := j.Verifier.Legacy(ctx, j.repo, j.Artifact.Descriptor.Digest,
		sign.Search{Keyless: j.keyless, Enough: func(f sign.Found) bool { return j.unmet(f) == nil }})
	if err == nil {
		err = j.unmet(found)
	}
	if err != nil {
		return fmt.Errorf("the .sig for Flux 2.6 and 2.7 (signing.format: both): %w", err)
	}
	return nil
}

func (j *judgement) record(ctx context.Context, version string) (journal.Release, error) {
	return j.releases(j.Component, version).ReadRelease(ctx, version)
}

// release is the fourth rule: no valid record says that the version is another digest.
func (j *judgement) release(version string, record journal.Release, err error) {
	d := j.Artifact.Descriptor.Digest
	switch {
	case err == nil && record.Digest != d:
		j.failed("release", fmt.Errorf("%w: %s is released as %s, not as %s", ErrRelabelled, version, record.Digest, d))
	case err == nil:
		j.out.Bound = true
		j.met("release", fmt.Sprintf("%s is this digest, by a record of %s", version, record.Signer))
	case recordless(err):
		j.out.Bound = j.boundByRef(version)
		note := fmt.Sprintf("%s: %v", version, err)
		if j.out.Bound {
			note += "; the Git ref of its signature says which version it is"
		} else {
			note += "; publishing " + version + " again with equal content writes it"
		}
		j.out.Notes = append(j.out.Notes, note)
		j.met("release", note)
	case errors.Is(err, ErrNoPolicy):
		j.out.Bound = j.boundByRef(version)
		j.out.Notes = append(j.out.Notes, fmt.Sprintf("the release record of %s was not judged: nothing says who may sign it", version))
		j.met("release", "not judged")
	case j.Lenient:
		j.out.Bound = j.boundByRef(version)
		j.out.Notes = append(j.out.Notes, fmt.Sprintf("the release record of %s could not be checked: %v", version, err))
		j.met("release", "not checked")
	default:
		j.failed("release", fmt.Errorf("release record of %s: %w", version, err))
	}
}

// boundByRef reports whether a certificate was given to the run of the version's own Git tag.
func (j *judgement) boundByRef(version string) bool {
	accepted, err := j.Artifacts(j.Component, version, "")
	if err != nil {
		return false
	}
	ref := "refs/tags/" + j.Component.GitTagOf(version)
	for _, s := range j.out.Signed {
		if s.Key == "" && (s.Claims.Ref == ref || strings.HasSuffix(s.Subject, "@"+ref)) && (accepted.Judge(s) == nil || !j.FromFlags.IsZero()) {
			return true
		}
	}
	return false
}

package release

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// Target is an artifact of a component: a tag or a digest, the first branch channel when both are empty.
type Target struct {
	Component string
	Tag       string
	Digest    digest.Digest
}

// ParseTarget reads COMPONENT, COMPONENT:TAG or COMPONENT@DIGEST.
func ParseTarget(s string) (Target, error) {
	if name, d, ok := strings.Cut(s, "@"); ok {
		parsed, err := digest.Parse(d)
		if err != nil {
			return Target{}, fmt.Errorf("%q: %w", s, err)
		}
		return Target{Component: name, Digest: parsed}, nil
	}
	name, t, ok := strings.Cut(s, ":")
	if ok && t == "" {
		return Target{}, fmt.Errorf("%q: the tag is empty", s)
	}
	return Target{Component: name, Tag: t}, nil
}

// VerifyRequest says what is verified.
type VerifyRequest struct{ Target Target }

// VerifyResult is the gate's answer about an artifact: who signed it, and whether it may have its tag. Error is set unless it
// is accepted.
type VerifyResult struct {
	Name       string        `json:"name"`
	Reference  string        `json:"reference"`
	Digest     digest.Digest `json:"digest"`
	Accepted   bool          `json:"accepted"`
	Answer     trust.Answer  `json:"answer"`
	Version    string        `json:"version,omitempty"` // that a channel points to
	Policy     string        `json:"policy"`
	Signatures []sign.Signed `json:"signatures"`
	Rules      []trust.Rule  `json:"rules"`
	Notes      []string      `json:"notes,omitempty"`
	Error      *Problem      `json:"error,omitempty"`

	err error
}

// Err is why the artifact is not accepted, nil when it is.
func (r *VerifyResult) Err() error { return r.err }

// Verify asks the gate about one artifact. The error is for what kept it from an answer.
func (s *Service) Verify(ctx context.Context, req VerifyRequest) (*VerifyResult, error) {
	c, err := s.Workspace.Components.Find(req.Target.Component)
	if err != nil {
		return nil, err
	}
	t := req.Target.orDefault(c)
	q, err := s.question(ctx, c, t)
	if err != nil {
		return nil, err
	}
	q.All = true
	v := s.Gate.Judge(ctx, q)
	if v.Policy == "" && v.Err != nil {
		return nil, v.Err // nothing says whose signature is expected
	}
	res := &VerifyResult{Name: c.Name, Reference: t.reference(c), Digest: q.Artifact.Descriptor.Digest, Accepted: v.Answer == trust.Accepted,
		Answer: v.Answer, Version: q.Version,
		Policy: v.Policy, Signatures: append([]sign.Signed{}, v.Signed...), Rules: v.Rules, Notes: v.Notes}
	if v.Err != nil {
		res.err = fmt.Errorf("%s: %w", res.Reference, v.Err)
		res.Error = problem(res.err)
	}
	return res, nil
}

// question is what the gate is asked about a target: may the digest, which is read here and nowhere else, have its tag?
func (s *Service) question(ctx context.Context, c component.Component, t Target) (trust.Question, error) {
	repo := s.Open(c.Repository)
	a, err := readTarget(ctx, repo, c, t)
	if err != nil {
		return trust.Question{}, err
	}
	q := trust.Question{Component: c, Tags: []string{t.judged(c)}, Artifact: a}
	if ch, err := c.Channels.Find(q.Tags[0]); err == nil && ch.From == component.FromVersion && t.Digest == "" {
		q.Version, err = s.versionAt(ctx, c, ch, repo, a.Descriptor.Digest)
		return q, err
	}
	return q, nil
}

// readTarget reads the manifest of a target, once.
func readTarget(ctx context.Context, repo trust.Repository, c component.Component, t Target) (pack.Artifact, error) {
	_, raw, err := repo.Manifest(ctx, cmp.Or(t.Digest.String(), t.Tag))
	if err != nil {
		return pack.Artifact{}, err
	}
	a, err := pack.ParseArtifact(raw)
	if err != nil {
		return a, fmt.Errorf("%s: %w", t.reference(c), err)
	}
	return a, nil
}

// judged is the tag whose policy is asked: for a digest alone, that of the first channel that follows a branch.
func (t Target) judged(c component.Component) string {
	if t.Digest == "" {
		return t.Tag
	}
	return Target{}.orDefault(c).Tag
}

// versionAt is the version that a channel points to.
func (s *Service) versionAt(ctx context.Context, c component.Component, ch component.Channel, repo trust.Repository,
	d digest.Digest) (string, error) {
	l := s.Gate.Journal(c, ch)
	records, err := l.Tags(ctx)
	if err != nil {
		return "", err
	}
	j, err := l.Recent(ctx, &records, 1, d)
	if err != nil {
		return "", err
	}
	return versionAt(ctx, repo, j, d)
}

func (t Target) orDefault(c component.Component) Target {
	if t.Tag != "" || t.Digest != "" {
		return t
	}
	t.Tag = "latest"
	if list := c.Channels.From(component.FromBranch); len(list) > 0 {
		t.Tag = list[0].Name
	}
	return t
}

func (t Target) reference(c component.Component) string {
	if t.Digest != "" {
		return c.Repository.Digest(t.Digest.String()).String()
	}
	return c.Repository.Tag(t.Tag).String()
}

// ClusterPolicy says whose signature clusters must check on an artifact of c under a tag: what promote checks. A former
// name of the repository is accepted as long as what a channel points to, or would be rolled back to, needs it. The policy that is asked
// for, unless it is zero, counts more than what the config says.
func (s *Service) ClusterPolicy(ctx context.Context, c component.Component, t string, asked sign.Policy) (sign.Policy, error) {
	s.Gate.FromFlags = asked
	return s.Gate.ForClusters(c, t, s.needsFormer(ctx, c, t))
}

// needsFormer says whether a former name still counts for clusters that follow t. In doubt it does, and the log says so.
func (s *Service) needsFormer(ctx context.Context, c component.Component, t string) bool {
	if len(s.Gate.Formerly) == 0 {
		return false
	}
	list := []string{t}
	if ch, err := c.Channels.Find(t); err == nil && ch.From == component.FromVersion {
		before, err := s.before(ctx, c, ch)
		if err != nil {
			s.Log.Warn("the former name is kept in the policy: what a rollback would go to is not known", "component", c.Name, "channel", t, "error",
				err.Error())
			return true
		}
		list = append(list, before...)
	}
	for _, reference := range list {
		a, found, err := readArtifact(ctx, s.Open(c.Repository), reference)
		if err == nil && !found {
			continue
		}
		if err == nil {
			err = s.Gate.WithoutFormerNames().Judge(ctx, trust.Question{Component: c, Tags: []string{t}, Artifact: a}).Err
		}
		if err != nil {
			if !trust.IsRefusal(err) {
				s.Log.Warn("the former name is kept in the policy: it is not known who signed", "component", c.Name, "reference", reference, "error",
					err.Error())
			}
			return true
		}
	}
	return false
}

// before is the digests that rollbacks of a channel would go to.
func (s *Service) before(ctx context.Context, c component.Component, ch component.Channel) ([]string, error) {
	repo := s.Open(c.Repository)
	now, err := resolve(ctx, repo, ch.Name)
	if err != nil || now == "" {
		return nil, err
	}
	l := s.Gate.Journal(c, ch)
	tags, err := l.Tags(ctx)
	if err != nil {
		return nil, err
	}
	j, err := l.Read(ctx, &tags, journal.Enough, now)
	if err != nil {
		return nil, err
	}
	before, err := tag.View{Name: ch.Name, Digest: now, Journal: j}.Previous()
	if err != nil {
		return nil, nil //nolint:nilerr // there is none
	}
	return []string{before[0].Digest.String()}, nil
}

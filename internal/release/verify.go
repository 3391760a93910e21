package release

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// ErrNoPolicy reports that nothing says whose signature is expected.
var ErrNoPolicy = errors.New("no policy")

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

// VerifyRequest says what is verified and by what policy; a zero policy means the workspace's own.
type VerifyRequest struct {
	Target Target
	Policy sign.Policy
}

// VerifyResult says who signed an artifact and whether the policy accepts it.
type VerifyResult struct {
	Name       string        `json:"name"`
	Reference  string        `json:"reference"`
	Digest     digest.Digest `json:"digest"`
	Accepted   bool          `json:"accepted"`
	Policy     string        `json:"policy"`
	Signatures []sign.Signed `json:"signatures"`
	Error      *Problem      `json:"error,omitempty"`

	err error
}

// Err is why the policy does not accept the artifact, nil when it does.
func (r *VerifyResult) Err() error { return r.err }

// Verify checks the signatures of one artifact as a cluster would. The error is for what kept it from an answer.
func (s *Service) Verify(ctx context.Context, req VerifyRequest) (*VerifyResult, error) {
	c, err := s.Workspace.Components.Find(req.Target.Component)
	if err != nil {
		return nil, err
	}
	t := req.Target.orDefault(c)
	policy, err := s.policyFor(ctx, s.Verifier, c, t, req.Policy)
	if err != nil {
		return nil, err
	}
	repo := s.Open(c.Repository)
	d := t.Digest
	if d == "" {
		if d, err = repo.Resolve(ctx, t.Tag); err != nil {
			return nil, err
		}
	}
	res := &VerifyResult{Name: c.Name, Reference: t.reference(c), Digest: d, Policy: policy.String(), Signatures: []sign.Signed{}}
	valid, err := s.Verifier.Verify(ctx, repo, d, policy)
	if err != nil && !IsNo(err) {
		return nil, err
	}
	res.Signatures = append(res.Signatures, valid...)
	res.Accepted = err == nil
	if err != nil {
		res.err = fmt.Errorf("%s: %w", res.Reference, err)
		res.Error = problem(res.err)
	}
	return res, nil
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

// policyFor is, strongest first: what the request says, the key, what the config says for the tag's channel, and on
// GitHub the workflows of this repository on the ref that the tag stands for.
func (s *Service) policyFor(ctx context.Context, v *sign.Verifier, c component.Component, t Target, asked sign.Policy) (sign.Policy, error) {
	if !asked.IsZero() {
		if err := asked.Validate(); err != nil {
			return sign.Policy{}, fmt.Errorf("%w: %w", ErrNoPolicy, err)
		}
		return asked, nil
	}
	if key, err := v.KeyPolicy(); err != nil || !key.IsZero() {
		return key, err
	}
	if p := configuredPolicy(t.channel(c).Identity); !p.IsZero() {
		return p, p.Validate()
	}
	slug, err := s.githubSlug(ctx)
	if err != nil {
		return sign.Policy{}, fmt.Errorf("%w: %w: %s", ErrNoPolicy, err, policyHint)
	}
	return sign.Policy{Issuer: githubIssuer, SubjectPattern: githubSubject(slug, t.ref(c))}, nil
}

// ClusterPolicy says whose signature an artifact of c needs on one of its channels: what promote checks, and what clusters are
// to be told to check.
func (s *Service) ClusterPolicy(ctx context.Context, c component.Component, channel string, asked sign.Policy) (sign.Policy, error) {
	return s.policyFor(ctx, s.Verifier, c, Target{Component: c.Name, Tag: channel}, asked)
}

// githubSlug is owner/repository of the Git remote on github.com.
func (s *Service) githubSlug(ctx context.Context) (string, error) {
	remote, err := s.Checkout.RemoteURL(ctx)
	if err != nil {
		return "", err
	}
	slug, ok := strings.CutPrefix(sourceURL(remote), "https://github.com/")
	if !ok {
		return "", errors.New("the Git remote is not on github.com")
	}
	return slug, nil
}

const (
	githubIssuer = "https://token.actions.githubusercontent.com"
	policyHint   = "say whose signature is expected with --certificate-identity and --certificate-oidc-issuer, --key, or signing.identity in keos-oci.yaml"
)

// githubSubject is the SAN that Fulcio gives to a workflow of a repository: any workflow file, but this very ref.
func githubSubject(slug, ref string) string {
	return `https://github\.com/` + regexp.QuoteMeta(slug) + `/\.github/workflows/[^/@]+@` + ref
}

// channel is the channel whose clusters would run t: a version's when the tag is a version or such a channel.
func (t Target) channel(c component.Component) component.Channel {
	source := component.FromBranch
	if t.isVersion() {
		source = component.FromVersion
	}
	if found, err := c.Channels.Find(t.Tag); err == nil {
		return found
	}
	if list := c.Channels.From(source); len(list) > 0 {
		return list[0]
	}
	return component.Channel{}
}

func (t Target) isVersion() bool {
	_, err := tag.ParseVersion(t.Tag)
	return err == nil
}

// ref is the pattern of the Git refs whose workflows may have signed t.
func (t Target) ref(c component.Component) string {
	ch := t.channel(c)
	if ch.From == component.FromVersion || t.isVersion() {
		pattern := regexp.QuoteMeta(c.GitTagOf("\x00"))
		version := `[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?`
		if t.isVersion() {
			version = regexp.QuoteMeta(strings.TrimPrefix(t.Tag, "v"))
		}
		return "refs/tags/" + strings.Replace(pattern, "\x00", version, 1)
	}
	return "refs/heads/" + regexp.QuoteMeta(ch.Branch)
}

package trust

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// ErrNoPolicy reports that nothing says whose signature is expected.
var ErrNoPolicy = errors.New("no policy")

// GitHubIssuer is the issuer of the certificates of GitHub Actions.
const GitHubIssuer = "https://token.actions.githubusercontent.com"

const (
	gitHub     = "https://github.com"
	policyHint = "say whose signature is expected with --certificate-identity and --certificate-oidc-issuer, --key, or signing.identity in keos-oci.yaml"
)

// defaultTriggers are the events whose runs only people with write access to the repository can start. A pull request is not
// among them: its run is of code that nobody has accepted.
func defaultTriggers() []string {
	return []string{"push", "workflow_dispatch", "release", "schedule", "repository_dispatch"}
}

// Rules says whose signatures are accepted: for artifacts by the tag that they have, and for moves. There is one for the
// whole run, and what verify asks is what publish asks before it writes.
type Rules struct {
	Verifier  *sign.Verifier
	Remote    func() (string, error) // normalised URL of the checkout's Git remote, "" where there is none
	Formerly  []component.Former
	Prefix    string   // of the component's repositories, without host
	Mirrors   []string // other prefixes, without host, under which records count that were copied here
	Now       func() time.Time
	FromFlags sign.Policy // by flags, for artifacts; never for moves
}

// place is what a tag is to its component.
type place struct {
	channel component.Channel // whose clusters run what has the tag
	ref     string            // pattern of the Git ref whose run signs it
	tags    string            // the same, where runs of tags release versions; else ""
	own     bool              // no channel follows the ref: its own runs may sign it
}

// placeOf finds out what a tag is. ref is the Git ref of a tag that names a commit, "" when it is not known.
func placeOf(c component.Component, t, ref string) place {
	if ch, err := c.Channels.Find(t); err == nil {
		return placeOfChannel(c, ch)
	}
	if v, err := tag.ParseVersion(t); err == nil {
		p := place{ref: VersionRef(c, tag.Version(v))}
		p.tags = p.ref
		if list := c.Channels.From(component.FromVersion); len(list) > 0 {
			p.channel = list[0]
		}
		return p
	}
	followed := c.Channels.From(component.FromBranch)
	for _, ch := range followed {
		if ref == "refs/heads/"+ch.Branch {
			return placeOfChannel(c, ch)
		}
	}
	p := place{}
	if len(followed) > 0 {
		p = placeOfChannel(c, followed[0])
	}
	if ref != "" {
		p.ref, p.own = regexp.QuoteMeta(ref), true
	}
	return p
}

func placeOfChannel(c component.Component, ch component.Channel) place {
	if ch.From == component.FromBranch {
		return place{channel: ch, ref: "refs/heads/" + regexp.QuoteMeta(ch.Branch)}
	}
	any := VersionRef(c, "")
	return place{channel: ch, ref: any, tags: any}
}

// BranchRef is the full ref of a branch. What GitHub builds of a pull request is no branch, though it is named like one.
func BranchRef(branch string) string {
	if strings.HasPrefix(branch, "pull/") && (strings.HasSuffix(branch, "/merge") || strings.HasSuffix(branch, "/head")) {
		return "refs/" + branch
	}
	return "refs/heads/" + branch
}

// VersionRef is the pattern of the Git ref that releases a version of c, any version for "".
func VersionRef(c component.Component, version string) string {
	return "refs/tags/" + strings.Replace(regexp.QuoteMeta(c.GitTagOf("\x00")), "\x00", numberPattern(version), 1)
}

// numberPattern is the pattern of a version without its v, of any version for "".
func numberPattern(version string) string {
	if version == "" {
		return `[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?`
	}
	return regexp.QuoteMeta(strings.TrimPrefix(version, "v"))
}

// Artifacts is who may have signed an artifact of c that has a tag. ref is as for placeOf. Strongest first: what flags say, then
// keys and what the config says for the tag's channel, of which either counts, and on GitHub, where neither says anything, the
// workflows of this repository on the ref of the tag.
func (r *Rules) Artifacts(c component.Component, t, ref string) (sign.Policies, error) {
	p := placeOf(c, t, ref)
	if !r.FromFlags.IsZero() {
		if err := r.FromFlags.Validate(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoPolicy, err)
		}
		asked := r.FromFlags
		asked.Claims = r.demands(asked.Issuer, component.Identity{}, place{})
		return sign.Policies{asked}, nil
	}
	list, err := r.Verifier.KeyPolicies()
	if err != nil {
		return nil, err
	}
	version := ""
	if v, err := tag.ParseVersion(t); err == nil {
		version = tag.Version(v)
	}
	for _, id := range p.channel.Identities {
		list = append(list, r.withFormer(r.configured(c, id, version, p))...)
	}
	if len(list) > 0 && !p.own {
		return list, list.Validate()
	}
	slug, err := r.slug()
	switch {
	case err == nil && (len(list) == 0 || list.Keyless()):
		own := r.byDefault(slug, p.ref)
		if p.own && strings.HasPrefix(p.ref, "refs/pull/") {
			own.Claims.Triggers = append(own.Claims.Triggers, "pull_request") // no channel and no version has it
		}
		list = append(list, r.withFormer(own)...)
	case err != nil && len(list) == 0:
		return nil, fmt.Errorf("%w: %w: %s", ErrNoPolicy, err, policyHint)
	}
	return list, nil
}

// Movers is who may sign moves of a channel: what the config says, else the key and who is configured to sign artifacts, else
// on GitHub the workflows of this repository on the main branch or a version tag of the component. Flags about artifacts never
// change it.
func (r *Rules) Movers(c component.Component, ch component.Channel) (sign.Policies, error) {
	p := placeOfChannel(c, ch)
	p.tags = ""
	branch := "main"
	if list := c.Channels.From(component.FromBranch); len(list) > 0 {
		branch = list[0].Branch
	}
	p.ref = "(refs/heads/" + regexp.QuoteMeta(branch) + "|" + p.ref + ")"
	var list sign.Policies
	for _, m := range ch.Movers {
		mover := r.configured(c, m.Identity, "", p)
		mover.Until = m.Until
		list = append(list, r.withFormer(mover)...)
	}
	if len(list) > 0 {
		return list, list.Validate()
	}
	list, err := r.Verifier.KeyPolicies()
	if err != nil {
		return nil, err
	}
	slug, err := r.slug()
	onGitHub := err == nil && !slices.ContainsFunc(ch.Identities, func(id component.Identity) bool { return !isGitHub(id.Issuer) })
	if onGitHub && (len(list) == 0 || len(ch.Identities) > 0) {
		list = append(list, r.withFormer(r.byDefault(slug, p.ref))...)
	} else {
		for _, id := range ch.Identities {
			list = append(list, r.withFormer(r.configured(c, id, "", p))...)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: nothing says who may move %s: set movers of the channel, or signing.identity, in keos-oci.yaml", ErrNoPolicy, ch.Name)
	}
	return list, list.Validate()
}

// byDefault accepts any workflow file of a GitHub repository, on this very ref.
func (r *Rules) byDefault(slug, ref string) sign.Policy {
	return sign.Policy{Issuer: GitHubIssuer, SubjectPattern: subjectOf(slug, ref),
		Claims: &sign.Demands{Host: gitHub, Slug: slug, Ref: ref, Triggers: defaultTriggers()}}
}

// subjectOf is the SAN that Fulcio gives to a workflow of a repository: any workflow file, but this very ref.
func subjectOf(slug, ref string) string {
	return `https://github\.com/` + regexp.QuoteMeta(slug) + `/\.github/workflows/[^/@]+@` + ref
}

// configured is an identity of the config, with the component and version filled in.
func (r *Rules) configured(c component.Component, id component.Identity, version string, p place) sign.Policy {
	return sign.Policy{Issuer: id.Issuer, Subject: id.Subject, SubjectPattern: Fill(id.SubjectRegexp, c.Name, version),
		Claims: r.demands(id.Issuer, id, p)}
}

// Fill puts a component and a version, any for "", into a pattern with {component} and {version}.
func Fill(pattern, name, version string) string {
	return strings.NewReplacer("{component}", regexp.QuoteMeta(name), "{version}", numberPattern(version)).Replace(pattern)
}

// demands is what a certificate of GitHub must say of its run beside the subject, nil for other issuers. A configured subject
// names the ref itself, unless the workflow is one that others call.
func (r *Rules) demands(issuer string, id component.Identity, p place) *sign.Demands {
	if !isGitHub(issuer) {
		return nil
	}
	d := &sign.Demands{Host: gitHub, Slug: id.Repository, ID: id.RepositoryID, CalledRef: p.ref, TagRef: p.tags, Triggers: id.Triggers}
	if slug, err := r.slug(); d.Slug == "" && err == nil {
		d.Slug = slug
	}
	if len(d.Triggers) == 0 {
		d.Triggers = defaultTriggers()
	}
	return d
}

func isGitHub(issuer string) bool {
	return issuer == GitHubIssuer || strings.HasPrefix(issuer, GitHubIssuer+"/")
}

// withFormer adds to a policy what it was under each former name of the repository, for what was signed before the rename.
func (r *Rules) withFormer(p sign.Policy) sign.Policies {
	list := sign.Policies{p}
	host, path := r.home()
	if path == "" {
		return list
	}
	for _, f := range r.Formerly {
		was := p
		was.Subject = replaceFolded(p.Subject, host+"/"+path+"/", host+"/"+f.Repository+"/")
		was.SubjectPattern = replaceFolded(p.SubjectPattern, regexp.QuoteMeta(path)+"/", regexp.QuoteMeta(f.Repository)+"/")
		if p.Claims != nil && strings.EqualFold(p.Claims.Slug, path) {
			claims := *p.Claims
			claims.Slug = f.Repository
			was.Claims = &claims
		}
		if was != p { // else the name is no part of who signs
			was.Former = true
			if was.Until.IsZero() || f.Until.Before(was.Until) {
				was.Until = f.Until
			}
			list = append(list, was)
		}
	}
	return list
}

// home is the host of the checkout's Git remote, with its scheme, and the repository there; both are "" where there is no remote.
func (r *Rules) home() (host, path string) {
	remote, err := r.Remote()
	scheme, rest, found := strings.Cut(remote, "://")
	if err != nil || !found {
		return "", ""
	}
	host, path, _ = strings.Cut(rest, "/")
	return scheme + "://" + host, path
}

// replaceFolded replaces the first old in s, compared without case.
func replaceFolded(s, old, replacement string) string {
	i := strings.Index(strings.ToLower(s), strings.ToLower(old))
	if i < 0 {
		return s
	}
	return s[:i] + replacement + s[i+len(old):]
}

// slug is owner/repository of the Git remote on github.com.
func (r *Rules) slug() (string, error) {
	remote, err := r.Remote()
	if err != nil {
		return "", err
	}
	if remote == "" {
		return "", errors.New("the checkout has no Git remote")
	}
	slug, ok := strings.CutPrefix(remote, gitHub+"/")
	if !ok {
		return "", errors.New("the Git remote is not on github.com")
	}
	return slug, nil
}

// formerSource says until when a source counts that is not the checkout's, false when it never did.
func (r *Rules) formerSource(source string) (time.Time, bool) {
	host, _ := r.home()
	for _, f := range r.Formerly {
		if strings.EqualFold(source, host+"/"+f.Repository) {
			return f.Until, true
		}
	}
	return time.Time{}, false
}

// need is whose signature a tag needs, any of them.
type need struct {
	tag      string
	accepted sign.Policies
}

// needs is whose signatures an artifact of c needs to have tags: for a channel that points to a version, both the channel's and
// the version's, unless flags say whose.
func (r *Rules) needs(c component.Component, tags []string, version, ref string) ([]need, error) {
	if version != "" && r.FromFlags.IsZero() && !slices.Contains(tags, version) {
		tags = append(slices.Clone(tags), version)
	}
	var list []need
	for _, t := range tags {
		accepted, err := r.Artifacts(c, t, ref)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(list, func(n need) bool { return n.accepted.String() == accepted.String() }) {
			list = append(list, need{t, accepted})
		}
	}
	return list, nil
}

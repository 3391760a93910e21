package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/check"
	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/trust"
)

// ErrRefused reports a component that must not be published; RefusedError has the findings.
var ErrRefused = errors.New("refused")

// RefusedError lists why a component is not published; its text sums up many findings of one rule. It is an ErrRefused.
type RefusedError struct{ Findings []finding.Finding }

func (e *RefusedError) Error() string {
	var lines []string
	for _, line := range finding.Summarise(e.Findings) {
		lines = append(lines, line.Text)
	}
	return strings.Join(lines, "\n")
}

// Is implements errors.Is for ErrRefused.
func (e *RefusedError) Is(target error) bool { return target == ErrRefused }

// packed is a component's artifact as bytes.
type packed struct {
	contents
	tree  *pack.Tree
	layer pack.Layer
}

// gate unpacks the layer into an empty folder and checks it there. Warnings are returned, errors refuse. Known errors are warnings.
func (s *Service) gate(ctx context.Context, p packed, changes changes, known *finding.Baseline) (warnings []finding.Finding, err error) {
	dir, err := os.MkdirTemp(s.TempDir, "keos-oci-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := pack.Extract(ctx, bytes.NewReader(p.layer.Bytes), dir, pack.Limits{}); err != nil {
		return nil, err
	}
	folder, err := s.folder()
	if err != nil {
		return nil, err
	}
	config := s.Workspace.Config
	options := check.Options{RemoteBases: config.Artifact.RemoteBases == component.RemoteBasesAllow,
		Passwords: finding.Severity(config.Passwords)}
	for _, e := range config.Secrets {
		options.Allow = append(options.Allow, check.Allowance{Path: e.Path, Reason: e.Reason})
	}
	findings, err := check.Run(ctx, check.Component{
		Name: p.component.Name, Workspace: folder, Root: p.component.Root, Files: p.tree.Files, Unpacked: dir,
		Variants: p.component.Variants, Paths: p.component.Paths, External: p.external,
		Vendored: p.remote, LeftOut: s.leftOut(p, changes),
	}, options)
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", p.component.Name, err)
	}
	refused, warnings := bySeverity(known.Apply(append(slices.Clone(p.warnings), findings...)))
	if len(refused) > 0 {
		return warnings, &RefusedError{refused}
	}
	return warnings, nil
}

// folder is where a build finds the tracked files.
func (s *Service) folder() (string, error) {
	if s.Folder == nil {
		return s.Workspace.Dir, nil
	}
	return s.Folder()
}

// bySeverity splits findings into errors, which refuse a component, and warnings.
func bySeverity(findings []finding.Finding) (refused, warnings []finding.Finding) {
	for _, f := range findings {
		if f.Severity == finding.Error {
			refused = append(refused, f)
		} else {
			warnings = append(warnings, f)
		}
	}
	return refused, warnings
}

// leftOut explains to the gate why a file of the checkout is not in the artifact.
func (s *Service) leftOut(p packed, ch changes) func(string) string {
	return func(file string) string {
		if why := p.tree.Ignored[file]; why != "" {
			return why
		}
		for dir := file; dir != "." && dir != "/"; dir = path.Dir(dir) {
			if ch.untracked[dir] {
				return "not tracked by Git: git add it"
			}
			if s.modeOf(dir) == git.Symlink {
				return dir + " is a symbolic link, which artifacts cannot hold: copy what it points to"
			}
		}
		if s.modeOf(file) != "" && !p.takes(file) {
			return "nothing that is built refers to it"
		}
		return ""
	}
}

// pack reads and compresses c.
func (s *Service) pack(ctx context.Context, c component.Component) (packed, error) {
	all, tree, err := s.read(ctx, c)
	if err != nil {
		return packed{}, err
	}
	layer, err := tree.Compress(ctx)
	return packed{all, tree, layer}, err
}

// modeOf is what Git tracks at a path, empty where it tracks nothing.
func (s *Service) modeOf(file string) git.Mode {
	at, found := slices.BinarySearchFunc(s.Files, file, func(f git.File, p string) int { return strings.Compare(f.Path, p) })
	if !found {
		return ""
	}
	return s.Files[at].Mode
}

// CheckResult is what `check` found, for all selected components.
type CheckResult struct {
	Components []CheckedComponent `json:"components"`
	Warnings   []finding.Finding  `json:"warnings,omitempty"` // about the whole workspace
	Notes      []finding.Finding  `json:"notes,omitempty"`    // fixed findings of the baseline
	Summary    struct {
		Passed  int `json:"passed"`
		Refused int `json:"refused"`
		Failed  int `json:"failed"`
		Known   int `json:"known,omitempty"` // findings
	} `json:"summary"`
}

// CheckedComponent is one component's findings. Status is passed, refused or failed.
type CheckedComponent struct {
	Name        string               `json:"name"`
	Status      string               `json:"status"`
	Findings    []finding.Finding    `json:"findings"`
	RemoteBases []kustomize.Vendored `json:"remoteBases,omitempty"`
	Error       *Problem             `json:"error,omitempty"`

	err   error
	gated bool // it could be packed, and the gate looked at it
}

// Err joins what went wrong with any component, nil when all passed. Findings are in the result, and only counted here.
func (r *CheckResult) Err() error {
	var failures Failures
	for _, c := range r.Components {
		var refused *RefusedError
		if errors.As(c.err, &refused) {
			failures = append(failures, fmt.Errorf("%s is %w: %d findings", c.Name, ErrRefused, len(refused.Findings)))
		} else if c.err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", c.Name, c.err))
		}
	}
	return failures.orNil()
}

// Check runs the gate over the named components, all for none, without a registry.
func (s *Service) Check(ctx context.Context, names []string) (*CheckResult, error) {
	set, err := s.Workspace.Components.Select(names...)
	if err != nil {
		return nil, err
	}
	known, err := s.baseline()
	if err != nil {
		return nil, err
	}
	res, err := s.check(ctx, set, known)
	if err != nil {
		return nil, err
	}
	res.Warnings, res.Notes = s.signers(set), s.fixed(res, known)
	return res, nil
}

// check runs the gate over components.
func (s *Service) check(ctx context.Context, set component.Set, known *finding.Baseline) (*CheckResult, error) {
	changes, err := s.changes(ctx)
	if err != nil {
		return nil, err
	}
	res := &CheckResult{Components: make([]CheckedComponent, len(set))}
	s.each(ctx, set, func(ctx context.Context, i int, c component.Component) {
		res.Components[i] = s.checkOne(ctx, c, changes, known)
	})
	for _, c := range res.Components {
		for _, f := range c.Findings {
			if f.Known {
				res.Summary.Known++
			}
		}
		switch c.Status {
		case "passed":
			res.Summary.Passed++
		case "refused":
			res.Summary.Refused++
		default:
			res.Summary.Failed++
		}
	}
	return res, nil
}

// signers warns if other people could sign: workflows that they can start, and patterns that accept too much.
func (s *Service) signers(set component.Set) []finding.Finding {
	var files []string
	for _, f := range s.Files {
		files = append(files, f.Path)
	}
	found := check.Workflows(s.FS, files)
	seen := map[string]bool{}
	for _, c := range set {
		for _, ch := range c.Channels.From(component.FromVersion) {
			for _, id := range ch.Identities {
				why := trust.Loose(c, id)
				if why == "" || seen[id.SubjectRegexp] {
					continue
				}
				seen[id.SubjectRegexp] = true
				found = append(found, finding.Finding{Severity: finding.Warning, Rule: finding.RuleSigner,
					File: orDefault(s.Workspace.Config.File, component.ConfigFile),
					Line: s.lineOf(id.SubjectRegexp), Message: fmt.Sprintf("subjectRegexp %s of channel %s: %s", id.SubjectRegexp, ch.Name, why)})
			}
		}
	}
	return found
}

func orDefault(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// lineOf is the line of a text in the config file, 0 when it is not found.
func (s *Service) lineOf(text string) int {
	raw, err := fs.ReadFile(s.FS, orDefault(s.Workspace.Config.File, component.ConfigFile))
	if err != nil {
		return 0
	}
	before, _, found := strings.Cut(string(raw), text)
	if !found {
		return 0
	}
	return strings.Count(before, "\n") + 1
}

func (s *Service) checkOne(ctx context.Context, c component.Component, ch changes, known *finding.Baseline) CheckedComponent {
	out := CheckedComponent{Name: c.Name, Status: "passed", Findings: []finding.Finding{}}
	p, err := s.pack(ctx, c)
	if err == nil {
		out.RemoteBases = p.remote
		var warnings []finding.Finding
		warnings, err = s.gate(ctx, p, ch, known)
		out.gated = err == nil || errors.Is(err, ErrRefused)
		out.Findings = append(out.Findings, warnings...)
	}
	var refused *RefusedError
	if errors.As(err, &refused) {
		out.Findings = append(refused.Findings, out.Findings...)
	}
	if err != nil {
		out.Status, out.Error, out.err = "failed", problem(err), err
		if out.Error.Code == codeRefused {
			out.Status = "refused"
		}
	}
	return out
}

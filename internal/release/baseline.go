package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/fileset"
	"github.com/stratio/keos-oci/internal/finding"
)

// baseline reads the known findings: those of the commit, or of the checkout as it is. It is nil where the config has none. The error is
// a finding.ErrBaseline.
func (s *Service) baseline() (*finding.Baseline, error) {
	config := s.Workspace.Config
	if config.Baseline == "" {
		return nil, nil
	}
	raw, err := fs.ReadFile(s.FS, config.Baseline)
	where := fmt.Sprintf("%s:%d", orDefault(config.File, component.ConfigFile), s.Workspace.BaselineLine)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: %w: Git tracks no file %s: write it with keos-oci check --write-baseline %[3]s, then git add it",
			where, finding.ErrBaseline, config.Baseline)
	case err != nil:
		return nil, fmt.Errorf("%s: %w: %w", where, finding.ErrBaseline, err)
	}
	return finding.ParseBaseline(config.Baseline, raw)
}

// BaselineResult is the errors that are known from now on.
type BaselineResult struct {
	File       string            `json:"file"`
	Findings   int               `json:"findings"`
	Files      int               `json:"files"`      // that have them
	Configured bool              `json:"configured"` // the config names File
	Baseline   *finding.Baseline `json:"-"`

	errs Failures
}

// Err joins what cannot be known: faults of components that cannot be packed at all.
func (r *BaselineResult) Err() error { return r.errs.orNil() }

// WriteBaseline takes the errors of all components as known, and writes them to a file of the checkout.
func (s *Service) WriteBaseline(ctx context.Context, file string) (*BaselineResult, error) {
	root, err := os.OpenRoot(s.Checkout.Top())
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name, err := fileset.Place(root, "write-baseline", file)
	if err != nil {
		return nil, err
	}
	res, err := s.newBaseline(ctx, name)
	if err != nil {
		return nil, err
	}
	raw, err := res.Baseline.YAML()
	if err != nil {
		return nil, err
	}
	return res, fileset.Replace(root, name, raw)
}

// newBaseline takes the errors of all components as known. What is known already counts as well.
func (s *Service) newBaseline(ctx context.Context, file string) (*BaselineResult, error) {
	checked, err := s.check(ctx, s.Workspace.Components, nil)
	if err != nil {
		return nil, err
	}
	res := &BaselineResult{File: file, Configured: file == s.Workspace.Config.Baseline}
	for _, c := range checked.Components {
		if !c.gated {
			res.errs = append(res.errs, fmt.Errorf("%s is not in the baseline: %w", c.Name, c.err))
		}
	}
	res.Baseline = finding.NewBaseline(file, checked.gated())
	res.Findings, res.Files = res.Baseline.Total(), res.Baseline.Files()
	return res, nil
}

// gated is the findings of each component that the gate looked at.
func (r *CheckResult) gated() [][]finding.Finding {
	var lists [][]finding.Finding
	for _, c := range r.Components {
		if c.gated {
			lists = append(lists, c.Findings)
		}
	}
	return lists
}

// fixed is what the baseline has and no component. Only a look at all components can say.
func (s *Service) fixed(r *CheckResult, known *finding.Baseline) []finding.Finding {
	lists := r.gated()
	if len(lists) < len(s.Workspace.Components) {
		return nil
	}
	return known.Fixed(lists)
}

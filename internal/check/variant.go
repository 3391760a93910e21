package check

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/kustomize"
)

// ErrBuild says that a variant does not build, or must not be built here.
var ErrBuild = errors.New("does not build")

// RenderVariant is kustomize.Render for an unpacked folder that did not pass the gate, such as one from a registry. What would cost
// kustomize the machine's memory is refused as in Run, and an error names file and line but no secret's value. What else Run
// would find, a plaintext secret for one, is not looked at.
func RenderVariant(ctx context.Context, c Component, variant string, remoteBases bool) ([]byte, error) {
	g := newGate(c, Options{RemoteBases: remoteBases, Allow: []Allowance{{Path: "*", Reason: "nothing is published"}}})
	for _, name := range c.Files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := g.inspect(name); err != nil {
			return nil, err
		}
	}
	if err := g.checkReferences(); err != nil {
		return nil, err
	}
	variant = path.Clean(variant)
	if !g.dirs[variant] {
		return nil, fmt.Errorf("%s %w: it has no files", variant, ErrBuild)
	}
	read, wrong, err := g.closure(ctx, variant)
	if err == nil {
		err = g.unbuildable(variant, read, wrong)
	}
	if err != nil {
		return nil, err
	}
	objects, err := kustomize.Render(ctx, g.c.Unpacked, variant, kustomize.Options{RemoteBases: remoteBases})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%s %w: %s", variant, ErrBuild, g.explain(err, variant, read).Place())
	}
	return objects, nil
}

// unbuildable is why a variant must be kept from kustomize: files too large to be looked at, whoever reads them, wrong
// references, which it would only repeat or go and fetch, and hazards.
func (g *gate) unbuildable(variant string, read kustomize.Inputs, wrong bool) error {
	g.reportHazards(read)
	var reasons []string
	for _, f := range g.sorted() {
		inside := slices.ContainsFunc(read.Parsed, func(name string) bool { return g.workspacePath(name) == f.File })
		if f.Rule == finding.RuleSize || f.Rule == finding.RuleBuild || f.Rule == finding.RuleReference && wrong && inside {
			reasons = append(reasons, f.Place())
		}
	}
	if len(reasons) == 0 && !wrong {
		return nil
	}
	return fmt.Errorf("%s %w: %s", variant, ErrBuild, strings.Join(reasons, "; "))
}

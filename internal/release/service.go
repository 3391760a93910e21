// Package release has the verbs: each reads state, decides a plan and then acts, in the order that keeps every tag on
// content that a cluster accepts. It joins the leaf packages and knows no flags, streams or exit codes.
package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/trust"
)

// Service runs the verbs on one workspace.
type Service struct {
	Workspace   *component.Workspace
	Checkout    *git.Checkout
	FS          fs.FS                                               // the tracked files: those of a commit, or of the checkout as it is
	Files       []git.File                                          // the same as a list
	Committed   func(context.Context) (*component.Workspace, error) // the workspace as HEAD's commit has it; nil is Workspace
	Filters     map[string]string                                   // of them, those that Git passes through a filter, and its name
	Folder      func() (string, error)                              // a folder that has these files, for builds; nil is the workspace's
	Gate        *trust.Gate
	Log         *slog.Logger // progress and warnings
	Concurrency int          // components in flight
	TempDir     string       // where tarballs are unpacked for the gate
	Now         func() time.Time
	Remotes     *kustomize.Remotes                 // renders remote bases, where the config says so
	Finishing   func(context.Context) (end func()) // is called when a part begins that is finished although the context ends; may be nil
}

// Loaded is the config and the components of the checkout.
func (s *Service) Loaded() *component.Workspace { return s.Workspace }

// Tracked lists the files of the checkout that Git tracks.
func (s *Service) Tracked() []string {
	files := make([]string, len(s.Files))
	for i, f := range s.Files {
		files[i] = f.Path
	}
	return files
}

func (s *Service) finishing(ctx context.Context) func() {
	if s.Finishing == nil {
		return func() {}
	}
	return s.Finishing(ctx)
}

// Ref is the Git reference that a run publishes: exactly one of Branch and Tag is set.
type Ref struct{ Branch, Tag string }

// ErrRef reports a Git reference that nothing can be published from.
var ErrRef = errors.New("no git reference to publish")

// ParseRef reads a full reference such as refs/heads/main, refs/tags/frontend/v1.2.3 or refs/pull/7/merge.
func ParseRef(ref string) (Ref, error) {
	for prefix, parse := range map[string]func(string) Ref{
		"refs/heads/": func(s string) Ref { return Ref{Branch: s} },
		"refs/tags/":  func(s string) Ref { return Ref{Tag: s} },
		"refs/pull/":  func(s string) Ref { return Ref{Branch: "pull/" + s} },
	} {
		if rest, ok := strings.CutPrefix(ref, prefix); ok && rest != "" {
			return parse(rest), nil
		}
	}
	return Ref{}, fmt.Errorf("%w: %q is not of the form refs/heads/<branch> or refs/tags/<tag>", ErrRef, ref)
}

func (r Ref) String() string {
	if r.Tag != "" {
		return "refs/tags/" + r.Tag
	}
	return "refs/heads/" + r.Branch
}

// pull reports whether it is GitHub's reference of a pull request.
func (r Ref) pull() bool { return strings.HasPrefix(r.Branch, "pull/") }

// git is the reference's name in Git, and in the certificates of runs that publish it.
func (r Ref) git() string {
	if r.Tag != "" {
		return "refs/tags/" + r.Tag
	}
	return trust.BranchRef(r.Branch)
}

// short is how revisions name the reference.
func (r Ref) short() string { return r.Tag + r.Branch }

// Open names a repository; nothing is requested yet.
func (s *Service) Open(repo name.Repository) trust.Repository { return s.Gate.Open(repo) }

// each runs f for all components side by side and never stops early: results are f's to keep.
func (s *Service) each(ctx context.Context, set component.Set, f func(context.Context, int, component.Component)) {
	s.sideBySide(len(set), func(i int) { f(ctx, i, set[i]) })
}

// sideBySide runs f for 0 to n-1, as many at once as the service may.
func (s *Service) sideBySide(n int, f func(int)) {
	var group errgroup.Group
	group.SetLimit(max(s.Concurrency, 1))
	for i := range n {
		group.Go(func() error { f(i); return nil })
	}
	_ = group.Wait()
}

func packMode(m git.Mode) pack.Mode {
	switch m {
	case git.Executable:
		return pack.Executable
	case git.Symlink:
		return pack.Symlink
	case git.Submodule:
		return pack.Submodule
	}
	return pack.Regular
}

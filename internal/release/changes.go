package release

import (
	"context"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
)

// changes is how the work tree differs from the commit.
type changes struct {
	modified  []string
	untracked map[string]bool
}

func (c changes) dirty(comp component.Component) bool {
	return slices.ContainsFunc(c.modified, comp.Holds)
}

func (s *Service) changes(ctx context.Context) (changes, error) {
	status, err := s.Checkout.Status(ctx)
	if err != nil {
		return changes{}, err
	}
	ch := changes{modified: status.Modified, untracked: map[string]bool{}}
	for _, f := range status.Untracked {
		ch.untracked[strings.TrimSuffix(f, "/")] = true
	}
	return ch, nil
}

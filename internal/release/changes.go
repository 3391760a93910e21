package release

import (
	"context"
	"strings"
)

// changes is how the work tree differs from the commit.
type changes struct {
	modified  []string
	untracked map[string]bool
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

package release

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/tag"
)

// Published returns a tag.ErrPin if the registry has no manifest of a version or digest of a component. Any other error means
// that it could not be asked.
func (s *Service) Published(ctx context.Context, c component.Component, reference string) error {
	repo := s.Open(c.Repository)
	if _, err := repo.Resolve(ctx, reference); !errors.Is(err, registry.ErrNotFound) {
		return err
	}
	sep := ":"
	if strings.Contains(reference, ":") {
		sep = "@"
	}
	v, err := tag.ParseVersion(reference)
	if err != nil {
		return fmt.Errorf("%w: %s%s%s: %w", tag.ErrPin, c.Repository, sep, reference, registry.ErrNotFound)
	}
	list, err := listTags(ctx, repo)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %w", tag.ErrPin, notPublished(c, v, list.versions))
}

// PublishedIn lists the versions of a component in a range, as Flux reads it.
func (s *Service) PublishedIn(ctx context.Context, c component.Component, versions string) ([]string, error) {
	constraint, err := semver.NewConstraint(versions)
	if err != nil {
		return nil, err
	}
	list, err := listTags(ctx, s.Open(c.Repository))
	if err != nil {
		return nil, err
	}
	var found []string
	for _, text := range list.versions {
		if v, err := tag.ParseVersion(text); err == nil && constraint.Check(v) {
			found = append(found, text)
		}
	}
	return found, nil
}

// notPublished says which versions there are instead.
func notPublished(c component.Component, v *semver.Version, versions []string) error {
	near := tag.Nearest(v, versions)
	if len(near) == 0 {
		return fmt.Errorf("%s:%s: %w: no version is published yet", c.Repository, tag.Version(v), registry.ErrNotFound)
	}
	return fmt.Errorf("%s:%s: %w: nearest published: %s", c.Repository, tag.Version(v), registry.ErrNotFound, strings.Join(near, ", "))
}

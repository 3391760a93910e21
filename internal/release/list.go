package release

import (
	"context"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/tag"
)

// ListResult is the tags of a component: versions, newest first by semver precedence, and the rest, such as channels and
// commits, by name. Tags that registries without the referrers API keep signatures under are left out.
type ListResult struct {
	Name       string   `json:"name"`
	Repository string   `json:"repository"`
	Versions   []string `json:"versions"`
	Tags       []string `json:"tags"`
}

// List reads the tags of one component; a component that was never published has none.
func (s *Service) List(ctx context.Context, name string) (*ListResult, error) {
	c, err := s.Workspace.Components.Find(name)
	if err != nil {
		return nil, err
	}
	tags, err := s.Open(c.Repository).Tags(ctx)
	if err != nil {
		return nil, err
	}
	res := &ListResult{Name: c.Name, Repository: c.Repository.String(), Versions: []string{}, Tags: []string{}}
	var versions []*semver.Version
	for _, t := range tags {
		if v, err := tag.ParseVersion(t); err == nil {
			versions = append(versions, v)
		} else if !registry.IsReferrersTag(t) {
			res.Tags = append(res.Tags, t)
		}
	}
	slices.SortFunc(versions, func(a, b *semver.Version) int { return b.Compare(a) })
	for _, v := range versions {
		res.Versions = append(res.Versions, tag.Version(v))
	}
	slices.SortFunc(res.Tags, strings.Compare)
	return res, nil
}

package release

import (
	"context"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// ListRequest asks for the tags of one component.
type ListRequest struct {
	Component string
	Limit     int // how many versions; 0 is all
}

// ListResult is the tags of a component: versions, newest first by semver precedence, and the rest, such as channels and
// commits, by name. Tags that registries without the referrers API keep signatures under are left out.
type ListResult struct {
	Name       string   `json:"name"`
	Repository string   `json:"repository"`
	Versions   []string `json:"versions"`
	Tags       []string `json:"tags"`
	More       bool     `json:"more,omitempty"` // older versions exist
}

// List reads the tags of one component; a component that was never published has none.
func (s *Service) List(ctx context.Context, req ListRequest) (*ListResult, error) {
	c, err := s.Workspace.Components.Find(req.Component)
	if err != nil {
		return nil, err
	}
	list, err := listTags(ctx, s.Open(c.Repository))
	if err != nil {
		return nil, err
	}
	res := &ListResult{Name: c.Name, Repository: c.Repository.String(), Versions: list.versions, Tags: list.others}
	if req.Limit > 0 && len(res.Versions) > req.Limit {
		res.Versions, res.More = res.Versions[:req.Limit], true
	}
	return res, nil
}

// tagList is a repository's tags without those of signatures: versions, newest first, and the others by name.
type tagList struct{ versions, others []string }

func listTags(ctx context.Context, repo trust.Repository) (tagList, error) {
	tags, err := repo.Tags(ctx)
	if err != nil {
		return tagList{}, err
	}
	return sortTags(tags), nil
}

// sortTags leaves out what belongs to signatures and journals.
func sortTags(tags []string) tagList {
	list := tagList{versions: []string{}, others: []string{}}
	var versions []*semver.Version
	for _, t := range tags {
		if v, err := tag.ParseVersion(t); err == nil {
			versions = append(versions, v)
		} else if _, _, record := tag.ParseRecordTag(t); !record && !tag.IsDoneTag(t) && !tag.IsReleaseTag(t) && !registry.IsReferrersTag(t) {
			list.others = append(list.others, t)
		}
	}
	slices.SortFunc(versions, func(a, b *semver.Version) int { return b.Compare(a) })
	for _, v := range versions {
		list.versions = append(list.versions, tag.Version(v))
	}
	slices.SortFunc(list.others, strings.Compare)
	return list
}

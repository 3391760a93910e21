package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// kinds are what a cluster serves.
type kinds struct {
	served map[schema.GroupKind]resource // in the version that the cluster prefers
	failed map[string]error              // groups that gave no answer, such as an aggregated API that is down
}

// resource is a kind in one version.
type resource struct {
	schema.GroupVersionResource
	namespaced bool
}

// kinds asks the cluster what it serves, once.
func (c *Cluster) kinds(ctx context.Context) (*kinds, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known != nil {
		return c.known, nil
	}
	groups, lists, err := c.discovery.ServerGroupsAndResourcesWithContext(quiet(ctx))
	failed, partly := discovery.GroupDiscoveryFailedErrorGroups(err)
	if err != nil && !partly {
		return nil, c.fault(ctx, right{}, err)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if !slices.ContainsFunc(groups, func(g *metav1.APIGroup) bool { return g.Name != "" }) {
		return nil, fmt.Errorf("%w: %s lists no API groups: is it an API server?", ErrUnreachable, c.address)
	}
	k := &kinds{served: map[schema.GroupKind]resource{}, failed: map[string]error{}}
	for version, err := range failed {
		k.failed[version.Group] = err
	}
	for _, g := range groups {
		k.add(g, lists)
	}
	c.known = k
	return k, nil
}

// add takes in a group.
func (k *kinds) add(g *metav1.APIGroup, lists []*metav1.APIResourceList) {
	versions := []string{g.PreferredVersion.GroupVersion}
	for _, v := range g.Versions {
		if v.GroupVersion != versions[0] {
			versions = append(versions, v.GroupVersion)
		}
	}
	for _, v := range versions {
		for _, list := range lists {
			if list.GroupVersion == v {
				k.addVersion(list)
			}
		}
	}
}

func (k *kinds) addVersion(list *metav1.APIResourceList) {
	version, err := schema.ParseGroupVersion(list.GroupVersion)
	if err != nil {
		return
	}
	for _, r := range list.APIResources {
		kind := schema.GroupKind{Group: version.Group, Kind: r.Kind}
		if _, known := k.served[kind]; !known && !strings.Contains(r.Name, "/") {
			k.served[kind] = resource{version.WithResource(r.Name), r.Namespaced}
		}
	}
}

// find gives a kind in the version that the cluster prefers. It is false where the cluster does not have the kind. Where the
// group of the kind gave no answer nobody knows, which is an error.
func (c *Cluster) find(k *kinds, kind schema.GroupKind) (resource, bool, error) {
	if r, known := k.served[kind]; known {
		return r, true, nil
	}
	if err := k.failed[kind.Group]; err != nil {
		return resource{}, false, fmt.Errorf("%w: %s serves no answer for %s: %w", ErrUnreachable, c.address, kind.Group, err)
	}
	return resource{}, false, nil
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
)

// lookups is how many objects are asked for at a time.
const lookups = 16

// ID names any object, as an inventory does.
type ID struct{ Namespace, Name, Group, Kind string }

func (id ID) String() string {
	return strings.Join([]string{id.Namespace, strings.ReplaceAll(id.Name, ":", "__"), id.Group, id.Kind}, "_")
}

// ParseID reads namespace_name_group_kind. A name may have colons, written as two underscores.
func ParseID(text string) (ID, error) {
	namespace, rest, first := strings.Cut(text, "_")
	kind, group := strings.LastIndex(rest, "_"), -1
	if kind > 0 {
		group = strings.LastIndex(rest[:kind], "_")
	}
	if !first || group <= 0 || rest[kind+1:] == "" {
		return ID{}, fmt.Errorf("%q is not of the form namespace_name_group_kind", text)
	}
	return ID{namespace, strings.ReplaceAll(rest[:group], "__", ":"), rest[group+1 : kind], rest[kind+1:]}, nil
}

// Owners are the objects of Flux that applied an object, as its labels say.
func Owners(labels map[string]string) []Ref {
	var owners []Ref
	for _, by := range []struct{ kind, prefix string }{
		{Kustomization, groupOf(Kustomization)}, {HelmRelease, groupOf(HelmRelease)},
		{ResourceSet, "resourceset." + groupOf(ResourceSet)}, {FluxInstance, groupOf(FluxInstance)},
	} {
		if name := labels[by.prefix+"/name"]; name != "" {
			owners = append(owners, Ref{by.kind, labels[by.prefix+"/namespace"], name})
		}
	}
	return owners
}

// Labels reads the labels of objects, and nothing else of them. An object that the cluster does not have is not in the result. Where the
// user may not read some the error says which, and the others are there.
// Callers leave Secrets out: the right to read their labels is the right to read them.
func (c *Cluster) Labels(ctx context.Context, ids []ID) (map[ID]map[string]string, error) {
	k, err := c.kinds(ctx)
	if err != nil {
		return nil, err
	}
	l := &lookup{cluster: c, kinds: k, found: map[ID]map[string]string{}, forbidden: map[ID]error{}}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(lookups)
	for _, id := range ids {
		work.Go(func() error { return l.ask(ctx, id) })
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	var errs []error
	for _, id := range slices.SortedFunc(maps.Keys(l.forbidden), func(a, b ID) int { return strings.Compare(a.String(), b.String()) }) {
		errs = append(errs, l.forbidden[id])
	}
	return l.found, errors.Join(errs...)
}

// lookup is what is known of objects so far.
type lookup struct {
	cluster   *Cluster
	kinds     *kinds
	mu        sync.Mutex
	found     map[ID]map[string]string
	forbidden map[ID]error // one of each kind and namespace, by an ID without a name
}

func (l *lookup) ask(ctx context.Context, id ID) error {
	alike := id
	alike.Name = ""
	l.mu.Lock()
	skip := l.forbidden[alike] != nil
	l.mu.Unlock()
	if skip {
		return nil
	}
	labels, found, err := l.labels(ctx, id)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case errors.Is(err, ErrForbidden):
		l.forbidden[alike] = err
	case err != nil:
		return err
	case found:
		l.found[id] = labels
	}
	return nil
}

func (l *lookup) labels(ctx context.Context, id ID) (map[string]string, bool, error) {
	r, found, err := l.cluster.find(l.kinds, schema.GroupKind{Group: id.Group, Kind: id.Kind})
	if err != nil || !found {
		return nil, false, err
	}
	var objects metadata.ResourceInterface = l.cluster.metadata.Resource(r.GroupVersionResource)
	if r.namespaced {
		objects = l.cluster.metadata.Resource(r.GroupVersionResource).Namespace(id.Namespace)
	}
	object, err := objects.Get(quiet(ctx), id.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, false, nil
	case err != nil:
		return nil, false, l.cluster.fault(ctx, right{"get", r.GroupResource()}, err)
	}
	return object.Labels, true, nil
}

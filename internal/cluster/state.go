package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The kinds that Flux reads.
const (
	GitRepository = "GitRepository"
	OCIRepository = "OCIRepository"
	Kustomization = "Kustomization"
	HelmRelease   = "HelmRelease"
	ResourceSet   = "ResourceSet"
	FluxInstance  = "FluxInstance"
)

const (
	pageSize = 500
	maxPages = 200 // of one kind
)

// State is what Flux runs in a cluster.
type State struct {
	Objects []Object // by kind, namespace and name
}

// Ref names an object of Flux.
type Ref struct{ Kind, Namespace, Name string }

func (r Ref) String() string { return r.Kind + " " + r.Namespace + "/" + r.Name }

// Object is one that Flux reconciles.
type Object struct {
	Ref
	Ready     Condition
	Verified  Condition // SourceVerified, of sources that verify signatures
	Current   bool      // the controller has reconciled the last change of the object, and did not fail
	Deleting  bool
	Suspended bool
	Prune     bool   // of a Kustomization
	Revision  string // what a source has, or what was applied last
	Source    Ref    // of a Kustomization or a HelmRelease
	Inventory []ID   // what the object applied
}

// Condition is one of an object's status. Status is True, False or Unknown, and empty where there is no such condition.
type Condition struct {
	Status, Reason, Message string
	Current                 bool // it is about the last change of the object
}

// IsTrue reports whether a condition is true for the object as it is now.
func (c Condition) IsTrue() bool { return c.Status == "True" && c.Current }

// Find gives an object, and false where the cluster does not have it.
func (s *State) Find(r Ref) (Object, bool) {
	i := slices.IndexFunc(s.Objects, func(o Object) bool { return o.Ref == r })
	if i < 0 {
		return Object{}, false
	}
	return s.Objects[i], true
}

// groupOf is the API group of a kind of Flux.
func groupOf(kind string) string {
	switch kind {
	case GitRepository, OCIRepository:
		return "source.toolkit.fluxcd.io"
	case Kustomization:
		return "kustomize.toolkit.fluxcd.io"
	case HelmRelease:
		return "helm.toolkit.fluxcd.io"
	}
	return "fluxcd.controlplane.io"
}

// Flux reads the objects of these kinds, or of all kinds that Flux reads. A kind that the cluster does not have has no objects.
func (c *Cluster) Flux(ctx context.Context, only ...string) (*State, error) {
	if len(only) == 0 {
		only = []string{GitRepository, OCIRepository, Kustomization, HelmRelease, ResourceSet, FluxInstance}
	}
	k, err := c.kinds(ctx)
	if err != nil {
		return nil, err
	}
	lists, errs := make([][]Object, len(only)), make([]error, len(only))
	var work sync.WaitGroup
	for i, kind := range only {
		work.Go(func() { lists[i], errs[i] = c.list(ctx, k, kind) })
	}
	work.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s := &State{Objects: slices.Concat(lists...)}
	slices.SortFunc(s.Objects, func(a, b Object) int { return strings.Compare(a.String(), b.String()) })
	return s, nil
}

// list reads all objects of a kind, page by page.
func (c *Cluster) list(ctx context.Context, k *kinds, kind string) ([]Object, error) {
	r, found, err := c.find(k, schema.GroupKind{Group: groupOf(kind), Kind: kind})
	if err != nil || !found {
		return nil, err
	}
	var objects []Object
	page := metav1.ListOptions{Limit: pageSize}
	for range maxPages {
		list, err := c.dynamic.Resource(r.GroupVersionResource).List(quiet(ctx), page)
		if err != nil {
			return nil, c.fault(ctx, right{"list", r.GroupResource()}, err)
		}
		for _, item := range list.Items {
			o, err := objectOf(kind, item.Object)
			if err != nil {
				return nil, err
			}
			objects = append(objects, o)
		}
		if page.Continue = list.GetContinue(); page.Continue == "" {
			return objects, nil
		}
	}
	return nil, fmt.Errorf("%w: %s has more than %d %s", ErrUnreachable, c.address, maxPages*pageSize, r.Resource)
}

// wire is what is read of an object. A kind has a part of the fields.
type wire struct {
	Metadata struct {
		Namespace         string `json:"namespace"`
		Name              string `json:"name"`
		Generation        int64  `json:"generation"`
		DeletionTimestamp string `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec struct {
		Suspend   bool      `json:"suspend"`
		Prune     bool      `json:"prune"`
		SourceRef reference `json:"sourceRef"`
		ChartRef  reference `json:"chartRef"`
		Chart     struct {
			Spec struct {
				SourceRef reference `json:"sourceRef"`
			} `json:"spec"`
		} `json:"chart"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration int64           `json:"observedGeneration"`
		Conditions         []wireCondition `json:"conditions"`
		Artifact           struct {
			Revision string `json:"revision"`
		} `json:"artifact"`
		LastAppliedRevision string `json:"lastAppliedRevision"`
		History             []struct {
			ChartVersion string `json:"chartVersion"`
		} `json:"history"`
		Inventory struct {
			Entries []struct {
				ID string `json:"id"`
			} `json:"entries"`
		} `json:"inventory"`
	} `json:"status"`
}

type reference struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

type wireCondition struct {
	Type               string `json:"type"`
	Status             string `json:"status"`
	Reason             string `json:"reason"`
	Message            string `json:"message"`
	ObservedGeneration int64  `json:"observedGeneration"`
}

func objectOf(kind string, content map[string]any) (Object, error) {
	var w wire
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &w); err != nil {
		return Object{}, fmt.Errorf("%w: %s has another form than expected: %w", ErrUnreachable, kind, err)
	}
	o := Object{
		Ref:      Ref{kind, w.Metadata.Namespace, w.Metadata.Name},
		Ready:    w.condition("Ready"),
		Verified: w.condition("SourceVerified"),
		Deleting: w.Metadata.DeletionTimestamp != "", Suspended: w.Spec.Suspend, Prune: w.Spec.Prune,
		Revision: w.revision(), Source: w.source(),
	}
	// Flux Operator's kinds have it in their conditions only.
	o.Current = w.Status.ObservedGeneration == w.Metadata.Generation || w.Status.ObservedGeneration == 0 && o.Ready.Current
	for _, entry := range w.Status.Inventory.Entries {
		id, err := ParseID(entry.ID)
		if err != nil {
			return Object{}, fmt.Errorf("%w: the inventory of %s: %w", ErrUnreachable, o.Ref, err)
		}
		o.Inventory = append(o.Inventory, id)
	}
	return o, nil
}

// condition is current where it says nothing else and the object is.
func (w *wire) condition(name string) Condition {
	for _, c := range w.Status.Conditions {
		if c.Type == name {
			about := cmp.Or(c.ObservedGeneration, w.Status.ObservedGeneration)
			return Condition{c.Status, c.Reason, c.Message, about == w.Metadata.Generation}
		}
	}
	return Condition{}
}

// revision is what a source has, else what was applied, else the chart's version.
func (w *wire) revision() string {
	chart := ""
	if len(w.Status.History) > 0 {
		chart = w.Status.History[0].ChartVersion
	}
	return cmp.Or(w.Status.Artifact.Revision, w.Status.LastAppliedRevision, chart)
}

func (w *wire) source() Ref {
	r := cmp.Or(w.Spec.SourceRef, w.Spec.ChartRef, w.Spec.Chart.Spec.SourceRef)
	if r.Name == "" {
		return Ref{}
	}
	return Ref{r.Kind, cmp.Or(r.Namespace, w.Metadata.Namespace), r.Name}
}

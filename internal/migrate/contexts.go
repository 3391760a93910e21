package migrate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/cluster"
	"github.com/stratio/keos-oci/internal/exit"
)

// Contexts say how the clusters are reached that a command looks at.
type Contexts struct {
	Kubeconfig string
	Contexts   []string // [CLUSTER=]CONTEXT
}

// Asked says whether the command is to look at clusters.
func (c *Contexts) Asked() bool { return c.Kubeconfig != "" || len(c.Contexts) > 0 }

// liveClusters are clusters that can be asked, by name.
type liveClusters map[string]*cluster.Cluster

// open opens those of the named clusters that have a context. It asks them nothing yet.
func (c *Contexts) open(names []string) (liveClusters, error) {
	if !c.Asked() {
		return nil, nil
	}
	contexts, err := c.byName(names)
	if err != nil {
		return nil, err
	}
	opened := liveClusters{}
	for name, context := range contexts {
		if opened[name], err = cluster.Open(c.Kubeconfig, context); err != nil {
			return nil, fmt.Errorf("cluster %s: %w", name, err)
		}
	}
	return opened, nil
}

// byName gives the context of each cluster that has one. A context without a cluster's name, and a kubeconfig without any context, is for
// the only cluster there is.
func (c *Contexts) byName(names []string) (map[string]string, error) {
	texts, found := c.Contexts, map[string]string{}
	if len(texts) == 0 {
		texts = []string{""} // the current one
	}
	for _, text := range texts {
		name, context, named := strings.Cut(text, "=")
		switch {
		case !named && len(names) != 1:
			return nil, fmt.Errorf("%w: say which cluster is meant, of %s: --context CLUSTER=%s", exit.ErrUsage, strings.Join(names, ", "), text)
		case !named:
			name, context = names[0], text
		case !slices.Contains(names, name):
			return nil, fmt.Errorf("%w: --context %s: %s is none of the clusters of this command: %s", exit.ErrUsage, text, name,
				strings.Join(names, ", "))
		case context == "":
			return nil, fmt.Errorf("%w: --context %s has no context", exit.ErrUsage, text)
		}
		if _, twice := found[name]; twice {
			return nil, fmt.Errorf("%w: --context names two contexts for the cluster %s", exit.ErrUsage, name)
		}
		found[name] = context
	}
	return found, nil
}

// all checks that each of the named clusters has a context.
func (l liveClusters) all(names []string) error {
	for _, name := range names {
		if l[name] == nil {
			return fmt.Errorf("%w: the cluster %s has no context: add --context %s=CONTEXT, or name the clusters that are meant",
				exit.ErrUsage, name, name)
		}
	}
	return nil
}

// read asks all clusters at the same time for objects of these kinds.
func (l liveClusters) read(ctx context.Context, kinds ...string) (map[string]*cluster.State, error) {
	states := map[string]*cluster.State{}
	var mu sync.Mutex
	work, ctx := errgroup.WithContext(ctx)
	for _, name := range slices.Sorted(maps.Keys(l)) {
		work.Go(func() error {
			state, err := l[name].Flux(ctx, kinds...)
			if err != nil {
				return fmt.Errorf("cluster %s: %w", name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			states[name] = state
			return nil
		})
	}
	return states, work.Wait()
}

// Package cluster reads what Flux runs in a Kubernetes cluster, through a kubeconfig. It writes nothing, and reads no content of Secrets.
// A cluster that cannot be asked is an error: it never looks like a cluster that has nothing.
package cluster

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	requestTimeout = 30 * time.Second
	maxAnswer      = 64 << 20 // bytes of one answer
	queries        = 50       // for each second
)

// Cluster is a cluster that can be asked.
type Cluster struct {
	discovery *discovery.DiscoveryClient
	dynamic   dynamic.Interface
	metadata  metadata.Interface
	address   string

	mu    sync.Mutex
	known *kinds
}

// Open reads a kubeconfig and asks the cluster nothing yet. Without a file it looks where kubectl looks; without a context it takes the
// current one.
func Open(kubeconfig, contextName string) (*Cluster, error) {
	config, err := restConfig(kubeconfig, contextName)
	if err != nil {
		return nil, err
	}
	config.Timeout, config.UserAgent = requestTimeout, "keos-oci"
	config.QPS, config.Burst = queries, 2*queries
	config.WarningHandlerWithContext = rest.NoWarnings{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return bounded{next} })
	c := &Cluster{address: addressOf(config.Host)}
	if err := c.connect(config); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrConfig, c.address, err)
	}
	return c, nil
}

// connect makes the clients, which share their connections.
func (c *Cluster) connect(config *rest.Config) error {
	web, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	if c.discovery, err = discovery.NewDiscoveryClientForConfigAndClient(config, web); err != nil {
		return err
	}
	if c.dynamic, err = dynamic.NewForConfigAndClient(config, web); err != nil {
		return err
	}
	c.metadata, err = metadata.NewForConfigAndClient(config, web)
	return err
}

func restConfig(kubeconfig, contextName string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath, rules.Warner = kubeconfig, func(error) {}
	rules.MigrationRules = nil // they would copy a kubeconfig of old to where it is today
	if _, err := os.Stat(kubeconfig); kubeconfig != "" && err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	load := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: contextName})
	files := strings.Join(rules.GetLoadingPrecedence(), ", ")
	raw, err := load.RawConfig()
	if err != nil {
		// The parser's own words may have a part of the file, such as a token.
		return nil, fmt.Errorf("%w: %s is not a kubeconfig, or cannot be read", ErrConfig, files)
	}
	contexts := slices.Sorted(maps.Keys(raw.Contexts))
	if _, found := raw.Contexts[contextName]; contextName != "" && !found {
		return nil, fmt.Errorf("%w: %s has no context %q; it has: %s", ErrConfig, files, contextName, listed(contexts))
	}
	config, err := load.ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err), err != nil && contextName == "" && raw.CurrentContext == "":
		return nil, fmt.Errorf("%w: %s has no current context; it has: %s", ErrConfig, files, listed(contexts))
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %w", ErrConfig, files, err)
	}
	return config, nil
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// bounded bounds what is read of each answer.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(req)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, maxAnswer)
	}
	return res, err
}

// quiet keeps client-go from logging to stderr: what goes wrong is in the errors.
func quiet(ctx context.Context) context.Context { return logr.NewContext(ctx, logr.Discard()) }

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// ErrConfig says that a kubeconfig cannot be read, or does not have the context.
	ErrConfig = errors.New("kubeconfig cannot be used")
	// ErrForbidden says that the user of the kubeconfig may not read the objects.
	ErrForbidden = errors.New("not allowed")
	// ErrLogin says that the cluster does not accept the login of the kubeconfig, or that there is none.
	ErrLogin = errors.New("login not accepted")
	// ErrUnreachable says that the cluster gives no answer of use.
	ErrUnreachable = errors.New("cluster cannot be asked")
)

// right is what a user needs to be allowed. Without a resource it is to see what the cluster serves.
type right struct {
	verb     string
	resource schema.GroupResource
}

func (r right) String() string {
	if r.resource.Empty() {
		return "get /apis"
	}
	return r.verb + " " + r.resource.String()
}

// rule is the entry of a ClusterRole that gives the right.
func (r right) rule() string {
	if r.resource.Empty() {
		return "{nonResourceURLs: [/api, /apis, /api/*, /apis/*], verbs: [get]}"
	}
	return fmt.Sprintf("{apiGroups: [%q], resources: [%s], verbs: [%s]}", r.resource.Group, r.resource.Resource, r.verb)
}

// fault says why a request had no answer of use.
func (c *Cluster) fault(ctx context.Context, needs right, err error) error {
	var large *http.MaxBytesError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", needs, context.Cause(ctx))
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w: %w; the user's ClusterRole needs the rule %s", ErrForbidden, err, needs.rule())
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%w by %s: log in again, a token may have expired", ErrLogin, c.address)
	case strings.Contains(err.Error(), "getting credentials"):
		return fmt.Errorf("%w: the kubeconfig's own command gives no login for %s: %w", ErrLogin, c.address, innermost(err))
	case errors.As(err, &large):
		return fmt.Errorf("%w: %s: %s answers with more than %d bytes", ErrUnreachable, needs, c.address, large.Limit)
	}
	return fmt.Errorf("%w: %s: %s: %w", ErrUnreachable, needs, c.address, innermost(err))
}

// innermost leaves out the URL of a request, which is long and says nothing to people.
func innermost(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

// addressOf is the API server's address without a login.
func addressOf(host string) string {
	u, err := url.Parse(host)
	if err != nil {
		return "the API server"
	}
	u.User = nil
	return u.String()
}

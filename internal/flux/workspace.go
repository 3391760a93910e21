package flux

import (
	"context"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/substitution"
)

// Workspace is a checkout with components, and the registry that has their artifacts.
type Workspace interface {
	// Loaded is the config and the components of the checkout.
	Loaded() *component.Workspace
	// Tracked lists the files of the checkout that Git tracks.
	Tracked() []string
	// Needs is what the files of a component ask of the Kustomizations that apply them: the first file that SOPS encrypted, and the
	// ${VARIABLES} by folder.
	Needs(ctx context.Context, c component.Component) (encrypted string, uses map[string]*substitution.Uses, err error)
	// EncryptedIn is the first file in a folder of the checkout that SOPS encrypted.
	EncryptedIn(folder string) (string, error)
	// ClusterPolicy is whose signature clusters are to verify of an artifact under a tag. What the flags ask for goes first.
	ClusterPolicy(ctx context.Context, c component.Component, tag string, asked sign.Policy) (sign.Policy, error)
	// Published returns a tag.ErrPin where the registry does not have a version, a digest or a channel of a component.
	Published(ctx context.Context, c component.Component, reference string) error
	// PublishedIn lists the versions of a component in a range.
	PublishedIn(ctx context.Context, c component.Component, versions string) ([]string, error)
}

// OpenOptions say how a checkout is opened.
type OpenOptions struct {
	NewFleet bool // a checkout in which nothing is found is a fleet that has no cluster yet
	Plain    bool // without the registry and the config that the command line has, which are about another checkout
}

// Open opens the checkout that a folder is in.
type Open func(ctx context.Context, dir string, with OpenOptions) (Workspace, error)

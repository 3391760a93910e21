package component

import (
	"slices"
	"time"
)

// ConfigFile is the name of the config file at the top of a workspace.
const ConfigFile = "keos-oci.yaml"

// Config is the settings of the whole workspace: the config file with its defaults filled in. Settings of single
// components are in Component.
type Config struct {
	File     string // path as it was given; empty where the workspace has no config file
	Registry string // as written in the file; Workspace.Registry is the one in use
	Kind     Kind   // componentKind; empty where it is to be detected
	Artifact Artifact
	Secrets  []SecretException
	// Passwords is the severity, warning or error, of literal values of keys that are called like a secret; empty for the default.
	Passwords string
	Baseline  string // file with known findings, relative to the workspace; empty for none
	Signing   Signing
	Channels  Channels
	Generate  Generate
	Formerly  []Former
	Mirrors   []string // prefixes of repositories, without host, whose records count here as well
}

// Former is a name that the checkout's Git repository had.
type Former struct {
	Repository string    // owner/repository, on the host of the present one
	Until      time.Time // what was signed under the name counts if it was logged before
}

// Generate is how clusters reach the registry and check signatures: the defaults of generate's flags, which bear the same
// names. Secrets are named as they are in flux-system.
type Generate struct {
	ClusterRegistry   string `yaml:"clusterRegistry"`
	PullSecret        string `yaml:"pullSecret"`
	ServiceAccount    string `yaml:"serviceAccount"`
	Provider          string `yaml:"provider"`
	CertSecret        string `yaml:"certSecret"`
	Insecure          bool   `yaml:"insecure"`
	KeySecret         string `yaml:"keySecret"`
	TrustedRootSecret string `yaml:"trustedRootSecret"`
	Interval          string `yaml:"interval"`
	Decryption        string `yaml:"decryption"` // sops=SECRET
}

// Artifact says what artifacts may hold.
type Artifact struct {
	External    External
	RemoteBases RemoteBases
	Ignore      []string // patterns like those of .gitignore, relative to the root of each artifact
	MaxSize     int64    // bytes
	Mode        Mode
}

// External says what happens to a file outside a component that it refers to, within its root.
type External string

// The answers to a reference that leaves a component.
const (
	ExternalError   External = "error"
	ExternalInclude External = "include"
)

// RemoteBases says what happens to a reference to a remote URL.
type RemoteBases string

// The answers to a remote reference.
const (
	RemoteBasesError RemoteBases = "error"
	RemoteBasesAllow RemoteBases = "allow"

	// RemoteBasesVendor renders what it names into the artifact.
	RemoteBasesVendor RemoteBases = "vendor"
)

// Mode says what a component takes along.
type Mode string

// The modes.
const (
	ModeFolder  Mode = "folder"  // all of its paths
	ModeClosure Mode = "closure" // what the builds of its variants reach
)

// SecretException names findings of the search for secrets that are known to be harmless.
type SecretException struct {
	Path   string `yaml:"path"` // file or pattern relative to the workspace; ** matches any number of folders
	Reason string `yaml:"reason"`
}

// SignatureFormat says which kinds of signature are written.
type SignatureFormat string

// The formats of signatures.
const (
	FormatBundle SignatureFormat = "bundle" // a Sigstore bundle
	FormatBoth   SignatureFormat = "both"   // the legacy .sig tag as well
)

// Signing says how artifacts are signed and whose signature is accepted. A field left empty means the default of the
// signing code, which knows the place it runs in.
type Signing struct {
	Format      SignatureFormat `yaml:"format"`
	Identity    Identity        `yaml:"identity"`
	Identities  []Identity      `yaml:"identities"` // accepted beside Identity
	Key         string          `yaml:"key"`        // a file's absolute path, or a URI
	Keys        []string        `yaml:"keys"`       // absolute paths of the public keys that are accepted; none means Key's
	FulcioURL   string          `yaml:"fulcioURL"`
	RekorURL    string          `yaml:"rekorURL"`
	TrustedRoot string          `yaml:"trustedRoot"` // absolute path
}

// Identity is whose signing certificate is accepted. Of Subject and SubjectRegexp at most one is set. In SubjectRegexp,
// {component} and {version} stand for those of the artifact that is judged.
type Identity struct {
	Issuer        string   `yaml:"issuer"`        // exactly
	Subject       string   `yaml:"subject"`       // exactly
	SubjectRegexp string   `yaml:"subjectRegexp"` // must match the whole subject
	Repository    string   `yaml:"repository"`    // owner/repository on GitHub whose run signed; empty is the checkout's
	RepositoryID  string   `yaml:"repositoryID"`  // GitHub's id of it; empty accepts any
	Triggers      []string `yaml:"triggers"`      // GitHub's events that may have started the run; none means the usual ones
}

// Mover is whose signature a record of a move needs.
type Mover struct {
	Identity
	Until time.Time // what was logged before counts; zero sets no end
}

// IsZero reports whether nothing was configured.
func (i Identity) IsZero() bool {
	return i.Issuer == "" && i.Subject == "" && i.SubjectRegexp == "" && i.Repository == "" && i.RepositoryID == "" && len(i.Triggers) == 0
}

// Source is what moves a channel.
type Source string

// The sources of a channel.
const (
	FromBranch  Source = "branch"
	FromVersion Source = "version"
)

// Promotion reports whether publishing a version moves the channel.
type Promotion string

// The ways of promotion.
const (
	PromoteAuto   Promotion = "auto"
	PromoteManual Promotion = "manual"
)

// Channel is a tag meant to move.
type Channel struct {
	Name    string
	From    Source
	Branch  string    // followed branch, for FromBranch only
	Promote Promotion // for FromVersion only
	Journal bool      // whether each move is kept on record
	Movers  []Mover
	// Identities is whose signature an artifact needs on this channel, of any of them; those of Signing where the channel
	// configures none.
	Identities []Identity
}

// Channels is all channels of a component, in the order of their names.
type Channels []Channel

// Find returns the channel of that name. The error is ErrUnknown, and lists those there are.
func (c Channels) Find(name string) (Channel, error) {
	var names []string
	for _, channel := range c {
		if channel.Name == name {
			return channel, nil
		}
		names = append(names, channel.Name)
	}
	return Channel{}, unknown("channel", name, names)
}

// From returns the channels that a branch or versions move.
func (c Channels) From(source Source) Channels {
	return slices.DeleteFunc(slices.Clone(c), func(channel Channel) bool { return channel.From != source })
}

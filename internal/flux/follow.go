package flux

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// pinTimeout bounds how long a registry is asked about a pin: generate works without one.
const pinTimeout = 10 * time.Second

// follow opens the workspaces and gives the components of these kinds, those named in the order of their names.
func (r *Request) follow(ctx context.Context, with OpenOptions, names []string, kinds ...component.Kind) ([]Followed, error) {
	dirs := r.dirs()
	if !with.Plain {
		if err := r.CheckWorkspaces(); err != nil {
			return nil, err
		}
	}
	var found []Followed
	workspaces := map[string]Workspace{} // by the name of a component: the first one that has it
	for _, dir := range dirs {
		ws, err := r.Open(ctx, dir, with)
		if err != nil {
			return nil, fmt.Errorf("workspace %s: %w", dir, err)
		}
		set := ws.Loaded().Components
		r.defaults(ws.Loaded())
		for _, c := range set {
			if !slices.Contains(kinds, c.Kind) || !wanted(c, names, set) {
				continue
			}
			f, err := r.of(ctx, ws, c)
			if err != nil {
				return nil, err
			}
			found = append(found, f)
			if workspaces[c.Name] == nil {
				workspaces[c.Name] = ws
			}
		}
		if len(dirs) == 1 {
			if _, err := set.Select(names...); err != nil {
				return nil, err
			}
		}
	}
	chosen, err := r.choose(found, names, kinds)
	if err != nil {
		return nil, err
	}
	for _, f := range chosen {
		if err := r.checkPin(ctx, workspaces[f.Component.Name], f); err != nil {
			return nil, err
		}
	}
	return chosen, nil
}

// CheckWorkspaces refuses several workspaces beside a registry or a config, which are of one workspace.
func (r *Request) CheckWorkspaces() error {
	if n := len(r.Workspaces); n > 1 && r.OneWorkspace {
		return fmt.Errorf("%w: --registry and --config are for one workspace, and there are %d of --workspace", exit.ErrUsage, n)
	}
	return nil
}

// dirs are the folders of the checkouts with components.
func (r *Request) dirs() []string {
	if len(r.Workspaces) == 0 {
		return []string{r.Directory}
	}
	return r.Workspaces
}

// wanted reports whether a component is one of those named. Without names it is each one, but for a fleet beside components of
// other kinds: the environment of those selects nothing of a fleet.
func wanted(c component.Component, names []string, all component.Set) bool {
	if len(names) > 0 {
		return slices.Contains(names, c.Name)
	}
	return c.Kind != component.Fleet || !slices.ContainsFunc(all, func(o component.Component) bool { return o.Kind != component.Fleet })
}

// of is a component of a workspace with the policies of its channels.
func (r *Request) of(ctx context.Context, ws Workspace, c component.Component) (Followed, error) {
	files := ws.Tracked()
	f := Followed{Component: c, Policies: Policies{}, YML: usesYML(files)}
	if c.Kind == component.Fleet {
		f.Clusters, f.EncryptedIn = clustersOf(files, c), ws.EncryptedIn
	} else {
		var err error
		if f.Encrypted, f.Uses, err = ws.Needs(ctx, c); err != nil {
			return f, fmt.Errorf("component %s: %w", c.Name, err)
		}
	}
	for _, channel := range c.Channels {
		policy, err := r.policy(ctx, ws, c, channel.Name)
		if err != nil {
			return f, fmt.Errorf("component %s: %w", c.Name, err)
		}
		f.Policies[channel.Name] = policy
		if _, ok := f.Policies[AnyVersion]; !ok && channel.From == component.FromVersion {
			f.Policies[AnyVersion] = policy
		}
	}
	f.Versions = func(version string) (sign.Policy, error) { return r.policy(ctx, ws, c, version) }
	return f, nil
}

// clustersOf lists the folders of a fleet's clusters, relative to the root of its artifact.
func clustersOf(files []string, c component.Component) []string {
	var folders []string
	for _, file := range files {
		inner, ok := strings.CutPrefix(file, path.Join(c.Root, "clusters")+"/")
		name, _, isFolder := strings.Cut(inner, "/")
		if ok && isFolder && !strings.HasPrefix(name, "_") && !strings.HasPrefix(name, ".") {
			folders = append(folders, path.Join("clusters", name))
		}
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}

// usesYML reports whether workflows of a checkout end in .yml.
func usesYML(files []string) bool {
	return slices.ContainsFunc(files, func(file string) bool { return path.Dir(file) == ".github/workflows" && path.Ext(file) == ".yml" })
}

// policy is what promote checks of a tag. Of a key pair the file's name is enough: clusters read the public key from a Secret, and
// opening the private key would ask for a password. Where a key and an identity count, the Secret with the key decides.
func (r *Request) policy(ctx context.Context, ws Workspace, c component.Component, t string) (sign.Policy, error) {
	key := r.Key
	fill(&key, c.Signing.Key)
	if len(c.Signing.Keys) > 0 {
		fill(&key, c.Signing.Keys[0])
	}
	named := slices.ContainsFunc(c.Channels, func(ch component.Channel) bool { return len(ch.Identities) > 0 })
	if r.Asked.IsZero() && key != "" && (!named || r.Trust.Key != "" || r.Key != "") {
		return sign.Policy{Key: key}, nil
	}
	return ws.ClusterPolicy(ctx, c, t, r.Asked)
}

// choose puts the components into the order asked for and gives them what flags say of single ones.
func (r *Request) choose(found []Followed, names []string, kinds []component.Kind) ([]Followed, error) {
	chosen := found
	var set component.Set
	for _, f := range found {
		set = append(set, f.Component)
	}
	if len(names) > 0 {
		chosen = nil
		for _, name := range names {
			i := slices.IndexFunc(found, func(f Followed) bool { return f.Component.Name == name })
			if i < 0 {
				_, err := set.Find(name)
				return nil, fmt.Errorf("%w (of the kind %s)", err, enumerateKinds(kinds))
			}
			chosen = append(chosen, found[i])
		}
	}
	return chosen, r.apply(chosen, set)
}

func enumerateKinds(kinds []component.Kind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, " or ")
}

// checkPin refuses a version or digest that the registry does not have: clusters would wait for it. A range or a channel may
// be there later.
func (r *Request) checkPin(ctx context.Context, ws Workspace, f Followed) error {
	pin := cmp.Or(f.Pin.Digest, f.Pin.Semver, f.Pin.Tag)
	if pin == "" {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, pinTimeout)
	defer cancel()
	c := f.Component
	var err error
	if f.Pin.Semver != "" {
		var versions []string
		versions, err = ws.PublishedIn(asking, c, pin)
		if err == nil && len(versions) == 0 {
			r.Output.Note(fmt.Sprintf("%s has no version in %s: clusters wait until one is published", c.Repository, pin))
		}
	} else {
		err = ws.Published(asking, c, pin)
	}
	_, notVersion := tag.ParseVersion(f.Pin.Tag)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, tag.ErrPin) && (f.Pin.Digest != "" || notVersion == nil):
		return fmt.Errorf("--pin %s=%s: %w", c.Name, pin, err)
	case errors.Is(err, tag.ErrPin):
		r.Output.Note(fmt.Sprintf("%s has no tag %s: clusters wait until it is there", c.Repository, pin))
	case err != nil:
		r.Output.Note(fmt.Sprintf("it is not known whether %s has %s: %v", c.Repository, pin, err))
	}
	return nil
}

package component

import (
	"fmt"
	"path"
)

// Standalone is a workspace without a checkout: components that are known by their names alone, with the channels that a
// workspace has which configures none. registry is HOST/PREFIX, with or without a scheme.
func Standalone(registry string, names []string) (*Workspace, error) {
	s := &settings{doc: &document{file: ConfigFile}, channels: defaultChannels()}
	s.fill()
	scheme, prefix, err := s.registry(Options{Registry: registry})
	if err != nil {
		return nil, err
	}
	w := &Workspace{Registry: prefix, Scheme: scheme, Config: s.config}
	for _, name := range names {
		if !isElement(name) {
			return nil, fmt.Errorf("%w: %q is not the name of a repository", ErrConfig, name)
		}
		c := Component{Name: name, Kind: App, Dir: ".", Root: ".", Paths: []string{"."}, GitTag: name + "/v" + versionMark,
			Signing: s.config.Signing, Channels: s.config.Channels}
		if c.Repository, err = newRepository(path.Join(prefix, name)); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		w.Components = append(w.Components, c)
	}
	return w, nil
}

package migrate

import (
	"context"
	"fmt"
	"slices"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux"
)

// sources makes sources for the components of all workspaces.
func (r *run) sources(ctx context.Context) (Sources, error) {
	shared, err := r.Flux.Shared(ctx, r.checkouts...)
	if err != nil {
		return Sources{}, err
	}
	return Sources{
		Shared: func(c component.Component, namespace string) ([]byte, error) {
			f, err := followedOf(shared, c)
			if err != nil {
				return nil, err
			}
			return shared.Source(f, namespace)
		},
		Own: func(c component.Component, namespace, channelOrVersion string) ([]byte, error) {
			f, err := pinned(shared, c, channelOrVersion)
			if err != nil {
				return nil, err
			}
			return shared.Own(f, namespace)
		},
		Settings: func(channel string, components []string) ([]flux.Setting, error) {
			of := shared
			of.Components = slices.DeleteFunc(slices.Clone(shared.Components), func(f flux.Followed) bool {
				return !slices.Contains(components, f.Component.Name)
			})
			return of.Settings(channel)
		},
	}, nil
}

// fleetSources makes sources for the component of the kind fleet.
func (r *run) fleetSources(ctx context.Context) (FleetSources, error) {
	shared, err := r.Flux.Shared(ctx, r.checkouts...)
	if err != nil {
		return FleetSources{}, err
	}
	return FleetSources{
		Source: func(c component.Component, name, namespace, channel string) ([]byte, error) {
			f, err := pinned(shared, c, channel)
			if err != nil {
				return nil, err
			}
			return shared.OwnAs(f, name, namespace)
		},
		Sync: func(c component.Component, channel string) (flux.Sync, error) {
			f, err := pinned(shared, c, channel)
			if err != nil {
				return flux.Sync{}, err
			}
			return shared.Sync(f, channel)
		},
	}, nil
}

func pinned(shared flux.Shared, c component.Component, channelOrVersion string) (flux.Followed, error) {
	f, err := followedOf(shared, c)
	if err == nil {
		err = f.PinTo(channelOrVersion)
	}
	return f, err
}

func followedOf(shared flux.Shared, c component.Component) (flux.Followed, error) {
	for _, f := range shared.Components {
		if f.Component.Repository == c.Repository {
			return f, nil
		}
	}
	return flux.Followed{}, fmt.Errorf("%w %s", component.ErrUnknown, c.Name)
}

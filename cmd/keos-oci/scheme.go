package main

import (
	"fmt"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/registry"
)

// scheme is how the registry is spoken to: as --plain-http says, as the registry is written, or with TLS where a certificate of its
// authority is given.
func (a *app) scheme(workspace *component.Workspace) (registry.Scheme, error) {
	written := registry.Scheme(workspace.Scheme)
	asked := map[bool]registry.Scheme{true: registry.HTTP, false: registry.HTTPS}[a.global.plainHTTP]
	switch {
	case a.global.plainHTTPAsked && written != registry.ByHost && written != asked:
		return "", fmt.Errorf("%w: --plain-http=%t contradicts the registry %s", errUsage, a.global.plainHTTP, workspace.Address())
	case a.global.plainHTTPAsked:
		return asked, nil
	case written == registry.ByHost && a.global.registryCA != "":
		return registry.HTTPS, nil
	}
	return written, nil
}

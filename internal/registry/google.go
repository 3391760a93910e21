package registry

import (
	"context"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/google"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// isGoogle reports whether a host is Artifact Registry or its predecessor.
func isGoogle(host string) bool {
	return host == "gcr.io" || strings.HasSuffix(host, ".gcr.io") || strings.HasSuffix(host, "-docker.pkg.dev")
}

// googleLogin is the login of the machine or of gcloud, the zero Login where there is none: a public repository needs none.
func googleLogin(ctx context.Context) Login {
	for _, place := range []struct {
		name string
		make func(context.Context) (authn.Authenticator, error)
	}{
		{"Google's application default credentials", google.NewEnvAuthenticator},
		{"gcloud", google.NewGcloudAuthenticator},
	} {
		a, err := place.make(ctx)
		if err != nil {
			continue
		}
		c, err := authn.Authorization(ctx, a)
		if err == nil && c.Password != "" {
			return Login{User: c.Username, From: place.name, credential: auth.Credential{Username: c.Username, Password: c.Password}}
		}
	}
	return Login{}
}

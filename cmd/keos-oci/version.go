package main

import (
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/render"
)

// libraries are those that decide what is signed, packed and pushed.
func libraries() []string {
	return []string{"github.com/Masterminds/semver/v3", "github.com/google/go-containerregistry", "github.com/sigstore/cosign/v2",
		"github.com/sigstore/sigstore-go", "github.com/spf13/cobra", "oras.land/oras-go/v2", "sigs.k8s.io/kustomize/api"}
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version and what the program was built from",
		Long:    "Prints the version, the commit, the Go compiler and the libraries that decide how artifacts are packed, pushed and signed.",
		Example: "  keos-oci version\n  keos-oci version -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.print(buildResult())
		},
	}
}

// buildResult reads what the Go toolchain put into the program. The linker gets no flags for it.
func buildResult() *render.Version {
	res := &render.Version{Version: version(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Libraries: map[string]string{}}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return res
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			res.Commit = s.Value
		case "vcs.time":
			res.Time = s.Value
		case "vcs.modified":
			res.Modified = s.Value == "true"
		}
	}
	for _, m := range info.Deps {
		if slices.Contains(libraries(), m.Path) {
			res.Libraries[m.Path] = m.Version
		}
	}
	return res
}

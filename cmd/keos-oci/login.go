package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/render"
)

func (a *app) loginCmd() *cobra.Command {
	var user string
	var fromStdin bool
	cmd := &cobra.Command{
		Use:   "login HOST[:PORT]",
		Short: "Log in to a registry, as docker login does",
		Long: `Checks the login with the registry and writes it where docker login does: to the credential helper that Docker's config has, else
to the config itself ($DOCKER_CONFIG/config.json, by default ~/.docker/config.json), which does not encrypt passwords. It
asks for the password at the terminal, or reads it from stdin.`,
		Example: `  keos-oci login registry.example.com:11443
  keos-oci login ghcr.io --username bot --password-stdin   # in CI: pipe it in`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVarP(&user, "username", "u", "", "user of the registry")
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from stdin")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, host, err := a.registryClient(args[0])
		if err != nil {
			return err
		}
		user, password, err := a.credentials(cmd.Context(), host, user, fromStdin)
		if err != nil {
			return err
		}
		stored, err := client.LogIn(cmd.Context(), host, user, password)
		if err != nil {
			return err
		}
		return a.finish(loggedIn(host, user, stored), nil)
	}
	return cmd
}

func (a *app) logoutCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "logout HOST[:PORT]",
		Short: "Remove the login for a registry, as docker logout does",
		Long: `Removes the login from the credential helper of Docker's config, or from the config itself. It says so if another file still has a
login for this registry, such as Podman's auth.json.`,
		Example: "  keos-oci logout registry.example.com:11443",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, host, err := a.registryClient(args[0])
			if err != nil {
				return err
			}
			stored, err := client.LogOut(cmd.Context(), host)
			if err != nil {
				return err
			}
			return a.finish(loggedOut(host, stored), nil)
		},
	}
}

// registryClient is what speaks to a registry that is given as [http[s]://]HOST[:PORT].
func (a *app) registryClient(address string) (*registry.Client, string, error) {
	scheme, host, found := strings.Cut(strings.TrimSuffix(address, "/"), "://")
	if !found {
		scheme, host = "", scheme
	}
	if scheme != "" && scheme != "http" && scheme != "https" || strings.ContainsAny(host, "/@") {
		return nil, "", fmt.Errorf("%w: %s is not a registry: give HOST or HOST:PORT alone, without a path", errUsage, address)
	}
	if _, err := name.NewRegistry(host, name.StrictValidation); err != nil {
		return nil, "", fmt.Errorf("%w: %s is not a registry: give HOST or HOST:PORT", errUsage, address)
	}
	client, err := a.opener().ForHost(host, scheme)
	return client, host, err
}

// credentials reads the user and the password, from the flags and stdin or at the terminal.
func (a *app) credentials(ctx context.Context, host, user string, fromStdin bool) (string, string, error) {
	switch {
	case fromStdin && user == "":
		return "", "", fmt.Errorf("%w: --password-stdin needs the user: --username USER", errUsage)
	case fromStdin:
		raw, err := io.ReadAll(io.LimitReader(a.in, maxPassword))
		if err != nil {
			return "", "", err
		}
		password := strings.TrimRight(string(raw), "\r\n")
		return user, password, notEmpty(password)
	case !a.interactive():
		return "", "", fmt.Errorf("%w: there is no terminal to ask for the password: use --username USER --password-stdin", errUsage)
	}
	if user == "" {
		var err error
		if user, err = a.line(ctx, fmt.Sprintf("User of %s: ", host)); err != nil {
			return "", "", err
		}
		if user == "" {
			return "", "", fmt.Errorf("%w: the user is empty", errUsage)
		}
	}
	password, err := a.secret("Password: ")
	if err != nil {
		return "", "", err
	}
	return user, string(password), notEmpty(string(password))
}

// maxPassword bounds a password: those of clouds are tokens of a few KiB.
const maxPassword = 1 << 20

func notEmpty(password string) error {
	if password == "" {
		return fmt.Errorf("%w: the password is empty", errUsage)
	}
	return nil
}

func loggedIn(host, user string, stored registry.Stored) render.Login {
	r := render.Login{Host: host, User: user, Status: render.LoggedIn, File: stored.File, Helper: stored.Helper}
	if stored.Helper == "" {
		r.Notes = append(r.Notes, "the password is in "+stored.File+
			", not encrypted, as docker login writes it; a credential helper would encrypt it")
	}
	if !stored.Asked {
		r.Notes = append(r.Notes, "the login is not checked: "+host+" asks for none before something is read or written")
	}
	return r
}

func loggedOut(host string, stored registry.Stored) render.Login {
	r := render.Login{Host: host, Status: render.LoggedOut, File: stored.File, Helper: stored.Helper}
	if !stored.Removed {
		r.Status = render.NotLoggedIn
	}
	if stored.Left.Found() {
		r.Notes = append(r.Notes, "another login for "+host+" is still used, from "+stored.Left.From)
	}
	return r
}

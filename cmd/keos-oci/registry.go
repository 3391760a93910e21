package main

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/registry/embedded"
)

func (a *app) registryCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "registry", Short: "Run a small registry for demos and tests"}
	cmd.AddCommand(a.registryServeCmd())
	return cmd
}

func (a *app) registryServeCmd() *cobra.Command {
	var listen, dir string
	var anywhere bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve an OCI registry from a folder until interrupted",
		Long: `A real registry (CNCF distribution) without login and TLS, for demos, tests and air-gapped trials. It listens on
loopback only. With
--allow-remote it listens on other addresses, and everybody who reaches them can read and write. The first line of stdout is the address.
Port 0 selects a free port.`,
		Example: "  keos-oci registry serve --listen 127.0.0.1:5000 --dir ./registry",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			host, _, err := net.SplitHostPort(listen)
			if err != nil {
				return fmt.Errorf("%w: --listen %s: %w", errUsage, listen, err)
			}
			if !anywhere && !registry.Loopback(host) {
				return fmt.Errorf("%w: --listen %s is not loopback, and this registry has no login: add --allow-remote to serve it all the same",
					errUsage, listen)
			}
			l, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", listen)
			if err != nil {
				return err
			}
			fmt.Fprintln(a.out, l.Addr())
			defer a.process.Critical()() // requests under way are answered
			return embedded.Serve(cmd.Context(), l, dir)
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:5000", "address to listen on")
	f.StringVar(&dir, "dir", "registry", "folder for the content")
	f.BoolVar(&anywhere, "allow-remote", false, "allow an address that other machines can reach")
	a.noTimeout(cmd)
	return cmd
}

// noTimeout lets a command run until it is interrupted unless --timeout is given.
func (a *app) noTimeout(cmd *cobra.Command) {
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed("timeout") {
			a.global.timeout = 0
		}
		return a.begin(cmd)
	}
}

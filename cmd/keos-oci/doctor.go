package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/doctor"
	"github.com/stratio/keos-oci/internal/render"
)

func (a *app) doctorCmd() *cobra.Command {
	var signing signFlags
	var readOnly bool
	cmd := &cobra.Command{
		Use:   "doctor [COMPONENT…]",
		Short: "Check everything that publishing, moving and following depend on",
		Long: `Looks at the checkout, the config, the login and its rights on each repository, TLS, the clock, Sigstore or the key, who may
sign and move each channel, what clusters would refuse, and the content of the components. Each check has one line: ok, warning,
error or unknown, and what to do.

Nothing is written to the registry. To see whether the login may write, an upload is begun and canceled; it has no content and no name.
Where the environment has an identity token, doctor requests a certificate from Fulcio, as publish does.

Exit code 0 means that all is fine, warnings included; 3 that something is wrong; 1 that nothing is known to be wrong, but a check has
no answer.`,
		Example: `  keos-oci doctor
  keos-oci doctor frontend --read-only   # with a login that may only read
  keos-oci doctor --key cosign.pub -o json`,
		ValidArgsFunction: a.completeComponents,
	}
	signing.bindMover(cmd.Flags())
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "check what readers need: not the right to push, and nothing of signing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, password := os.LookupEnv("COSIGN_PASSWORD")
		res, err := doctor.Run(cmd.Context(), doctor.Request{Opener: a.opener(), Signing: signing.settings(), Names: args, ReadOnly: readOnly,
			Password: password})
		if err != nil {
			return err
		}
		return a.finish(render.Doctor{Result: res}, res.Err())
	}
	return cmd
}

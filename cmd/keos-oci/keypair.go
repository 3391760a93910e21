package main

import (
	"bytes"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/render"
	"github.com/stratio/keos-oci/internal/sign"
)

// passwordVariable has the password of private keys, as for cosign.
const passwordVariable = "COSIGN_PASSWORD"

// password opens a private key: COSIGN_PASSWORD, else the person at the terminal.
func (a *app) password() ([]byte, error) {
	if p, ok := os.LookupEnv(passwordVariable); ok {
		return []byte(p), nil
	}
	if !a.interactive() {
		return nil, errors.New("COSIGN_PASSWORD is not set")
	}
	return a.secret("Password of the private key: ")
}

// newPassword is the password of a key that is made. Whoever types it does so twice.
func (a *app) newPassword() ([]byte, error) {
	password, err := a.password()
	if _, set := os.LookupEnv(passwordVariable); set || err != nil {
		return password, err
	}
	again, err := a.secret("Repeat the password: ")
	if err == nil && !bytes.Equal(password, again) {
		err = errors.New("the two passwords differ; no key was made: run the same command again")
	}
	return password, err
}

// generateKeyPairCmd serves places without Sigstore and without cosign.
func (a *app) generateKeyPairCmd() *cobra.Command {
	var prefix string
	cmd := &cobra.Command{
		Use:   "generate-key-pair",
		Short: "Make a cosign key pair to sign without Sigstore",
		Long: `Writes the private key <prefix>.key and the public key <prefix>.pub. The private key is encrypted with COSIGN_PASSWORD, or
with a password that you type twice. Existing files are not overwritten. Clusters verify with the public key. Keep the private key where
only the job that publishes can read it.`,
		Example: "  keos-oci generate-key-pair\n  COSIGN_PASSWORD=… keos-oci generate-key-pair --output-key-prefix team",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			made, err := a.generateKeyPair(prefix)
			if err != nil {
				return err
			}
			return a.print(made)
		},
	}
	cmd.Flags().StringVar(&prefix, "output-key-prefix", "cosign", "path of the two files without .key and .pub")
	return cmd
}

// generateKeyPair makes the two files.
func (a *app) generateKeyPair(prefix string) (*render.KeyPair, error) {
	made := &render.KeyPair{PrivateKey: prefix + ".key", PublicKey: prefix + ".pub"}
	return made, sign.WriteKeyPair(made.PrivateKey, made.PublicKey, a.newPassword)
}

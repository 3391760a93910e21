package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/render"
)

func (a *app) auditCmd() *cobra.Command {
	var req release.AuditRequest
	var anchor anchorFlag
	var write string
	var signing signFlags
	cmd := &cobra.Command{
		Use:   "audit [COMPONENT…]",
		Short: "Verify every version, release record, channel and journal record",
		Long: `Checks everything in the registry by the rules of verify, and looks for missing signatures, versions and records. The
exit code is 3 if
something is wrong, and 1 if something could not be checked.

Whoever can write to the registry can also delete the newest records. What is left looks complete. An anchor protects against that: it is
a file with the newest signed record of each channel. Keep it outside the registry, in the cache of CI or in the fleet repository.`,
		Example: `  keos-oci audit
  keos-oci audit --anchor anchor.json                  # was anything deleted?
  keos-oci audit --anchor anchor.json --write-anchor   # and keep what is new
  keos-oci audit --rekor-url https://rekor.sigstore.dev
  keos-oci audit frontend -o json`,
		ValidArgsFunction: a.completeComponents,
	}
	f := cmd.Flags()
	anchor.bind(f)
	f.StringVar(&write, "write-anchor", "",
		"write the newest records to the file of --anchor, or to this file; records that were deleted stay in it")
	f.Lookup("write-anchor").NoOptDefVal = sameFile
	signing.bindVerifier(f)
	f.StringVar(&signing.Services.RekorURL, "rekor-url", "",
		"transparency log to search for records that the registry lacks, such as https://rekor.sigstore.dev (default from the config, else none)")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if write == sameFile && anchor.file == "" {
			return fmt.Errorf("%w: --write-anchor: say the file, with --anchor FILE or --write-anchor=FILE", errUsage)
		}
		if req.Anchor, err = anchor.open(); err != nil {
			return err
		}
		if req.KeepHeads = write != ""; req.KeepHeads && req.Anchor == nil {
			anchor.anchor = new(journal.Anchor)
			req.Anchor = anchor.anchor
		}
		svc, names, err := a.serviceFor(cmd.Context(), &signing, args...)
		if err != nil {
			return err
		}
		req.Components, req.Rekor = names, a.rekor
		res, err := svc.Audit(cmd.Context(), req)
		if err != nil {
			return err
		}
		if write != "" && write != sameFile {
			anchor.file = write
		}
		return errors.Join(a.finish(render.Audit{AuditResult: res}, res.Err()), anchor.save(req.KeepHeads))
	}
	return cmd
}

// sameFile is --write-anchor without a file.
const sameFile = "(the file of --anchor)"

// anchorFlag is the file of heads that a verb compares journals with.
type anchorFlag struct {
	file   string
	anchor *journal.Anchor
}

func (f *anchorFlag) bind(flags *pflag.FlagSet) {
	defer under(flags, headingJournal)()
	flags.StringVar(&f.file, "anchor", "",
		"file with the newest record of each channel, kept outside the registry; a journal without that record was cut off")
}

// open reads the file. Without the flag the anchor is nil.
func (f *anchorFlag) open() (_ *journal.Anchor, err error) {
	if f.file != "" {
		f.anchor, err = journal.OpenAnchor(f.file)
	}
	return f.anchor, err
}

// save writes the file anew if records were put in.
func (f *anchorFlag) save(always bool) error {
	if f.anchor == nil || !always && !f.anchor.Changed() {
		return nil
	}
	return f.anchor.Save(f.file)
}

package scaffold

import (
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/fileset"
)

// The actions of others that workflows use, by their full commits: a tag can be moved by whoever can push there.
const (
	checkoutAction = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2"
	loginAction    = "docker/login-action@74a5d142397b4f367a81961eba4e8cd7edddf772 # v3.4.0"
	cacheAction    = "actions/cache@5a3ec84eff668545956fd18022155c47e93e2684 # v4.2.3"
	uploadAction   = "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02 # v4.6.2"
)

// github is one workflow for each thing that can happen, so that the certificate of a signature names what it was.
func (w *workflows) github() ([]fileset.File, error) {
	for _, c := range w.set {
		w.Tags = append(w.Tags, glob(c, ""), glob(c, "-*"))
	}
	const dir = ".github/workflows/"
	return w.files([][2]string{
		{dir + "check.yaml", "github/check.yaml"}, {dir + "publish.yaml", "github/publish.yaml"}, {dir + "release.yaml", "github/release.yaml"},
		{dir + "promote.yaml", "github/promote.yaml"}, {dir + "rollback.yaml", "github/rollback.yaml"}, {dir + "audit.yaml", "github/audit.yaml"},
	})
}

// Checkout is the step's action; so are Login, Cache, Upload and Uses.
func (w *workflows) Checkout() string { return checkoutAction }

// Login logs in to a registry.
func (w *workflows) Login() string { return loginAction }

// Cache keeps a file from one run to the next.
func (w *workflows) Cache() string { return cacheAction }

// Upload keeps a file of a run.
func (w *workflows) Upload() string { return uploadAction }

// Uses is the project's own action.
func (w *workflows) Uses() string {
	uses := "stratio/keos-oci@" + w.Action.Commit
	if w.Action.Version != "" {
		uses += " # " + w.Action.Version
	}
	return uses
}

// glob makes a filter pattern of a component's tags, with what may follow the version. Of the letters that have a meaning
// in filters, Git allows two in tags.
func glob(c component.Component, after string) string {
	literal := strings.NewReplacer("+", `\+`, "!", `\!`)
	return strings.Replace(literal.Replace(c.GitTagOf("\x00")), "\x00", "[0-9]+.[0-9]+.[0-9]+"+after, 1)
}

package flux

import (
	"fmt"
	"strings"

	"github.com/stratio/keos-oci/internal/fileset"
)

// Allowlist describes the admission policy that keeps tenants to known sources.
type Allowlist struct {
	Sources []string // beginnings of URLs, each with a slash at the end
	Folder  string   // of the fleet, in which the file is; tenants where empty
}

// File returns tenants/policies.yaml.
func (a Allowlist) File() (fileset.File, error) {
	if err := a.validate(); err != nil {
		return fileset.File{}, err
	}
	content, err := fillIn("policies.yaml", a)
	return fileset.File{Path: tenantsFile(a.Folder, "policies"), Content: content}, err
}

// validate refuses what would let others in, and what would keep everybody out: the policy checks that exactly one source
// fits, so that of two that overlap neither would.
func (a Allowlist) validate() error {
	if err := checkTenantsFolder(a.Folder); err != nil {
		return err
	}
	if len(a.Sources) == 0 {
		return fmt.Errorf("%w: no source is allowed", ErrInput)
	}
	for i, s := range a.Sources {
		scheme, rest, ok := strings.Cut(s, "://")
		if !ok || rest == "" || scheme != "oci" && scheme != "https" && scheme != "http" && scheme != "ssh" ||
			strings.ContainsAny(s, " \t\n'\"\\$#,") {
			return fmt.Errorf("%w: source %q: want the beginning of a URL, such as oci://ghcr.io/stratio/", ErrInput, s)
		}
		if !strings.HasSuffix(s, "/") {
			return fmt.Errorf("%w: source %q: without a slash at the end, it would also allow what merely begins alike", ErrInput, s)
		}
		for _, other := range a.Sources[:i] {
			if strings.HasPrefix(s, other) || strings.HasPrefix(other, s) {
				return fmt.Errorf("%w: of the sources %s and %s one contains the other, but the policy allows exactly one match: drop the longer one",
					ErrInput, other, s)
			}
		}
	}
	return nil
}

package flux

import (
	"context"
	"fmt"
	"os"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/fileset"
)

// PairsRequest asks for the objects of clusters without Flux Operator.
type PairsRequest struct {
	Request
	Pairs  Pairs
	Names  []string // of components; all where empty
	Values []string // KEY=VALUE: values of ${VARIABLES} in the content
	Into   string   // file whose OCIRepositories are changed; whole objects are written where it is empty
}

// Generate writes the objects, or changes where those of a file point.
func (r PairsRequest) Generate(ctx context.Context) (*fileset.Result, error) {
	follow, err := r.follow(ctx, OpenOptions{}, r.Names, component.Infra, component.App, component.Fleet)
	if err != nil {
		return nil, err
	}
	if len(follow) == 0 {
		return nil, fmt.Errorf("%w: no component of the kind infra, app or fleet", component.ErrNoComponents)
	}
	p := r.Pairs
	p.Components, p.Access, p.Trust, p.Interval = follow, r.Access, r.Trust, r.Interval
	if p.Substitute, err = parseSettings("substitute", r.Values); err != nil {
		return nil, err
	}
	if p.Decryption, err = r.decryptionSecret(); err != nil {
		return nil, err
	}
	if r.Into != "" {
		return p.repinFile(r.Into, r.Output)
	}
	if p.Values, err = findValues(r.Output.Dir, p.SubstituteFrom, p.Namespace); err != nil {
		return nil, err
	}
	files, err := p.Files()
	if err != nil {
		return nil, err
	}
	r.Output.Note(p.Notes()...)
	return r.Output.Put(files, fileset.Entries{})
}

// repinFile changes where the OCIRepositories in a file point.
func (p Pairs) repinFile(file string, output fileset.Request) (*fileset.Result, error) {
	before, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", exit.ErrUsage, err)
	}
	after, changed, err := p.repin(file, before)
	if err != nil {
		return nil, err
	}
	return output.PutEdit(file, before, after, fileset.Entries{Updated: changed})
}

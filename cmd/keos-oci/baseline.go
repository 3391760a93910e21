package main

import (
	"context"
	"fmt"

	"github.com/stratio/keos-oci/internal/render"
)

// writeBaseline takes today's errors of all components as known, and writes them to a file of the checkout.
func (a *app) writeBaseline(ctx context.Context, file string, names []string) error {
	if len(names) > 0 {
		return fmt.Errorf("%w: --write-baseline is about all components: name none", errUsage)
	}
	if a.global.output == formatSARIF {
		return fmt.Errorf("%w: --write-baseline prints text, json or yaml", errUsage)
	}
	svc, err := a.service(ctx, nil)
	if err != nil {
		return err
	}
	res, err := svc.WriteBaseline(ctx, file)
	if err != nil {
		return err
	}
	return a.finish(render.Baseline{BaselineResult: res}, res.Err())
}

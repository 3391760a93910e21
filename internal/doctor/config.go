package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/sign"
)

// chooseKey has a public key verify only: who gives one wants to know what clusters accept.
func (p *patient) chooseKey() {
	private, err := sign.IsPrivateKey(p.Signing.Key)
	if p.Signing.Key != "" && err == nil && !private {
		p.Signing.VerifyOnly = true
	}
}

// config looks whether the config can be read, and says what it comes to.
func (p *patient) config(context.Context) []Check {
	c := Check{Name: "config"}
	switch {
	case p.Session != nil && p.checkout == nil, errors.Is(p.failed, git.ErrNotCheckout):
		return nil
	case p.Session != nil:
		config := p.Workspace.Config.File
		if rel, err := filepath.Rel(p.Workspace.Dir, config); err == nil && config != "" {
			config = rel
		}
		c.Subject = cmp.Or(config, "no config file")
		c.Status, c.Message = OK, fmt.Sprintf("components: %d, published to %s", len(p.Workspace.Components), p.Workspace.Address())
		return []Check{c}
	case errors.Is(p.failed, component.ErrNoComponents):
		c.Status, c.Message, c.Do = Error, p.failed.Error(), "let keos-oci init propose a config"
		return []Check{c}
	case !errors.Is(p.failed, component.ErrConfig):
		c.Status, c.Message = Unknown, p.failed.Error()
		return []Check{c}
	}
	var list []Check
	for line := range strings.SplitSeq(strings.TrimSpace(p.failed.Error()), "\n") {
		list = append(list, Check{"config", "", Error, strings.TrimSpace(line), "correct it; the other checks need a config that can be read"})
	}
	return list
}

package scaffold

import (
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
)

// TestSchemaLine: editors find the schema of the release that wrote the config. A config that is there keeps its own line, or none.
func TestSchemaLine(t *testing.T) {
	const released = schemaPrefix + "https://github.com/stratio/keos-oci/releases/download/v1.2.3/keos-oci.schema.json"
	const main = schemaPrefix + "https://raw.githubusercontent.com/stratio/keos-oci/main/internal/component/schema.json"
	for _, tt := range []struct {
		name, release, existing, want string
		replace                       bool
	}{
		{"of a release", "v1.2.3", "", released, false},
		{"between releases", "", "", main, false},
		{"an older line stays", "v1.2.3", strings.Replace(released, "v1.2.3", "v1.0.0", 1), strings.Replace(released, "v1.2.3", "v1.0.0", 1), false},
		{"no line stays none", "v1.2.3", "# mine", "", false},
		{"replaced", "v1.2.3", "# mine", released, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := fluxDemo().checkout(t, onGitHub)
			ask := Request{Release: tt.release, Layout: LayoutSplit, Replace: tt.replace}
			if tt.existing != "" {
				o = fluxDemo().with(component.ConfigFile, tt.existing+"\n"+header).checkout(t, onGitHub)
			}
			proposal, err := Propose(o, ask)
			if err != nil {
				t.Fatal(err)
			}
			config := string(proposal.Chosen().Config)
			if first, _, _ := strings.Cut(config, "\n"); strings.HasPrefix(first, schemaPrefix) && first != tt.want ||
				!strings.HasPrefix(config, tt.want) {
				t.Errorf("the config begins with %s, want %s", first, tt.want)
			}
			o.ConfigFile, o.Config = "", []byte(config)
			if _, err := component.Load(o); err != nil {
				t.Error(err)
			}
		})
	}
}

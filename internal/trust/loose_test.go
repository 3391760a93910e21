package trust

import (
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
)

func TestLoose(t *testing.T) {
	c := component.Component{Name: "frontend", GitTag: "frontend/v{version}"}
	const repo = `https://github\.com/org/apps/\.github/workflows/release\.yaml`
	for pattern, want := range map[string]string{
		repo + `@refs/tags/{component}/v{version}`:                  "",
		repo + `@refs/tags/frontend/v{version}`:                     "",
		repo + `@refs/heads/main`:                                   "",
		repo + `@refs/tags/.*`:                                      "another-component",
		repo + `@refs/.*`:                                           "another-component",
		repo + `@refs/tags/(frontend|another-component)/v{version}`: "another-component",
		repo + `@refs/tags/frontend/v.*`:                            "{version}",
		repo + `@refs/tags/{component}/v[0-9.]+`:                    "{version}",
		`.*`:                                                        "another-component",
		``:                                                          "",
	} {
		got := Loose(c, component.Identity{SubjectRegexp: pattern})
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
	fleet := component.Component{Name: "fleet", GitTag: "v{version}"}
	if got := Loose(fleet, component.Identity{SubjectRegexp: repo + `@refs/tags/v{version}`}); got != "" {
		t.Error(got)
	}
}

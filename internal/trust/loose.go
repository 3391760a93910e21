package trust

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
)

// Loose says what else the pattern of an identity would accept than the releases of c: those of another component, or of another
// version under a version's own policy. "" when it binds both, or is about a branch.
func Loose(c component.Component, id component.Identity) string {
	if id.SubjectRegexp == "" {
		return ""
	}
	// The text before the ref is not known, so only the end of the pattern is tried.
	pattern := Fill(id.SubjectRegexp, c.Name, "v1.2.3")
	if _, ref, found := strings.Cut(pattern, "@"); found {
		pattern = ref
	} else {
		pattern = ".*" + pattern
	}
	re, err := regexp.Compile(`\A(?:` + strings.Trim(pattern, "^$") + `)\z`)
	if err != nil {
		return ""
	}
	other := c
	other.Name, other.GitTag = "another-component", strings.Replace(c.GitTag, c.Name, "another-component", 1)
	ref := func(c component.Component, version string) string { return "refs/tags/" + c.GitTagOf(version) }
	switch {
	case !re.MatchString(ref(c, "v1.2.3")):
		return ""
	case ref(other, "v1.2.3") != ref(c, "v1.2.3") && re.MatchString(ref(other, "v1.2.3")):
		return fmt.Sprintf("it also accepts the release %s: write {component} for the name", ref(other, "v1.2.3"))
	case re.MatchString(ref(c, "v9.8.7")):
		return fmt.Sprintf("it also accepts the signature of another version's release, such as %s: write {version} for X.Y.Z", ref(c, "v9.8.7"))
	}
	return ""
}

package flux

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/substitution"
)

// Values are what a cluster is known to have for ${VARIABLES}.
type Values struct {
	Name  string // of where they come from, for people
	Known map[string]string
}

// parseDecryption reads sops=SECRET, and returns the Secret with the key.
func parseDecryption(text string) (secret string, err error) {
	secret, ok := strings.CutPrefix(text, "sops=")
	if !ok {
		return "", fmt.Errorf("%w: decryption %q: want sops=SECRET", ErrInput, text)
	}
	return secret, checkObjectName(secret)
}

// decrypt has Flux decrypt with the key in a Secret.
func decrypt(secret string) *decryption { return &decryption{"sops", reference{secret}} }

// demandKey refuses what Flux could not apply: to it, encrypted values are either a fault or the values themselves.
func demandKey(f Followed, secret, namespace string) error {
	if f.Encrypted == "" || secret != "" {
		return nil
	}
	return fmt.Errorf("%w: component %s has the file %s, which SOPS encrypted: name the Secret of %s with the key, --decryption sops=SECRET",
		ErrInput, f.Component.Name, f.Encrypted, namespace)
}

// usesOf is what a build of a folder uses: all of the content where it is not known which folder that is, nil where nobody looked.
func (f Followed) usesOf(folder string) *substitution.Uses {
	if uses := f.Uses[strings.TrimPrefix(folder, "./")]; uses != nil {
		return uses
	}
	return f.Uses[""]
}

// unseen reports whether a build may use variables that nobody saw.
func unseen(uses *substitution.Uses) bool { return uses == nil || uses.Unseen }

// noteBlanked says which text of dashboards and scripts a postBuild replaces by nothing.
func noteBlanked(component string, uses *substitution.Uses, has func(name string) bool) []string {
	if uses == nil {
		return nil
	}
	var notes []string
	for _, file := range uses.Files() {
		names, line := uses.Blanked(file)
		names = slices.DeleteFunc(names, has)
		if len(names) == 0 {
			continue
		}
		notes = append(notes, fmt.Sprintf("%s:%d: the postBuild of %s replaces %s in a dashboard or script by an empty text: "+
			"write $${…}, give its ConfigMap the annotation %s: disabled, or say --no-substitute %s",
			file, line, component, variables(names), substitution.Key, component))
	}
	return notes
}

// noteMissing says which variables a cluster has no value for.
func noteMissing(component string, uses *substitution.Uses, values Values, more func(name string) bool) []string {
	if uses == nil {
		return nil
	}
	var notes []string
	for _, v := range uses.Variables() {
		if _, known := values.Known[v.Name]; known || v.Default || more(v.Name) {
			continue
		}
		notes = append(notes, fmt.Sprintf("%s:%d: %s uses %s, and %s has no value for it: Flux replaces it by an empty text; "+
			"add the value, or write a default, ${%s:=…}",
			v.File, v.Line, component, variables([]string{v.Name}), values.Name, v.Name))
	}
	return notes
}

// variables writes the first few names as they are in a text.
func variables(names []string) string {
	var texts []string
	for _, name := range names[:min(len(names), 5)] {
		texts = append(texts, "${"+name+"}")
	}
	if len(names) > 5 {
		texts = append(texts, "…")
	}
	return strings.Join(texts, ", ")
}

// Notes says what a cluster would replace by nothing, and which values nothing uses.
func (p Pairs) Notes() []string {
	if p.SourceOnly {
		return nil
	}
	var notes []string
	used := map[string]bool{}
	for _, f := range p.Components {
		for _, phase := range phasesOf(f.Component) {
			folder, err := p.folder(f, phase)
			uses := f.usesOf(folder)
			if err != nil || f.NoSubstitute {
				continue
			}
			for _, s := range p.used(uses) {
				used[s.Key] = true
			}
			if p.postBuild(uses) != nil {
				notes = append(notes, p.replaced(f.Component.Name, uses)...)
			}
		}
	}
	for _, s := range p.Substitute {
		if !used[s.Key] {
			notes = append(notes, fmt.Sprintf("--substitute %s: nothing that is delivered uses ${%s}", s.Key, s.Key))
		}
	}
	return unique(notes)
}

// replaced is what one postBuild makes empty.
func (p Pairs) replaced(component string, uses *substitution.Uses) []string {
	notes := noteBlanked(component, uses, p.hasValue)
	if p.SubstituteFrom == "" {
		return append(notes, noteMissing(component, uses, Values{Name: "--substitute"}, p.substitutes)...)
	}
	for _, values := range p.Values {
		notes = append(notes, noteMissing(component, uses, values, p.substitutes)...)
	}
	return notes
}

// substitutes reports whether --substitute gives a value.
func (p Pairs) substitutes(name string) bool {
	return slices.ContainsFunc(p.Substitute, func(s Setting) bool { return s.Key == name })
}

// hasValue reports whether a variable is known to have a value, here or in a ConfigMap.
func (p Pairs) hasValue(name string) bool {
	return p.substitutes(name) || slices.ContainsFunc(p.Values, func(v Values) bool { _, ok := v.Known[name]; return ok })
}

// Notes says what the clusters of a fleet would replace by nothing. Each builds the variant that its settings select.
func (t Tenants) Notes(clusters []KnownCluster) []string {
	anyHas := func(name string) bool {
		return slices.ContainsFunc(clusters, func(c KnownCluster) bool { _, ok := c.Settings[name]; return ok })
	}
	var notes []string
	for _, f := range t.Components {
		if f.NoSubstitute {
			continue
		}
		notes = append(notes, noteBlanked(f.Component.Name, f.Uses[""], anyHas)...)
		for _, c := range clusters {
			if c.Settings != nil {
				notes = append(notes, missingOn(c.Name, f, c.environment(t.Environment), c.Settings)...)
			}
		}
	}
	return unique(notes)
}

// environment is what a literal environment, or the ${VARIABLE} that chooses it, is on a cluster.
func (k KnownCluster) environment(asked string) string {
	if asked == "" {
		asked = "${ENVIRONMENT}"
	}
	name, isVariable := strings.CutPrefix(asked, "${")
	if value, ok := k.Settings[strings.TrimSuffix(name, "}")]; isVariable && ok {
		return value
	}
	return asked
}

// Notes says which variables of the components the new cluster has no value for.
func (c Cluster) Notes() []string {
	settings, err := c.settings()
	if err != nil {
		return nil
	}
	known := map[string]string{}
	for _, s := range settings {
		known[s.Key] = s.Value
	}
	var notes []string
	for _, f := range c.Components {
		notes = append(notes, missingOn(c.Name, f, c.Environment, known)...)
	}
	return unique(notes)
}

func missingOn(cluster string, f Followed, environment string, settings map[string]string) []string {
	var notes []string
	for _, phase := range phasesOf(f.Component) {
		folder, err := phasePath(f.Component, phase, environment)
		if err != nil {
			continue // which is an error of its own
		}
		on := Values{"cluster " + cluster, settings}
		notes = append(notes, noteMissing(f.Component.Name, f.usesOf(folder), on, func(string) bool { return false })...)
	}
	return notes
}

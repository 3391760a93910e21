package trust

import (
	"regexp"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/sign"
)

// ForClusters is the policy that clusters check for a tag of c, as one policy: Flux takes exactly one issuer and one subject, so
// that several are put into one pattern. Former names of the repository are left out unless they are asked for: Flux cannot see
// when something was signed. Keys are left out where identities are accepted as well.
func (r *Rules) ForClusters(c component.Component, t string, former bool) (sign.Policy, error) {
	all, err := r.Artifacts(c, t, "")
	if err != nil {
		return sign.Policy{}, err
	}
	var list sign.Policies
	for _, p := range all {
		if p.Key == "" && (former || !p.Former) {
			list = append(list, p)
		}
	}
	switch {
	case len(list) == 0:
		return all[0], nil
	case len(list) == 1:
		return list[0], nil
	}
	var issuers, subjects []string
	for _, p := range list {
		issuers, subjects = addNew(issuers, wholePattern(p.Issuer, p.IssuerPattern)), addNew(subjects, wholePattern(p.Subject, p.SubjectPattern))
	}
	one := sign.Policy{IssuerPattern: alternatives(issuers), SubjectPattern: alternatives(r.sameButName(subjects))}
	if len(issuers) == 1 {
		one.Issuer, one.IssuerPattern = list[0].Issuer, list[0].IssuerPattern
	}
	return one, nil
}

// sameButName makes one pattern of those that differ in the repository's name alone.
func (r *Rules) sameButName(subjects []string) []string {
	_, path := r.home()
	names := []string{regexp.QuoteMeta(path)}
	for _, f := range r.Formerly {
		names = append(names, regexp.QuoteMeta(f.Repository))
	}
	for _, s := range subjects[1:] {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.Replace(s, n+"/", names[0]+"/", 1) == subjects[0] }) {
			return subjects
		}
	}
	return []string{strings.Replace(subjects[0], names[0]+"/", alternatives(names)+"/", 1)}
}

func addNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

func alternatives(patterns []string) string {
	if len(patterns) == 1 {
		return patterns[0]
	}
	return "(" + strings.Join(patterns, "|") + ")"
}

func wholePattern(exact, pattern string) string {
	if exact != "" {
		return regexp.QuoteMeta(exact)
	}
	return pattern
}

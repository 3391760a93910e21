package kustomize

import (
	"regexp"

	"sigs.k8s.io/kustomize/api/types"
)

// quotedField is a field in kustomize's words about deprecated ones.
var quotedField = regexp.MustCompile(`'(\w+)' is deprecated`)

// Deprecated lists the fields of a kustomization that kustomize will drop; none of one that it cannot read.
func Deprecated(data []byte) []string {
	var k types.Kustomization
	if k.Unmarshal(data) != nil {
		return nil
	}
	var fields []string
	if said := k.CheckDeprecatedFields(); said != nil {
		for _, text := range *said {
			if m := quotedField.FindStringSubmatch(text); m != nil {
				fields = append(fields, m[1])
			}
		}
	}
	return fields
}

package main

import (
	"fmt"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/release"
)

const formatSARIF = "sarif"

// sarif is what check found, for code hosts.
func sarif(r *release.CheckResult) *finding.SARIF {
	var findings []finding.Finding
	var failures []string
	for _, c := range r.Components {
		findings = append(findings, c.Findings...)
		if c.Error != nil && len(c.Error.Findings) == 0 {
			failures = append(failures, fmt.Sprintf("%s: %s", c.Name, c.Error.Message))
		}
	}
	findings = append(findings, r.Warnings...)
	return finding.NewSARIF(version(), append(findings, r.Notes...), failures)
}

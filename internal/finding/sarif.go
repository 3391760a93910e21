package finding

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
)

// SARIF is a report in the Static Analysis Results Interchange Format 2.1.0, which code hosts read. It has the parts of the format
// that we use, by the names of the format.
type SARIF struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type (
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string    `json:"id"`
		ShortDescription sarifText `json:"shortDescription"`
		Help             sarifText `json:"help"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		ExecutionSuccessful bool                `json:"executionSuccessful"`
		Notifications       []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   Severity  `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        Severity           `json:"level"` // the severities have the names of the format's levels
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations,omitempty"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI       string `json:"uri"`
		URIBaseID string `json:"uriBaseId"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
)

// NewSARIF reports findings, each once, and what kept components from being looked at.
func NewSARIF(version string, findings []Finding, failures []string) *SARIF {
	rules := rulesOf(findings)
	run := sarifRun{Results: []sarifResult{}, Invocations: []sarifInvocation{{ExecutionSuccessful: len(failures) == 0}}}
	run.Tool.Driver = sarifDriver{Name: "keos-oci", Version: version, InformationURI: "https://github.com/stratio/keos-oci", Rules: rules}
	for _, failure := range failures {
		run.Invocations[0].Notifications = append(run.Invocations[0].Notifications, sarifNotification{Error, sarifText{text(failure)}})
	}
	seen, nth := map[Finding]bool{}, map[key]int{}
	for _, f := range findings {
		if seen[f] {
			continue
		}
		seen[f] = true
		nth[f.key()]++
		result := newSARIFResult(f, nth[f.key()])
		result.RuleIndex = slices.IndexFunc(rules, func(r sarifRule) bool { return r.ID == f.Rule })
		run.Results = append(run.Results, result)
	}
	return &SARIF{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}

// newSARIFResult is one finding: the nth of its kind in its file.
func newSARIFResult(f Finding, nth int) sarifResult {
	message := f.Message
	if f.Fix != "" {
		message += "; " + f.Fix
	}
	r := sarifResult{RuleID: f.Rule, Level: f.Severity, Message: sarifText{text(message)},
		Fingerprints: map[string]string{"keosOci/v1": f.fingerprint(nth)}}
	if f.File != "" {
		location := sarifPhysical{Artifact: sarifArtifact{(&url.URL{Path: f.File}).String(), "%SRCROOT%"}}
		if f.Line > 0 {
			location.Region = &sarifRegion{f.Line}
		}
		r.Locations = []sarifLocation{{location}}
	}
	if f.Known {
		r.Suppressions = []sarifSuppression{{"external", "known: it is in the baseline"}}
	}
	return r
}

// fingerprint stays the same when lines move.
func (f Finding) fingerprint(nth int) string {
	k := f.key()
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d", k.rule, k.file, k.message, nth))
	return hex.EncodeToString(sum[:16])
}

// rulesOf describes the rules of findings, sorted by their names.
func rulesOf(findings []Finding) []sarifRule {
	var names []string
	for _, f := range findings {
		names = append(names, f.Rule)
	}
	slices.Sort(names)
	rules := []sarifRule{}
	for _, name := range slices.Compact(names) {
		about, help := describe(name)
		rules = append(rules, sarifRule{name, sarifText{about}, sarifText{help}})
	}
	return rules
}

// describe says what a rule finds, and what to do.
func describe(rule string) (about, help string) {
	const secrets = "Encrypt the value with SOPS, or let an operator create it. Treat what was committed as leaked. " +
		"If this is no secret, allow the file in keos-oci.yaml: secrets: {allow: [{path: …, reason: …}]}."
	switch rule {
	case RuleBuild:
		return "A variant does not build", "Correct the file until kustomize builds the folder from the packed files."
	case RuleEqual:
		return "The build of the artifact differs from that of the checkout", "Track the files that the build reads, and let no rule ignore them."
	case RuleReference:
		return "A reference leads out of the component", "Move the file into the component, or set artifact.external in keos-oci.yaml."
	case RuleSecret:
		return "A Secret has a plaintext value", secrets
	case RulePrivateKey:
		return "A private key is not encrypted", secrets
	case RuleDotenv:
		return "A file with environment variables is not encrypted", secrets
	case RuleToken:
		return "A token, or another secret that is known by its form, is in plain text", secrets
	case RulePassword:
		return "A key that is called like a secret has a literal value", secrets
	case RuleSize:
		return "A file is too large", "Take the file out of the component."
	case RuleEmpty:
		return "A variant builds nothing", "List resources in the kustomization, or take the folder out of the variants."
	case RuleAPIVersion:
		return "An API version of Flux is old", "Write the version that the message names."
	case RuleSubstitute:
		return "Flux may replace variables of another program", "Annotate the object with kustomize.toolkit.fluxcd.io/substitute: disabled."
	case RuleImageUpdate:
		return "Image automation and Git sources have no effect in an artifact", "Keep these objects outside the component."
	case RuleRemote:
		return "A remote base cannot be rendered, or may change", "Name a commit in the URL."
	case RuleFilter:
		return "Git passes a file through a filter", "Commit the content itself: an artifact has what Git stores."
	case RuleDeprecated:
		return "A kustomization has deprecated fields", "Run kustomize edit fix in the folder."
	case RuleSelf:
		return "A Flux Kustomization is in the folder that it applies", "Move it out of the folder."
	case RuleSigner:
		return "Others could get a signature that clusters accept", "Restrict the workflow or the pattern that the message names."
	case RuleBaseline:
		return "The baseline has findings that are fixed", "Write it anew: keos-oci check --write-baseline FILE."
	}
	return rule, "See the message."
}

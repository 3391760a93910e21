package check

import (
	"slices"
	"testing"

	"github.com/stratio/keos-oci/internal/finding"
)

// sample is one repository in small: the files of one component, and whether something in it must not be published.
type sample struct {
	name  string
	files map[string]string // relative to the component's folder
	leak  bool
	hm    bool // of a look-alike: a person would hesitate too, so that a warning is no false alarm
}

// secretRules are the rules that say that something must not be published in plain text.
func secretRules() []string {
	return []string{finding.RuleSecret, finding.RulePrivateKey, finding.RuleDotenv, finding.RuleToken, finding.RulePassword}
}

// isRight reports whether the gate says of a sample what it should: something of a leak, nothing of a look-alike.
func (s sample) isRight(findings []finding.Finding) bool {
	found := slices.ContainsFunc(findings, func(f finding.Finding) bool {
		return slices.Contains(secretRules(), f.Rule) && (f.Severity == finding.Error || !s.hm)
	})
	return found == s.leak
}

// TestHeldOutCorpus measures the rules by samples that whoever wrote the rules did not look at.
func TestHeldOutCorpus(t *testing.T) { measure(t, heldOut()) }

// TestHeldOutCorpusBuilds keeps the samples realistic: each is a component that Flux could apply.
func TestHeldOutCorpusBuilds(t *testing.T) {
	names := map[string]bool{}
	for _, s := range slices.Concat(heldOut(), fresh()) {
		if names[s.name] {
			t.Errorf("two samples are called %s", s.name)
		}
		names[s.name] = true
		for _, f := range run(t, component(t, s.files), Options{}) {
			if f.Severity == finding.Error && f.Rule != finding.RuleFilter && !slices.Contains(secretRules(), f.Rule) {
				t.Errorf("%s: %s", s.name, f)
			}
		}
	}
}

func heldOut() []sample {
	m := newMint()
	return slices.Concat(
		leaksOfCharts(m), leaksOfTools(m), leaksOfWorkloads(m), leaksOfCloud(m), leaksOfForges(m), leaksOfAlerts(m), leaksOfKeys(m),
		leaksOfSecrets(m), leaksOfConfigs(m), leaksOfScripts(m),
		alikeEncrypted(m), alikeReferences(m), alikeVariables(m), alikeIDs(m), alikeBinary(m), alikePublic(m), alikePlaceholders(m),
		alikeURLs(m), alikeNames(m), alikeScripts(m), alikeSettings(m), alikeDocuments(m), alikeClients(m))
}

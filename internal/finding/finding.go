// Package finding is how the gate says what is wrong with a component: with a rule, a place and what to do. It has no rules of its own.
package finding

import (
	"cmp"
	"fmt"
	"slices"
)

// Severity reports whether a finding stops the publication.
type Severity string

// The severities: an Error refuses the component, a Warning and a Note do not. A Note asks for nothing on the component itself.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// The rules. A new one needs a case in describe (sarif.go) and a place in docs/guides/troubleshooting.md.
const (
	RuleBuild       = "build"
	RuleEqual       = "equal"
	RuleReference   = "reference"
	RuleSecret      = "secret"
	RulePrivateKey  = "private-key"
	RuleDotenv      = "dotenv"
	RuleToken       = "token"    // a secret by its form: the token of an issuer, a URL with a password, a login
	RulePassword    = "password" // a literal value of a key that is called so
	RuleSize        = "size"
	RuleEmpty       = "empty"
	RuleAPIVersion  = "api-version"
	RuleSubstitute  = "substitution"
	RuleImageUpdate = "image-automation"
	RuleRemote      = "remote"
	RuleFilter      = "git-filter"
	RuleDeprecated  = "deprecated"
	RuleSelf        = "self"   // a Flux Kustomization is in the folder that it applies
	RuleSigner      = "signer" // who can get a signature that clusters accept
	RuleBaseline    = "baseline"
)

// Finding is one thing that the gate saw. File is relative to the workspace; Line counts from 1 and is 0 when the whole file
// is meant. Known is an error that the baseline has, and that is a warning for this reason.
type Finding struct {
	Severity Severity `json:"severity"`
	Rule     string   `json:"rule"`
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"`
	Message  string   `json:"message"`
	Fix      string   `json:"fix,omitempty"`
	Known    bool     `json:"known,omitempty"`
}

// String is the finding as one line: "file:line: message (rule); fix". A known one has "(known)" after the rule.
func (f Finding) String() string {
	text := fmt.Sprintf("%s (%s)", f.Place(), f.Rule)
	if f.Known {
		text += " (known)"
	}
	if f.Fix != "" {
		text += "; " + f.Fix
	}
	return text
}

// Place is the finding without its rule and fix, for a file that nobody can edit.
func (f Finding) Place() string {
	if f.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Message)
	}
	return f.File + ": " + f.Message
}

// Sort orders findings by file, line, rule and message.
func Sort(list []Finding) {
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message))
	})
}

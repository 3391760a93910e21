package kustomize

import (
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	fluxkustomize "github.com/fluxcd/pkg/kustomize"
)

// Forbidden says why a URL is fetched under no setting, "" if it may be.
func Forbidden(p string) (why, advice string) {
	if onThisMachine.MatchString(p) {
		return "is a place on this machine, which no cluster has", "copy it into the component"
	}
	_, query, _ := strings.Cut(p, "?")
	values, _ := url.ParseQuery(query)
	for _, ref := range append(values["ref"], values["version"]...) {
		if strings.HasPrefix(ref, "-") { // kustomize hands it to git as it is
			return "has a ref that git would take for an option", "name a branch, a tag or a commit"
		}
	}
	return "", ""
}

// IsRemote reports whether a reference is a URL. It follows kustomize, whose own parser of repository URLs is internal: a URL with a
// scheme, Git's scp form, and GitHub's short form. Flux exports the list of prefixes; the rest is what it leaves to kustomize.
func IsRemote(p string) bool {
	if !fluxkustomize.IsLocalRelativePath(p) && !filepath.IsAbs(p) {
		return true
	}
	if strings.Contains(p, "?ref=") || strings.Contains(p, "?version=") || strings.Contains(p, "://") {
		return true
	}
	return urlOrSCP.MatchString(p)
}

// Forms of remote references, in any case of letters as kustomize takes them.
var (
	onThisMachine = regexp.MustCompile(`(?i)^(?:git::)*file:`)
	urlOrSCP      = regexp.MustCompile(`(?i)^(?:file|https?):|^[a-z][a-z0-9-]*@[^/:]+[/:]`)
)

// Shareable is a text without the logins of URLs in it, and without those parameters that may be a token.
func Shareable(text string) string {
	text = regexp.MustCompile(`(:/+)[^/\s'"]*@`).ReplaceAllString(text, "$1") // one slash is left where kustomize cleans it as a path
	parameter := regexp.MustCompile(`[?&]([\w.-]+)=[^&\s'"]+`)
	return parameter.ReplaceAllStringFunc(text, func(p string) string {
		name, _, _ := strings.Cut(p, "=")
		if slices.Contains([]string{"ref", "version", "timeout", "submodules"}, name[1:]) { // those that kustomize knows
			return p
		}
		return name + "=…"
	})
}

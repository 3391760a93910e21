package migrate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/manifest"
)

// fluxVersion is the minor release of Flux 2 that a cluster runs, or "newest". It is "" where the files do not say.
type fluxVersion string

const newestFlux fluxVersion = "newest"

// parseFlux reads a version such as v2.7.3, or a range such as 2.x, of which the highest counts.
func parseFlux(text string) fluxVersion {
	constraint, err := semver.NewConstraint(strings.TrimPrefix(text, "v"))
	if err != nil {
		return ""
	}
	const far = 99
	for minor := far; minor >= 0; minor-- {
		for patch := far; patch >= 0; patch-- {
			if constraint.Check(semver.New(2, uint64(minor), uint64(patch), "", "")) {
				return fluxOf(minor, far)
			}
		}
	}
	return ""
}

func fluxOf(minor, far int) fluxVersion {
	if minor == far {
		return newestFlux
	}
	return fluxVersion("2." + strconv.Itoa(minor))
}

// has reports whether a release, such as 2.7, is this one or an older one. It is false where the version is not known.
func (v fluxVersion) has(release string) bool {
	return v == newestFlux || v.known() && minorOf(string(v)) >= minorOf(release)
}

func (v fluxVersion) String() string {
	if v == newestFlux {
		return "the newest Flux"
	}
	return "Flux " + string(v)
}

func (v fluxVersion) known() bool { return v != "" }

func minorOf(release string) int {
	_, minor, _ := strings.Cut(release, ".")
	n, _ := strconv.Atoi(minor)
	return n
}

// lookAtFlux learns from a file of the cluster which Flux it runs, and whether references may lead to other namespaces.
func (l *landscape) lookAtFlux(data []byte, docs []*yaml.Node) {
	for line := range strings.Lines(string(data)) {
		if version, ok := strings.CutPrefix(line, "# Flux Version:"); ok {
			l.version = parseFlux(strings.TrimSpace(version))
		}
		if strings.Contains(line, "--no-cross-namespace-refs=true") {
			l.lockedDown = true
		}
	}
	for _, doc := range docs {
		if !isKind(doc, "FluxInstance", "fluxcd.controlplane.io/") {
			continue
		}
		l.version = parseFlux(manifest.Text(manifest.At(doc, "spec", "distribution", "version")))
		if manifest.Text(manifest.At(doc, "spec", "cluster", "multitenant")) == "true" {
			l.lockedDown = true
		}
	}
}

// checkVersion stops at an object whose API version the cluster's Flux does not serve.
func (l *landscape) checkVersion(o applied, version, kind string) {
	release, successor := manifest.DroppedIn(version)
	switch {
	case release == "":
	case l.version.has(release):
		l.stop(o.from, "api-version", fmt.Sprintf("%s %s has the API version %s, which Flux does not serve from %s on, and %s runs %s", kind,
			nameOf(o.object), version, release, l.cluster, l.version), "use "+successor)
	case !l.version.known():
		l.outdated[version] = append(l.outdated[version], fmt.Sprintf("%s %s (%s:%d)", kind, nameOf(o.object), o.from.where(), o.from.Line))
	}
}

// checkReference stops at a source in another namespace, where the cluster's Flux refuses those. Sources of what moves come
// to lie beside it.
func (l *landscape) checkReference(o applied, kind string) {
	if !l.lockedDown {
		return
	}
	own := nameOf(o.object).Namespace
	for _, keys := range sourceRefs() {
		ref, _ := at(o.object, keys...).(map[string]any)
		moves := kind == "Kustomization" && text(ref, "kind") == gitRepository
		if namespace := text(ref, "namespace"); namespace != "" && namespace != own && !moves {
			l.stop(o.from, "cross-namespace",
				fmt.Sprintf("%s %s takes its source from the namespace %s, which the Flux of %s refuses (multi-tenancy lockdown)", kind,
					nameOf(o.object), namespace, l.cluster), "put a source into the namespace "+own)
		}
	}
}

// checkFlux stops where the cluster's Flux is too old to verify artifacts, and where what stays refers to another namespace.
func (p *planner) checkFlux() {
	entry := p.appliers[0]
	if len(p.out.Moves) > 0 && p.version.known() && !p.version.has("2.6") {
		p.stop(entry.place, "flux", fmt.Sprintf("%s runs %s, which has no OCIRepository of source.toolkit.fluxcd.io/v1", p.cluster, p.version),
			"upgrade Flux to 2.6 or later first")
	}
	for _, a := range p.appliers {
		if p.lockedDown && p.staysInFleet(a) && a.Source.Namespace != a.Namespace {
			p.stop(a.place, "cross-namespace",
				fmt.Sprintf("Kustomization %s takes its files from the namespace %s, which the Flux of %s refuses (multi-tenancy lockdown)", a.name,
					a.Source.Namespace, p.cluster),
				"let it apply in the namespace of the fleet's source, with targetNamespace")
		}
	}
	for _, version := range slices.Sorted(maps.Keys(p.outdated)) {
		release, _ := manifest.DroppedIn(version)
		p.note("%d objects have the API version %s, which Flux does not serve from %s on, such as %s: see which Flux the cluster gets",
			len(p.outdated[version]), version, release, p.outdated[version][0])
	}
}

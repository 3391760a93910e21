package manifest

// DroppedIn says with which release of Flux an API version went away, and what took its place: "" for one that is served.
func DroppedIn(version string) (release, successor string) {
	switch version {
	case "helm.toolkit.fluxcd.io/v2beta1":
		return "2.7", "helm.toolkit.fluxcd.io/v2"
	case "source.toolkit.fluxcd.io/v1beta1":
		return "2.7", "source.toolkit.fluxcd.io/v1"
	case "kustomize.toolkit.fluxcd.io/v1beta1":
		return "2.7", "kustomize.toolkit.fluxcd.io/v1"
	case "image.toolkit.fluxcd.io/v1beta1":
		return "2.7", "image.toolkit.fluxcd.io/v1"
	case "notification.toolkit.fluxcd.io/v1beta1":
		return "2.7", "notification.toolkit.fluxcd.io/v1beta3 (v1 for a Receiver)"
	case "helm.toolkit.fluxcd.io/v2beta2":
		return "2.8", "helm.toolkit.fluxcd.io/v2"
	case "source.toolkit.fluxcd.io/v1beta2":
		return "2.8", "source.toolkit.fluxcd.io/v1"
	case "kustomize.toolkit.fluxcd.io/v1beta2":
		return "2.8", "kustomize.toolkit.fluxcd.io/v1"
	case "image.toolkit.fluxcd.io/v1beta2":
		return "2.9", "image.toolkit.fluxcd.io/v1"
	case "notification.toolkit.fluxcd.io/v1beta2":
		return "2.9", "notification.toolkit.fluxcd.io/v1beta3 (v1 for a Receiver)"
	}
	return "", ""
}

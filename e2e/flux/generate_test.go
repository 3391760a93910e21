package flux

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testPhases: an infra component has a Kustomization for each phase, and takes the cluster's settings.
func testPhases(t *testing.T, w *world) {
	infra := w.checkout(t, "org/infra", "phases")
	infra.infra("monitoring", "one")
	digest := infra.release("monitoring", "v1.0.0")
	f := follower{"phases", "monitoring", "latest-stable", "staging"}
	w.tenant(t, f.namespace)
	w.apply(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: phases}\ndata: {CLUSTER_DOMAIN: staging.example.com}\n")
	infra.follow(t, f, "--substitute-from", "settings")
	w.eventually(t, source(f.namespace, f.component), all(checks{ready(), fetched(digest)}))
	for _, phase := range []string{"controllers", "configs"} {
		w.eventually(t, kustomization(f.namespace, "monitoring-"+phase), all(checks{ready(), applied(digest)}))
		w.eventually(t, ref{"ConfigMap", f.namespace, "monitoring-" + phase},
			all(checks{value("one"), data("environment", "staging"), data("domain", "staging.example.com")}))
	}
}

// testPins: a component may be held to a version, a digest or a range, whatever its channel names.
func testPins(t *testing.T, w *world) {
	apps := w.checkout(t, "org/apps", "pins")
	apps.app("frontend", "one")
	one := apps.release("frontend", "v1.0.0")
	followers := map[string]follower{
		"v1.0.0":         {"pin-version", "frontend", "latest-stable", "production"},
		one:              {"pin-digest", "frontend", "latest-stable", "production"},
		">=1.0.0 <2.0.0": {"pin-range", "frontend", "latest-stable", "production"},
	}
	for pin, f := range followers {
		apps.follow(t, f, "--pin", "frontend="+pin)
		f.runs(t, w, one, "one")
	}
	apps.app("frontend", "two")
	two := apps.release("frontend", "v1.1.0")
	apps.app("frontend", "three")
	apps.release("frontend", "v2.0.0")
	for pin, f := range followers {
		if strings.HasPrefix(pin, ">") {
			f.runs(t, w, two, "two")
		} else {
			f.runs(t, w, one, "one")
		}
	}
}

// testKeys: with a key pair instead of keyless, and both forms of signature, a cluster follows the key in its Secret alone.
func testKeys(t *testing.T, w *world) {
	apps := w.checkout(t, "org/apps", "keys")
	apps.app("frontend", "one")
	one := apps.releaseWith(apps.key("ours"), "v1.0.0")
	f := follower{"keys", "frontend", "latest-stable", "production"}
	w.tenant(t, f.namespace)
	public := filepath.Join(apps.home, "ours.pub")
	content, err := os.ReadFile(public)
	if err != nil {
		t.Fatal(err)
	}
	w.apply(t, secret(f.namespace, "signers", "cosign.pub", string(content)))
	apps.followWith(t, f, "--key", public, "--key-secret", "signers")
	f.runs(t, w, one, "one")

	apps.app("frontend", "two")
	two := apps.releaseWith(apps.key("theirs"), "v1.1.0", "--no-promote")
	apps.tag(t, "frontend", "latest-stable", apps.artifact(t, "frontend", two))
	f.refuses(t, w, one, "one")
}

// key makes a key pair, and gives the path of the private key.
func (c *checkout) key(name string) string {
	c.t.Helper()
	c.run(branchJob(), "generate-key-pair", "--output-key-prefix", filepath.Join(c.home, name))
	return filepath.Join(c.home, name+".key")
}

// releaseWith releases the only component with a key.
func (c *checkout) releaseWith(key, version string, args ...string) (digest string) {
	c.t.Helper()
	c.git("tag", "frontend/"+version)
	return c.published(c.run(releaseJob("frontend", version),
		append([]string{"publish", "-o", "json", "--key", key, "--signature-format", "both"}, args...)...))
}

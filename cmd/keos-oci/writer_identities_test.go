package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// strangersSignatures: valid signatures of others, and runs of others.
func strangersSignatures(otherKey string) []attack {
	var attacks []attack
	for name, who := range map[string]struct{ branch, release, key string }{
		"a pull request": {branch: strings.Replace(onBranch, "heads/main", "pull/7/merge", 1) + "&event=pull_request",
			release: strings.Replace(onTag, "tags/frontend/", "pull/7/merge&event=pull_request&x=", 1)},
		"a pull request with our ref": {branch: onBranch + "&event=pull_request_target", release: "event=pull_request_target&" + onTag},
		"a caller of our workflow":    {branch: onBranch + "&caller=evil/x", release: "caller=evil/x&callerRef=refs/heads/main&" + onTag},
		"a caller with our tag":       {branch: onBranch + "&caller=evil/x", release: "caller=evil/x&callerRef=refs/tags/frontend/v2.0.0&" + onTag},
		"another repository": {branch: strings.Replace(onBranch, "org/", "evil/", 1),
			release: strings.Replace(onTag, "org/", "evil/", 1)},
		"another branch, another tag": {branch: strings.Replace(onBranch, "main", "evil", 1),
			release: strings.Replace(onTag, "frontend", "backend", 1)},
		"a person":     {branch: "email=someone@example.com", release: "email=someone@example.com&x="},
		"a GitLab job": {branch: "gitlab=org/apps&ref=refs/heads/main", release: "gitlab=org/apps&ref=refs/tags/frontend/"},
		"another key":  {key: otherKey},
	} {
		mode := "keyless"
		if who.key != "" {
			mode = "keyed"
		}
		why := "expected " // or what the run was beside its name
		if strings.Contains(name, "with our") || strings.HasPrefix(name, "a caller") {
			why = "the run that signed was "
		}
		signs := func(t *testing.T, h *house, d digest.Digest, version string) {
			h.signs(t, h.outsider(who.branch, who.key), d)
			if who.key == "" {
				h.signs(t, h.outsider(who.release+version, ""), d)
			}
		}
		refused := wrongIdentity
		if who.key != "" {
			refused = "signed with another key"
		}
		attacks = append(attacks, attack{name: "signed on other content, by " + name, only: mode,
			do: func(t *testing.T, h *house) []digest.Digest {
				bad := h.forge(t, "latest", h.otherLayer(t), "latest", "v3.0.0")
				signs(t, h, bad, "v3.0.0")
				return []digest.Digest{bad}
			}, answers: map[string]string{"verify latest": "3 " + refused, "verify v3.0.0": "3 " + refused, "promote v3.0.0": "3 " + refused,
				"publish --resign": "0 it was replaced", "release v3.0.0": "3 that this repository did not publish"}},
			attack{name: "signed instead of ours, by " + name, only: mode, do: func(t *testing.T, h *house) []digest.Digest {
				h.strip(t, h.good["v2.0.0"])
				signs(t, h, h.good["v2.0.0"], "v2.0.0")
				return nil
			}, answers: map[string]string{"verify latest": "3 " + refused, "promote v2.0.0": "3 " + refused, "verify latest-stable": "3 " + refused,
				"publish; release v2.0.0; verify latest-stable": "0"}},
			attack{name: "a run of " + name, only: mode, silent: true, house: func(t *testing.T, h *house) {
				h.config = filepath.Join(t.TempDir(), "keos-oci.yaml")
				content := "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\n"
				if who.key != "" {
					content += "signing: {keys: [" + strings.TrimSuffix(h.key, ".key") + ".pub]}\n"
					h.signer = who.key
				}
				writeFile(t, h.config, content)
				h.identity, h.release = who.branch, who.release
			}, do: func(t *testing.T, h *house) []digest.Digest {
				h.deletes(t, "latest", "latest-stable") // so that each verb has something to do
				return nil
			}, answers: map[string]string{"publish": "3 clusters expect", "publish --resign": "3 clusters expect", "release v3.0.0": "3 clusters expect",
				"promote v2.0.0": "3 may not move latest-stable: " + why, "rollback v1.0.0": "3 may not move"}})
	}
	return attacks
}

// formerNames: whoever owns our repository's former name now.
func formerNames() []attack {
	old := func(query string) string { return strings.Replace(query, "org/", "oldorg/", 1) }
	until := func(day string) func(t *testing.T, h *house) {
		return func(t *testing.T, h *house) {
			h.config = filepath.Join(t.TempDir(), "keos-oci.yaml")
			writeFile(t, h.config,
				"apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nformerly: [{repository: oldorg/apps, until: "+day+"}]\n")
		}
	}
	signed := func(t *testing.T, h *house) []digest.Digest {
		h.strip(t, h.good["v2.0.0"])
		h.signs(t, h.outsider(old(onBranch), ""), h.good["v2.0.0"])
		h.signs(t, h.outsider(old(onTag)+"v2.0.0", ""), h.good["v2.0.0"])
		return nil
	}
	published := func(t *testing.T, h *house) digest.Digest {
		d := h.forge(t, "latest", annotated(ocispec.AnnotationSource, "https://github.com/oldorg/apps"), "latest", "v3.0.0")
		h.signs(t, h.outsider(old(onBranch), ""), d)
		h.signs(t, h.outsider(old(onTag)+"v3.0.0", ""), d)
		return d
	}
	recorded := func(t *testing.T, h *house) []digest.Digest {
		h.records(t, h.outsider(old(onTag)+"v2.0.0", ""), "v2.0.0", h.good["v1.0.0"])
		return nil
	}
	runs := func(day string) func(t *testing.T, h *house) {
		return func(t *testing.T, h *house) {
			until(day)(t, h)
			h.identity, h.release = old(onBranch), old(onTag)
		}
	}
	empty := func(t *testing.T, h *house) []digest.Digest {
		h.deletes(t, "latest", "latest-stable") // so that each verb has something to do
		return nil
	}
	nothingNew := map[string]string{"publish": "3 clusters expect", "release v3.0.0": "3 clusters expect", "promote v2.0.0": "3 may not move",
		"rollback v1.0.0": "3 may not move"}
	const gone, coming, late = "2020-01-01", "2099-01-01", "counts only if it was logged before 2020-01-01"
	return []attack{
		{name: "former name: signed in time", only: "keyless", house: until(coming), do: signed,
			answers: map[string]string{"verify latest": "0", "verify v2.0.0": "0", "promote v2.0.0": "0",
				"rollback v1.0.0; promote v2.0.0": "0"}},
		{name: "former name: signed too late", only: "keyless", house: until(gone), do: signed,
			answers: map[string]string{"verify latest": "3 " + late, "verify v2.0.0": "3 " + late,
				"promote v2.0.0": "3 " + late, "status": "0 refused: ", healed: "0"}},
		{name: "former name: published in time", only: "keyless", house: until(coming), do: func(t *testing.T, h *house) []digest.Digest {
			h.good["latest"] = published(t, h)
			return nil
		}, answers: map[string]string{"verify latest": "0", "verify v3.0.0": "0", "promote v3.0.0": "0", "publish": "0 unchanged"}},
		{name: "former name: published too late", only: "keyless", house: until(gone), do: func(t *testing.T, h *house) []digest.Digest {
			return []digest.Digest{published(t, h)}
		}, answers: map[string]string{"verify latest": "3 " + late, "verify v3.0.0": "3 " + late, "promote v3.0.0": "3 " +
			late, "rollback v3.0.0": "3 " + late,
			"publish": "0 it was replaced", "release v3.0.0": "3 that this repository did not publish"}},
		{name: "former name: recorded in time", only: "keyless", house: until(coming), do: recorded,
			answers: map[string]string{"verify v2.0.0": "3 released as another digest",
				"promote v2.0.0": "3 released as another digest", "release v2.0.0": "3 released as another digest"}},
		{name: "former name: recorded too late", only: "keyless", house: until(gone), do: recorded,
			answers: map[string]string{"verify v2.0.0": "0 " + late, "promote v2.0.0": "0",
				"release v2.0.0": "0 unchanged"}},
		{name: "former name: a run in time", only: "keyless", silent: true, house: runs(coming), do: empty, answers: nothingNew},
		{name: "former name: a run, too late", only: "keyless", silent: true, house: runs(gone), do: empty, answers: nothingNew},
	}
}

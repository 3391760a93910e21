package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/tag"
)

// forgedArtifacts: artifacts that nobody of ours signed, or signed as something else.
func forgedArtifacts() []attack {
	index := func(t *testing.T, h *house) []digest.Digest {
		desc, _, _ := h.manifest(t, "frontend", "latest")
		index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{desc}}
		index.SchemaVersion = 2
		return []digest.Digest{h.place(t, index, index.MediaType, "latest", "v2.0.0")}
	}
	// A version of ours under another version's tag is no artifact of the attacker's: only the two together are.
	relabelled := func(as string, more func(t *testing.T, h *house)) func(t *testing.T, h *house) []digest.Digest {
		return func(t *testing.T, h *house) []digest.Digest {
			h.retag(t, "v1.0.0", as)
			more(t, h)
			return nil
		}
	}
	attacks := []attack{
		{name: "forged: our annotations on another layer, at latest", do: func(t *testing.T, h *house) []digest.Digest {
			return []digest.Digest{h.forge(t, "latest", h.otherLayer(t), "latest")}
		}, answers: merged(untouched, atLatest("unsigned", "it was replaced"))},
		{name: "forged: with our signatures hung onto it", do: func(t *testing.T, h *house) []digest.Digest {
			bad := h.forge(t, "latest", h.otherLayer(t), "latest")
			h.retag(t, listTag(h.good["latest"]), listTag(bad))
			return []digest.Digest{bad}
		}, answers: map[string]string{"verify latest": "3 no signature is valid", "publish": "0 it was replaced", "release v3.0.0": `0 "reused": "main-`}},
		{name: "forged: our annotations on another layer, waiting for a release", do: func(t *testing.T, h *house) []digest.Digest {
			return []digest.Digest{h.forge(t, "latest", h.otherLayer(t), "latest", h.head)}
		}, answers: map[string]string{ // the commit's tag never changes, so only the next commit publishes again
			"publish": "3 immutable", "publish --resign": "3 immutable", "release v3.0.0": `0 "reused": "v2.0.0"`}},
		{name: "forged: our annotations on another layer, wherever a release looks", do: func(t *testing.T, h *house) []digest.Digest {
			return []digest.Digest{h.forge(t, "latest", h.otherLayer(t), h.everywhere()...)}
		}, answers: map[string]string{"release v3.0.0": "0 staging never ran this content", "release v2.0.0": "3 that this repository did not publish",
			"release v1.0.0": "3 with other content"}},
		{name: "forged: our annotations on another layer, as a version", do: func(t *testing.T, h *house) []digest.Digest {
			return []digest.Digest{h.forge(t, "v2.0.0", h.otherLayer(t), "v2.0.0", "v3.0.0")}
		}, answers: merged(untouched, atVersion("unsigned", "that this repository did not publish"), map[string]string{
			"verify v3.0.0": "3 unsigned", "promote v3.0.0": "3 unsigned", "rollback v3.0.0": "3 unsigned", "release v3.0.0": "3 that this repository did not publish"})},
		{name: "forged: an index at latest and as a version", do: index,
			answers: merged(atVersion("not a Flux artifact", "with other content"), map[string]string{
				"verify latest": "3 not a Flux artifact", "status": "0 refused: ", "publish": "0 1 published"})},
		{name: "forged: a version as another version", do: relabelled("v2.0.0", func(*testing.T, *house) {}),
			answers: atVersion("released as another digest | "+wrongIdentity, "with other content")},
		{name: "forged: a version as another version, whose record is gone", do: relabelled("v2.0.0", func(t *testing.T, h *house) {
			h.deletes(t, tag.ReleaseTag("v2.0.0"))
		}), answers: merged(atVersion("nothing signed says | "+wrongIdentity, "with other content"), map[string]string{
			"verify v2.0.0": "0 no release record | 3 " + wrongIdentity})},
		{name: "forged: a version as another version, with its record", do: relabelled("v2.0.0", func(t *testing.T, h *house) {
			h.retag(t, tag.ReleaseTag("v1.0.0"), tag.ReleaseTag("v2.0.0"))
		}), answers: merged(atVersion("nothing signed says | "+wrongIdentity, "with other content"), map[string]string{
			"verify v2.0.0": "0 invalid release record | 3 " + wrongIdentity})},
		{name: "forged: a version as one that was never published", do: relabelled("v3.0.0", func(*testing.T, *house) {}),
			answers: map[string]string{
				"verify v3.0.0": "0 no release record | 3 " + wrongIdentity, "promote v3.0.0": "3 nothing signed says | 3 " + wrongIdentity,
				"rollback v3.0.0": "3 nothing signed says | 3 " + wrongIdentity, "release v3.0.0": "3 with other content"}},
		{name: "forged: another component's artifact", do: func(t *testing.T, h *house) []digest.Digest {
			return []digest.Digest{h.smuggle(t, "backend", "v2.0.0", "latest", "v2.0.0")}
		}, answers: merged(atVersion("an artifact of backend", "with other content"), atLatest("an artifact of backend",
			"1 published"), map[string]string{
			"promote v2.0.0": "3 an artifact of backend"})},
	}
	for name, change := range map[string]func(*ocispec.Manifest){
		"revision of another branch":    func(m *ocispec.Manifest) { replaceRevision(m, "main@", "evil@") },
		"revision of a pull request":    func(m *ocispec.Manifest) { replaceRevision(m, "main@", "pull/7/merge@") },
		"revision of another commit":    annotated(ocispec.AnnotationRevision, "main@sha1:"+strings.Repeat("a", 40)),
		"source":                        annotated(ocispec.AnnotationSource, "https://github.com/evil/apps"),
		"component":                     annotated(pack.AnnotationComponent, "backend"),
		"time":                          annotated(ocispec.AnnotationCreated, "2099-01-01T00:00:00Z"),
		"annotation that we do not set": annotated("evil", "yes"),
	} {
		mode := "keyed" // which rule refuses them is the same for both, but for whose branch a revision names
		if strings.HasPrefix(name, "revision") {
			mode = "keyless"
		}
		attacks = append(attacks, attack{name: "forged " + name + ", at latest", only: mode, do: func(t *testing.T, h *house) []digest.Digest {
			return []digest.Digest{h.forge(t, "latest", change, "latest")}
		}, answers: map[string]string{"verify latest": "3", "publish --resign": "0 it was replaced"}}, attack{name: "forged " + name +
			", wherever a release looks", only: mode,
			do: func(t *testing.T, h *house) []digest.Digest {
				return []digest.Digest{h.forge(t, "latest", change, h.everywhere()...)}
			}, answers: map[string]string{"release v3.0.0": "0 staging never ran this content", "release v2.0.0": "3 that this repository did not publish"}})
	}
	return attacks
}

// everywhere is the tags under which a release of the second commit looks for its content.
func (h *house) everywhere() []string { return []string{"latest", h.head, "v1.0.0", "v2.0.0"} }

func replaceRevision(m *ocispec.Manifest, from, to string) {
	m.Annotations[ocispec.AnnotationRevision] = strings.Replace(m.Annotations[ocispec.AnnotationRevision], from, to, 1)
}

// smuggle copies what a tag of another component names into frontend, with its signatures and their list.
func (h *house) smuggle(t testing.TB, component, from string, to ...string) digest.Digest {
	t.Helper()
	source, target := open(t, h.sandbox, component), open(t, h.sandbox, "frontend")
	var move func(name string, to ...string) digest.Digest
	move = func(name string, to ...string) digest.Digest {
		desc, raw, m := h.manifest(t, component, name)
		for _, blob := range append(slices.Clone(m.Layers), m.Config) {
			if blob.Digest == "" { // of an index
				continue
			}
			data, err := source.Blob(t.Context(), blob, 1<<20)
			if err == nil {
				err = target.PushBlob(t.Context(), blob, data)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		var index ocispec.Index
		if err := json.Unmarshal(raw, &index); err != nil {
			t.Fatal(err)
		}
		for _, child := range index.Manifests {
			move(child.Digest.String(), child.Digest.String())
		}
		for _, name := range to {
			if err := target.Tag(t.Context(), desc, raw, name); err != nil {
				t.Fatal(err)
			}
		}
		return desc.Digest
	}
	d := move(from, to...)
	move(listTag(d), listTag(d))
	return d
}

// healed is the commands that heal everything, and those that show it. That tags name what they did, unharmed checks.
const healed = "publish; release v2.0.0; release v1.0.0; verify latest; verify v1.0.0; verify latest-stable"

// lostSignatures: a registry writer takes signatures away. The next runs put them back, on the same digests.
func lostSignatures() []attack {
	lost := map[string]string{"verify latest": "3 unsigned", "verify v2.0.0": "3 unsigned", "verify latest-stable": "3 unsigned",
		"status":           "0 refused: unsigned",
		"publish --resign": "0 so it was signed again", "release v2.0.0": "0 lacked this run's signature",
		"promote v2.0.0": "3 unsigned", "rollback v1.0.0": "3 unsigned", "release v3.0.0": `0 "reused": "latest"`, healed: "0"}
	each := func(do func(t *testing.T, h *house, d digest.Digest)) func(t *testing.T, h *house) []digest.Digest {
		return func(t *testing.T, h *house) []digest.Digest {
			for _, d := range []digest.Digest{h.good["v1.0.0"], h.good["v2.0.0"]} {
				do(t, h, d)
			}
			return nil
		}
	}
	return []attack{
		{name: "lost: the list as it was before the last signature", do: func(t *testing.T, h *house) []digest.Digest {
			d := h.good["v2.0.0"]
			last := h.signatures(t, d).Manifests
			h.deletes(t, listTag(d)+"."+last[len(last)-1].Digest.Encoded()[:32]) // its announcement, for which writers would wait
			if h.key != "" {
				h.listed.Manifests = []ocispec.Descriptor{} // there was one signature
			}
			h.place(t, h.listed, ocispec.MediaTypeImageIndex, listTag(d))
			return nil
		}, answers: map[string]string{"verify v2.0.0": "3 unsigned | 3 " + wrongIdentity, "verify latest": "3 unsigned | 0", "verify v1.0.0": "0",
			"promote v2.0.0": "3", "publish": "0 signed again | 0 unchanged", "release v2.0.0": "0 lacked this run's signature", healed: "0"}},
		{name: "lost: the signatures, but not their list", do: each(func(t *testing.T, h *house, d digest.Digest) {
			for _, signature := range h.signatures(t, d).Manifests {
				h.deletes(t, signature.Digest.String())
			}
		}), answers: lost},
		{name: "lost: what no tag names", do: func(t *testing.T, h *house) []digest.Digest {
			h.collect(t)
			return nil
		}, answers: map[string]string{healed: "0"}},
		{name: "lost: the signatures and what no tag names", do: func(t *testing.T, h *house) []digest.Digest {
			h.strip(t, h.good["v1.0.0"])
			h.strip(t, h.good["v2.0.0"])
			h.collect(t)
			return nil
		}, answers: map[string]string{"verify v2.0.0": "3 unsigned", healed: "0"}},
		// The announcements are still there, and a writer waits until whoever made them must be dead: for 20 seconds.
		{name: "lost: the list of signatures", only: "keyed", do: func(t *testing.T, h *house) []digest.Digest {
			h.deletes(t, listTag(h.good["v2.0.0"]))
			return nil
		}, answers: map[string]string{"verify latest": "3 unsigned", "verify v2.0.0": "3 unsigned", healed: "0"}},
	}
}

// collect deletes all manifests that no tag names, as clean-ups do.
func (h *house) collect(t *testing.T) {
	t.Helper()
	driver := filesystem.New(filesystem.DriverParameters{RootDirectory: h.content, MaxThreads: 100})
	reg, err := storage.NewRegistry(t.Context(), driver, storage.EnableDelete)
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.MarkAndSweep(t.Context(), driver, reg, storage.GCOpts{RemoveUntagged: true, Quiet: true}); err != nil {
		t.Fatal(err)
	}
}

package flux

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// testRefusal: a cluster stays with what it runs when the channel names what nobody of ours has signed, and keos-oci puts
// that right.
func testRefusal(t *testing.T, w *world) {
	apps := w.checkout(t, "org/apps", "refusal")
	apps.app("frontend", "one")
	one := apps.release("frontend", "v1.0.0")
	f := follower{"refusal", "frontend", "latest-stable", "production"}
	apps.follow(t, f)
	f.runs(t, w, one, "one")

	// An artifact that differs in nothing but an annotation, and has no signature.
	unsigned := mutate.Annotations(apps.artifact(t, "frontend", one),
		map[string]string{"org.opencontainers.image.source": "elsewhere"}).(v1.Image)
	apps.tag(t, "frontend", "latest-stable", unsigned)
	f.refuses(t, w, one, "one")
	apps.promote("frontend", "v1.0.0")
	f.runs(t, w, one, "one")

	apps.app("frontend", "two")
	two := apps.release("frontend", "v1.1.0")
	f.runs(t, w, two, "two")

	// An artifact that a release workflow of another repository has signed with a certificate of the same Sigstore.
	other := w.checkout(t, "org/other", "refusal")
	other.app("frontend", "evil")
	other.prefix = apps.prefix
	evil := other.release("frontend", "v6.6.6", "--no-promote")
	seen := w.observe(t, f)
	apps.tag(t, "frontend", "latest-stable", apps.artifact(t, "frontend", evil))
	w.eventually(t, source(f.namespace, f.component), failing("VerificationError"))
	seen.end()
	if len(seen.refused) == 0 {
		t.Error("the observer that testStorm relies on has not seen this refusal")
	}
	f.refuses(t, w, two, "two")
	apps.rollback("frontend", "v1.0.0")
	f.runs(t, w, one, "one")
}

// artifact reads a component's artifact without any code of keos-oci.
func (c *checkout) artifact(t *testing.T, component, digest string) v1.Image {
	t.Helper()
	ref, err := name.NewDigest(c.prefix + "/" + component + "@" + digest)
	if err != nil {
		t.Fatal(err)
	}
	artifact, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	return artifact
}

// tag pushes an artifact and moves a tag to it, as such a tool does.
func (c *checkout) tag(t *testing.T, component, tag string, artifact v1.Image) {
	t.Helper()
	ref, err := name.NewTag(c.prefix + "/" + component + ":" + tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, artifact); err != nil {
		t.Fatal(err)
	}
}

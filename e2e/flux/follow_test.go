package flux

import "testing"

// follower is how a cluster without Flux Operator follows a channel of one component, in a namespace of its own.
type follower struct {
	namespace, component string
	channel, environment string
}

// follow makes the namespace and what follows in it, trusting the world's Sigstore.
func (c *checkout) follow(t *testing.T, f follower, flags ...string) {
	t.Helper()
	c.followWith(t, f, append(flags, "--trusted-root-secret", trustedRootSecret)...)
}

// followWith makes the namespace, and in it the objects that keos-oci generates.
func (c *checkout) followWith(t *testing.T, f follower, flags ...string) {
	t.Helper()
	c.w.tenant(t, f.namespace)
	c.w.apply(t, c.generate(append([]string{"ocirepository", f.component, "--channel", f.channel, "--environment", f.environment,
		"--namespace", f.namespace, "--target-namespace", f.namespace, "--kustomize-as", "flux"}, flags...)...))
}

// runs asks Flux to look at the channel, and waits until the cluster runs this digest with this value.
func (f follower) runs(t *testing.T, w *world, digest, want string) {
	t.Helper()
	w.reconciled(t, source(f.namespace, f.component), ready(), condition("SourceVerified", "True"), fetched(digest))
	w.eventually(t, kustomization(f.namespace, f.component), all(checks{ready(), applied(digest)}))
	w.eventually(t, ref{"ConfigMap", f.namespace, f.component}, all(checks{value(want), data("environment", f.environment)}))
}

// refuses asks Flux to look at the channel, and checks that it refuses what it names and goes on with what it has.
func (f follower) refuses(t *testing.T, w *world, digest, want string) {
	t.Helper()
	w.reconciled(t, source(f.namespace, f.component), failing("VerificationError"), condition("SourceVerified", "False"), fetched(digest))
	w.eventually(t, kustomization(f.namespace, f.component), all(checks{ready(), applied(digest)}))
	w.eventually(t, ref{"ConfigMap", f.namespace, f.component}, value(want))
}

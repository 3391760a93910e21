package flux

import "testing"

// testDirect: a cluster that follows latest-stable gets what is released, promoted and rolled back.
func testDirect(t *testing.T, w *world) {
	apps := w.checkout(t, "org/apps", "direct")
	apps.app("frontend", "one")
	branch := apps.publish(branchJob())
	one := apps.release("frontend", "v1.0.0")
	if one != branch {
		t.Errorf("main published %s and the release %s", branch, one)
	}
	f := follower{"direct", "frontend", "latest-stable", "production"}
	apps.follow(t, f)
	f.runs(t, w, one, "one")

	apps.app("frontend", "two")
	apps.publish(branchJob())
	two := apps.release("frontend", "v1.1.0", "--no-promote")
	f.runs(t, w, one, "one")
	apps.promote("frontend", "v1.1.0")
	f.runs(t, w, two, "two")

	apps.rollback("frontend")
	f.runs(t, w, one, "one")
}

// testEnvironments: staging follows main and production the releases, each under its own identity; what staging ran is,
// bit for bit, what production gets, and what only main has signed never gets there.
func testEnvironments(t *testing.T, w *world) {
	apps := w.checkout(t, "org/apps", "environments")
	apps.app("frontend", "one")
	one := apps.publish(branchJob())
	staging := follower{"staging", "frontend", "latest", "staging"}
	production := follower{"production", "frontend", "latest-stable", "production"}
	apps.follow(t, staging)
	staging.runs(t, w, one, "one")
	apps.release("frontend", "v1.0.0")
	apps.follow(t, production)
	production.runs(t, w, one, "one")

	apps.app("frontend", "two")
	two := apps.publish(branchJob())
	staging.runs(t, w, two, "two")
	production.runs(t, w, one, "one")
	apps.tag(t, "frontend", "latest-stable", apps.artifact(t, "frontend", two))
	production.refuses(t, w, one, "one")

	if released := apps.release("frontend", "v1.1.0"); released != two {
		t.Errorf("staging ran %s and %s was released", two, released)
	}
	production.runs(t, w, two, "two")
	staging.runs(t, w, two, "two")
}

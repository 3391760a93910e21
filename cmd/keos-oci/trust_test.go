package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const workspaceHeader = "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\n"

// copyKey puts a public key into the checkout.
func (s *sandbox) copyKey(key, name string) {
	s.t.Helper()
	s.write(name, mustRead(s.t, strings.TrimSuffix(key, ".key")+".pub"))
}

// TestKeyRotation: while two keys are accepted, what the old one signed is promoted by runs with the new one, and records of both
// count. A run with a third key writes nothing.
func TestKeyRotation(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "1")
	s.commit("one")
	old, fresh, third := s.key(), s.key(), s.key()
	s.must("publish", "--key", old)
	s.must("publish", "frontend", "--version", "v1.0.0", "--key", old)
	s.copyKey(old, "old.pub")
	s.copyKey(fresh, "new.pub")
	s.write("keos-oci.yaml", workspaceHeader+"signing: {keys: [new.pub, old.pub]}\n")
	s.component("frontend", "2")
	s.commit("two")
	s.must("publish", "--key", fresh)
	s.must("publish", "frontend", "--version", "v1.1.0", "--key", fresh)
	s.registry.Reset()
	if r := s.run("publish", "frontend", "--version", "v1.2.0", "--key", third); r.code != 3 ||
		s.registry.Count("PUT")+s.registry.Count("POST") != 0 {
		t.Errorf("a third key: %v %v", r, s.registry.Requests())
	}
	for _, target := range []string{"frontend", "frontend:v1.0.0", "frontend:v1.1.0", "frontend:latest-stable"} {
		s.must("verify", target)
	}
	if r := s.must("rollback", "frontend", "--key", fresh); !strings.Contains(r.stdout, "v1.0.0") {
		t.Error(r)
	}
	if r := s.must("history", "frontend"); strings.Contains(r.stdout, "invalid") || strings.Count(r.stdout, "done") != 3 {
		t.Error(r)
	}
	s.write("keos-oci.yaml", workspaceHeader+"signing: {keys: [new.pub]}\n")
	if r := s.run("verify", "frontend:v1.0.0"); r.code != 3 {
		t.Errorf("the old key still counts: %v", r)
	}
}

// TestKeyBesideIdentity: where the config has a key and an identity, either counts.
func TestKeyBesideIdentity(t *testing.T) {
	st := sigstore(t)
	s := newSandbox(t)
	s.component("frontend", "1")
	key := s.key()
	s.copyKey(key, "cosign.pub")
	s.write("keos-oci.yaml", workspaceHeader+"signing:\n  key: cosign.pub\n  identity: {issuer: "+st.env["SIGSTORE_ISSUER"]+
		", subjectRegexp: 'https://github\\.com/org/apps/\\.github/workflows/.*@refs/tags/{component}/v{version}'}\n")
	s.commit("one")
	if r := s.must("publish", "--key", key); !strings.Contains(r.stderr, `msg=sign as="key `) {
		t.Errorf("the run does not say with what it signs: %v", r)
	}
	release := *s
	release.keyless(st, "release.yaml", "refs/tags/frontend/v1.0.0")
	release.must(append([]string{"publish", "--ref", "refs/tags/frontend/v1.0.0"}, st.flags()...)...)
	trust := []string{"--trusted-root", st.env["SIGSTORE_TRUSTED_ROOT"]}
	for _, target := range []string{"frontend", "frontend:v1.0.0", "frontend:latest-stable"} {
		s.must(append([]string{"verify", target}, trust...)...)
	}
	other := *s
	other.keyless(st, "release.yaml", "refs/tags/frontend/v9.9.9")
	if r := other.run(append([]string{"publish", "--version", "v1.1.0", "frontend"}, st.flags()...)...); r.code != 3 {
		t.Errorf("another version's identity: %v", r)
	}
}

// TestPlaceholders: {component} and {version} bind a configured identity to them.
func TestPlaceholders(t *testing.T) {
	st := sigstore(t)
	s := newSandbox(t)
	for _, c := range []string{"frontend", "backend"} {
		s.component(c, "1")
	}
	s.write("keos-oci.yaml",
		workspaceHeader+"channels:\n  latest: {identity: {issuer: "+st.env["SIGSTORE_ISSUER"]+", subjectRegexp: '.*@refs/heads/main'}}\n  latest-stable: {identity: {issuer: "+
			st.env["SIGSTORE_ISSUER"]+", subjectRegexp: 'https://github\\.com/org/apps/\\.github/workflows/release\\.yaml@refs/tags/{component}/v{version}'}}\n")
	s.commit("one")
	main := *s
	main.keyless(st, "publish.yaml", "refs/heads/main")
	main.must(append([]string{"publish"}, st.flags()...)...)
	for _, c := range []struct {
		ref, component, version string
		code                    int
	}{{"frontend/v1.0.0", "frontend", "v1.0.0", 0}, {"frontend/v1.0.0", "frontend", "v1.0.1", 3}, {"frontend/v1.0.0", "backend", "v1.0.0",
		3}, {"backend/v1.0.0", "backend", "v1.0.0", 0}} {
		run := *s
		run.keyless(st, "release.yaml", "refs/tags/"+c.ref)
		if r := run.run(append([]string{"publish", c.component, "--version", c.version}, st.flags()...)...); r.code != c.code {
			t.Errorf("%+v: %v", c, r)
		}
	}
	trust := []string{"--trusted-root", st.env["SIGSTORE_TRUSTED_ROOT"]}
	s.must(append([]string{"verify", "frontend:v1.0.0"}, trust...)...)
	if r := s.must("check"); strings.Contains(r.stdout, "subjectRegexp") {
		t.Error(r)
	}
	s.write("keos-oci.yaml", workspaceHeader+"signing: {identity: {issuer: i, subjectRegexp: 'https://github\\.com/org/.*@refs/tags/.*'}}\n")
	s.write(".github/workflows/publish.yml", "on:\n  push:\n  workflow_call:\njobs: {a: {steps: [{run: keos-oci publish}]}}\n")
	s.commit("loose")
	r := s.must("check")
	for _, want := range []string{"keos-oci.yaml:3: subjectRegexp", "write {component}", ".github/workflows/publish.yml:3: workflow_call"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("check does not say %q: %v", want, r)
		}
	}
}

// TestPromoteDemandsLegacySignature: where clusters are said to be of Flux 2.6 or 2.7, a version without the .sig is not promoted.
func TestPromoteDemandsLegacySignature(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "1")
	s.commit("one")
	key := s.key()
	s.must("publish", "--key", key)
	s.must("publish", "frontend", "--version", "v1.0.0", "--key", key, "--no-promote")
	s.write("keos-oci.yaml", workspaceHeader+"signing: {format: both}\n")
	if r := s.must("publish", "frontend", "--version", "v1.0.0", "--key", key, "--no-promote"); !strings.Contains(r.stderr,
		"keos-oci.yaml is not in commit") {
		t.Errorf("a config that is not committed is not obeyed, and nothing says so: %v", r)
	}
	s.commit("format")
	if r := s.run("promote", "frontend", "v1.0.0", "--key", key); r.code != 3 || !strings.Contains(r.stderr, ".sig for Flux 2.6") {
		t.Error(r)
	}
	if r := s.must("publish", "frontend", "--version", "v1.0.0", "--key", key, "--no-promote"); !strings.Contains(r.stdout,
		"lacked this run's signature") {
		t.Error(r)
	}
	s.must("promote", "frontend", "v1.0.0", "--key", key)
}

// TestRename: after a rename, artifacts and moves of the former name are accepted. Generated policies have both names as long as a
// channel or a rollback needs the former name.
func TestRename(t *testing.T) {
	st := githubSigstore(t)
	s := newSandbox(t)
	s.component("frontend", "1")
	s.write("keos-oci.yaml", workspaceHeader+"signing: {trustedRoot: "+st.env["SIGSTORE_TRUSTED_ROOT"]+"}\n")
	s.git("remote", "add", "origin", "git@github.com:oldorg/apps.git")
	release := func(owner, value, version string) {
		t.Helper()
		s.component("frontend", value)
		s.commit(value)
		run := s.as(st, "repository="+owner+"/apps&workflow=publish.yaml&ref=refs/heads/main")
		run.must(append([]string{"publish"}, st.flags()...)...)
		run = s.as(st, "repository="+owner+"/apps&workflow=release.yaml&ref=refs/tags/frontend/"+version)
		run.must(append([]string{"publish", "--ref", "refs/tags/frontend/" + version}, st.flags()...)...)
	}
	release("oldorg", "1", "v1.0.0")
	release("oldorg", "2", "v1.1.0")
	s.git("remote", "set-url", "origin", "git@github.com:org/apps.git")
	targets := []string{"frontend", "frontend:v1.0.0", "frontend:v1.1.0", "frontend:latest-stable"}
	for _, target := range targets {
		if r := s.run("verify", target); r.code != 3 {
			t.Errorf("%s is accepted without the former name: %v", target, r)
		}
	}
	s.write("keos-oci.yaml",
		workspaceHeader+"signing: {trustedRoot: "+st.env["SIGSTORE_TRUSTED_ROOT"]+"}\nformerly: [{repository: oldorg/apps, until: 2099-01-01}]\n")
	for _, target := range targets {
		s.must("verify", target)
	}
	if r := s.must("history", "frontend"); strings.Contains(r.stdout, "invalid") || strings.Count(r.stdout, "done") != 2 {
		t.Error(r)
	}
	generate := func(channel string) string {
		return s.must("generate", "ocirepository", "frontend", "--channel", channel, "--environment", "staging", "--cluster-registry",
			"ghcr.io/org/apps").stdout
	}
	for _, channel := range []string{"latest", "latest-stable"} {
		if out := generate(channel); !strings.Contains(out, `https://github\.com/(org/apps|oldorg/apps)/`) {
			t.Errorf("%s needs the former name: %s", channel, out)
		}
	}
	release("org", "3", "v1.2.0")
	if out := generate("latest"); strings.Contains(out, "oldorg") {
		t.Errorf("latest does not need the former name any more: %s", out)
	}
	if out := generate("latest-stable"); !strings.Contains(out, "oldorg") {
		t.Errorf("a rollback would go to what the former name signed: %s", out)
	}
	release("org", "4", "v1.3.0")
	if out := generate("latest-stable"); strings.Contains(out, "oldorg") {
		t.Errorf("latest-stable does not need the former name any more: %s", out)
	}
	mover := s.as(st, "repository=org/apps&workflow=promote.yaml&ref=refs/heads/main")
	mover.must(append([]string{"rollback", "frontend", "v1.1.0"}, st.flags()...)...)
	if out := generate("latest-stable"); !strings.Contains(out, "oldorg") {
		t.Errorf("latest-stable points to what the former name signed: %s", out)
	}
}

// TestRequestsOfUnchanged: an unchanged component costs 3 requests, 1 more for each further bundle that has to be read, and 1 more
// for a bundle that is not in its descriptor. The referrers API is probed once a run.
func TestRequestsOfUnchanged(t *testing.T) {
	origin := newSandbox(t)
	origin.component("frontend", "1")
	origin.commit("one")
	key := origin.key()
	origin.must("publish", "--key", key)
	junk := func(n int) ocispec.Manifest {
		data := []byte(fmt.Sprintf(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","n":%d}`, n))
		return ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
			ArtifactType: "application/vnd.dev.sigstore.bundle.v0.3+json",
			Config:       ocispec.DescriptorEmptyJSON, Layers: []ocispec.Descriptor{{MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
				Digest: digest.FromBytes(data), Size: int64(len(data)), Data: data}}}
	}
	others := func(t *testing.T, s *sandbox) (list []ocispec.Descriptor) {
		for n := range 2 {
			m := junk(n)
			pushBlob(t, s, m.Layers[0].Data)
			d := put(t, s, "frontend", m, fmt.Sprint("junk", n))
			list = append(list, ocispec.Descriptor{MediaType: m.MediaType, ArtifactType: m.ArtifactType, Digest: d.Digest, Size: d.Size})
		}
		return list
	}
	for what, c := range map[string]struct {
		change   func(t *testing.T, s *sandbox, index *ocispec.Index)
		requests int
	}{
		"one bundle": {func(*testing.T, *sandbox, *ocispec.Index) {}, 3},
		"two others before it": {func(t *testing.T, s *sandbox, index *ocispec.Index) {
			index.Manifests = append(others(t, s), index.Manifests...)
		}, 5},
		"two others behind it": {func(t *testing.T, s *sandbox, index *ocispec.Index) {
			index.Manifests = append(index.Manifests, others(t, s)...)
		}, 3},
		"one before it that is too large to be a signature": {func(t *testing.T, s *sandbox, index *ocispec.Index) {
			data := make([]byte, 2<<20)
			pushBlob(t, s, data)
			m := junk(0)
			m.Layers[0].Data, m.Layers[0].Digest, m.Layers[0].Size = nil, digest.FromBytes(data), int64(len(data))
			d := put(t, s, "frontend", m, "large")
			index.Manifests = append([]ocispec.Descriptor{{MediaType: m.MediaType, ArtifactType: m.ArtifactType, Digest: d.Digest, Size: d.Size}},
				index.Manifests...)
		}, 4},
		"not in its descriptor": {func(t *testing.T, s *sandbox, index *ocispec.Index) {
			_, raw, err := open(t, s, "frontend").Manifest(t.Context(), index.Manifests[0].Digest.String())
			if err != nil {
				t.Fatal(err)
			}
			var m ocispec.Manifest
			if err := json.Unmarshal(raw, &m); err != nil {
				t.Fatal(err)
			}
			m.Layers[0].Data = nil
			d := put(t, s, "frontend", m, "plain")
			index.Manifests[0].Digest, index.Manifests[0].Size = d.Digest, d.Size
		}, 4},
	} {
		t.Run(what, func(t *testing.T) {
			s := origin.copyOf(t)
			repo := open(t, s, "frontend")
			d, err := repo.Resolve(t.Context(), "latest")
			if err != nil {
				t.Fatal(err)
			}
			list := "sha256-" + d.Encoded()
			_, raw, err := repo.Manifest(t.Context(), list)
			if err != nil {
				t.Fatal(err)
			}
			var index ocispec.Index
			if err := json.Unmarshal(raw, &index); err != nil {
				t.Fatal(err)
			}
			c.change(t, s, &index)
			if raw, err = json.Marshal(index); err != nil {
				t.Fatal(err)
			}
			if err := repo.Tag(t.Context(), ocispec.Descriptor{MediaType: index.MediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))},
				raw, list); err != nil {
				t.Fatal(err)
			}
			s.registry.Reset()
			if r := s.must("publish", "--key", key); !strings.Contains(r.stdout, "1 unchanged") {
				t.Error(r)
			}
			if n, probes := s.registry.Count(""), s.registry.Count("/referrers/"); n-probes != c.requests || probes != 1 {
				t.Errorf("%d requests and %d probes, want %d and 1: %v", n-probes, probes, c.requests, s.registry.Requests())
			}
		})
	}
}

func pushBlob(t *testing.T, s *sandbox, data []byte) {
	t.Helper()
	if err := open(t, s, "frontend").PushBlob(t.Context(), ocispec.Descriptor{Digest: digest.FromBytes(data), Size: int64(len(data))},
		data); err != nil {
		t.Fatal(err)
	}
}

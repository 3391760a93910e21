package main

import (
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// withTLS puts TLS in front of the sandbox's registry, and gives its host and the file with its certificate.
func (s *sandbox) withTLS(t *testing.T) (host, ca string) {
	t.Helper()
	server := httptest.NewUnstartedServer(s.registry)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	return strings.TrimPrefix(server.URL, "https://"), ca
}

// TestTLSOnLoopback: requests to a registry of this machine use TLS where a flag or the URL asks for it.
func TestTLSOnLoopback(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "x")
	s.commit("one")
	key := s.key()
	host, ca := s.withTLS(t)
	where := host + "/" + s.prefix
	r := s.must("publish", "--key", key, "--registry", "https://"+where, "--registry-ca", ca, "-o", "json")
	if strings.Contains(r.stdout, "https://") || !strings.Contains(r.stdout, `"registry": "`+where+`"`) {
		t.Error(r)
	}
	s.must("list", "frontend", "--registry", where, "--registry-ca", ca)
	if r := s.run("list", "frontend", "--registry", where, "--plain-http=false"); r.code != 1 || !strings.Contains(r.stderr, "certificate") {
		t.Error(r)
	}
	if r := s.must("generate", "ocirepository", "--channel", "latest", "--environment", "staging", "--key", key, "--key-secret", "x",
		"--registry", "https://"+where, "--registry-ca", ca); !strings.Contains(r.stdout, "oci://"+where+"/frontend") ||
		strings.Contains(r.stdout, "https://"+host) {
		t.Error(r)
	}
	if r := s.run("list", "frontend", "--registry", "https://"+where, "--registry-ca", ca, "--plain-http"); r.code != 2 ||
		!strings.Contains(r.stderr, "--plain-http=true contradicts the registry https://") {
		t.Error(r)
	}
}

// TestHTTPPrefix: http:// in front of a registry is --plain-http, in the flag and in the config.
func TestHTTPPrefix(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "x")
	s.commit("one")
	s.must("publish", "--key", s.key())
	s.eavesdrop(t, s.registry.ServeHTTP)
	s.must("list", "frontend", "--registry", "http://registry.test/"+s.prefix)
	s.write("keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nregistry: http://registry.test/"+s.prefix+"\n")
	s.must("list", "frontend", "--registry", "")
	if r := s.run("list", "frontend", "--registry", "", "--plain-http=false"); r.code != 2 {
		t.Error(r)
	}
	_, ca := s.withTLS(t)
	s.must("list", "frontend", "--registry", "http://"+s.registry.Host()+"/"+s.prefix, "--registry-ca", ca)
}

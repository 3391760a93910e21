// Package clustertest is a small API server for tests: it lists its groups, lists objects in pages, and knows whom it lets in. It serves
// what Flux has in version v1, and nothing else of Kubernetes but namespaces and ConfigMaps.
package clustertest

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Token is the login of the kubeconfigs. No output may have it.
const Token = "a-token-that-nobody-may-see"

// Server is the API server. The zero value serves nothing but lists of its groups.
type Server struct {
	Objects   map[string][]map[string]any // by path
	Dir       string                      // a file such as ocirepositories.json in it has the objects of a resource, and is read each time
	Forbidden map[string]bool             // paths
	Down      map[string]bool             // groups that give no answer
	Locked    bool                        // the token is no login any more
	Page      int                         // the most objects of a page; 0 is no bound of its own

	mu     sync.Mutex
	asked  []string
	agents map[string]bool
}

// Asked gives the addresses that were asked for, and the user agents.
func (s *Server) Asked() (addresses []string, agents map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.agents
}

// groups are what the server serves: for each group its versions with the kinds.
func groups() map[string]map[string]map[string]string {
	return map[string]map[string]map[string]string{
		"source.toolkit.fluxcd.io": {
			"v1":      {"gitrepositories": "GitRepository", "ocirepositories": "OCIRepository"},
			"v1beta2": {"ocirepositories": "OCIRepository"},
		},
		"kustomize.toolkit.fluxcd.io": {"v1": {"kustomizations": "Kustomization", "kustomizations/status": "Kustomization"}},
		"metrics.k8s.io":              {"v1beta1": {"pods": "PodMetrics"}},
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.note(r)
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	w.Header().Set("Warning", `299 - "this server warns of everything"`)
	switch {
	case r.Header.Get("Authorization") != "Bearer "+Token || s.Locked:
		refuse(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
	case s.Forbidden[r.URL.Path]:
		refuse(w, http.StatusForbidden, "Forbidden", `User "viewer" cannot do this`)
	case r.URL.Path == "/api":
		answer(w, map[string]any{"kind": "APIVersions", "versions": []string{"v1"}})
	case r.URL.Path == "/api/v1":
		answer(w, map[string]any{"kind": "APIResourceList", "groupVersion": "v1", "resources": []any{
			map[string]any{"name": "namespaces", "kind": "Namespace"},
			map[string]any{"name": "configmaps", "kind": "ConfigMap", "namespaced": true}}})
	case r.URL.Path == "/apis":
		answer(w, map[string]any{"kind": "APIGroupList", "groups": groupList()})
	case len(parts) == 3 && s.Down[parts[1]]:
		http.Error(w, "service unavailable", http.StatusServiceUnavailable)
	case len(parts) == 3:
		resources(w, parts[1], parts[2])
	default:
		s.read(w, r)
	}
}

func (s *Server) note(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.URL.RequestURI())
	if s.agents == nil {
		s.agents = map[string]bool{}
	}
	s.agents[r.UserAgent()] = true
}

func groupList() []any {
	var list []any
	for group, versions := range groups() {
		var of []any
		for _, v := range []string{"v1beta2", "v1beta1", "v1"} { // the preferred one is not the first
			if _, found := versions[v]; found {
				of = append(of, map[string]any{"groupVersion": group + "/" + v, "version": v})
			}
		}
		list = append(list, map[string]any{"name": group, "versions": of, "preferredVersion": of[len(of)-1]})
	}
	return list
}

func resources(w http.ResponseWriter, group, version string) {
	list := []any{}
	for name, kind := range groups()[group][version] {
		list = append(list, map[string]any{"name": name, "kind": kind, "namespaced": true, "verbs": []string{"get", "list"}})
	}
	answer(w, map[string]any{"kind": "APIResourceList", "groupVersion": group + "/" + version, "resources": list})
}

// read gives one page of a list, or one object.
func (s *Server) read(w http.ResponseWriter, r *http.Request) {
	all, found := s.objects(r.URL.Path)
	if !found {
		refuse(w, http.StatusNotFound, "NotFound", "not found")
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadata") {
		answer(w, map[string]any{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": all[0]["metadata"]})
		return
	}
	var from int
	_, _ = fmt.Sscan(r.URL.Query().Get("continue"), &from)
	next, rest := len(all), ""
	if s.Page > 0 {
		next = min(from+s.Page, len(all))
	}
	if next < len(all) {
		rest = fmt.Sprint(next)
	}
	answer(w, map[string]any{"kind": "List", "apiVersion": "v1", "metadata": map[string]any{"continue": rest}, "items": all[from:next]})
}

// objects are those at a path.
func (s *Server) objects(at string) (all []map[string]any, found bool) {
	if s.Dir == "" {
		all, found = s.Objects[at]
		return all, found
	}
	raw, err := os.ReadFile(filepath.Join(s.Dir, path.Base(at)+".json"))
	if err != nil {
		return []map[string]any{}, true
	}
	return all, json.Unmarshal(raw, &all) == nil
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	status := map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}
	_ = json.NewEncoder(w).Encode(status)
}

// Serve gives the address of a server, and a kubeconfig for it.
func Serve(t testing.TB, handler http.Handler) (address, kubeconfig string) {
	t.Helper()
	web := httptest.NewTLSServer(handler) // tokens go through TLS alone
	t.Cleanup(web.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	return web.URL, Kubeconfig(t, web.URL, authority)
}

// Kubeconfig writes a file with the contexts main, which is the current one, and stranger, whose login is another one.
func Kubeconfig(t testing.TB, address string, authority []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %q}}]
users: [{name: u, user: {token: %s}}, {name: stranger, user: {token: another}}]
contexts: [{name: main, context: {cluster: c, user: u}}, {name: stranger, context: {cluster: c, user: stranger}}]
current-context: main
`, address, base64.StdEncoding.EncodeToString(authority), Token)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/cluster/clustertest"
)

func open(t *testing.T, s *clustertest.Server) *Cluster {
	t.Helper()
	_, config := clustertest.Serve(t, s)
	c, err := Open(config, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// object decodes JSON.
func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

const (
	ocis  = "/apis/source.toolkit.fluxcd.io/v1/ocirepositories"
	ks    = "/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations"
	gits  = "/apis/source.toolkit.fluxcd.io/v1/gitrepositories"
	owned = `"kustomize.toolkit.fluxcd.io/name": "tenants", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"`
)

func filled(t *testing.T) *clustertest.Server {
	s := &clustertest.Server{Objects: map[string][]map[string]any{}, Forbidden: map[string]bool{}, Down: map[string]bool{}}
	s.Objects[gits] = []map[string]any{}
	s.Objects[ocis] = []map[string]any{
		object(t, `{"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository",
			"metadata": {"name": "web", "namespace": "web", "generation": 2, "labels": {`+owned+`}},
			"spec": {"suspend": true},
			"status": {"observedGeneration": 2, "artifact": {"revision": "latest@sha256:abc", "digest": "sha256:def"},
				"conditions": [
				{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored", "observedGeneration": 2},
				{"type": "SourceVerified", "status": "True", "message": "verified", "observedGeneration": 1}]}}`),
	}
	s.Objects[ks] = []map[string]any{
		object(t, `{"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
			"metadata": {"name": "web", "namespace": "web", "generation": 3, "deletionTimestamp": "2026-01-02T03:04:05Z"},
			"spec": {"prune": true, "path": "./staging", "sourceRef": {"kind": "OCIRepository", "name": "web"}},
			"status": {"observedGeneration": 2, "lastAppliedRevision": "latest@sha256:abc",
				"conditions": [{"type": "Ready", "status": "False"}],
				"inventory": {"entries": [
					{"id": "web_web__Service", "v": "v1"}, {"id": "_system__node_rbac.authorization.k8s.io_ClusterRole", "v": "v1"}]}}}`),
	}
	return s
}

// TestFlux: what objects say is read in the preferred version, and kinds that the cluster does not have are not there.
func TestFlux(t *testing.T) {
	s := filled(t)
	c := open(t, s)
	got, err := c.Flux(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := &State{Objects: []Object{
		{
			Ref: Ref{Kustomization, "web", "web"}, Ready: Condition{Status: "False"}, Deleting: true, Prune: true,
			Revision: "latest@sha256:abc", Source: Ref{OCIRepository, "web", "web"},
			Inventory: []ID{{"web", "web", "", "Service"}, {"", "system:node", "rbac.authorization.k8s.io", "ClusterRole"}},
		},
		{
			Ref: Ref{OCIRepository, "web", "web"}, Current: true, Suspended: true, Revision: "latest@sha256:abc",
			Ready: Condition{"True", "Succeeded", "stored", true}, Verified: Condition{Status: "True", Message: "verified"},
		},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if o, found := got.Find(Ref{OCIRepository, "web", "web"}); !found || !o.Ready.IsTrue() || o.Verified.IsTrue() {
		t.Errorf("%v %+v", found, o)
	}
	if _, found := got.Find(Ref{OCIRepository, "web", "other"}); found {
		t.Error("an object that is not there was found")
	}
	if _, agents := s.Asked(); !agents["keos-oci"] || len(agents) != 1 {
		t.Errorf("user agents: %v", agents)
	}
}

// TestOnly: what nobody asks for is not read.
func TestOnly(t *testing.T) {
	s := filled(t)
	s.Forbidden[gits] = true
	if _, err := open(t, s).Flux(t.Context(), OCIRepository, Kustomization); err != nil {
		t.Error(err)
	}
	asked, _ := s.Asked()
	for _, uri := range asked {
		if strings.HasPrefix(uri, gits) {
			t.Errorf("%s was asked for", uri)
		}
	}
}

// TestPages: all pages are read, each with a limit.
func TestPages(t *testing.T) {
	s := filled(t)
	s.Page = 2
	s.Objects[ocis] = nil
	for i := range 7 {
		text := `{"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository", "metadata": {"name": "o%d", "namespace": "n"}}`
		s.Objects[ocis] = append(s.Objects[ocis], object(t, fmt.Sprintf(text, i)))
	}
	got, err := open(t, s).Flux(t.Context(), OCIRepository)
	if err != nil || len(got.Objects) != 7 {
		t.Errorf("%v: %+v", err, got)
	}
	pages := 0
	asked, _ := s.Asked()
	for _, uri := range asked {
		if strings.HasPrefix(uri, ocis) {
			pages++
			if !strings.Contains(uri, "limit=500") {
				t.Errorf("%s has no limit", uri)
			}
		}
	}
	if pages != 4 {
		t.Errorf("%d pages", pages)
	}
}

// TestFaults: a cluster that cannot be asked is an error of its own kind, and never an empty answer. No error has the token.
func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*clustertest.Server)
		want  error
		says  string
	}{
		"forbidden": {func(s *clustertest.Server) { s.Forbidden[ocis] = true }, ErrForbidden,
			`{apiGroups: ["source.toolkit.fluxcd.io"], resources: [ocirepositories], verbs: [list]}`},
		"forbidden, both are said": {func(s *clustertest.Server) { s.Forbidden[ocis], s.Forbidden[ks] = true, true }, ErrForbidden,
			`resources: [kustomizations]`},
		"forbidden discovery": {func(s *clustertest.Server) { s.Forbidden["/apis"] = true }, ErrForbidden, "nonResourceURLs"},
		"login":               {func(s *clustertest.Server) { s.Locked = true }, ErrLogin, "log in again"},
		"a group that is down": {func(s *clustertest.Server) { s.Down["source.toolkit.fluxcd.io"] = true }, ErrUnreachable,
			"source.toolkit.fluxcd.io"},
		"a list that is gone": {func(s *clustertest.Server) { delete(s.Objects, ocis) }, ErrUnreachable, "list ocirepositories"},
		"an inventory of another form": {func(s *clustertest.Server) {
			s.Objects[ks][0]["status"] = map[string]any{"inventory": map[string]any{"entries": []any{map[string]any{"id": "web"}}}}
		}, ErrUnreachable, "namespace_name_group_kind"},
		"fields of another form": {func(s *clustertest.Server) {
			s.Objects[ocis][0]["spec"] = map[string]any{"suspend": "yes"}
		}, ErrUnreachable, "another form"},
	} {
		t.Run(name, func(t *testing.T) {
			s := filled(t)
			test.spoil(s)
			got, err := open(t, s).Flux(t.Context())
			if !errors.Is(err, test.want) || !strings.Contains(fmt.Sprint(err), test.says) || got != nil {
				t.Errorf("%v %+v", err, got)
			}
			if strings.Contains(fmt.Sprint(err), clustertest.Token) {
				t.Errorf("the token is in %v", err)
			}
		})
	}
}

// TestNoAPIServer: neither an address without a listener nor another web server is an empty cluster.
func TestNoAPIServer(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, handler := range map[string]http.Handler{
		"nothing":         nil,
		"an empty answer": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }),
		"a page":          http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>log in</html>") }),
		"not found":       http.NotFoundHandler(),
		"too large": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			block := []byte(strings.Repeat(" ", 1<<20))
			for range 80 {
				_, _ = w.Write(block)
			}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			address, config := closed.URL, clustertest.Kubeconfig(t, closed.URL, nil)
			if handler != nil {
				address, config = clustertest.Serve(t, handler)
			}
			c, err := Open(config, "")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := c.Flux(t.Context()); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), address) || got != nil {
				t.Errorf("%v %+v", err, got)
			}
		})
	}
}

// TestAggregatedAPIDown: an API that Flux does not need may be down.
func TestAggregatedAPIDown(t *testing.T) {
	s := filled(t)
	s.Down["metrics.k8s.io"] = true
	c := open(t, s)
	if got, err := c.Flux(t.Context()); err != nil || len(got.Objects) != 2 {
		t.Errorf("%v %+v", err, got)
	}
}

// TestLabels: of objects that are there, in and out of namespaces. What may not be read is an error, beside the rest.
func TestLabels(t *testing.T) {
	s := filled(t)
	labelled := object(t, `{"metadata": {"name": "web", "labels": {`+owned+`}}}`)
	s.Objects["/api/v1/namespaces/web"] = []map[string]any{labelled}
	s.Objects["/api/v1/namespaces/web/configmaps/web"] = []map[string]any{labelled}
	s.Forbidden["/apis/source.toolkit.fluxcd.io/v1/namespaces/web/ocirepositories/web"] = true
	namespace, config := ID{"", "web", "", "Namespace"}, ID{"web", "web", "", "ConfigMap"}
	ids := []ID{namespace, config, {"web", "gone", "", "ConfigMap"}, {"web", "web", "apps", "Deployment"}}
	c := open(t, s)
	got, err := c.Labels(t.Context(), ids)
	owners := []Ref{{Kustomization, "flux-system", "tenants"}}
	if err != nil || len(got) != 2 || !reflect.DeepEqual(Owners(got[namespace]), owners) || got[config] == nil {
		t.Errorf("%v %v", err, got)
	}
	got, err = c.Labels(t.Context(), append(ids, ID{"web", "web", "source.toolkit.fluxcd.io", OCIRepository}))
	if !errors.Is(err, ErrForbidden) || !strings.Contains(err.Error(), "verbs: [get]") || len(got) != 2 {
		t.Errorf("%v %v", err, got)
	}
}

// TestConfig: each way in which a kubeconfig cannot be used says the file and what there is. The file's text is in no error.
func TestConfig(t *testing.T) {
	good := clustertest.Kubeconfig(t, "https://127.0.0.1:1", nil)
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("users: [{name: u, user: {token: ["+clustertest.Token+"]}}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ file, context, says string }{
		{good, "nosuch", `has no context "nosuch"; it has: main, stranger`},
		{good + ".not", "", "no such file"},
		{garbage, "", "is not a kubeconfig"},
		{empty, "", "has no current context; it has: none"},
		{empty, "main", `has no context "main"; it has: none`},
	} {
		_, err := Open(test.file, test.context)
		if !errors.Is(err, ErrConfig) || !strings.Contains(fmt.Sprint(err), test.says) || !strings.Contains(fmt.Sprint(err), test.file) {
			t.Errorf("%s: %v", test.says, err)
		}
		if strings.Contains(fmt.Sprint(err), clustertest.Token) {
			t.Errorf("the token is in %v", err)
		}
	}
	t.Setenv("KUBECONFIG", good)
	if _, err := Open("", "stranger"); err != nil {
		t.Error(err)
	}
}

// TestID: an ID is written as it was read.
func TestID(t *testing.T) {
	for text, want := range map[string]ID{
		"web_web_apps_Deployment":                     {"web", "web", "apps", "Deployment"},
		"_web__Namespace":                             {"", "web", "", "Namespace"},
		"_a__b_rbac.authorization.k8s.io_ClusterRole": {"", "a:b", "rbac.authorization.k8s.io", "ClusterRole"},
		"n_a__b__Service":                             {"n", "a:b", "", "Service"},
	} {
		if got, err := ParseID(text); err != nil || got != want || got.String() != text {
			t.Errorf("%s: %v %+v %s", text, err, got, got)
		}
	}
	for _, text := range []string{"", "web", "a_b", "a_b_c", "_a__", "__apps_Deployment"} {
		if got, err := ParseID(text); err == nil {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// observer lets requests through to a registry. After each one that changes a manifest or a tag, and before the next one of
// that kind, it demands:
//
//   - No version points to another digest than before. A test may delete one.
//   - Every version, every tag of a commit and every channel of the component is accepted by what keos-oci verify asks. The policy is the key: the tag
//     points to a Flux artifact of this component, among whose signatures, as the registry lists them now, there is one by the key. For a version, and
//     for a channel that points to one, a valid release record says that the version is this digest; no record is a note of verify, and wrong here.
//
// Known exceptions: what clusters do not follow (records, marks, release records, lists of signatures and their
// announcements) is not asked about; nor is a tag that another tool made by hand of what the gate refuses, as long as it
// points there; and a version whose release record a test deleted may lack it.
type observer struct {
	*known
	tb       testing.TB
	upstream http.Handler
	host     string // where the gate finds the registry
	client   *registry.Client
	gate     *judge

	mu     sync.Mutex
	writes []write // of latest-stable of frontend
	wrong  []string
}

// write is one request that wrote the channel, and what the channel pointed to before it.
type write struct {
	by           string
	before, made digest.Digest
}

// known is what the registry has, by component, and what the gate said about it.
type known struct {
	tags      map[string]map[string]digest.Digest
	referrers map[digest.Digest][]digest.Digest // manifests with a subject that were written, by their subject
	verdicts  map[string]string                 // why a tag is refused, "" where it is not, by all that the answer depends on
	refused   map[string]digest.Digest          // what another tool gave to a tag though the gate refuses it
	unbound   map[string]bool                   // versions whose release record was deleted
}

func (k *known) clone() *known {
	tags := map[string]map[string]digest.Digest{}
	for name, of := range k.tags {
		tags[name] = maps.Clone(of)
	}
	return &known{tags, maps.Clone(k.referrers), maps.Clone(k.verdicts), maps.Clone(k.refused), maps.Clone(k.unbound)}
}

// prefix is where the components' repositories are.
const prefix = "/v2/r/apps/"

// components are those that the observer knows.
func components() []string { return []string{"frontend", "backend"} }

// newObserver watches a registry of which something is known, or reads what it has.
func newObserver(t testing.TB, upstream http.Handler, gate *judge, has *known) *observer {
	t.Helper()
	direct := httptest.NewServer(upstream)
	t.Cleanup(func() { direct.CloseClientConnections(); direct.Close() })
	client, err := registry.New(registry.Options{}) // of its own: it remembers of a host and port what the registry there can do
	if err != nil {
		t.Fatal(err)
	}
	o := &observer{tb: t, upstream: upstream, host: strings.TrimPrefix(direct.URL, "http://"), client: client, gate: gate}
	if has != nil {
		o.known = has.clone()
	} else {
		o.read()
	}
	t.Cleanup(func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, wrong := range o.wrong {
			t.Error(wrong)
		}
	})
	return o
}

// read reads all tags, and asks the gate about them.
func (o *observer) read() {
	o.known = &known{map[string]map[string]digest.Digest{}, map[digest.Digest][]digest.Digest{}, map[string]string{},
		map[string]digest.Digest{}, map[string]bool{}}
	for _, name := range components() {
		o.tags[name] = map[string]digest.Digest{}
		var list struct{ Tags []string }
		_ = json.Unmarshal(o.ask(http.MethodGet, name+"/tags/list?n=1000", nil).Body.Bytes(), &list)
		for _, t := range list.Tags {
			o.tags[name][t] = o.resolveIn(name, t)
		}
		o.look(name, "the first look")
	}
}

// ask sends a request that is nobody's.
func (o *observer) ask(method, path string, body []byte) *httptest.ResponseRecorder {
	rec, r := httptest.NewRecorder(), httptest.NewRequest(method, prefix+path, bytes.NewReader(body))
	r.Header.Set("Accept", ocispec.MediaTypeImageManifest)
	o.upstream.ServeHTTP(rec, r)
	return rec
}

// resolve reads a tag of frontend.
func (o *observer) resolve(name string) digest.Digest { return o.resolveIn("frontend", name) }

func (o *observer) resolveIn(component, name string) digest.Digest {
	rec, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodHead, prefix+component+"/manifests/"+name, nil)
	r.Header.Add("Accept", ocispec.MediaTypeImageManifest)
	r.Header.Add("Accept", ocispec.MediaTypeImageIndex)
	o.upstream.ServeHTTP(rec, r)
	return digest.Digest(rec.Header().Get("Docker-Content-Digest"))
}

// tagByHand gives a tag to what a reference points to, as another tool does.
func (o *observer) tagByHand(component, reference, name string) {
	o.tb.Helper()
	rec := o.ask(http.MethodGet, component+"/manifests/"+reference, nil)
	if rec.Code != http.StatusOK {
		o.tb.Fatalf("%s:%s: %d", component, reference, rec.Code)
	}
	o.putByHand(component, rec.Body.Bytes(), name)
}

// putByHand stores a manifest under a tag, as another tool does.
func (o *observer) putByHand(component string, raw []byte, name string) {
	o.tb.Helper()
	rec, put := httptest.NewRecorder(), httptest.NewRequest(http.MethodPut, prefix+component+"/manifests/"+name, bytes.NewReader(raw))
	put.Header.Set("Content-Type", ocispec.MediaTypeImageManifest)
	if o.observe(another, rec, put, raw); rec.Code != http.StatusCreated {
		o.tb.Fatalf("%s:%s: %d", component, name, rec.Code)
	}
}

// deleteByHand takes a tag away, as another tool does.
func (o *observer) deleteByHand(component, name string) {
	o.tb.Helper()
	rec := httptest.NewRecorder()
	if o.observe(another, rec, httptest.NewRequest(http.MethodDelete, prefix+component+"/manifests/"+name, nil),
		nil); rec.Code != http.StatusAccepted {
		o.tb.Fatalf("delete %s:%s: %d", component, name, rec.Code)
	}
}

// observe lets a request through, and looks at what it does to the tags.
func (o *observer) observe(by string, rw http.ResponseWriter, r *http.Request, body []byte) {
	component, name, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, prefix), "/manifests/")
	if reads := r.Method == http.MethodGet || r.Method == http.MethodHead; reads || !ok {
		o.upstream.ServeHTTP(rw, r)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	answer := &status{ResponseWriter: rw}
	o.upstream.ServeHTTP(answer, r)
	if answer.code/100 != 2 {
		return
	}
	before, made := o.tags[component][name], digest.Digest("")
	if r.Method == http.MethodPut {
		made = digest.FromBytes(body)
	}
	o.note(component, name, made, body)
	if _, err := tag.ParseVersion(name); err == nil && before != "" && made != "" && before != made {
		o.wrong = append(o.wrong, fmt.Sprintf("%s changed %s from %s to %s", by, name, before, made))
	}
	if component == "frontend" && name == "latest-stable" {
		o.writes = append(o.writes, write{by, before, made})
	}
	o.look(component, fmt.Sprintf("%s %s of %s", r.Method, r.URL.Path, by))
}

// status remembers the code of an answer.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// note keeps what a request wrote. A manifest that is deleted by its digest takes its tags with it.
func (o *observer) note(component, name string, made digest.Digest, body []byte) {
	var m struct{ Subject *ocispec.Descriptor }
	if _ = json.Unmarshal(body, &m); m.Subject != nil {
		o.referrers[m.Subject.Digest] = append(slices.Clip(o.referrers[m.Subject.Digest]), made)
	}
	switch tags := o.tags[component]; {
	case made == "":
		maps.DeleteFunc(tags, func(t string, d digest.Digest) bool { return t == name || d.String() == name })
	case !strings.Contains(name, ":"):
		tags[name] = made
	}
}

// look asks the gate about each tag that a cluster may follow.
func (o *observer) look(component, after string) {
	for name, d := range o.tags[component] {
		if !followed(name) || o.refused[component+":"+name] == d {
			continue
		}
		key := o.dependsOn(component, name)
		why, asked := o.verdicts[key]
		if !asked {
			why = o.gate.refuses(o, component, name)
			o.verdicts[key] = why
		}
		if why != "" {
			o.wrong = append(o.wrong, fmt.Sprintf("after %s: tag %s is refused: %s", after, name, why))
		}
	}
}

// followed reports whether a cluster may follow a tag: a version, a channel or a commit's.
func followed(name string) bool {
	_, _, record := tag.ParseRecordTag(name)
	return !record && !tag.IsDoneTag(name) && !tag.IsReleaseTag(name) && !registry.IsReferrersTag(name)
}

// dependsOn is all that the gate's answer about a tag depends on: its digest, the list of the digest's signatures, the
// release record of a version, and for the channel of versions its records and all versions.
func (o *observer) dependsOn(component, name string) string {
	tags := o.tags[component]
	d := tags[name]
	key := []string{component, name, d.String(), tags["sha256-"+d.Encoded()].String(), fmt.Sprint(o.referrers[d]),
		tags[tag.ReleaseTag(name)].String()}
	if name != "latest-stable" {
		return strings.Join(key, " ")
	}
	for other, at := range tags {
		_, _, record := tag.ParseRecordTag(other)
		if _, err := tag.ParseVersion(other); record || err == nil || tag.IsReleaseTag(other) {
			key = append(key, other+"="+at.String())
		}
	}
	slices.Sort(key[6:])
	return strings.Join(key, " ")
}

// judge is what keos-oci verify is made of, without its command line.
type judge struct{ rules *trust.Rules }

// newJudge verifies with the public half of a key.
func newJudge(key string) *judge {
	verifier := sign.NewVerifier(sign.VerifierOptions{KeyFiles: []string{publicOf(key)}, NotFound: isNotFound,
		Unanswered: registry.Unanswered})
	return &judge{&trust.Rules{Now: time.Now, Verifier: verifier, Remote: func() (string, error) { return "", nil }}}
}

// publicOf is the public key beside a private one.
func publicOf(key string) string { return strings.TrimSuffix(key, ".key") + ".pub" }

// refuses says why the gate does not accept what a tag points to, "" where it does. Each question has a gate of its own,
// which remembers nothing.
func (j *judge) refuses(o *observer, of, name string) string {
	workspace, err := component.Standalone(o.host+"/r/apps", []string{of})
	if err != nil {
		return err.Error()
	}
	svc := &release.Service{Workspace: workspace, Gate: trust.New(j.rules, o.client, nil), Log: slog.New(slog.DiscardHandler), Concurrency: 1,
		Now: time.Now}
	res, err := svc.Verify(o.tb.Context(), release.VerifyRequest{Target: release.Target{Component: of, Tag: name}})
	switch {
	case err != nil:
		return err.Error()
	case res.Err() != nil:
		return res.Err().Error()
	case res.Digest != o.tags[of][name]:
		return fmt.Sprintf("it points to %s, not to %s", res.Digest, o.tags[of][name])
	case len(res.Notes) > 0 && !o.unbound[cmp.Or(res.Version, name)]:
		return strings.Join(res.Notes, "; ")
	}
	return ""
}

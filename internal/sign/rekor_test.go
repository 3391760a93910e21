package sign

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
)

// TestAnswersOfRekor: whatever a proxy makes of the log's answer, signing fails with the log's name, and does not panic.
func TestAnswersOfRekor(t *testing.T) {
	const proof = `"inclusionProof":{"rootHash":"00","treeSize":1,"logIndex":0,"hashes":[],"checkpoint":"c"}`
	entry := func(parts string) string { return `{"24296fb24b8ad77a":{` + parts + `}}` }
	for name, c := range map[string]struct {
		code       int
		kind, body string
	}{
		"201 without a body":            {201, "application/json", ""},
		"201 null":                      {201, "application/json", "null"},
		"201 without entries":           {201, "application/json", "{}"},
		"201 with a page":               {201, "text/html", "<html>"},
		"201 with text":                 {201, "text/plain", "created"},
		"201 of another kind":           {201, "application/octet-stream", "created"},
		"201 cut":                       {201, "application/json", `{"a":`},
		"200 with a page":               {200, "text/html", "<html>log in</html>"},
		"200 with JSON":                 {200, "application/json", "{}"},
		"204":                           {204, "", ""},
		"302":                           {302, "text/html", "moved"},
		"400":                           {400, "application/json", `{"code":400,"message":"no"}`},
		"409 without a place":           {409, "application/json", `{"code":409,"message":"there already"}`},
		"an entry without all":          {201, "application/json", entry(``)},
		"an entry without verification": {201, "application/json", entry(`"body":"e30=","integratedTime":1,"logID":"00","logIndex":1`)},
		"an entry without a proof": {201, "application/json",
			entry(`"body":"e30=","integratedTime":1,"logID":"00","logIndex":1,"verification":{}`)},
		"an entry without a root": {201, "application/json",
			entry(`"body":"e30=","integratedTime":1,"logID":"00","logIndex":1,"verification":{"inclusionProof":{}}`)},
		"an entry without a body": {201, "application/json",
			entry(`"integratedTime":1,"logID":"00","logIndex":1,"verification":{` + proof + `}`)},
		"an entry with another body": {201, "application/json",
			entry(`"body":7,"integratedTime":1,"logID":"00","logIndex":1,"verification":{` + proof + `}`)},
		"an entry that is none": {201, "application/json",
			entry(`"body":"e30=","integratedTime":1,"logID":"00","logIndex":1,"verification":{` + proof + `}`)},
	} {
		t.Run(name, func(t *testing.T) {
			log := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet && r.URL.Path != "/api/v1/log/entries" && c.code == 409 {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				if c.kind != "" {
					w.Header().Set("Content-Type", c.kind)
				}
				w.WriteHeader(c.code)
				fmt.Fprint(w, c.body)
			}))
			t.Cleanup(log.Close)
			for _, format := range []Format{Bundle, Both} {
				s := loggingSigner(t, log.URL, format)
				a := artifact("a")
				_, err := s.Prepare(t.Context(), newStore(), a, "example.com/a@"+a.Digest.String(), func(Signed) bool { return false })
				if err == nil || !strings.Contains(err.Error(), "Rekor at "+log.URL) {
					t.Errorf("%s: %v", format, err)
				}
			}
		})
	}
}

// loggingSigner signs with a key and logs its signatures.
func loggingSigner(t *testing.T, url string, format Format) *Signer {
	t.Helper()
	sv, _, err := signature.NewDefaultECDSASignerVerifier()
	if err != nil {
		t.Fatal(err)
	}
	return NewSigner(Options{Format: format, Now: time.Now, Clients: Clients{Rekor: http.DefaultClient}, LogKey: true,
		Services: Services{RekorURL: url}, NotFound: func(error) bool { return true }, Unanswered: func(error) bool { return false },
		Key: &PrivateKey{open: func() (*keypair, error) { return newKeypair(sv) }}})
}

// TestAnswersOfFulcio: the same for certificates.
func TestAnswersOfFulcio(t *testing.T) {
	for name, c := range map[string]struct {
		code int
		body string
	}{
		"nothing": {200, ""}, "null": {200, "null"}, "no chain": {200, `{"signedCertificateEmbeddedSct":{"chain":null}}`},
		"no PEM": {200, `{"signedCertificateEmbeddedSct":{"chain":{"certificates":["x"]}}}`}, "a page": {200, "<html>"}, "201": {201,
			""}, "500": {500, "<html>"},
		"no certificate": {200,
			`{"signedCertificateEmbeddedSct":{"chain":{"certificates":["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			fulcio := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.code)
				fmt.Fprint(w, c.body)
			}))
			t.Cleanup(fulcio.Close)
			a := &authority{http: http.DefaultClient, url: fulcio.URL, now: time.Now, tokens: TokenOptions{Getenv: func(k string) string {
				return map[string]string{"SIGSTORE_ID_TOKEN": "a.eyJzdWIiOiJzIn0.c"}[k] // {"sub":"s"}
			}}}
			if _, err := a.credential(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate from Fulcio at "+fulcio.URL) {
				t.Error(err)
			}
		})
	}
}

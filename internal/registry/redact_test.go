package registry

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// TestRedact: an error of a registry has no query of a URL in its text, in any depth, and is still what it was. The error that is shared by
// several requests does not change.
func TestRedact(t *testing.T) {
	at, err := url.Parse("https://user:pw@registry.example.com/v2/a/blobs/uploads/1?_state=secret")
	if err != nil {
		t.Fatal(err)
	}
	resp := &errcode.ErrorResponse{Method: http.MethodPut, URL: at, StatusCode: http.StatusUnauthorized}
	shared := fmt.Errorf("put blob: %w: %w", auth.ErrBasicCredentialNotFound, resp)
	before := shared.Error()
	clean := redact(shared)
	var found *errcode.ErrorResponse
	if text := clean.Error(); strings.Contains(text, "secret") || strings.Contains(text, "pw@") || !strings.HasPrefix(text, "put blob: ") ||
		!strings.Contains(text, "registry.example.com/v2/a/blobs/uploads/1") {
		t.Error(text)
	}
	if !errors.As(clean, &found) || found.URL.RawQuery != "" || status(clean) != http.StatusUnauthorized {
		t.Errorf("%+v", found)
	}
	if !errors.Is(clean, auth.ErrBasicCredentialNotFound) || shared.Error() != before {
		t.Error(clean, shared)
	}
	resp.URL = &url.URL{Scheme: "https", Host: "registry.example.com", Path: "/v2/"}
	if redact(shared) != shared { //nolint:errorlint // this very one
		t.Error("an error without a query is another one now")
	}
}

package release

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

func TestParseRef(t *testing.T) {
	for in, want := range map[string]Ref{"refs/heads/main": {Branch: "main"}, "refs/heads/feature/x": {Branch: "feature/x"},
		"refs/tags/frontend/v1.2.3": {Tag: "frontend/v1.2.3"}, "refs/pull/7/merge": {Branch: "pull/7/merge"}} {
		if got, err := ParseRef(in); err != nil || got != want {
			t.Errorf("ParseRef(%q) = %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"main", "refs/heads/", "", "refs/remotes/origin/main", "heads/main"} {
		if _, err := ParseRef(in); !errors.Is(err, ErrRef) {
			t.Errorf("ParseRef(%q): %v", in, err)
		}
	}
}

func TestParseTarget(t *testing.T) {
	digest := "sha256:" + fmt.Sprintf("%064d", 1)
	for in, want := range map[string]Target{"a": {Component: "a"}, "a:v1.0.0": {Component: "a", Tag: "v1.0.0"},
		"a@" + digest: {Component: "a", Digest: "sha256:" + "0000000000000000000000000000000000000000000000000000000000000001"}} {
		if got, err := ParseTarget(in); err != nil || got != want {
			t.Errorf("ParseTarget(%q) = %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"a:", "a@", "a@sha256:abc", "a@latest"} {
		if _, err := ParseTarget(in); err == nil {
			t.Errorf("ParseTarget(%q) was accepted", in)
		}
	}
}

func TestCodes(t *testing.T) {
	for want, err := range map[string]error{"immutable": tag.ErrImmutable, "refused": &RefusedError{},
		"unauthorized": registry.ErrUnauthorized,
		"backwards":    ErrOlder, "unsigned": sign.ErrUnsigned, "identity": sign.ErrWrongIdentity, "foreign": trust.ErrForeign, "relabelled": trust.ErrRelabelled, "unbound": trust.ErrUnbound,
		"cannot-tell": sign.ErrCannotCheck, "failed": errors.New("x")} {
		wrapped := Failures{fmt.Errorf("a: %w", err)}
		got := Faults().Find(wrapped)
		if got.Code != want {
			t.Errorf("the code of %v is %s, want %s", err, got.Code, want)
		}
		if no := slices.Contains([]string{"immutable", "backwards", "unsigned", "identity", "foreign", "relabelled", "unbound"},
			want); (got.Exit == exit.No) != no {
			t.Errorf("the exit code of %v is %d", err, got.Exit)
		}
	}
}

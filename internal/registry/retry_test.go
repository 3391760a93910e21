package registry

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// TestEveryFaultAtEveryRequest: a single fault is repeated away or reported, and what is reported as done is done.
func TestEveryFaultAtEveryRequest(t *testing.T) {
	for _, fault := range []registrytest.Fault{registrytest.TooManyRequests, registrytest.InternalError, registrytest.ResetBefore,
		registrytest.ResetAfter, registrytest.Truncated, registrytest.WrongDigest} {
		t.Run(fault.String(), func(t *testing.T) {
			reported := 0
			for at := range 20 {
				p := registrytest.New(t)
				p.FaultAt(func(n int, _ *http.Request) registrytest.Fault {
					if n == at {
						return fault
					}
					return registrytest.None
				})
				r := open(t, p.Host(), "a/b")
				err := push(t.Context(), t, r, "layer")
				if err == nil {
					err = check(t.Context(), t, r, "layer")
				}
				if err == nil {
					p.FaultAt(nil)
					err = check(t.Context(), t, open(t, p.Host(), "a/b"), "layer")
					if err != nil {
						t.Errorf("request %d: reported as done but is not: %v", at, err)
					}
					continue
				}
				reported++
				if fault != registrytest.WrongDigest {
					t.Errorf("request %d: a single fault was not repeated away: %v", at, err)
				}
			}
			t.Logf("%d of 20 reported", reported)
		})
	}
}

func TestRetryHonoursBudgetAndRetryAfter(t *testing.T) {
	var hits int
	var after string
	p := registrytest.NewProxy(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits++
		w.Header().Set("Retry-After", after)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	for _, c := range []struct {
		after string
		hits  int
	}{{"0", 3}, {"3600", 1}, {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), 1}} {
		hits, after = 0, c.after
		client, err := New(Options{Retry: Retry{Attempts: 3, Wait: time.Millisecond, Budget: time.Second}})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = client.Open(mustRepo(t, p.Host()+"/a")).Manifest(t.Context(), "v1")
		if !errors.Is(err, ErrUnavailable) || hits != c.hits {
			t.Errorf("Retry-After %s: %d requests, want %d; %v", c.after, hits, c.hits, err)
		}
	}
	if d := retryAfter("2", time.Now()); d != 2*time.Second {
		t.Error(d)
	}
}

func TestRetryStopsWithContext(t *testing.T) {
	p := registrytest.NewProxy(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	client, err := New(Options{Retry: Retry{Wait: time.Hour, Budget: 10 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := client.Open(mustRepo(t, p.Host()+"/a")).Manifest(ctx, "v1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

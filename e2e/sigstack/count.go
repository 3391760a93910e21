package sigstack

import (
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

func (s *Stack) count(name string, delay time.Duration, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := s.counts.LoadOrStore(name, new(atomic.Int64))
		c.(*atomic.Int64).Add(1)
		p, _ := s.paths.LoadOrStore(name+" "+r.Method+" "+class(r.URL.Path), new(atomic.Int64))
		p.(*atomic.Int64).Add(1)
		if delay > 0 {
			time.Sleep(delay)
		}
		h.ServeHTTP(w, r)
	})
}

func class(p string) string {
	parts := strings.Split(p, "/")
	for i, x := range parts {
		if strings.HasPrefix(x, "sha256") || len(x) > 40 || (len(x) == 36 && strings.Count(x, "-") == 4) ||
			(i > 0 && parts[i-1] == "uploads" && x != "") {
			parts[i] = "*"
			if strings.HasSuffix(x, ".sig") {
				parts[i] = "*.sig"
			}
		}
	}
	return strings.Join(parts, "/")
}

// Counts returns requests per service since the last ResetCounts, and by path when detail is set.
func (s *Stack) Counts(detail bool) map[string]int64 {
	m := map[string]int64{}
	src := &s.counts
	if detail {
		src = &s.paths
	}
	src.Range(func(k, v any) bool { m[k.(string)] = v.(*atomic.Int64).Load(); return true })
	return m
}

// ResetCounts sets all counters to zero.
func (s *Stack) ResetCounts() {
	s.counts.Range(func(k, v any) bool { v.(*atomic.Int64).Store(0); return true })
	s.paths.Range(func(k, v any) bool { s.paths.Delete(k); return true })
}

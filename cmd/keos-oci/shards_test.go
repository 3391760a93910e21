package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"github.com/stratio/keos-oci/internal/release"
)

// TestShards: 2,000 components in 8 jobs, each of them in just one, all published at the same time; then a change that
// concerns three of them.
func TestShards(t *testing.T) {
	if testing.Short() {
		t.Skip("publishes 2,000 components")
	}
	const components, shards = 2000, 8
	s := newSandbox(t)
	for i := range components {
		s.component(fmt.Sprintf("c%04d", i), "1")
	}
	s.commit("one")
	key := s.key()
	jobs := matrix(t, s, "--shards", fmt.Sprint(shards))
	if len(jobs) != shards {
		t.Fatalf("%d jobs", len(jobs))
	}
	var all []string
	var running []*exec.Cmd
	outputs := make([]bytes.Buffer, len(jobs))
	for i, job := range jobs {
		if n := len(job.Components); n < components/shards-1 || n > components/shards+1 {
			t.Errorf("job %d has %d components", i, n)
		}
		all = append(all, job.Components...)
		cmd := s.command(t.Context(), append([]string{"publish", "-o", "json", "--key", key, "--concurrency", "4"}, job.Components...)...)
		cmd.Stdout = &outputs[i]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != components {
		t.Errorf("%d components in all jobs together", len(all))
	}
	for i, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("job %d: %v", i, err)
		}
		var res release.PublishResult
		if err := json.Unmarshal(outputs[i].Bytes(), &res); err != nil || res.Summary.Published != len(jobs[i].Components) {
			t.Errorf("job %d: %v %+v", i, err, res.Summary)
		}
	}
	for _, name := range []string{"c0000", "c0999", "c1999"} {
		s.component(name, "2")
	}
	s.commit("two")
	changed := matrix(t, s, "--shards", fmt.Sprint(shards), "--changed-since", "HEAD~1")
	if len(changed) != 3 || len(changed[0].Components) != 1 || changed[2].Components[0] != "c1999" {
		t.Errorf("jobs for three changed components: %+v", changed)
	}
}

type shard struct {
	Shard      int
	Components []string
}

func matrix(t testing.TB, s *sandbox, flags ...string) []shard {
	t.Helper()
	var m struct{ Include []shard }
	if err := json.Unmarshal([]byte(s.must(append([]string{"components", "-o", "matrix"}, flags...)...).stdout), &m); err != nil {
		t.Fatal(err)
	}
	return m.Include
}

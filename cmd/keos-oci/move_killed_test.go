package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/tag"
)

// TestKilledMoves: SIGKILL at each request of promote and rollback, before and after it took effect. The channel names a
// verified version all the time, and the same command once more brings it where it was to go, with nothing pending.
func TestKilledMoves(t *testing.T) {
	st := sigstore(t)
	origin := shelf(t, st)
	for _, move := range []struct {
		args []string
		to   string
	}{{[]string{"promote", "frontend", "v3.0.0"}, "v3.0.0"}, {[]string{"rollback", "frontend", "v1.0.0"}, "v1.0.0"}} {
		t.Run(move.args[0], func(t *testing.T) {
			t.Parallel()
			args := append(slices.Clone(move.args), append(st.flags(), "--request", "one")...)
			killed := 0
			for at := 0; ; at++ {
				hit := false
				for _, fault := range []registrytest.Fault{registrytest.Block, registrytest.BlockAfter} {
					s := origin.copyOf(t)
					if s.killedAt(t, s.registry, at, fault, args) {
						hit = true
						killed++
						checkSettles(t, s, fmt.Sprintf("killed at %d (%s)", at, fault), args, move.to)
					}
				}
				if !hit {
					break
				}
			}
			if t.Logf("killed %d times", killed); killed < 20 {
				t.Errorf("only %d kills", killed)
			}
		})
	}
}

// checkSettles looks at the channel after an accident and runs the command again.
func checkSettles(t *testing.T, s *sandbox, what string, args []string, to string) {
	t.Helper()
	s.stable(t)
	if r := s.run(args...); r.code != 0 {
		t.Errorf("%s: again: %v", what, r)
		return
	}
	if got := s.stable(t); got != to {
		t.Errorf("%s: again: latest-stable is %s, want %s", what, got, to)
	}
	h := s.history(t)
	if h.Standing != tag.Settled || len(h.Findings) > 0 {
		t.Errorf("%s: again: the journal is %s, %v", what, h.Standing, h.Findings)
	}
	for _, m := range h.Moves {
		if m.State == tag.StatePending || m.State == tag.StateInvalid {
			t.Errorf("%s: again: %s is %s", what, m.Tag, m.State)
		}
	}
}

// TestFaultyMoves: each request of promote and rollback answered by each fault: repeated or reported, and never a wrong
// success.
func TestFaultyMoves(t *testing.T) {
	st := sigstore(t)
	origin := shelf(t, st)
	for args, to := range map[[3]string]string{{"promote", "frontend", "v3.0.0"}: "v3.0.0", {"rollback", "frontend", "v1.0.0"}: "v1.0.0"} {
		t.Run(args[0], func(t *testing.T) {
			faultyMoves(t, origin, append(args[:], append(st.flags(), "--request", "one")...), to)
		})
	}
}

func faultyMoves(t *testing.T, origin *sandbox, args []string, to string) {
	for _, fault := range []registrytest.Fault{registrytest.TooManyRequests, registrytest.InternalError, registrytest.ResetBefore,
		registrytest.ResetAfter, registrytest.Truncated, registrytest.WrongDigest} {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			for at := 0; ; at++ {
				s, reached := origin.copyOf(t), false
				s.registry.FaultAt(func(n int, _ *http.Request) registrytest.Fault {
					if n != at {
						return registrytest.None
					}
					reached = true
					return fault
				})
				r := s.run(args...)
				s.registry.FaultAt(nil)
				if !reached {
					break
				}
				if got := s.stable(t); r.code == 0 && got != to {
					t.Errorf("at %d: reported as done, but latest-stable is %s", at, got)
				}
				if r.code != 0 && fault != registrytest.WrongDigest {
					t.Errorf("at %d: a single fault was not repeated away: %v", at, r)
				}
				checkSettles(t, s, fmt.Sprintf("%s at %d", fault, at), args, to)
			}
		})
	}
}

// TestConcurrentMoves: processes promote, roll back and publish one component at once. Each either moved, and then its
// move is on record, or says 3; the channel always names a verified version that a record names.
func TestConcurrentMoves(t *testing.T) {
	st := sigstore(t)
	origin := shelf(t, st)
	for _, processes := range []int{2, 8} {
		t.Run(fmt.Sprint(processes), func(t *testing.T) {
			s := origin.copyOf(t)
			commands := [][]string{{"promote", "frontend", "v3.0.0"}, {"rollback", "frontend", "v1.0.0"}, {"promote", "frontend", "v2.0.0"},
				{"rollback", "frontend"},
				{"publish", "--version", "v3.0.0", "frontend"}}
			var mu sync.Mutex
			codes, records := map[int]int{}, map[string]bool{}
			var wg sync.WaitGroup
			for p := range processes {
				wg.Add(1)
				go func() {
					defer wg.Done()
					for i := range 80 / processes {
						r := s.run(append(append(slices.Clone(commands[(i*processes+p)%len(commands)]), "-o", "json"), st.flags()...)...)
						var res release.MoveResult
						_ = json.Unmarshal([]byte(r.stdout), &res)
						mu.Lock()
						codes[r.code]++
						if r.code != 0 && r.code != 3 {
							t.Errorf("%v", r)
						}
						for _, c := range res.Components {
							if c.Status == release.StatusMoved && c.Record != "" {
								records[c.Record] = true
							}
						}
						mu.Unlock()
					}
				}()
			}
			wg.Wait()
			version := s.stable(t)
			h := s.history(t)
			named, listed := false, map[string]bool{}
			for _, m := range h.Moves {
				listed[m.Tag] = m.State != tag.StateInvalid
				named = named || m.To == h.Digest && m.State == tag.StateDone
			}
			for r := range records {
				if !listed[r] {
					t.Errorf("the reported move %s is not in the journal", r)
				}
			}
			if !named {
				t.Errorf("no record names what latest-stable is: %s", h.Digest)
			}
			t.Logf("exit codes %v, %d moves reported, %d records, latest-stable %s, journal %s", codes, len(records), len(h.Moves), version,
				h.Standing)
			if codes[0] == 0 || len(records) < 10 {
				t.Error("hardly anything moved")
			}
		})
	}
}

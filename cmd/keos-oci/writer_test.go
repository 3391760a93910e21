package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// attack is what a registry writer does, and what each verb answers then.
type attack struct {
	name string
	// do gives the digests that may be neither signed nor tagged afterwards.
	do func(t *testing.T, h *house) []digest.Digest
	// answers is, for a command, the exit code and a word of the output, as in "3 unsigned". "…; …" is several commands, of which
	// the last answers and the others succeed. Where keyed and keyless differ, the answer is "keyed | keyless".
	answers map[string]string
	only    string // "keyed" or "keyless", "" for both
	house   func(t *testing.T, h *house)
	silent  bool // no command may write anything
}

// TestRegistryWriter runs all attacks on copies of two houses, one beside the other.
func TestRegistryWriter(t *testing.T) {
	st := githubSigstore(t)
	attacks := slices.Concat(lostSignatures(), forgedArtifacts(), strangersSignatures(newSandbox(t).key()), formerNames(),
		releaseRecords(newSandbox(t).key()))
	for _, mode := range []string{"keyed", "keyless"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			origin := newHouse(t, st, mode == "keyed")
			for _, a := range attacks {
				if a.only != "" && a.only != mode {
					continue
				}
				t.Run(a.name, func(t *testing.T) {
					t.Parallel()
					a.run(t, origin.copyOf(t))
				})
			}
		})
	}
}

func (a attack) run(t *testing.T, attacked *house) {
	if a.house != nil {
		a.house(t, attacked)
	}
	bad := a.do(t, attacked)
	before := attacked.state(t, bad)
	h := attacked.copyOf(t)
	for _, commands := range slices.Sorted(maps.Keys(a.answers)) {
		want := a.answers[commands]
		if want == "" { // the other answers tell why nobody asks
			continue
		}
		if keyed, keyless, two := strings.Cut(want, " | "); two && h.key != "" {
			want = keyed
		} else if two {
			want = keyless
		}
		h.registry.Reset()
		code, word, _ := strings.Cut(want, " ")
		var r result
		list := strings.Split(commands, "; ")
		for i, command := range list {
			if r = h.says(command); i < len(list)-1 && r.code != 0 {
				t.Errorf("%s: %s: %v", commands, command, r)
			}
		}
		if fmt.Sprint(r.code) != code || !strings.Contains(r.stdout+r.stderr, word) {
			t.Errorf("%s: want %s: %v", commands, want, r)
		}
		if r.code == 0 && strings.HasPrefix(list[len(list)-1], "publish") && h.digestOf(t, "latest") != h.good["latest"] {
			t.Errorf("%s: latest is %s, want %s as before the attack: %v", commands, h.digestOf(t, "latest"), h.good["latest"], r)
		}
		wrote := h.registry.Count("PUT") + h.registry.Count("POST")
		if r.code != 0 && len(list) == 1 && h.registry.Count("PUT /v2/"+h.prefix+"/frontend/manifests/") > 0 {
			t.Errorf("%s: it refused, and wrote: %v", commands, h.registry.Requests())
		}
		if a.silent && wrote > 0 {
			t.Errorf("%s: it wrote: %v", commands, h.registry.Requests())
		}
		if wrote == 0 {
			continue
		}
		h.unharmed(t, commands, before, bad)
		h = attacked.copyOf(t) // the next command meets the attack as it was
	}
}

// merged is the answers of several maps, of which the last counts.
func merged(list ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range list {
		maps.Copy(all, m)
	}
	return all
}

// untouched is what verbs answer as long as an attack does not concern them.
var untouched = map[string]string{
	"verify latest": "0", "verify v2.0.0": "0", "status": `0 "verdict": "accepted"`, "publish": "0 unchanged", "publish --resign": "0 unchanged",
	"release v2.0.0": "0 unchanged", "promote v2.0.0": "0 there already", "rollback v1.0.0": "0 1 moved",
}

// atLatest is what they answer when latest names what it may not, while this commit's tag is as it was.
func atLatest(why, publish string) map[string]string {
	return map[string]string{
		"verify latest": "3 " + why, "status": "0 refused: ", "publish": "0 " + publish, "publish --resign": "0 " + publish,
		"release v3.0.0": `0 "reused": "main-`, "promote v2.0.0": "0 there already", "rollback v1.0.0": "0 1 moved",
	}
}

// atVersion is what they answer when v2.0.0 names what it may not.
func atVersion(why, release string) map[string]string {
	list := map[string]string{"release v2.0.0": "3 " + release, "rollback v1.0.0; promote v2.0.0": "3"}
	for _, verb := range []string{"verify", "promote", "rollback"} {
		list[verb+" v2.0.0"] = "3 " + strings.Replace(why, " | ", " | 3 ", 1)
	}
	return list
}

const wrongIdentity = "not signed by the expected identity"

package main

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/tag"
)

// releaseRecords: a registry writer deletes, breaks or replaces the record that says which digest v2.0.0 is.
func releaseRecords(otherKey string) []attack {
	// Keyless, the Git ref binds the version. With a key nothing does, until publish writes the record again; but a rollback finds
	// the version in the journal.
	answers := func(note string) map[string]string {
		return map[string]string{"verify v2.0.0": "0 " + note, "verify latest-stable": "0", "status": `0 "verdict": "accepted"`,
			"promote v2.0.0":                  "0 there already",
			"rollback v1.0.0; promote v2.0.0": "3 nothing signed says | 0", "rollback v1.0.0; rollback v2.0.0": "0", "publish": "0 unchanged",
			"release v2.0.0; rollback v1.0.0; promote v2.0.0": "0"}
	}
	record := tag.ReleaseTag("v2.0.0")
	attacks := []attack{
		{name: "record: deleted", do: func(t *testing.T, h *house) []digest.Digest {
			h.deletes(t, record)
			return nil
		}, answers: answers("no release record")},
		{name: "record: an artifact", do: func(t *testing.T, h *house) []digest.Digest {
			h.retag(t, "v1.0.0", record)
			return nil
		}, answers: map[string]string{"verify v2.0.0": "0 is not a record", "rollback v1.0.0; promote v2.0.0": "3 nothing signed says | 0", "release v2.0.0; rollback v1.0.0; promote v2.0.0": "0"}},
		{name: "record: junk", do: func(t *testing.T, h *house) []digest.Digest {
			h.forge(t, record, annotated("com.stratio.keos-oci.move", "junk"), record)
			return nil
		}, answers: map[string]string{"verify v2.0.0": "0 invalid release record", "rollback v1.0.0; promote v2.0.0": "3 nothing signed says | 0", "release v2.0.0; rollback v1.0.0; promote v2.0.0": "0"}},
		{name: "record: of another version", do: func(t *testing.T, h *house) []digest.Digest {
			h.retag(t, tag.ReleaseTag("v1.0.0"), record)
			return nil
		}, answers: map[string]string{"verify v2.0.0": "0 states v1.0.0 of frontend", "rollback v1.0.0; promote v2.0.0": "3 nothing signed says | 0", "release v2.0.0; rollback v1.0.0; promote v2.0.0": "0"}},
		{name: "record: of a move", do: func(t *testing.T, h *house) []digest.Digest {
			h.retag(t, tag.RecordTags(h.tags(t), "latest-stable")[0], record)
			return nil
		}, answers: map[string]string{"verify v2.0.0": "0 invalid release record", "rollback v1.0.0; promote v2.0.0": "3 nothing signed says | 0"}},
	}
	for name, who := range map[string]struct{ query, key string }{
		"a pull request": {query: onBranch + "&event=pull_request_target"}, "another repository": {query: strings.Replace(onMover, "org/",
			"evil/", 1)},
		"another component": {query: strings.Replace(onTag, "frontend", "backend", 1) + "v2.0.0"}, "another key": {key: otherKey},
	} {
		mode := "keyless"
		if who.key != "" {
			mode = "keyed"
		}
		invalid := "invalid release record"
		if who.key != "" {
			invalid = "signed with another key"
		}
		attacks = append(attacks, attack{name: "record signed by " + name, only: mode, do: func(t *testing.T, h *house) []digest.Digest {
			by := h.outsider(who.query, who.key)
			h.records(t, by, "v2.0.0", h.good["v1.0.0"])
			h.records(t, by, "v3.0.0", h.good["v1.0.0"])
			return nil
		}, answers: map[string]string{"verify v2.0.0": "0 " + invalid, "rollback v1.0.0; promote v2.0.0": "3 nothing signed says | 0",
			"release v2.0.0; rollback v1.0.0; promote v2.0.0": "0", "release v3.0.0": `0 "reused": "latest"`}})
	}
	return attacks
}

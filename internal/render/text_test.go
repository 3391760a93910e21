package render

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/terminal"
)

const digestText = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

var noon = time.Date(2026, 11, 24, 12, 0, 12, 0, time.UTC)

// text is a result as a terminal of a width shows it.
func text(r Result, width int) string {
	var out bytes.Buffer
	r.Text(&terminal.Page{W: &out, Width: width, Now: noon, Zone: time.FixedZone("CET", 3600)})
	return out.String()
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if got != strings.TrimPrefix(want, "\n") {
		t.Errorf("got\n%s\nwant%s", got, want)
	}
}

func someStatus() Status {
	since := noon.Add(-3 * time.Hour)
	channel := release.ChannelStatus{Name: "latest-stable", Version: "v1.2.2", Digest: digestText, Since: &since, Actor: "ana",
		Standing: tag.Settled, State: []string{"settled"}}
	c := release.ComponentStatus{Name: "frontend", Channels: []release.ChannelStatus{channel}}
	return Status{StatusResult: &release.StatusResult{Components: []release.ComponentStatus{c}}}
}

// TestStatusText: an age has a unit that people say, and a narrow terminal loses the digest first, then who and when.
func TestStatusText(t *testing.T) {
	same(t, text(someStatus(), 0), `
COMPONENT  CHANNEL        VERSION  DIGEST               SINCE    BY   STATE
frontend   latest-stable  v1.2.2   sha256:0123456789ab  3 h ago  ana  settled
`)
	same(t, text(someStatus(), 70), `
COMPONENT  CHANNEL        VERSION  SINCE    BY   STATE
frontend   latest-stable  v1.2.2   3 h ago  ana  settled
`)
	same(t, text(someStatus(), 44), `
COMPONENT  CHANNEL        VERSION  STATE
frontend   latest-stable  v1.2.2   settled
`)
}

// TestHistoryText: times are where the reader is, and who signed is beside who said to be the actor.
func TestHistoryText(t *testing.T) {
	r := History{HistoryResult: &release.HistoryResult{Name: "frontend", Channel: "latest-stable", Standing: tag.Settled, Digest: digestText,
		Moves: []release.HistoryMove{{Record: tag.Record{Action: tag.ActionRollback, Version: "v1.2.2", FromVersion: "v1.2.3", Time: noon,
			Actor: "ana", Reason: "errors since 02:50"}, State: "done", Signer: "key abc"}}}}
	same(t, text(r, 0), `
frontend latest-stable is settled at sha256:0123456789ab
WHEN                     ACTION    FROM    TO      BY   STATE  REASON              SIGNED BY
2026-11-24 13:00:12 CET  rollback  v1.2.3  v1.2.2  ana  done   errors since 02:50  key abc
`)
	same(t, text(r, 60), `
frontend latest-stable is settled at sha256:0123456789ab
WHEN                     TO      STATE  REASON
2026-11-24 13:00:12 CET  v1.2.2  done   errors since 02:50
`)
}

// TestDryRunEndsWithItsSummary: what would change may be long, and the last lines are those that people see.
func TestDryRunEndsWithItsSummary(t *testing.T) {
	r := Move{&release.MoveResult{Components: []release.MovedComponent{{
		Name: "frontend", Channel: "latest-stable", Status: release.StatusPlanned,
		FromVersion: "v1.0.0", Version: "v1.1.0", To: digestText,
		Changes: []*release.DiffResult{{Files: []release.FileDiff{{Path: "a.yaml", Change: release.ChangeChanged, Diff: "-x\n+y\n"}}}}}},
		Summary: release.MoveSummary{Planned: 1}}}
	same(t, text(r, 0), `
COMPONENT  CHANNEL        STATUS   FROM    TO      DIGEST
frontend   latest-stable  planned  v1.0.0  v1.1.0  sha256:0123456789ab

frontend files:
--- a/a.yaml
+++ b/a.yaml
-x
+y

0 moved, 0 unchanged, 0 failed, 1 planned (dry run: nothing was changed)
`)
}

// TestCheckTextSaysThingsOnce: a file of two components has its finding once.
func TestCheckTextSaysThingsOnce(t *testing.T) {
	f := finding.Finding{Severity: finding.Error, Rule: finding.RuleSecret, File: "base/secret.yaml", Line: 3, Message: "a plaintext Secret"}
	r := Check{&release.CheckResult{Components: []release.CheckedComponent{{Name: "a", Findings: []finding.Finding{f}},
		{Name: "b", Findings: []finding.Finding{f}}}}}
	same(t, text(r, 0), `
error: base/secret.yaml:3: a plaintext Secret (secret)
0 passed, 0 refused, 0 failed
`)
	if n := len(r.Annotations()); n != 1 {
		t.Errorf("%d annotations", n)
	}
}

// TestPublishText: on a narrow terminal the digests go, and many tags are cut.
func TestPublishText(t *testing.T) {
	r := Publish{&release.PublishResult{Components: []release.PublishedComponent{{
		Name: "frontend", Status: release.StatusPublished, Digest: digestText,
		Tags: []tag.Move{{Tag: "main-01234567"}, {Tag: "latest"}}}}, Summary: release.PublishSummary{Published: 1}}}
	same(t, text(r, 0), `
COMPONENT  STATUS     DIGEST               TAGS
frontend   published  sha256:0123456789ab  main-01234567 latest
1 published, 0 unchanged, 0 failed
`)
	same(t, text(r, 40), `
COMPONENT  STATUS     TAGS
frontend   published  main-01234567 lat…
1 published, 0 unchanged, 0 failed
`)
}

package tag

import (
	"slices"
	"testing"
	"time"
)

func TestRecordTags(t *testing.T) {
	at := time.Date(2026, 11, 20, 14, 38, 12, 123e6, time.UTC)
	got := RecordTag("latest-stable", at, "one")
	if got != "latest-stable.20261120T143812123Z.7692" {
		t.Error(got)
	}
	if list := MayBeOf([]string{got, RecordTag("latest-stable", at, "two")}, "one"); !slices.Equal(list, []string{got}) {
		t.Error(list)
	}
	for _, channel := range []string{"latest-stable", "a.b", "x.20261120T143812123Z.9f3a"} {
		tag := RecordTag(channel, at, "")
		if c, parsed, ok := ParseRecordTag(tag); !ok || c != channel || !parsed.Equal(at) {
			t.Errorf("%s: %q %s %v", tag, c, parsed, ok)
		}
	}
	for _, tag := range []string{"latest", "v1.2.3", "latest.20261120T143812123Z", "latest.20261120T143812Z.9f3a",
		"latest.20261320T143812123Z.9f3a", ".20261120T143812123Z.9f3a"} {
		if _, _, ok := ParseRecordTag(tag); ok {
			t.Errorf("%s was taken for a record", tag)
		}
	}
	list := []string{"latest.20261120T143812123Z.0001", "latest", "latest-stable.20270101T000000000Z.0001", "latest.20261120T143812124Z.0000"}
	if got := RecordTags(list, "latest"); !slices.Equal(got, []string{list[3], list[0]}) {
		t.Error(got)
	}
}

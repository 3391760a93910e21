package tag

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"time"
)

// recordTag is <channel>.<UTC time to the millisecond>.<4 hex>; channels may have dots, so it is read from its end.
var recordTag = regexp.MustCompile(`^(.+)\.([0-9]{8}T[0-9]{9}Z)\.([0-9a-f]{4})$`)

const recordTime = "20060102T150405.000"

// RecordTag names a record. Its end comes from the request. It keeps two moves of one millisecond apart, and it finds the
// records of a command that is repeated without reading all of them.
func RecordTag(channel string, at time.Time, request string) string {
	return RecordsAfter(channel, at) + "Z" + requestEnd(request)
}

// RecordsAfter is a name for sorted lists of tags: newer records come after it, older ones before it.
func RecordsAfter(channel string, at time.Time) string {
	return channel + "." + strings.Replace(at.UTC().Format(recordTime), ".", "", 1)
}

func requestEnd(request string) string {
	sum := sha256.Sum256([]byte(request))
	return "." + hex.EncodeToString(sum[:2])
}

// MayBeOf picks the records of a request out of those of a channel. Now and then there is a record of another request among them.
func MayBeOf(records []string, request string) []string {
	end := requestEnd(request)
	return slices.DeleteFunc(slices.Clone(records), func(record string) bool { return !strings.HasSuffix(record, end) })
}

// ParseRecordTag reads the channel and the time of a record's tag, false for any other tag.
func ParseRecordTag(t string) (channel string, at time.Time, ok bool) {
	m := recordTag.FindStringSubmatch(t)
	if m == nil {
		return "", time.Time{}, false
	}
	stamp := m[2]
	at, err := time.Parse(recordTime, stamp[:15]+"."+stamp[15:18])
	return m[1], at, err == nil
}

// DoneTag is the second tag of a record, once its move is done.
func DoneTag(record string) string { return record + doneSuffix }

const doneSuffix = ".done"

// IsDoneTag reports whether a tag marks a record as done.
func IsDoneTag(t string) bool {
	record, ok := strings.CutSuffix(t, doneSuffix)
	if ok {
		_, _, ok = ParseRecordTag(record)
	}
	return ok
}

// ReleaseTag names the record that says which digest a version is.
func ReleaseTag(version string) string { return releasePrefix + version }

// IsReleaseTag reports whether a tag is that of a release record.
func IsReleaseTag(t string) bool {
	version, ok := strings.CutPrefix(t, releasePrefix)
	if !ok {
		return false
	}
	_, err := ParseVersion(version)
	return err == nil
}

const releasePrefix = "release."

// RecordTags picks a channel's records out of a repository's tags, newest first.
func RecordTags(tags []string, channel string) []string {
	var list []string
	for _, t := range tags {
		if c, _, ok := ParseRecordTag(t); ok && c == channel {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Compare(b, a) })
	return list
}

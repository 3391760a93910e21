package journal

import (
	"context"

	"github.com/stratio/keos-oci/internal/tag"
)

// Tags is the tags of a channel's records and their marks, among others: all of them, or those behind one name.
type Tags struct {
	Names []string
	After string // "" for all

	set map[string]bool // of Names
}

// Has reports whether a record was there when the tags were listed. Of what is older than the list, it assumes so.
func (t Tags) Has(record string) bool { return record <= t.After || t.set[record] }

// Tags lists the tags of the records of the last 30 days. What a registry has beside them costs nothing, where it begins
// lists as it is asked to.
func (l *Journal) Tags(ctx context.Context) (Tags, error) {
	return l.list(ctx, tag.RecordsAfter(l.o.Channel, l.o.Now().Add(-recent)))
}

// Relist lists the same part of the records once more.
func (l *Journal) Relist(ctx context.Context, before Tags) (Tags, error) {
	return l.list(ctx, before.After)
}

func (l *Journal) list(ctx context.Context, after string) (Tags, error) {
	first := l.o.Channel + "."
	names, whole, err := l.o.Repo.TagsBetween(ctx, max(after, first), l.o.Channel+"/") // the byte behind the dot
	if whole || after <= first {
		after = ""
	}
	return TagsOf(names, after), err
}

// TagsOf is a list that was read already: of all tags, or of those behind one.
func TagsOf(names []string, after string) Tags {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return Tags{names, after, set}
}

// Package journal writes and reads signed records: the moves of a channel, and which digest a version is. It promises that a
// record which counts was signed by somebody allowed to, for this very repository, component and tag. What records mean for
// a channel is decided in package tag.
package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// How records are stored: one manifest per move, with a Sigstore bundle as an annotation. A record is written with one
// request and read with one.
const (
	recordType    = "application/vnd.stratio.keos-oci.move.v1+json"
	recordBundle  = "com.stratio.keos-oci.move"
	recordMeaning = "https://keos-oci.stratio.com/move/v1"
	// Enough is how many of the newest records are read where one does not tell enough.
	Enough = 50
	// maxRead is how many records are read at most, junk among them.
	maxRead = 10000
	// maxBatch is how many of them are read before somebody looks whether they suffice.
	maxBatch = 256
	// recent is how far back the first list of records goes.
	recent = 30 * 24 * time.Hour
)

// Options of a Journal.
type Options struct {
	Repo      *registry.Repository
	Names     []string // of the repository, without host: its present name first, then former ones
	Component string
	Channel   string
	Verifier  *sign.Verifier
	Movers    func() (sign.Policies, error) // who may sign; asked when a record is checked, because a key may take a while to open
	Signer    *sign.Signer                  // nil where nothing is written
	Now       func() time.Time
}

// Journal is the records of one component: of the moves of a channel, and of releases.
type Journal struct{ o Options }

// Open names a journal; nothing is requested yet.
func Open(o Options) *Journal { return &Journal{o} }

// Read gives the newest records, verified: limit valid ones, or all, and at least as many as it takes to know what the channel's newest
// move is. points is what the channel points to. Where the tags are not enough, all records are listed, and tags is that list then. Invalid
// records are read past; maxRead bounds how many.
func (l *Journal) Read(ctx context.Context, tags *Tags, limit int, points digest.Digest) (tag.Journal, error) {
	return l.read(ctx, tags, limit, limit, points)
}

// Recent is Read that lists no more records than it takes to know what the channel's newest move is.
func (l *Journal) Recent(ctx context.Context, tags *Tags, limit int, points digest.Digest) (tag.Journal, error) {
	return l.read(ctx, tags, limit, 1, points)
}

func (l *Journal) read(ctx context.Context, tags *Tags, limit, least int, points digest.Digest) (tag.Journal, error) {
	all := tag.RecordTags(tags.Names, l.o.Channel)
	j, chain := tag.Journal{Current: points}, chain{}
	for next := limit; !j.Suffices(limit, Enough); next = min(max(16, 2*next), maxBatch) {
		if len(j.Entries) == len(all) && tags.After != "" && !j.Suffices(least, Enough) {
			older, err := l.list(ctx, "")
			if err != nil {
				return j, err
			}
			behind := before(older.Names, tags.After)
			all, *tags = append(all, tag.RecordTags(behind, l.o.Channel)...), TagsOf(append(behind, tags.Names...), "")
		}
		end := min(len(j.Entries)+next, len(all), maxRead)
		batch, err := l.entries(ctx, all[len(j.Entries):end], *tags)
		if err != nil {
			return j, err
		}
		if j.Entries = append(j.Entries, chain.vouch(batch)...); len(batch) == 0 || len(batch) == maxBatch && unread(batch) {
			break
		}
	}
	j.Partial = tags.After != "" || len(j.Entries) < len(all)
	for _, e := range j.Entries {
		if e.Err == nil && e.PreviousTag != "" && !tags.Has(e.PreviousTag) {
			j.Absent = append(j.Absent, e.PreviousTag)
		}
	}
	return j, nil
}

// before picks the tags before the beginning of a list.
func before(tags []string, after string) []string {
	return slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return t > after })
}

// unread reports whether the registry gave none of the records: it would not give the next ones either.
func unread(batch []found) bool {
	return !slices.ContainsFunc(batch, func(f found) bool { return f.Digest != "" })
}

// found is a record, and what it claims to be where that is not checked.
type found struct {
	tag.Entry
	claim *tag.Entry
}

// chain is the records that valid ones name as those before them, with their sequence numbers. Their writers checked them,
// and a digest names the very bytes. So they count, even if their signer may not move the channel any more, or their key is
// not at hand.
type chain map[digest.Digest]int

// vouch takes the next records, newest first.
func (c chain) vouch(batch []found) []tag.Entry {
	list := make([]tag.Entry, len(batch))
	for i, f := range batch {
		if sequence, named := c[f.Digest]; f.Err != nil && f.claim != nil && named && f.claim.Sequence+1 == max(sequence, 1) {
			claimed := *f.claim
			claimed.Tag, claimed.Digest, claimed.Marked, claimed.Former = f.Tag, f.Digest, f.Marked, true
			f.Entry = claimed
		}
		if list[i] = f.Entry; f.Err == nil && f.Previous != "" {
			c[f.Previous] = f.Sequence
		}
	}
	return list
}

// Done finds a move that a request made, among the records that are not in j; nil where there is none.
func (l *Journal) Done(ctx context.Context, tags Tags, j tag.Journal, request string, action tag.Action, version string) (*tag.Entry, error) {
	records := tag.MayBeOf(tag.RecordTags(tags.Names, l.o.Channel), request)
	for _, name := range records[:min(len(records), maxRepeats)] {
		if slices.ContainsFunc(j.Entries, func(e tag.Entry) bool { return e.Tag == name }) {
			continue
		}
		e, err := l.Entry(ctx, name, tags)
		if err != nil {
			return nil, err
		}
		if e.Marked && e.Of(request, action, version) {
			return &e, nil
		}
	}
	return nil, nil //nolint:nilnil // the request made no move
}

// maxRepeats is how many records are read for one request.
const maxRepeats = 8

// Entry reads one record, whatever the channel points to.
func (l *Journal) Entry(ctx context.Context, name string, tags Tags) (tag.Entry, error) {
	list, err := l.entries(ctx, []string{name}, tags)
	if err != nil {
		return tag.Entry{}, err
	}
	return list[0].Entry, nil
}

func (l *Journal) entries(ctx context.Context, names []string, tags Tags) ([]found, error) {
	list := make([]found, len(names))
	var group errgroup.Group
	group.SetLimit(32)
	for i, name := range names {
		group.Go(func() error {
			list[i] = l.entry(ctx, name)
			list[i].Marked = tags.set[tag.DoneTag(name)]
			return nil
		})
	}
	_ = group.Wait()
	return list, context.Cause(ctx)
}

// entry reads one record. What is wrong with it goes into the entry.
func (l *Journal) entry(ctx context.Context, name string) found {
	desc, raw, err := l.o.Repo.Manifest(ctx, name)
	if err != nil {
		f := found{Entry: tag.Entry{Tag: name, Err: err, Unchecked: registry.Unanswered(err)}}
		if errors.Is(err, registry.ErrNotFound) {
			f.Err = errors.New("its manifest is gone")
		}
		return f
	}
	return l.parse(name, desc.Digest, raw)
}

// check verifies the bundle of a record. What does not count by itself keeps what it claims.
func (l *Journal) check(f *found, bundle []byte) {
	if f.Err = l.verify(&f.Entry, bundle); f.Err != nil {
		f.Unchecked = errors.Is(f.Err, sign.ErrCannotCheck)
		f.claim = l.claim(f.Tag, bundle)
	}
}

// claim is what a record says that does not count by itself, nil where it is not even about this place.
func (l *Journal) claim(name string, bundle []byte) *tag.Entry {
	st, by, err := sign.Unverified(bundle)
	if err != nil {
		return nil
	}
	e := tag.Entry{Tag: name, Signer: by}
	if err := l.about(&e, st); err != nil {
		return nil
	}
	return &e
}

// statement checks a bundle and that somebody signed it who may.
func (l *Journal) statement(bundle []byte) (sign.Statement, sign.Signed, error) {
	movers, err := l.o.Movers()
	if err != nil {
		return sign.Statement{}, sign.Signed{}, fmt.Errorf("%w: %w", sign.ErrCannotCheck, err)
	}
	st, signed, err := l.o.Verifier.Statement(bundle, movers.Keyless())
	if err != nil {
		return st, signed, err
	}
	if err := movers.Judge(signed); err != nil {
		return st, signed, fmt.Errorf("%w: %w; signed by %s", sign.ErrWrongIdentity, err, signed)
	}
	return st, signed, nil
}

// verify checks who signed and that the statement is about this very repository, channel and time: a record that was
// copied from elsewhere or tagged anew is authentic, but not here.
func (l *Journal) verify(e *tag.Entry, bundle []byte) error {
	st, signed, err := l.statement(bundle)
	e.Signer = ""
	if signed.Identity != (sign.Identity{}) {
		e.Signer = signed.String()
	}
	e.Logged = signed.Time
	if err != nil {
		return err
	}
	e.Former = l.former(signed)
	return l.about(e, st)
}

// former reports whether somebody who was allowed to sign a record is allowed no more.
func (l *Journal) former(signed sign.Signed) bool {
	movers, err := l.o.Movers()
	signed.Time = l.o.Now()
	return err == nil && movers.Judge(signed) != nil
}

// about reads the record in a statement, and checks that it is of this component, channel and time.
func (l *Journal) about(e *tag.Entry, st sign.Statement) error {
	predicate, err := json.Marshal(st.Predicate)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(predicate, &e.Record); err != nil {
		return fmt.Errorf("it states no move: %w", err)
	}
	channel, at, _ := tag.ParseRecordTag(e.Tag)
	switch {
	case st.Type != recordMeaning:
		return fmt.Errorf("it states %s", st.Type)
	case !l.named(st.Repository) || e.Component != l.o.Component:
		return fmt.Errorf("this record belongs to %s (%s); if this registry is a mirror, set mirrors in keos-oci.yaml", e.Component,
			st.Repository)
	case st.Subject != recordSubject(e.Record):
		return errors.New("it was signed for another digest")
	case e.Channel != channel:
		return fmt.Errorf("this record belongs to the channel %s", e.Channel)
	case !e.Time.Equal(at):
		return fmt.Errorf("the time of this record is %s, and its tag has another one", e.Time.UTC().Format(time.RFC3339Nano))
	}
	return nil
}

// recordSubject is the digest that a record's statement is about: where the channel goes. What another tool put on the
// channel may be signed by nobody, and a statement about it, hung onto it by somebody, would pass for a signature on a
// cluster; so an adoption is about a digest that no artifact has. So is what closes a move.
func recordSubject(r tag.Record) digest.Digest {
	switch r.Action {
	case tag.ActionAdopt:
		return digest.FromString("adopted: " + r.To.String())
	case tag.ActionClose, tag.ActionWithdraw:
		return digest.FromString("closed: " + r.To.String())
	}
	return r.To
}

func (l *Journal) named(repository string) bool { return slices.Contains(l.o.Names, repository) }

// MayMove says why id may not sign records now, nil when it may.
func (l *Journal) MayMove(id sign.Signed) error {
	movers, err := l.o.Movers()
	if err != nil {
		return err
	}
	if err := movers.ForNewSignatures().Judge(id); err != nil {
		return fmt.Errorf("%w: your identity %s may not move %s: %w", sign.ErrWrongIdentity, id, l.o.Channel, err)
	}
	return nil
}

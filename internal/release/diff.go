package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
)

// ErrDiffers says that what was compared is not equal.
var ErrDiffers = errors.New("differs")

// checkoutName is the name of the checkout where artifacts have a reference.
const checkoutName = "checkout"

// DiffRequest says what is compared: two artifacts of a component, or, with a nil To, one and the checkout. With Variants
// the objects that they render are compared, else the files.
type DiffRequest struct {
	Component string
	From      Target
	To        *Target
	Variants  []string
	MayMiss   bool // a From that is not there is an artifact without files, as before a component's first publication
}

// DiffResult is how To differs from From. The digests are those of the artifacts; the checkout has none. Files is set
// without variants, Objects with. Verified is false where nobody asked who signed the artifacts; the plan of a move does not have
// it, since the move asks.
type DiffResult struct {
	Name       string        `json:"name"`
	From       string        `json:"from"`
	To         string        `json:"to"`
	FromDigest digest.Digest `json:"fromDigest"`
	ToDigest   digest.Digest `json:"toDigest,omitempty"`
	Verified   *bool         `json:"verified,omitempty"`
	Equal      bool          `json:"equal"`
	Variant    string        `json:"variant,omitempty"` // of a dry run's objects
	Files      []FileDiff    `json:"files,omitzero"`
	Objects    []ObjectDiff  `json:"objects,omitzero"`
}

// What happened to a file or an object.
const (
	ChangeAdded   = "added"
	ChangeRemoved = "removed"
	ChangeChanged = "changed"
)

// FileDiff is one file that is not the same on both sides. Diff has the hunks of a unified diff without its header; it is
// empty for a binary file and for one too large to show. Mode is set when the file became executable or ceased to be.
type FileDiff struct {
	Path     string `json:"path"`
	Change   string `json:"change"`
	Mode     string `json:"mode,omitempty"`
	Binary   bool   `json:"binary,omitempty"`
	TooLarge bool   `json:"tooLarge,omitempty"`
	Diff     string `json:"diff"`
}

// Err is an ErrDiffers unless both sides are equal.
func (r *DiffResult) Err() error {
	if r.Equal {
		return nil
	}
	return fmt.Errorf("%s %w: %s and %s are not equal", r.Name, ErrDiffers, r.From, r.To)
}

// ParseTargetOf reads TAG or DIGEST of a component.
func ParseTargetOf(component, s string) (Target, error) {
	if s == "" {
		return Target{}, errors.New("the tag is empty")
	}
	if !strings.Contains(s, ":") {
		return Target{Component: component, Tag: s}, nil
	}
	d, err := digest.Parse(strings.TrimPrefix(s, "@"))
	if err != nil {
		return Target{}, fmt.Errorf("%q is neither a tag nor a digest: %w", s, err)
	}
	return Target{Component: component, Digest: d}, nil
}

// side is one side of a comparison, unpacked.
type side struct {
	name   string
	digest digest.Digest
	dir    string
	files  map[string]bool // whether they are executable
}

// maxCompared is more than Flux unpacks, and keeps what a registry gives from filling the disk or the terminal.
const maxCompared = 128 << 20

// Diff compares two artifacts of a component, or one and what the checkout would publish. Signatures are not looked at.
func (s *Service) Diff(ctx context.Context, req DiffRequest) (*DiffResult, error) {
	res, err := s.diff(ctx, req)
	if res != nil {
		res.Verified = new(bool)
	}
	return res, err
}

func (s *Service) diff(ctx context.Context, req DiffRequest) (_ *DiffResult, err error) {
	c, err := s.Workspace.Components.Find(req.Component)
	if err != nil {
		return nil, err
	}
	if err := knowVariants(c, req.Variants); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(s.TempDir, "keos-oci-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	from, to, err := s.sides(ctx, c, req, work)
	if err != nil {
		return nil, err
	}
	res := &DiffResult{Name: c.Name, From: from.name, To: to.name, FromDigest: from.digest, ToDigest: to.digest}
	if len(req.Variants) > 0 {
		res.Objects, err = s.diffVariants(ctx, req.Variants, from, to)
	} else {
		res.Files, err = diffFiles(ctx, from, to)
	}
	res.Equal = len(res.Files)+len(res.Objects) == 0
	return res, err
}

func knowVariants(c component.Component, asked []string) error {
	for _, v := range asked {
		switch {
		case slices.Contains(c.Variants, v):
		case len(c.Variants) == 0:
			return fmt.Errorf("%w variant %q; %s has none", component.ErrUnknown, v, c.Name)
		default:
			return fmt.Errorf("%w variant %q; %s has %s", component.ErrUnknown, v, c.Name, strings.Join(c.Variants, ", "))
		}
	}
	return nil
}

// sides fetches and unpacks both sides at the same time.
func (s *Service) sides(ctx context.Context, c component.Component, req DiffRequest, work string) (from, to side, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		from, err = s.artifactSide(ctx, c, req.From, filepath.Join(work, "from"))
		if req.MayMiss && errors.Is(err, registry.ErrNotFound) {
			from, err = side{name: req.From.reference(c)}, nil
		}
		return err
	})
	group.Go(func() (err error) {
		dir := filepath.Join(work, "to")
		if req.To == nil {
			to, err = s.checkoutSide(ctx, c, dir)
		} else {
			to, err = s.artifactSide(ctx, c, *req.To, dir)
		}
		return err
	})
	err = group.Wait()
	return from, to, err
}

func (s *Service) artifactSide(ctx context.Context, c component.Component, t Target, dir string) (side, error) {
	a, err := s.fetch(ctx, c, t)
	if err != nil {
		return side{}, err
	}
	return unpackSide(ctx, side{name: a.reference, digest: a.Descriptor.Digest, dir: dir}, a.layer,
		pack.Limits{Bytes: max(c.MaxSize, maxCompared)})
}

// checkoutSide packs and unpacks, so that ignore rules, modes and limits are those of a publication.
func (s *Service) checkoutSide(ctx context.Context, c component.Component, dir string) (side, error) {
	p, err := s.pack(ctx, c)
	if err != nil {
		return side{}, fmt.Errorf("%s: %w", checkoutName, err)
	}
	return unpackSide(ctx, side{name: checkoutName, dir: dir}, p.layer.Bytes, pack.Limits{})
}

func unpackSide(ctx context.Context, s side, layer []byte, limits pack.Limits) (side, error) {
	err := os.Mkdir(s.dir, 0o700)
	if err == nil {
		err = pack.Extract(ctx, bytes.NewReader(layer), s.dir, limits)
	}
	if err == nil {
		s.files, err = listFiles(s.dir)
	}
	if err != nil {
		return side{}, fmt.Errorf("%s: %w", s.name, err)
	}
	return s, nil
}

func diffFiles(ctx context.Context, from, to side) ([]FileDiff, error) {
	diffs := []FileDiff{}
	for _, name := range union(from.files, to.files) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d, same, err := diffFile(name, from, to)
		if err != nil {
			return nil, err
		}
		if !same {
			diffs = append(diffs, d)
		}
	}
	return diffs, nil
}

func diffFile(name string, from, to side) (d FileDiff, same bool, err error) {
	before, inFrom, err := from.read(name)
	if err != nil {
		return d, false, err
	}
	after, inTo, err := to.read(name)
	if err != nil {
		return d, false, err
	}
	d = FileDiff{Path: name, Change: change(inFrom, inTo)}
	if d.Change == ChangeChanged && from.files[name] != to.files[name] {
		d.Mode = mode(from.files[name]) + " -> " + mode(to.files[name])
	}
	if d.Change == ChangeChanged && d.Mode == "" && bytes.Equal(before, after) {
		return d, true, nil
	}
	d.Binary = isBinary(before) || isBinary(after)
	d.TooLarge = !d.Binary && max(len(before), len(after)) > maxShown
	if !d.Binary && !d.TooLarge {
		d.Diff = unified(before, after)
	}
	return d, false, nil
}

// read gives a file's content, false when the side has no such file.
func (s side) read(name string) ([]byte, bool, error) {
	if _, ok := s.files[name]; !ok {
		return nil, false, nil
	}
	data, err := os.ReadFile(filepath.Join(s.dir, filepath.FromSlash(name)))
	return data, true, err
}

func mode(executable bool) string {
	if executable {
		return "0755"
	}
	return "0644"
}

func change(before, after bool) string {
	switch {
	case !before:
		return ChangeAdded
	case !after:
		return ChangeRemoved
	}
	return ChangeChanged
}

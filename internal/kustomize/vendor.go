package kustomize

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"sigs.k8s.io/yaml"

	"github.com/stratio/keos-oci/internal/finding"
)

// Vendored is a remote base that was rendered into an artifact. Paths are relative to the workspace.
type Vendored struct {
	File   string        `json:"file"` // the kustomization that names it
	Line   int           `json:"line"`
	URL    string        `json:"url"`  // without the login or token that it may have
	Path   string        `json:"path"` // what the artifact's kustomization names instead
	Digest digest.Digest `json:"digest"`
}

// String says where the base is now.
func (v Vendored) String() string {
	return fmt.Sprintf("%s:%d: %s is in the artifact, rendered, as %s (%s)", v.File, v.Line, v.URL, v.Path, v.Digest)
}

// Replacement is the files of an artifact that remote bases change.
type Replacement struct {
	Contents map[string][]byte // by path: kustomizations, and the rendered bases beside them
	Bases    []Vendored
	Findings []finding.Finding
}

// Remotes renders remote bases, each URL once, so that all artifacts of a run have the same content of it. The zero value is
// ready.
type Remotes struct {
	Log *slog.Logger // says that the run waits for a remote base; nil says nothing

	mu       sync.Mutex
	rendered map[string]*rendering
}

type rendering struct {
	once    sync.Once
	objects []byte
	err     error
}

// Vendor renders what kustomizations name as remote resources, and makes them name the outcome: nothing else in them is
// touched. files are those of the checkout that become the artifact, sorted. What cannot be rendered is a finding; the error is one
// of the machine or of ctx.
func (r *Remotes) Vendor(ctx context.Context, checkout fs.FS, files []string) (Replacement, error) {
	out := Replacement{Contents: map[string][]byte{}}
	for _, file := range files {
		if !IsFile(file) {
			continue
		}
		data, err := readIn(checkout, file)
		if err != nil {
			return out, err
		}
		k, _ := Parse(file, data)
		if k.Unclear != "" {
			continue // the gate says so, and nothing is fetched
		}
		if err := r.vendorInto(ctx, k, data, files, &out); err != nil {
			return out, err
		}
	}
	slices.SortFunc(out.Bases, func(a, b Vendored) int { return cmp.Or(cmp.Compare(a.File, b.File), a.Line-b.Line) })
	slices.SortStableFunc(out.Findings, func(a, b finding.Finding) int { return cmp.Or(cmp.Compare(a.File, b.File), a.Line-b.Line) })
	return out, nil
}

// vendorInto renders the bases that one kustomization, which is this text, names.
func (r *Remotes) vendorInto(ctx context.Context, k *Kustomization, text []byte, files []string, out *Replacement) error {
	// The last reference is replaced first, so that the positions of the others stay correct.
	slices.SortStableFunc(k.References, func(a, b Reference) int { return cmp.Or(b.Line-a.Line, b.Column-a.Column) })
	for _, ref := range k.References {
		if !ref.IsBase() || !IsRemote(ref.Path) {
			continue
		}
		if why, _ := Forbidden(ref.Path); why != "" {
			continue // the gate says so
		}
		objects, err := r.render(ctx, ref.Path)
		if ctx.Err() != nil {
			return fmt.Errorf("%s:%d: %s: %w", k.Name, ref.Line, Shareable(ref.Path), ctx.Err())
		}
		base := Vendored{File: k.Name, Line: ref.Line, URL: Shareable(ref.Path), Digest: digest.FromBytes(objects),
			Path: path.Join(path.Dir(k.Name), RenderedFile(ref.Path))}
		if _, taken := slices.BinarySearch(files, base.Path); err == nil && taken {
			err = fmt.Errorf("%s, which is to hold it, is there already", base.Path)
		}
		if err == nil {
			text, err = rename(text, ref, path.Base(base.Path))
		}
		if err != nil {
			out.Findings = append(out.Findings, base.refuse(ref, err))
			continue
		}
		out.Bases = append(out.Bases, base)
		out.Findings = append(out.Findings, base.advise(ref)...)
		out.Contents[k.Name], out.Contents[base.Path] = text, objects
	}
	return nil
}

func (v Vendored) refuse(ref Reference, err error) finding.Finding {
	message := strings.ReplaceAll(Innermost(Shareable(err.Error())), os.TempDir()+string(filepath.Separator), "")
	if _, cause, ok := strings.Cut(message, "URL is a git repository': "); ok {
		message = cause // what it was before kustomize saw that
	}
	message = strings.TrimPrefix(message, "accumulating resources from '"+v.URL+"': ")
	// Kustomize quotes what it cannot use of a generator, and that may be a secret.
	message = regexp.MustCompile(`(literal sources?) .*`).ReplaceAllString(message, "$1 …")
	message = Shortened(strings.Join(strings.Fields(message), " "))
	f := finding.Finding{Severity: finding.Error, Rule: finding.RuleRemote, File: v.File, Line: v.Line,
		Message: fmt.Sprintf("%s: %s cannot be rendered: %s", ref.Field, v.URL, message),
		Fix:     "correct the URL and see that it can be reached from here, or copy the base into the repository"}
	if errors.Is(err, errSpelling) {
		f.Fix = "write the URL by itself in one line, without an anchor or escapes"
	}
	return f
}

// advise warns of a base whose content may change: the same commit would then make another artifact.
func (v Vendored) advise(ref Reference) []finding.Finding {
	if regexp.MustCompile(`\b(?:[0-9a-f]{40}|[0-9a-f]{64})\b`).MatchString(v.URL) {
		return nil
	}
	return []finding.Finding{{Severity: finding.Warning, Rule: finding.RuleRemote, File: v.File, Line: v.Line,
		Message: fmt.Sprintf("%s: %s has no commit: the artifact gets its content of today", ref.Field, v.URL),
		Fix:     "name a commit (?ref=<40 digits>), so that this commit always makes this artifact"}}
}

// RenderedFile is the name of the file with a rendered base.
func RenderedFile(remote string) string {
	sum := sha256.Sum256([]byte(remote))
	return "remote-base-" + hex.EncodeToString(sum[:6]) + ".yaml"
}

var errSpelling = errors.New("it is not written plainly")

// rename puts a file's name in the place of a reference, and leaves the rest of the text as it is, lines included. So
// line numbers of the artifact's file are those of the checkout's file.
func rename(text []byte, ref Reference, name string) ([]byte, error) {
	lines := strings.SplitAfter(string(text), "\n")
	if ref.Line < 1 || ref.Line > len(lines) {
		return nil, errSpelling
	}
	line := []rune(lines[ref.Line-1])
	at := max(ref.Column-1, 0)
	if at < len(line) && (line[at] == '"' || line[at] == '\'') {
		at++
	}
	rest, ok := strings.CutPrefix(string(line[min(at, len(line)):]), ref.Path)
	if !ok {
		return nil, errSpelling
	}
	lines[ref.Line-1] = string(line[:at]) + name + rest
	return []byte(strings.Join(lines, "")), nil
}

// render builds one remote base, as a kustomization that names nothing else.
func (r *Remotes) render(ctx context.Context, remote string) ([]byte, error) {
	r.mu.Lock()
	if r.rendered == nil {
		r.rendered = map[string]*rendering{}
	}
	one := r.rendered[remote]
	if one == nil {
		one = &rendering{}
		r.rendered[remote] = one
	}
	r.mu.Unlock()
	one.once.Do(func() {
		if r.Log != nil {
			what := "the remote base " + Shareable(remote)
			r.Log.Debug("waiting", "waits", what)
			defer r.Log.Debug("waiting no more", "waited", what)
		}
		one.objects, one.err = renderNew(ctx, remote)
	})
	return one.objects, one.err
}

func renderNew(ctx context.Context, remote string) (objects []byte, err error) {
	dir, err := os.MkdirTemp("", "keos-oci-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	only, err := yaml.Marshal(map[string]any{"resources": []string{remote}})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "kustomization.yaml"), only, 0o600)
	}
	if err != nil {
		return nil, err
	}
	err = Retry(ctx, func() error {
		objects, err = Render(ctx, dir, ".", Options{RemoteBases: true})
		return err
	})
	if err == nil && len(objects) == 0 {
		objects = []byte("# The base has no objects.\n")
	}
	return objects, err
}

// Retry repeats what fetches, twice at the most.
func Retry(ctx context.Context, fetch func() error) error {
	var err error
	for _, pause := range []time.Duration{0, time.Second, 3 * time.Second} {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		if err = fetch(); err == nil || !isTransient(err) {
			break
		}
	}
	return err
}

// isTransient reports whether asking again may help: where the network or the place failed, and gave no answer.
func isTransient(err error) bool {
	text := err.Error()
	if regexp.MustCompile(`repository .* not found|couldn't find remote ref|not allowed`).MatchString(text) {
		return false
	}
	return regexp.MustCompile(`git (?:fetch|remote|submodule)|hit \d+\w+ timeout|status code (?:408|425|429|5\d\d)|Get "https?:`).MatchString(text)
}

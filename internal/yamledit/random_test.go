package yamledit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/stratio/keos-oci/internal/manifest"
)

const runs = 500

// TestRandomEditsOfRealFiles adds and removes random things in files of real repositories.
func TestRandomEditsOfRealFiles(t *testing.T) {
	files := realFiles(t)
	n := 0
	randomEdits(t, max(runs, 3*len(files)), func(r *rand.Rand) string {
		text := files[n%len(files)].text // each of them, as it is and in other forms
		if n++; n <= len(files) {
			return text
		}
		return randomForm(r, text)
	})
}

// TestRealFilesAreNotRefused edits what a migration of real repositories edits.
func TestRealFilesAreNotRefused(t *testing.T) {
	count := map[string]int{}
	for _, file := range realFiles(t) {
		for _, form := range []func(string) string{asIs, crlf, noNewline} {
			text := []byte(form(file.text))
			if strings.HasPrefix(filepath.Base(file.name), "kustomization.") {
				_, err := AddResource(text, "new")
				count["kustomization"] += accepted(t, file.name, err)
			}
			for _, id := range (&editing{T: t, text: text}).objects() {
				switch {
				case id.Group == "kustomize.toolkit.fluxcd.io":
					_, err := AddPatch(text, id, fromRegistry("new"))
					count["patch"] += accepted(t, file.name, err)
					_, err = SetField(text, id, []string{"spec", "path"}, "./new")
					count["path"] += accepted(t, file.name, err)
				case id.Kind == "ConfigMap" && id.Group == "":
					_, err := AddSetting(text, id, Setting{Key: "NEW", Value: "x"})
					count["setting"] += accepted(t, file.name, err)
				}
			}
		}
	}
	if t.Log(count); len(count) != 4 {
		t.Errorf("only %v", count)
	}
}

func accepted(t *testing.T, file string, err error) int {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return 0
	}
	return 1
}

type realFile struct{ name, text string }

func realFiles(t *testing.T) []realFile {
	t.Helper()
	dir := os.Getenv("KEOS_OCI_CORPORA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "corpora")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the real repositories are not there (%v); set KEOS_OCI_CORPORA to their folder", err)
	}
	var files []realFile
	err := filepath.WalkDir(dir, func(full string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !manifest.IsYAML(full) {
			return err
		}
		data, err := os.ReadFile(full)
		files = append(files, realFile{full, string(data)})
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatal(err, len(files))
	}
	return files
}

// TestRandomEditsOfGeneratedFiles does the same in files of random style.
func TestRandomEditsOfGeneratedFiles(t *testing.T) {
	randomEdits(t, runs, func(r *rand.Rand) string {
		for {
			text := randomFile(r)
			if _, err := decodeAll([]byte(text)); err == nil {
				return randomForm(r, text)
			}
		}
	})
}

func randomEdits(t *testing.T, runs int, file func(*rand.Rand) string) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	refused := map[string]int{}
	edits := 0
	for run := range runs {
		text := []byte(file(r))
		e := editing{T: t, Rand: r, text: text, refused: refused}
		for range 1 + r.IntN(6) {
			e.edit()
		}
		edits += len(e.undo)
		r.Shuffle(len(e.undo), func(i, j int) { e.undo[i], e.undo[j] = e.undo[j], e.undo[i] })
		after := e.text
		for _, undo := range e.undo {
			var err error
			if e.text, err = undo(e.text); err != nil {
				t.Fatalf("run %d: %v\n%s\nbefore\n%s", run, err, e.text, text)
			}
		}
		if !bytes.Equal(e.text, text) {
			t.Fatalf("run %d: removing gives\n%q\nwant\n%q\nfrom\n%s", run, e.text, text, after)
		}
	}
	t.Logf("%d edits; refused: %v", edits, refused)
	if edits < runs {
		t.Errorf("only %d edits in %d runs", edits, runs)
	}
}

type editing struct {
	*testing.T
	*rand.Rand
	text    []byte
	undo    []func([]byte) ([]byte, error)
	refused map[string]int

	kustomization bool
}

// edit adds one thing, and checks that the outcome is what was there with exactly this thing.
func (e *editing) edit() {
	objects := e.objects()
	name := fmt.Sprintf("new-%d", e.IntN(1_000_000))
	at, object := -1, ID{}
	for i := range objects {
		if objects[i].Name != "" && objects[i].Kind != "" && (at < 0 || e.IntN(2) == 0) {
			at, object = i, objects[i]
		}
	}
	kind := e.IntN(5)
	if at < 0 && kind != 1 {
		kind = 4
	}
	if kind == 4 && e.kustomization { // which stays one document
		kind = 1
	}
	switch kind {
	case 0:
		patch := fromRegistry(name)
		item := map[string]any{"target": map[string]any{"kind": "Kustomization", "name": name}}
		lines, _ := patch.lines()
		item["patch"] = strings.Join(lines, "\n") + "\n"
		e.done(
			func(text []byte) ([]byte, error) { return AddPatch(text, object, patch) },
			func(text []byte) ([]byte, error) { return RemovePatch(text, object, patch.Mark) },
			func(docs []any) []any { return without(docs, at, item, "spec", "patches") })
	case 1:
		e.kustomization = true
		e.done(
			func(text []byte) ([]byte, error) { return AddResource(text, name) },
			func(text []byte) ([]byte, error) { return RemoveResource(text, name) },
			func(docs []any) []any {
				at := slices.IndexFunc(docs, func(doc any) bool { _, ok := doc.(map[string]any); return ok })
				return without(docs, at, name, "resources")
			})
	case 2, 3:
		value := []string{"", "main", "true", "12", "a: b", "# c", "a\nb", "'", `"`, "é", "${X}", "yes", " x "}[e.IntN(13)]
		setting := Setting{Key: name, Value: value}
		e.done(
			func(text []byte) ([]byte, error) { return AddSetting(text, object, setting) },
			func(text []byte) ([]byte, error) { return RemoveSetting(text, object, setting) },
			func(docs []any) []any {
				if m, ok := dig(docs[at], "data").(map[string]any); !ok || m[name] != value {
					e.Errorf("%s is %v, want %q", name, m[name], value)
				} else if delete(m, name); len(m) == 0 {
					docs[at].(map[string]any)["data"] = nil
				}
				return docs
			})
	case 4:
		e.done(
			func(text []byte) ([]byte, error) { return AddDocument(text, name, []byte("kind: "+name+"\n")) },
			func(text []byte) ([]byte, error) { return RemoveDocument(text, name) },
			func(docs []any) []any {
				if last := docs[len(docs)-1]; !reflect.DeepEqual(last, map[string]any{"kind": name}) {
					e.Errorf("the last document is %v", last)
				}
				return docs[:len(docs)-1]
			})
	}
}

func (e *editing) done(add, undo func([]byte) ([]byte, error), subtract func([]any) []any) {
	before := e.text
	after, err := add(before)
	if err != nil {
		var fault *Fault
		if !errors.As(err, &fault) || fault.Line < 1 || fault.Line > 1+bytes.Count(before, []byte("\n")) {
			e.Errorf("%v (%T) of\n%s", err, err, before)
		}
		e.refused[fault.Message]++
		return
	}
	was, err := decodeAll(before)
	if err != nil {
		e.Fatal(err)
	}
	is, err := decodeAll(after)
	if err != nil {
		e.Fatalf("%v:\n%s\nbefore\n%s", err, after, before)
	}
	if is = subtract(is); !reflect.DeepEqual(normal(is), normal(was)) {
		e.Fatalf("without what was added\n%s\nis\n%v\nnot\n%v\nbefore\n%s", after, is, was, before)
	}
	keepsLines(e.T, string(before), string(after))
	if again, err := add(after); err != nil || !bytes.Equal(again, after) {
		e.Fatalf("again: %v\n%s\nafter\n%s", err, again, after)
	}
	e.text, e.undo = after, append(e.undo, undo)
}

// keepsLines checks that all lines are still there in their order. A line with brackets can have more in it.
func keepsLines(t *testing.T, before, after string) {
	t.Helper()
	left := strings.Split(asLF(after), "\n")
	for _, line := range strings.Split(asLF(before), "\n") {
		i := slices.IndexFunc(left, func(l string) bool { return l == line || grew(l, line) })
		if i < 0 {
			t.Fatalf("the line %q is lost or moved:\n%s", line, after)
		}
		left = left[i+1:]
	}
}

// grew reports whether a text was put into a line.
func grew(now, line string) bool {
	same := 0
	for same < len(line) && same < len(now) && line[same] == now[same] {
		same++
	}
	inserted := strings.HasSuffix(now, line[same:]) && len(now) > len(line) && same > 0
	return inserted && (strings.Contains(now, "new-") || strings.Contains(now, "# added by keos-oci"))
}

// objects identifies the documents of the text; one that is no object or not the only one has no name.
func (e *editing) objects() []ID {
	docs, err := manifest.Parse(e.text)
	if err != nil {
		e.Fatal(err)
	}
	ids := make([]ID, len(docs))
	for i, doc := range docs {
		group, _, _ := strings.Cut(manifest.Text(manifest.Field(doc, "apiVersion")), "/")
		if !strings.Contains(manifest.Text(manifest.Field(doc, "apiVersion")), "/") {
			group = ""
		}
		ids[i] = ID{group, manifest.Text(manifest.Field(doc, "kind")), manifest.Text(manifest.At(doc, "metadata", "namespace")),
			manifest.Text(manifest.At(doc, "metadata", "name"))}
	}
	return ids
}

// without removes an item from a list, and leaves null for an empty list.
func without(docs []any, at int, item any, keys ...string) []any {
	parent, ok := dig(docs[at], keys[:len(keys)-1]...).(map[string]any)
	if !ok {
		return nil
	}
	key := keys[len(keys)-1]
	list, _ := parent[key].([]any)
	i := slices.IndexFunc(list, func(other any) bool { return reflect.DeepEqual(other, item) })
	if i < 0 {
		return nil
	}
	if parent[key] = slices.Delete(list, i, i+1); len(list) == 1 {
		parent[key] = nil
	}
	return docs
}

func dig(value any, keys ...string) any {
	for _, key := range keys {
		m, _ := value.(map[string]any)
		value = m[key]
	}
	return value
}

// normal takes empty lists, empty mappings and null for the same as a missing key.
func normal(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, child := range v {
			if child = normal(child); child != nil {
				out[key] = child
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		if len(v) == 0 {
			return nil
		}
		out := make([]any, len(v))
		for i := range v {
			out[i] = normal(v[i])
		}
		return out
	}
	return value
}

func decodeAll(text []byte) ([]any, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var all []any
	for {
		var v any
		if err := dec.Decode(&v); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
}

// randomForm changes line ends and the end of a file.
func randomForm(r *rand.Rand, text string) string {
	switch r.IntN(4) {
	case 0:
		text = strings.TrimRight(text, "\n")
	case 1:
		text += "\n\n"
	case 2:
		text += "# end\n  # of the file"
	}
	if r.IntN(3) == 0 {
		text = crlf(asLF(text))
	}
	if r.IntN(10) == 0 {
		text = "\ufeff" + text
	}
	return text
}

// style writes YAML in one of the ways that people do.
type style struct {
	*rand.Rand
	step, list, item int // indentation of mappings, of lists under their key, of items behind their dash
	odd              bool
	out              strings.Builder
}

func randomFile(r *rand.Rand) string {
	s := style{Rand: r, step: 2 + 2*r.IntN(2), item: 2 + r.IntN(2)*r.IntN(3), odd: r.IntN(3) == 0}
	s.list = r.IntN(2) * s.step
	for i := range 1 + r.IntN(3) {
		s.noise(0)
		if i > 0 || r.IntN(2) == 0 {
			s.out.WriteString(s.pick("---\n", "---\n", "--- # next\n", "...\n---\n"))
		}
		s.noise(0)
		s.object(i)
	}
	return s.out.String()
}

func (s *style) pick(options ...string) string { return options[s.IntN(len(options))] }

// noise is a comment or blank lines.
func (s *style) noise(column int) {
	for s.IntN(4) == 0 {
		s.out.WriteString(s.pick("\n", strings.Repeat(" ", column)+"# a: comment\n", strings.Repeat(" ", column)+"# - x\n",
			strings.Repeat(" ", s.IntN(column+1))+"#\n"))
	}
}

func (s *style) object(i int) {
	s.out.WriteString("apiVersion: " + s.pick("v1", "\"kustomize.toolkit.fluxcd.io/v1\" # x", "'a.b/v1'") + "\nkind: K\n")
	fmt.Fprintf(&s.out, "metadata:\n%sname: n%d\n", strings.Repeat(" ", s.step), i)
	keys := []string{"spec", "data", "resources", "other", "more"}
	s.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for _, key := range keys[:1+s.IntN(len(keys))] {
		s.noise(0)
		switch {
		case s.IntN(6) == 0:
			s.out.WriteString(key + ":" + s.pick("", " # none", " []", " {}", " null", " ~ # x", " [ ]  # x") + "\n")
		case key == "resources":
			s.out.WriteString(key + ":")
			if s.IntN(3) == 0 {
				s.out.WriteString(s.pick(" [a, b]", " [ 'a' , \"b\", ]", " [\n  a, # x\n  b\n]", " [a,\n  b,\n]") + s.pick("", " # x") + "\n")
				continue
			}
			s.sequence(0, func() { s.out.WriteString(s.pick("a", "b.yaml", "'c'", "\"d\"", "é # x") + "\n") })
		case key == "data":
			s.out.WriteString(key + ":\n")
			s.mapping(s.step, 0, []string{"A", "B", "\"C\"", "d.e"})
		default:
			s.out.WriteString(key + ":\n")
			s.mapping(s.step, 2, []string{"patches", "path", "'wait'", "list", "x y"})
		}
	}
}

func (s *style) mapping(column, depth int, keys []string) {
	keys = slices.Clone(keys)
	s.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for i, key := range keys[:1+s.IntN(len(keys))] {
		if i > 0 || column == s.step {
			s.noise(column)
			s.out.WriteString(strings.Repeat(" ", column))
		}
		s.out.WriteString(key + ":")
		switch {
		case key == "patches" || depth > 0 && s.IntN(4) == 0:
			s.sequence(column, func() {
				if s.IntN(3) == 0 {
					s.out.WriteString("x\n")
					return
				}
				s.mapping(column+s.list+s.item, depth-1, []string{"patch", "target", "z"})
			})
		case depth > 0 && s.IntN(4) == 0:
			s.out.WriteString("\n" + strings.Repeat(" ", column+s.step) + "deep:")
			s.scalar(column + s.step)
		default:
			s.scalar(column)
		}
	}
}

func (s *style) sequence(column int, item func()) {
	s.out.WriteString(s.pick("", "", " # list") + "\n")
	for range 1 + s.IntN(3) {
		s.noise(column + s.list)
		s.out.WriteString(strings.Repeat(" ", column+s.list) + "-" + strings.Repeat(" ", s.item-1))
		item()
	}
}

// scalar writes a value behind a key in a column.
func (s *style) scalar(column int) {
	in := strings.Repeat(" ", column+s.step)
	if s.odd && s.IntN(3) == 0 {
		s.out.WriteString(" " + s.pick("a\n"+in+"b", "\"a\n"+in+"# b\"", "'it''s\n\n"+in+"x' # y", "[a,\n"+in+"{b: \"]\"}\n"+in+"]",
			"&a x", "!!str 1", "|2\n"+strings.Repeat(" ", column+2)+" x", "", "\n"+in+"x") + "\n")
		return
	}
	s.out.WriteString(" " + s.pick("a", "\"b\" # x", "'c # d'", "true", "12", "${X}", "[a, b]", "{a: b}", "é # ü", "it's", "a#b",
		"|\n"+in+"# x\n"+in+"y", "|-\n"+in+"x\n\n"+in+"  - y", ">\n"+in+"x", "|+\n"+in+"x\n\n") + "\n")
}

// TestSetFieldOfRandomFiles changes every single value of generated files, and changes it back.
func TestSetFieldOfRandomFiles(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	set := 0
	for range runs / 2 {
		text := []byte(randomForm(r, randomFile(r)))
		docs, err := manifest.Parse(text)
		if err != nil {
			continue
		}
		for i, doc := range docs {
			id := (&editing{T: t, text: text}).objects()[i]
			for _, s := range scalars(doc, nil) {
				if len(s.keys) > 1 && s.keys[0] != "metadata" && setField(t, text, id, i, s) {
					set++
				}
			}
		}
	}
	if t.Logf("%d fields", set); set < runs {
		t.Errorf("only %d fields were set", set)
	}
}

func setField(t *testing.T, text []byte, id ID, at int, s scalar) bool {
	t.Helper()
	keys := s.keys
	after, err := SetField(text, id, keys, "new: value")
	if err != nil {
		return false
	}
	was, err := decodeAll(text)
	if err != nil {
		return false
	}
	is, err := decodeAll(after)
	if err != nil {
		t.Fatalf("%v:\n%s", err, after)
	}
	last := len(keys) - 1
	dig(was[at], keys[:last]...).(map[string]any)[keys[last]] = "new: value"
	if !reflect.DeepEqual(is, was) {
		t.Fatalf("%v: got\n%s\nfrom\n%s", keys, after, text)
	}
	if s.node.Style&quoteStyles != 0 {
		if back, err := SetField(after, id, keys, s.node.Value); err != nil || !bytes.Equal(back, text) {
			t.Errorf("%v: changed back, got %v\n%s\nwant\n%s", keys, err, back, text)
		}
	}
	return true
}

type scalar struct {
	keys []string
	node *yaml.Node
}

// scalars lists single values and the keys that lead to them.
func scalars(node *yaml.Node, keys []string) []scalar {
	var out []scalar
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		inner := append(slices.Clone(keys), node.Content[i].Value)
		if node.Content[i+1].Kind == yaml.ScalarNode {
			out = append(out, scalar{inner, node.Content[i+1]})
		}
		out = append(out, scalars(node.Content[i+1], inner)...)
	}
	return out
}

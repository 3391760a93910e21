package yamledit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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

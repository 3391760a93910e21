package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/git"
)

// maxVerbs bounds how often tells, stands, holds and bears occur in all texts together. It only goes down.
const maxVerbs = 10

// unclear are turns that have no place in plain English, with a limit for those that still occur. Limits only go down. CONTRIBUTING.md
// says how to write.
var unclear = []struct {
	turn  string // a regular expression, between word boundaries
	limit int
}{
	{`(?:is|are|be|was|were|been|being) told`, 0},
	{`tells? apart|told apart`, 0},
	{`counts? for nothing`, 0},
	{`what was left`, 0},
	{`said of`, 0},
	{`somebody else(?:'s)?`, 0},
	{`stands? in`, 1},
	{`in which it lies`, 1},
	{`(?:is|are) made up`, 1},
	{`takes? place|took place`, 0},
	{`speaks? of|spoken to`, 5},
	{`who is waited for`, 3},
	{`has the last word`, 0},
	{`put on record`, 0},
	{`gives? way|gave way`, 9},
	{`knows? nothing of`, 0},
	{`nothing speaks`, 0},
	{`half done`, 1},
	{`is asked for`, 2},
	{`otherwise than`, 2},
	{`what became of`, 0},
	{`that place holds`, 1},
	{`settled at`, 3},
	{`no mover`, 1},
	{`as somebody`, 0},
	{`in vain`, 0},
	{`the word of`, 0},
	{`upon`, 2},
	{`hence|thus|thereby|whereby|therein|whence|lest|albeit|whilst|amongst`, 0},
	{`demands that`, 0},
	{`not known for sure`, 2},
	{`zero-config rule`, 0},
	{`promise \d+`, 0},
	{`DESIGN\.md|STYLE\.md|WORDING\.md`, 0},
	{`begun and not finished`, 1},
	{`whatever stands|what stands|where it stands|as it stands`, 0},
	{`in order to|to that end|to this end`, 0},
	{`utili[sz]es?|leverages?`, 0},
	{`aforementioned|respectively|notwithstanding`, 0},
	{`goes without saying|comes to nothing`, 0},
	{`of its own accord`, 0},
	{`no business of`, 0},
	{`say it once`, 0},
	{`looked at once more`, 1},
	{`keeps? its word`, 0},
	{`until somebody has`, 0},
}

// TestPlainWords: comments, messages, scripts and documents use plain words. The reference of commands, docs/cli, is made from Go files.
func TestPlainWords(t *testing.T) {
	texts := prose(t)
	if found := occurrences(texts, "tells|stands|holds|bears"); len(found) > maxVerbs {
		t.Errorf("tells, stands, holds and bears occur %d times, at most %d are allowed: write is, has, says or contains where you added one, "+
			"see git diff\n%s", len(found), maxVerbs, strings.Join(found, "\n"))
	}
	for _, u := range unclear {
		if found := occurrences(texts, u.turn); len(found) > u.limit {
			t.Errorf("%q occurs %d times, at most %d are allowed: say it plainly where you added one, see git diff\n%s", u.turn, len(found), u.limit, strings.Join(found, "\n"))
		}
	}
}

// prose reads the Go files, documents and scripts that Git tracks here, by path. A new file counts after git add.
func prose(t *testing.T) map[string]string {
	t.Helper()
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	checkout, err := git.Open(t.Context(), top)
	if err != nil {
		t.Skipf("no Git checkout: words and lengths are not checked: %v", err)
	}
	files, err := checkout.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, f := range files {
		switch filepath.Ext(f.Path) {
		case ".go", ".md", ".txtar":
		default:
			continue
		}
		if strings.HasPrefix(f.Path, "docs/cli/") || f.Path == "cmd/keos-oci/words_test.go" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(f.Path)))
		if err != nil {
			continue // a file that is deleted in the work tree
		}
		texts[f.Path] = string(data)
	}
	return texts
}

// occurrences lists the places of a turn as file:line.
func occurrences(texts map[string]string, turn string) []string {
	re := regexp.MustCompile(`(?i)\b(?:` + turn + `)\b`)
	var found []string
	for _, file := range slices.Sorted(maps.Keys(texts)) {
		for i, line := range strings.Split(texts[file], "\n") {
			for range re.FindAllString(line, -1) {
				found = append(found, fmt.Sprintf("%s:%d: %s", file, i+1, strings.TrimSpace(line)))
			}
		}
	}
	return found
}

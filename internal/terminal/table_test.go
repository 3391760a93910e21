package terminal

import (
	"bytes"
	"strings"
	"testing"
)

// tabled is a table as a page of a width shows it.
func tabled(t *testing.T, width int, colour bool) string {
	t.Helper()
	var out bytes.Buffer
	p := &Page{W: &out, Width: width, Colour: colour}
	columns := []Column{{Head: "COMPONENT"}, {Head: "STATUS"}, {Head: "DIGEST", Drop: 3}, {Head: "REPOSITORY", Drop: 2},
		{Head: "TAGS", Cut: true}}
	p.Table(columns, []Row{
		{"frontend", p.Paint(Green, "published"), "sha256:0123456789ab", "ghcr.io/stratio/fleet/frontend", "latest main-01234567"},
		{"日本", p.Paint(Red, "failed"), "-", "ghcr.io/stratio/fleet/\x1b[31m", ""},
	})
	return out.String()
}

// TestTableIsWhole: without a limit each column is there, however wide the letters are.
func TestTableIsWhole(t *testing.T) {
	want := `
COMPONENT  STATUS     DIGEST               REPOSITORY                      TAGS
frontend   published  sha256:0123456789ab  ghcr.io/stratio/fleet/frontend  latest main-01234567
日本       failed     -                    ghcr.io/stratio/fleet/\x1b[31m
`
	if got := "\n" + tabled(t, 0, false); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestTableFits: a narrow terminal gets the columns that matter most, and no line that is too long.
func TestTableFits(t *testing.T) {
	for width, want := range map[int]string{
		80: `
COMPONENT  STATUS     REPOSITORY                      TAGS
frontend   published  ghcr.io/stratio/fleet/frontend  latest main-01234567
日本       failed     ghcr.io/stratio/fleet/\x1b[31m
`,
		40: `
COMPONENT  STATUS     TAGS
frontend   published  latest main-01234…
日本       failed
`,
	} {
		for _, colour := range []bool{false, true} {
			got := "\n" + tabled(t, width, colour)
			if coloured := strings.Contains(got, "\x1b[32mpublished\x1b[0m"); coloured != colour {
				t.Errorf("%d columns: colour %v", width, coloured)
			}
			plain := strings.NewReplacer("\x1b[32m", "", "\x1b[31m", "", "\x1b[0m", "").Replace(got)
			if plain != want {
				t.Errorf("%d columns: got %s\nwant %s", width, plain, want)
			}
			for line := range strings.Lines(plain) {
				if widthOf(strings.TrimSuffix(line, "\n")) > width {
					t.Errorf("%d columns: %q", width, line)
				}
			}
		}
	}
}

// TestShorten: a cut never breaks a colour, and never ends in half of a wide letter.
func TestShorten(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"short", 5, "short"}, {"too long", 5, "too …"}, {"日本語です", 6, "日本…"}, {"\x1b[31mtoo long\x1b[0m", 5, "\x1b[31mtoo …\x1b[0m"},
	} {
		if got := shorten(c.text, c.width); got != c.want {
			t.Errorf("shorten(%q, %d) = %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

// TestTableWithoutHeads: a list in columns has no empty line above it.
func TestTableWithoutHeads(t *testing.T) {
	var out bytes.Buffer
	(&Page{W: &out}).Table([]Column{{}, {}}, []Row{{"a", 1}, {"bcd", 2}})
	if got := out.String(); got != "a    1\nbcd  2\n" {
		t.Errorf("%q", got)
	}
}

package render

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/terminal"
)

// table is one of Markdown, whose first row is its head.
type table struct{ rows []string }

func (t *table) row(cells ...string) {
	t.rows = append(t.rows, "| "+strings.Join(cells, " | ")+" |")
	if len(t.rows) == 1 {
		t.rows = append(t.rows, strings.Repeat("| --- ", len(cells))+"|")
	}
}

func (t *table) String() string { return strings.Join(t.rows, "\n") + "\n" }

// escape keeps a text from being Markdown, HTML or a column of its own: names and messages may come from others.
func escape(text string) string {
	text = strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "&lt;", ">", "&gt;", "&", "&amp;", "`", "\\`", "*", "\\*", "_", "\\_", "[",
		"\\[", "]", "\\]", "\n", " ", "\r", "",
		"@", "&#64;").Replace(text)
	return terminal.Printable(text)
}

// code is a text in type of one width, "" for none.
func code(text string) string {
	if text == "" || text == "-" {
		return ""
	}
	return "<code>" + escape(text) + "</code>"
}

func arrow(from, to string) string {
	if from == "" || from == "-" {
		return to
	}
	return from + " → " + to
}

// link leads to the package of a component where its registry has pages for people.
func link(name, repository string) string {
	if !strings.HasPrefix(repository, "ghcr.io/") {
		return escape(name)
	}
	return fmt.Sprintf("[%s](%s)", escape(name), (&url.URL{Scheme: "https", Host: "ghcr.io",
		Path: strings.TrimPrefix(repository, "ghcr.io")}).String())
}

func signers(identities []sign.Identity) string {
	var all []string
	for _, i := range identities {
		if text := code(cmp.Or(i.Subject, "key "+i.Key)); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return strings.Join(all, "<br>")
}

// size is how much of a component changed, "" where nobody looked.
func size(s *release.Size) string {
	switch {
	case s == nil:
		return ""
	case s.Change == release.SizeChanged:
		return fmt.Sprintf("%d files, +%d −%d", s.Files, s.Added, s.Removed)
	}
	return escape(s.Change)
}

func statusWith(status string, problem *release.Problem) string {
	if problem != nil {
		status += " (" + problem.Code + ")"
	}
	return escape(status)
}

func remarks(name string, notes []string, problem *release.Problem) []string {
	var all []string
	for _, n := range notes {
		all = append(all, escape(name+": "+n))
	}
	if problem != nil {
		all = append(all, "**"+escape(name+": "+problem.Message)+"**")
	}
	return all
}

func bullets(lines []string) string {
	if len(lines) == 0 {
		return "\n"
	}
	return "\n- " + strings.Join(lines, "\n- ") + "\n\n"
}

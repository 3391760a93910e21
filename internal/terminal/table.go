package terminal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
)

// Column is one column of a table. A terminal may be too narrow for all columns: then the column with the highest Drop is left out first,
// and so on; a column whose Drop is 0 is never left out. What is still too wide is shortened in the columns with Cut.
type Column struct {
	Head string
	Drop int
	Cut  bool
}

// Row is the cells of one row, one for each column. A cell that is not Shown is made printable.
type Row []any

const (
	gap    = 2 // blanks between columns
	narrow = 8 // no column is shortened to less
)

// Table writes rows in columns, below their heads if any column has one. On a page without a limit the table is whole.
func (p *Page) Table(columns []Column, rows []Row) {
	t := newTable(columns, rows)
	if p.Width > 0 {
		t.drop(p.Width)
		t.cut(p.Width)
	}
	for _, line := range t.lines {
		fmt.Fprintln(p.W, t.join(line))
	}
}

// table is a table whose cells are ready to be shown. Its first line is the heads, if there are any.
type table struct {
	columns []Column
	lines   [][]string
	widths  []int
}

func newTable(columns []Column, rows []Row) *table {
	t := &table{columns: slices.Clone(columns), widths: make([]int, len(columns))}
	heads := make([]string, len(columns))
	for i, c := range columns {
		heads[i] = c.Head
	}
	if strings.Join(heads, "") != "" {
		t.add(heads)
	}
	for _, row := range rows {
		cells := make([]string, len(columns))
		for i, cell := range row {
			cells[i] = cellText(cell)
		}
		t.add(cells)
	}
	return t
}

func cellText(cell any) string {
	if text, ok := cell.(Shown); ok {
		return string(text)
	}
	return Printable(fmt.Sprint(cell))
}

func (t *table) add(cells []string) {
	t.lines = append(t.lines, cells)
	for i, cell := range cells {
		t.widths[i] = max(t.widths[i], widthOf(cell))
	}
}

// total is how wide the table is.
func (t *table) total() int {
	total := gap * (len(t.widths) - 1)
	for _, w := range t.widths {
		total += w
	}
	return total
}

// drop leaves out columns until the table fits, or until no column is left that may be left out.
func (t *table) drop(width int) {
	for t.total() > width {
		at := 0
		for i, c := range t.columns {
			if c.Drop >= t.columns[at].Drop {
				at = i
			}
		}
		if t.columns[at].Drop == 0 {
			return
		}
		t.columns, t.widths = slices.Delete(t.columns, at, at+1), slices.Delete(t.widths, at, at+1)
		for i := range t.lines {
			t.lines[i] = slices.Delete(t.lines[i], at, at+1)
		}
	}
}

// cut shortens cells until the table fits, the widest column first.
func (t *table) cut(width int) {
	for over := t.total() - width; over > 0; over-- {
		at := -1
		for i, c := range t.columns {
			if c.Cut && t.widths[i] > narrow && (at < 0 || t.widths[i] > t.widths[at]) {
				at = i
			}
		}
		if at < 0 {
			break
		}
		t.widths[at]--
	}
	for _, line := range t.lines {
		for i, c := range t.columns {
			if c.Cut {
				line[i] = shorten(line[i], t.widths[i])
			}
		}
	}
}

func (t *table) join(cells []string) string {
	var b strings.Builder
	for i, cell := range cells {
		b.WriteString(cell)
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", t.widths[i]-widthOf(cell)+gap))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// widthOf is how many columns of a terminal a text takes. Our own colours take none.
func widthOf(text string) int {
	width := 0
	for part, colour := range parts(text) {
		if !colour {
			width += condition().StringWidth(part)
		}
	}
	return width
}

// shorten cuts a text to a width, with … for the rest. Our own colours stay.
func shorten(text string, width int) string {
	if widthOf(text) <= width {
		return text
	}
	var b strings.Builder
	left, done := width-1, false
	for part, colour := range parts(text) {
		switch {
		case colour:
			b.WriteString(part)
		case !done:
			kept := condition().Truncate(part, left, "")
			b.WriteString(kept)
			left -= condition().StringWidth(kept)
			if done = kept != part; done {
				b.WriteString("…")
			}
		}
	}
	return b.String()
}

// condition counts letters whose width is ambiguous, such as …, as one column, whatever the environment says.
func condition() *runewidth.Condition { return &runewidth.Condition{StrictEmojiNeutral: true} }

// parts yields the parts of a text, each with whether it is a code of ours for a colour.
func parts(text string) func(yield func(string, bool) bool) {
	return func(yield func(string, bool) bool) {
		for text != "" {
			at := strings.Index(text, "\x1b[")
			end := strings.IndexByte(text[max(at, 0):], 'm')
			if at < 0 || end < 0 {
				yield(text, false)
				return
			}
			end += at + 1
			if at > 0 && !yield(text[:at], false) || !yield(text[at:end], true) {
				return
			}
			text = text[end:]
		}
	}
}

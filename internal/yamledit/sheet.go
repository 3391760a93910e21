package yamledit

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// line is a line and how it ends: with "" only at the end of a file without a last newline.
type line struct{ text, end string }

// sheet is the lines of a file, as YAML counts them.
type sheet []line

func newSheet(file []byte) sheet {
	var s sheet
	for text := string(file); text != ""; {
		at, size := lineBreak(text)
		s = append(s, line{text[:at], text[at : at+size]})
		text = text[at+size:]
	}
	return s
}

// lineBreak is where a text's first line ends, and how long the line end is.
func lineBreak(text string) (at, size int) {
	at = strings.IndexAny(text, "\n\r\u0085\u2028\u2029")
	if at < 0 {
		return len(text), 0
	}
	if strings.HasPrefix(text[at:], "\r\n") {
		return at, 2
	}
	_, size = utf8.DecodeRuneInString(text[at:])
	return at, size
}

func (s sheet) bytes() []byte {
	var b strings.Builder
	for _, l := range s {
		b.WriteString(l.text)
		b.WriteString(l.end)
	}
	return []byte(b.String())
}

// end is the line end for a line that is inserted before line at: that of its neighbours.
func (s sheet) end(at int) string {
	for n := min(at, len(s)) - 1; n >= 0; n-- {
		if s[n].end == "\n" || s[n].end == "\r\n" {
			return s[n].end
		}
	}
	for _, l := range s {
		if l.end == "\n" || l.end == "\r\n" {
			return l.end
		}
	}
	return "\n"
}

// insert returns the sheet with lines before line at. A file without a last newline stays without.
func (s sheet) insert(at int, texts ...string) sheet {
	end, out := s.end(at), slices.Clone(s)
	added := make(sheet, len(texts))
	for i, text := range texts {
		added[i] = line{text, end}
	}
	if last := len(out) - 1; at == len(out) && last >= 0 && out[last].end == "" {
		out[last].end, added[len(added)-1].end = end, ""
	}
	return slices.Insert(out, at, added...)
}

// remove returns the sheet without the lines from first up to but not including last.
func (s sheet) remove(first, last int) sheet {
	out := slices.Clone(s)
	if last == len(out) && first > 0 && first < last && out[last-1].end == "" {
		out[first-1].end = ""
	}
	return slices.Delete(out, first, last)
}

// splice returns the sheet with other text on line n from byte from up to but not including byte to.
func (s sheet) splice(n, from, to int, text string) sheet {
	out := slices.Clone(s)
	out[n].text = out[n].text[:from] + text + out[n].text[to:]
	return out
}

// indent is how far a line is indented; blank lines and lines outside of the sheet are not.
func (s sheet) indent(n int) (column int, blank bool) {
	if n < 0 || n >= len(s) {
		return 0, true
	}
	rest := strings.TrimLeft(s[n].text, " ")
	return len(s[n].text) - len(rest), strings.TrimSpace(rest) == ""
}

func (s sheet) isComment(n int) bool {
	return n >= 0 && n < len(s) && strings.HasPrefix(strings.TrimLeft(s[n].text, " \t"), "#")
}

// isMarker reports whether a line begins or ends a document.
func (s sheet) isMarker(n int) bool {
	text := strings.TrimPrefix(s[n].text, "\ufeff")
	if !strings.HasPrefix(text, "---") && !strings.HasPrefix(text, "...") {
		return false
	}
	return len(text) == 3 || text[3] == ' ' || text[3] == '\t'
}

// offset is the byte of a column, which counts characters from 1; -1 when the line has no such column.
func (s sheet) offset(n, column int) int {
	if n < 0 || n >= len(s) || column < 1 {
		return -1
	}
	text, at := s[n].text, 0
	for ; column > 1; column-- {
		if at >= len(text) {
			return -1
		}
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return at
}

// region is the line after those from first on that are indented to a column or deeper.
func (s sheet) region(first, column int) int {
	last := first + 1
	for n := last; n < len(s); n++ {
		indent, blank := s.indent(n)
		if blank {
			continue
		}
		if indent < column || s.isMarker(n) {
			break
		}
		last = n + 1
	}
	return min(last, len(s))
}

// trimmed moves the end of a region up over comments and blank lines, but not over line first.
func (s sheet) trimmed(first, last int) int {
	for ; last > first+1; last-- {
		if _, blank := s.indent(last - 1); !blank && !s.isComment(last-1) {
			break
		}
	}
	return last
}

// comments moves the end of a region down over the comments right below it that are indented to a column or deeper.
func (s sheet) comments(last, column int) int {
	for ; s.isComment(last); last++ {
		if indent, _ := s.indent(last); indent < column {
			break
		}
	}
	return last
}

// blanks moves the end of a region down over blank lines.
func (s sheet) blanks(last int) int {
	for last < len(s) {
		if _, blank := s.indent(last); !blank {
			break
		}
		last++
	}
	return last
}

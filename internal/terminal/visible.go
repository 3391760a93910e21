package terminal

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible shows what steers a terminal, a log or a page as an escape such as \x1b: texts of registries, files and Git reach people
// through this function alone. Characters in kept stay as they are.
func Visible(text, kept string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, steers) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case steers(r) && !strings.ContainsRune(kept, r):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteRune(r)
		}
		text = text[size:]
	}
	return b.String()
}

// steers says whether a character is a command to a terminal, breaks lines, or turns the direction of writing, so that people read
// another text than programs do.
func steers(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}

// Printable returns a text on one line.
func Printable(text string) string { return Visible(text, "") }

// Shown is a text that has nothing but our own colours and line breaks.
type Shown string

// Say is fmt.Fprintf for people: an argument that is not Shown already is made printable.
func Say(w io.Writer, format string, args ...any) {
	for i, arg := range args {
		switch arg.(type) {
		case int, Shown:
		default:
			args[i] = Printable(fmt.Sprint(arg))
		}
	}
	fmt.Fprintf(w, format, args...)
}

// VisibleLines is a text of several lines.
func VisibleLines(text string) string { return Visible(text, "\n\t") }

// VisibleJSON is JSON without the characters that encoding/json leaves in strings although they steer terminals.
func VisibleJSON(raw []byte) []byte {
	if !strings.ContainsFunc(string(raw), steersInJSON) {
		return raw
	}
	var b strings.Builder
	for _, r := range string(raw) {
		if steersInJSON(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return []byte(b.String())
}

// steersInJSON leaves out what is no part of a string: the line breaks between values.
func steersInJSON(r rune) bool { return r >= unicode.MaxASCII && steers(r) }

// JSONWriter takes whole lines of JSON.
type JSONWriter struct{ W io.Writer }

// Write implements io.Writer.
func (j JSONWriter) Write(line []byte) (int, error) {
	_, err := j.W.Write(VisibleJSON(line))
	return len(line), err
}

// NoCommand keeps a line from being a command to GitHub Actions, which looks for "::" behind leading blanks and for "##["
// anywhere.
func NoCommand(line string) string {
	line = strings.ReplaceAll(line, "##[", "## [")
	if text := strings.TrimLeftFunc(line, unicode.IsSpace); strings.HasPrefix(text, "::") {
		line = line[:len(line)-len(text)] + ": :" + text[2:]
	}
	return line
}

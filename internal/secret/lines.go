package secret

import (
	"fmt"
	"strings"

	"github.com/stratio/keos-oci/internal/finding"
)

// line is one line of a text that no YAML parser takes.
type line struct {
	isEntry bool // it reads `key: value`
	item    bool // a list item begins on it
	free    bool // it says nothing about indentation: blank, a comment, a template, closing brackets
	end     bool // a document ends here
	column  int  // of the key, else of the text
	key     string
	value   string
}

// lines looks for Secrets in a text that does not parse as YAML, most often a template: by line and indentation, so that
// nothing hides behind a syntax error. It prefers a finding too many over one too few.
func (s *Scanner) lines(value string, p position, prefix string) {
	if !strings.Contains(value, "Secret") {
		return
	}
	var all []line
	for text := range strings.Lines(value) {
		all = append(all, parseLine(text))
		if flowSecret(text) {
			s.report(finding.RuleSecret, p.line(len(all)), prefix+"Secret: data has a plaintext value", EncryptAdvice)
		}
	}
	done := map[int]int{} // by column, the last line that was looked at: one mapping may say its kind many times
	for i, l := range all {
		if !l.isEntry || l.key != "kind" || l.value != "Secret" {
			continue
		}
		if last, seen := done[l.column]; !seen || i > last {
			done[l.column] = s.linesOf(all, i, p, prefix)
		}
	}
}

// linesOf checks the data of the Secret whose `kind` is on a line: the keys beside it, up and down. It returns the
// last line that belongs to it.
func (s *Scanner) linesOf(all []line, kind int, p position, prefix string) int {
	column := all[kind].column
	first, last := kind, kind
	for first > 0 && !all[first].begins(column) && all[first-1].belongs(column) {
		first--
	}
	for last+1 < len(all) && all[last+1].belongs(column) && !all[last+1].begins(column) {
		last++
	}
	for i := first; i <= last; i++ {
		if l := all[i]; l.isEntry && l.column == column && (l.key == "data" || l.key == "stringData") {
			s.lineValues(all[i:last+1], position{base: p.line(i), fixed: p.fixed}, prefix)
		}
	}
	return last
}

// lineValues reports the values below a `data:` line, or on it.
func (s *Scanner) lineValues(block []line, p position, prefix string) {
	data := block[0]
	if !IsReferenceOnly(data.value) && !IsReferenceOnly(strings.Trim(data.value, "{}")) {
		s.report(finding.RuleSecret, p.line(1), fmt.Sprintf("%sSecret: %s has a plaintext value", prefix, data.key), EncryptAdvice)
	}
	for i, l := range block[1:] {
		if l.isEntry && l.column <= data.column {
			return
		}
		if l.isEntry && !IsReferenceOnly(l.value) && !IsCipher(l.value) {
			s.report(finding.RuleSecret, p.line(i+2), fmt.Sprintf("%sSecret: %s.%s has a plaintext value", prefix, data.key, l.key),
				EncryptAdvice)
		}
	}
}

// belongs reports whether a line can be part of the mapping whose keys stand at a column.
func (l line) belongs(column int) bool { return !l.end && (l.free || l.column >= column) }

// begins reports whether a line opens a list item whose keys stand at a column.
func (l line) begins(column int) bool { return l.isEntry && l.item && l.column == column }

func parseLine(text string) line {
	l := line{column: len(text) - len(strings.TrimLeft(text, " \t"))}
	rest := strings.TrimSpace(text)
	l.end = rest == "---" || rest == "..."
	l.free = strings.Trim(rest, "{}[],") == "" || rest[0] == '#' || strings.HasPrefix(rest, "{{") || strings.HasPrefix(rest, "<<")
	for strings.HasPrefix(rest, "- ") {
		trimmed := strings.TrimLeft(rest[1:], " \t")
		l.column += len(rest) - len(trimmed)
		l.item, rest = true, trimmed
	}
	key, value, ok := strings.Cut(rest, ":")
	if !ok || l.free || strings.ContainsAny(key, "{}[]<>#") || (value != "" && !strings.ContainsAny(value[:1], " \t\"'")) {
		return l
	}
	value, _, _ = strings.Cut(strings.TrimSpace(value), " #")
	l.isEntry = true
	l.key = strings.Trim(strings.TrimSpace(key), `"'`)
	l.value = strings.Trim(strings.TrimRight(strings.TrimSpace(value), ","), `"'`)
	return l
}

// flowSecret finds a Secret on one line, as JSON or in flow style.
func flowSecret(line string) bool {
	if !strings.Contains(line, "Secret") {
		return false
	}
	bare := strings.NewReplacer(" ", "", "\t", "", `"`, "", `'`, "", `\`, "").Replace(line)
	if !strings.Contains(bare, "kind:Secret,") && !strings.Contains(bare, "kind:Secret}") {
		return false
	}
	for _, key := range []string{"data:{", "stringData:{"} {
		if _, rest, ok := strings.Cut(bare, key); ok {
			inner, _, _ := strings.Cut(rest, "}")
			_, value, _ := strings.Cut(inner, ":")
			if value != "" && !IsReferenceOnly(value) {
				return true
			}
		}
	}
	return false
}

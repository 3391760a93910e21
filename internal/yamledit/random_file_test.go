package yamledit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

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

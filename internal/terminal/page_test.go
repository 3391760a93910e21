package terminal

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestVisible: what is left out is shown, and our own lines and tabs stay.
func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain ñ 日本 →": "plain ñ 日本 →", "\x1b[31m": `\x1b[31m`,
		"a\nb\tc": `a\nb\tc`, "\x7f\u009b": `\x7f\u009b`, "\u202e\u2028": `\u202e\u2028`, "\xff": `\xff`,
	} {
		if got := Printable(text); got != want {
			t.Errorf("Printable(%q) = %s, want %s", text, got, want)
		}
	}
	if got := VisibleLines("a\tb\n\x1bc\r\n"); got != "a\tb\n"+`\x1bc\r`+"\n" {
		t.Errorf("%q", got)
	}
}

// TestParagraphs: what a pull request calls its files, or what a build says of them, is no command to the runner.
func TestParagraphs(t *testing.T) {
	p := &Page{CI: true}
	got := string(p.Paragraph("components/x\n::stop-commands::y\n  ::add-mask::z\n##[error]w\x1b[31m"))
	for line := range strings.Lines(got) {
		if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##[") || strings.Contains(line, "\x1b") {
			t.Errorf("%q", line)
		}
	}
	if strings.Count(got, "\n") != 3 {
		t.Errorf("%q", got)
	}
}

// TestPageEscapes: neither a cell, nor an argument, nor a line steers the terminal; our colours are the only exception.
func TestPageEscapes(t *testing.T) {
	var out bytes.Buffer
	p := &Page{W: &out, Colour: true, CI: true}
	p.Say("%s %s\n", "a\x1b[31m", p.Paint(Red, "b\n"))
	p.Line(Green, "::error::x\x07")
	want := `a\x1b[31m ` + "\x1b[31mb" + `\n` + "\x1b[0m\n\x1b[32m: :error::x" + `\a` + "\x1b[0m\n"
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTimes: people read times where they are, and ages in one unit.
func TestTimes(t *testing.T) {
	now := time.Date(2026, 11, 24, 13, 0, 12, 0, time.UTC)
	p := &Page{Now: now, Zone: time.FixedZone("CET", 3600)}
	if got := p.Time(now); got != "2026-11-24 14:00:12 CET" {
		t.Error(got)
	}
	if got := (&Page{}).Time(now); got != "2026-11-24 13:00:12 UTC" {
		t.Error(got)
	}
	for d, want := range map[time.Duration]string{
		-time.Hour: "now", 59 * time.Second: "now", 4 * time.Minute: "4 min ago", 3 * time.Hour: "3 h ago",
		47 * time.Hour: "47 h ago", 5 * 24 * time.Hour: "5 d ago"} {
		if got := p.Age(now.Add(-d)); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

// TestRemark: on a terminal a long remark breaks between words, a digest stays whole, and without a terminal it is one line.
func TestRemark(t *testing.T) {
	for width, want := range map[int]string{
		0:  "note: staging never ran this content: it was not published from a branch\n",
		40: "note: staging never ran this content: it\n  was not published from a branch\n",
		12: "note:\n  staging\n  never ran\n  this\n  content:\n  it was not\n  published\n  from a\n  branch\n",
	} {
		var b strings.Builder
		p := &Page{W: &b, Width: width}
		p.Remark(Bold, "note", "staging never ran this content: it was not published from a branch")
		if b.String() != want {
			t.Errorf("%d columns: %q", width, b.String())
		}
	}
	var b strings.Builder
	p := &Page{W: &b, Width: 10, CI: true}
	p.Remark(Bold, "note", "a\n::error::b")
	if strings.Contains(b.String(), "\n::") {
		t.Errorf("a command to the CI system: %q", b.String())
	}
}

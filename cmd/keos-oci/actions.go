package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/release"
)

// maxOutput is how large GitHub lets an output of a step be.
const maxOutput = 1 << 20

// printForActions gives GitHub Actions outputs for the steps that follow, and annotations in the files that are to blame.
func (a *app) printForActions(result any) error {
	if a.getenv("GITHUB_ACTIONS") != "true" {
		return nil
	}
	a.annotate(result)
	raw, err := json.Marshal(brief(result))
	if err != nil {
		return err
	}
	if len(raw) > maxOutput {
		slog.New(a.progress).Warn("the result is larger than GitHub takes as an output: use -o json instead")
		raw = []byte("{}")
	}
	outputs := fmt.Sprintf("result=%s\n", raw)
	if o := outcome(result); o != nil {
		names, err := json.Marshal(orEmpty(o.names))
		digests, other := json.Marshal(o.digests)
		if err := errors.Join(err, other); err != nil {
			return err
		}
		outputs += fmt.Sprintf("published=%s\ndigests=%s\nchanged=%t\n", names, digests, o.changed)
	}
	return appendTo(a.getenv("GITHUB_OUTPUT"), string(visibleJSON([]byte(outputs))))
}

// outcomes is what workflows ask for most.
type outcomes struct {
	names   []string                 // components that were published or moved
	digests map[string]digest.Digest // of all components, also of those that did not change
	changed bool
}

// outcome is what became of the components; nil for a result that says nothing of the kind.
func outcome(result any) *outcomes {
	o := &outcomes{digests: map[string]digest.Digest{}}
	switch r := result.(type) {
	case *release.PublishResult:
		for _, c := range r.Components {
			o.add(c.Name, c.Digest, c.Status == release.StatusPublished)
		}
	case *release.MoveResult:
		for _, c := range r.Components {
			o.add(c.Name, c.To, c.Status == release.StatusMoved)
		}
	case *release.DiffResult:
		o.changed = !r.Equal
	case *generateResult:
		o.changed = slices.ContainsFunc(r.Files, func(f generatedFile) bool { return f.Status != fileUnchanged })
	default:
		return nil
	}
	return o
}

func (o *outcomes) add(name string, d digest.Digest, changed bool) {
	if d != "" {
		o.digests[name] = d
	}
	if changed {
		o.names, o.changed = append(o.names, name), true
	}
}

// brief is a result without the texts that an output has no room for.
func brief(result any) any {
	switch r := result.(type) {
	case *release.DiffResult:
		short := *r
		short.Files, short.Objects = slices.Clone(r.Files), slices.Clone(r.Objects)
		for i := range short.Files {
			short.Files[i].Diff = ""
		}
		for i := range short.Objects {
			short.Objects[i].Diff = ""
		}
		return &short
	case *generateResult:
		short := *r
		short.Files = slices.Clone(r.Files)
		for i := range short.Files {
			short.Files[i].Content, short.Files[i].Diff = "", ""
		}
		return &short
	}
	return result
}

// annotate marks what was found in the files of a pull request.
func (a *app) annotate(result any) {
	var findings []finding.Finding
	switch r := result.(type) {
	case *release.CheckResult:
		findings = append(append(findings, r.Warnings...), r.Notes...)
		for _, c := range r.Components {
			findings = append(findings, c.Findings...)
		}
	case *release.PublishResult:
		for _, c := range r.Components {
			findings = append(findings, c.Warnings...)
			for _, held := range c.Held {
				findings = append(findings, finding.Finding{Severity: finding.Warning, Rule: "held", Message: c.Name + ": " + held})
			}
			if c.Error != nil {
				findings = append(findings, c.Error.Findings...)
			}
		}
	}
	for _, f := range findings {
		fmt.Fprintln(a.err, a.annotation(f))
	}
}

// annotation is a command to the runner, which takes percent signs, line breaks and, in its properties, colons and commas
// as its own.
func (a *app) annotation(f finding.Finding) string {
	level := map[finding.Severity]string{finding.Error: "error", finding.Note: "notice"}[f.Severity]
	if level == "" {
		level = "warning"
	}
	property := strings.NewReplacer("%", "%25", "\n", "%0A", ":", "%3A", ",", "%2C")
	text := strings.NewReplacer("%", "%25", "\n", "%0A")
	where := ""
	if f.File != "" {
		where = "file=" + property.Replace(visibleLines(a.fromWorkspace(f.File))) + ","
	}
	if f.Line > 0 {
		where += fmt.Sprintf("line=%d,", f.Line)
	}
	message := f.Message
	if f.Fix != "" {
		message += "; " + f.Fix
	}
	return fmt.Sprintf("::%s %stitle=%s::%s", level, where, property.Replace(visibleLines("keos-oci "+f.Rule)),
		text.Replace(visibleLines(message)))
}

// fromWorkspace is a file of the checkout as GitHub knows it, which may have been checked out into a folder of its own.
func (a *app) fromWorkspace(file string) string {
	top := a.getenv("GITHUB_WORKSPACE")
	if top == "" || a.top == "" {
		return file
	}
	if inner, err := filepath.Rel(top, a.top); err == nil && filepath.IsLocal(inner) {
		return filepath.ToSlash(filepath.Join(inner, file))
	}
	return file
}

func appendTo(file, text string) (err error) {
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.WriteString(text)
	return err
}
